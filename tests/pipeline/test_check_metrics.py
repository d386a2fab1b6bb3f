"""The comparison that continuous integration makes between committed and reproduced metrics."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sections import repository_params

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def check():
    spec = importlib.util.spec_from_file_location("check_metrics", REPOSITORY / ".ci" / "check_metrics.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["check_metrics"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["check_metrics"]


def test_flatten_names_figures_by_stage_and_section(check):
    assert check.flatten({"clean": {"bleu": 9.5}, "texts": 3}, "evaluate") == {
        "evaluate.clean.bleu": 9.5,
        "evaluate.texts": 3,
    }


@pytest.mark.parametrize(
    ("name", "committed", "fresh", "agrees"),
    [
        ("corpus.train.sentences", 1000, 1000, True),
        ("corpus.train.sentences", 1000, 1001, False),
        ("evaluate.clean.cascade.exact_match", 0.995, 0.986, True),
        ("evaluate.clean.cascade.exact_match", 0.995, 0.984, False),
        ("evaluate.clean.cascade.source.poems.exact_match", 1.0, 0.985, True),
        ("evaluate.clean.cascade.source.poems.exact_match", 1.0, 0.975, False),
        ("evaluate.clean.cascade.source.poems.exact_match_low", 0.955, 0.935, True),
        ("evaluate.clean.cascade.source.poems.texts", 80, 79, False),
        ("evaluate.clean.one_shot.source.poems.exact_match", 0.9, 0.86, True),
        ("evaluate.noisy.cascade.source.poems.exact_match", 1.0, 0.96, True),
        ("headline.exact_match", 1.0, 0.992, True),
        ("headline.exact_match", 1.0, 0.985, False),
        ("headline.exact_match_noisy", 0.91, 0.885, True),
        ("headline.exact_match_width_192", 0.97, 0.93, True),
        ("headline.selector_valid_nats_a_unit", 5.0, 5.09, True),
        ("headline.selector_valid_nats_a_unit", 5.0, 5.11, False),
        ("evaluate.noisy.cascade.exact_match", 0.91, 0.885, True),
        ("evaluate.noisy.cascade.exact_match", 0.91, 0.875, False),
        ("token_head.final.loss", 2.0, 2.09, True),
        ("token_head.final.loss", 2.0, 2.11, False),
        ("robustness.width_192.cascade.exact_match", 0.97, 0.93, True),
        ("robustness.width_192.cascade.exact_match", 0.97, 0.91, False),
        ("robustness.width_192.cascade.texts", 100, 99, False),
        ("robustness.width_256.cascade.exact_match", 0.95, 0.86, True),
        ("robustness.width_256.cascade.exact_match", 0.95, 0.8, False),
        ("selector.last.infonce", 5.0, 5.4, True),
        ("selector.last.infonce", 5.0, 5.6, False),
        ("evaluate.rates.cascade_texts_per_second", 80.0, 800.0, True),
        ("evaluate.clean.cascade.bleu_signature", "nrefs:1|v:2", "nrefs:1|v:2", True),
        ("evaluate.clean.cascade.bleu_signature", "nrefs:1|v:2", "nrefs:1|v:3", False),
    ],
)
def test_tolerances(check, name, committed, fresh, agrees):
    assert check.agrees(name, committed, fresh) is agrees


def test_headline_figures_have_the_tolerance_of_what_they_are_copies_of(check):
    headline = json.loads((REPOSITORY / "metrics" / "headline.json").read_text(encoding="utf-8"))
    sources = {name: check.source_of(f"headline.{name}") for name in headline}
    assert sources["exact_match"] == "evaluate.clean.cascade.exact_match"
    assert sources["exact_match_width_192"] == "robustness.width_192.cascade.exact_match"
    for name, source in sources.items():
        stage, *keys = re.split(r"\.(?!\d)", source)
        found = json.loads((REPOSITORY / "metrics" / f"{stage}.json").read_text(encoding="utf-8"))
        for key in keys:
            found = found[key]
        assert found == headline[name], source
        assert check.rule_for(f"headline.{name}") is check.rule_for(source)


def test_decisive_conditions_are_those_of_the_params(check):
    assert repository_params().robustness.decisive == check.DECISIVE
    assert repository_params().robustness.decisive_texts >= 100


def test_missing_and_new_figures_are_differences(check):
    lines = check.differences({"a.x": 1.0, "a.y": 1.0}, {"a.x": 1.0, "a.z": 1.0})
    assert lines == ["a.y: committed, but not reproduced", "a.z: reproduced, but not committed"]


def _commit_metrics(folder: Path, content: str) -> None:
    (folder / "metrics").mkdir()
    (folder / "metrics" / "corpus.json").write_text(content)
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
    for command in (["init", "-q"], ["add", "metrics"], [*identity, "commit", "-q", "-m", "metrics"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def _check(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPOSITORY / ".ci" / "check_metrics.py"), "HEAD"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_fails_on_a_difference_from_the_commit_and_names_it(tmp_path):
    _commit_metrics(tmp_path, '{"train": {"sentences": 10}}')
    assert _check(tmp_path).returncode == 0
    (tmp_path / "metrics" / "corpus.json").write_text('{"train": {"sentences": 11}}')
    done = _check(tmp_path)
    assert done.returncode == 1
    assert "corpus.train.sentences: committed 10, reproduced 11" in done.stderr
