"""The pipeline, run once by DVC in a copy of the project on a tiny corpus and backbone, and its stages one by one."""

from __future__ import annotations

import functools
import logging
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from ruamel.yaml import YAML

from lexivert.code_fingerprint import SourceTree
from lexivert.errors import LexivertError
from lexivert.yaml_reader import read_yaml

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = list(read_yaml(REPOSITORY / "dvc.yaml")["stages"])
ON_DATA = [stage for stage in STAGES if stage not in {"code", "texts", "fetch", "language_model"}]
TRAINED = {"token_head": {"token_head__epochs": 12}, "selector": {"selector__steps": 150}}
"""Stages that resume after a kill, with enough steps that a kill comes in the middle."""
NEW_LINE = ("\nfrom __future__ import annotations\n", "\nfrom __future__ import annotations\nNEW = 1\n")
ABSENT_DEVICE = "mps" if torch.cuda.is_available() else "cuda"


def ran(output: str) -> list[str]:
    return re.findall(r"^Running stage '(\w+)'", output, flags=re.MULTILINE)


@pytest.fixture
def repo(project):
    """DVC's own view of the project."""
    from dvc.repo import Repo

    with Repo(str(project.root)) as opened:
        yield opened


def changed(repo) -> set[str]:
    """Stages of the default pipeline that DVC would run first."""
    others = ("benchmarks/dvc.yaml", "experiments/dvc.yaml", "generation/dvc.yaml")
    names = [name.rpartition(":") for name in repo.status()]
    return {name for file, _, name in names if not file.endswith(others)}


def behind(repo, stages: set[str]) -> set[str]:
    """These stages and all that depend on them, in DVC's graph."""
    import networkx as nx

    graph = repo.index.graph.reverse(copy=False)
    own = {stage for stage in graph if Path(stage.path).parent == Path(repo.root_dir)}
    starts = {stage for stage in own if stage.name in stages}
    found = starts.union(*(nx.descendants(graph, start) for start in starts))
    return {stage.name for stage in found & own}


def test_second_repro_skips_everything(project):
    output = project.repro()
    assert ran(output) == []
    assert "Data and pipelines are up to date." in output


def test_every_declared_product_is_there(project):
    for stage in STAGES:
        missing = [name for name in project.products(stage) if not (project.root / name).exists()]
        assert missing == [], stage


def test_nothing_half_written_stays(project):
    written = [path for folder in ("data", "models", "metrics") for path in (project.root / folder).rglob("*")]
    assert [path.name for path in written if path.suffix == ".tmp"] == []


CHANGES = {
    "corpus.valid_share": {"corpus"},
    "vocab.min_count.ngram": {"vocab"},
    "vocab.languages": {"fetch", "vocab"},
    "lexical_maps.max_synonyms": {"lexical_maps"},
    "backbone.pooling": {"features", "index", "token_space"},
    "backbone.device": {"features", "token_head", "index", "selector", "controller", "token_space"},
    "features.max_train_sentences": {"features"},
    "language_model.model": {"language_model"},
    "code.max_units": {"index"},
    "code.embed_dim": {"token_head", "index"},
    "token_head.weight.synonym": {"token_head"},
    "selector.weight.length": {"selector"},
    "selector.max_train_units": {"selector", "controller"},
    "controller.amp.rounds": {"controller"},
    "controller.calibration_texts": {"controller"},
    "evaluate.noise_cosine": {"evaluate"},
    "robustness.texts": {"robustness"},
    "token_head.heldout_share": {"token_head", "token_space", "collapse"},
    "token_space.units": {"token_space"},
    "sentence_space.pairs": {"sentence_space"},
    "collapse.texts": {"collapse"},
    "report.map_units": {"report"},
}


@pytest.mark.parametrize(("key", "stages"), CHANGES.items(), ids=CHANGES)
def test_a_param_is_declared_by_the_right_stages(project, key, stages):
    """By what dvc.yaml says; that DVC goes by it, the next test shows."""
    declared = {name: stage.get("params", []) for name, stage in project.stages.items()}
    assert {name for name, keys in declared.items() if any(f"{key}.".startswith(f"{one}.") for one in keys)} == stages


def test_changed_params_are_seen_by_the_stages_that_declare_them(project):
    from dvc.repo import Repo

    project.change(selector__max_train_units=20, token_space__units=30)
    with Repo(str(project.root)) as repo:
        assert changed(repo) == {"selector", "controller", "token_space"}


def test_an_edited_added_or_removed_text_of_the_users_is_seen(project):
    from dvc.repo import Repo

    folder = project.root / "texts"
    file, new = folder / "document_00.txt", folder / "new.txt"
    former = file.read_text(encoding="utf-8")
    changes = (lambda: file.write_text(former.replace("the", "a", 1), encoding="utf-8"), new.touch, file.unlink)
    for change in changes:
        change()
        try:
            with Repo(str(project.root)) as repo:
                assert changed(repo) == {"texts"}
        finally:
            file.write_text(former, encoding="utf-8")
            new.unlink(missing_ok=True)
    with Repo(str(project.root)) as repo:
        assert changed(repo) == set()
        assert "fetch" in behind(repo, {"texts"})


def test_a_rule_of_the_decoding_loops_runs_no_training(project, repo):
    project.change(controller__easy_first__rounds=23)
    assert ran(project.repro("controller")) == ["controller"]
    expected = {"controller", "evaluate", "robustness", "collapse", "export", "headline", "report"}
    assert behind(repo, {"controller"}) == expected


@pytest.mark.parametrize(
    ("stage", "skipped"),
    [
        ("token_head", {"code", "texts", "fetch", "corpus", "vocab", "lexical_maps", "features"}),
        ("selector", {"index", "token_head", "token_space", "sentence_space"}),
        ("evaluate", set(STAGES) - {"evaluate", "headline", "report"}),
    ],
)
def test_what_depends_on_a_stage(repo, stage, skipped):
    assert behind(repo, {stage}) & skipped == set()
    assert "report" in behind(repo, {stage})


def fingerprints(folder: Path) -> dict[str, str]:
    """Those of all stages, of the sources below a folder."""
    tree = SourceTree(folder)
    return {stage: tree.fingerprint(f"lexivert.stages.{stage}") for stage in STAGES if stage != "code"}


@functools.cache
def unchanged() -> dict[str, str]:
    """Fingerprints of this repository."""
    return fingerprints(REPOSITORY / "src")


class TestCode:
    """Edits of the copy's sources, which are put back after each test."""

    @pytest.fixture
    def sources(self, project):
        return project.root / "src" / "lexivert"

    @pytest.fixture
    def edit(self, sources):
        former = {}

        def replace(name: str, old: str, new: str) -> None:
            path = sources / name
            text = path.read_text(encoding="utf-8")
            former.setdefault(path, text)
            assert old in text
            path.write_text(text.replace(old, new, 1), encoding="utf-8")

        yield replace
        for path, text in former.items():
            path.write_text(text, encoding="utf-8")

    def test_dvc_runs_what_the_fingerprints_say(self, project, sources, edit):
        """A comment and docstring in every module run ``code`` alone, a line of code the one stage that runs it."""
        from dvc.repo import Repo

        for path in sorted(sources.rglob("*.py")):
            if path.name != "__init__.py":
                name = str(path.relative_to(sources))
                edit(name, '"""', '"""Another word. ')
                edit(name, "\nfrom __future__", "\n# a comment\nfrom __future__")
        assert ran(project.repro()) == ["code"]
        edit("evaluation/minimal_pairs.py", *NEW_LINE)
        assert ran(project.repro("code")) == ["code"]
        with Repo(str(project.root)) as repo:
            assert changed(repo) == {"sentence_space"}

    @pytest.mark.parametrize(
        ("module", "stages"),
        [
            ("evaluation/minimal_pairs.py", {"sentence_space"}),
            ("report/page.py", {"report"}),
            ("codes/token_head_training.py", {"token_head"}),
            ("training/loop.py", {"token_head", "selector"}),
            ("text/wordpieces.py", {"vocab"}),
            ("stages/collapse.py", {"collapse"}),
            ("cli/files.py", set()),
            ("config/data.py", set()),
        ],
    )
    def test_a_line_of_code_changes_the_fingerprints_of_the_stages_that_can_reach_it(
        self, sources, edit, module, stages
    ):
        edit(module, *NEW_LINE)
        before, after = unchanged(), fingerprints(sources.parent)
        assert {stage for stage, lines in after.items() if lines != before[stage]} == stages


def test_metrics_diff_shows_a_changed_loss_weight_in_the_right_keys(project, tmp_path):
    from dvc.repo import Repo

    copy = type(project)(tmp_path / "copy")
    shutil.copytree(project.root, copy.root, symlinks=True)
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("add", "--all"), ("commit", "--quiet", "--message", "before")):
        code, output = copy.run("git", *author, *command)
        assert code == 0, output
    copy.change(token_head__weight__synonym=2.0)
    copy.run_here("token_head", copy.root)
    with Repo(str(copy.root)) as repo:
        found = repo.metrics.diff()["diff"]
    assert list(found) == [os.path.join("metrics", "token_head.json")]  # noqa: PTH118 as DVC names it
    values = found["metrics/token_head.json"]
    assert values["final.synonym"]["diff"] < 0  # weighed more, it comes out smaller
    assert values["final.loss"]["diff"] > 0  # and counts for more
    assert "units" not in values


def _other_value(key: str, value: object) -> object:
    """Another valid value of the same type; a stage that doesn't read the key can't tell."""
    if key in ("backbone.model", "corpus.dataset"):
        return "no/such-place"
    if key == "backbone.device":
        return ABSENT_DEVICE
    if isinstance(value, float):
        return value * 0.9
    if isinstance(value, int):
        tens = dict.fromkeys(("selector.steps", "selector.bag_of_words.steps"), 10)
        step = ({"vocab.ngram_max": -1} | tens).get(key, 2)
        return value + step
    return value


def _disturbed(content: dict, declared: list[str], prefix: str = "") -> dict:
    """The params with every key changed that is neither declared nor in a declared section."""
    other = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        if key in declared:
            other[name] = value
        elif isinstance(value, dict):
            other[name] = _disturbed(value, declared, f"{key}.")
        else:
            other[name] = _other_value(key, value)
    return other


@pytest.mark.parametrize("stage", ON_DATA)
def test_a_stage_reads_only_what_it_declares_and_gives_the_same_bytes_in_another_process(
    project, sandbox, hashes, stage, tmp_path
):
    """DVC made the reference, each stage in a process of its own; here it runs within this one."""
    root, params = sandbox("declared", project.sources(stage)), tmp_path / "disturbed.yaml"
    disturbed = _disturbed(read_yaml(project.params), project.stages[stage].get("params", []))
    YAML(typ="safe", pure=True).dump(disturbed, params)
    project.run_here(stage, root, params)
    declared = project.products(stage)
    timeless = [name for name in declared if not name.endswith(".json")]
    products = timeless or declared  # a stage that writes metrics alone has no seconds in them
    assert hashes(root, products) == hashes(project.root, products) != {}


@pytest.mark.parametrize("stage", TRAINED)
def test_a_killed_training_resumes_to_the_same_bytes(project, sandbox, hashes, stage, caplog):
    project.change(**TRAINED[stage])
    straight = sandbox("straight", project.sources(stage))
    project.run_here(stage, straight)

    killed = sandbox("killed", project.sources(stage))
    process = project.start(*project.command(stage, killed))
    deadline = time.monotonic() + 120
    while not list((killed / ".checkpoints").rglob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the stage ended before it could be killed"
    products = project.products(stage)
    assert hashes(killed, products) == {}

    with caplog.at_level(logging.INFO, logger="lexivert"):
        project.run_here(stage, killed)
    assert "resuming" in caplog.text
    resumed = hashes(killed, products)
    assert [name for name in resumed if name.endswith(".safetensors")], "the weights are among what is compared"
    assert resumed == hashes(straight, products)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _overwrite(path: Path) -> None:
    path.write_bytes(b"not what it should be\n" * 10)


def the_error(capsys) -> str:
    """The one line that a failed command says."""
    output = capsys.readouterr().err
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "Traceback" not in output
    return errors[0]


@pytest.mark.parametrize(
    ("stage", "artifact", "damage"),
    [
        ("vocab", "data/corpus.parquet", _remove),
        ("vocab", "data/corpus.parquet", _truncate),
        ("lexical_maps", "data/raw/wordnet", _remove),
        ("features", "data/vocab.parquet", _overwrite),
        ("token_head", "data/unit_features.npy", _truncate),
        ("index", "models/token_head", _remove),
        ("index", "models/token_head/head.safetensors", _truncate),
        ("selector", "data/segments.parquet", _remove),
        ("controller", "models/index/units.faiss", _overwrite),
        ("controller", "models/selector/selector.safetensors", _truncate),
        ("evaluate", "models/selector/selector.safetensors", _overwrite),
        ("evaluate", "models/controller/config.json", _truncate),
        ("token_space", "models/token_head", _remove),
        ("sentence_space", "data/raw/wordnet", _remove),
        ("collapse", "data/unit_features.npy", _truncate),
        ("report", "metrics/evaluate.json", _remove),
    ],
)
def test_a_missing_or_damaged_artifact_is_named_in_one_line(project, sandbox, stage, artifact, damage, capsys):
    root = sandbox("damaged", project.sources(stage))
    damage(root / artifact)
    project.fail_here(stage, root)
    message = the_error(capsys)
    assert Path(artifact).name in message
    assert "dvc repro" in message


@pytest.mark.parametrize("stage", ["features", "token_head"])
def test_a_device_that_is_not_there_is_named_in_one_line(project, sandbox, stage, capsys):
    project.change(backbone__device=ABSENT_DEVICE)
    project.fail_here(stage, sandbox("device", project.sources(stage)))
    message = the_error(capsys)
    assert message.startswith("error: ")
    assert message.endswith(
        f"params.yaml: backbone.device is '{ABSENT_DEVICE}', but this machine has no such device; use cpu or auto"
    )


def test_an_unknown_param_is_named_in_one_line(project, sandbox, capsys):
    project.change(vocab__min_cuont=3)
    project.fail_here("vocab", sandbox("unknown", []))
    assert re.search(r"^error: .*params.yaml: vocab.min_cuont", the_error(capsys))


def test_a_real_command_fails_with_one_line(project, sandbox):
    """As a user or DVC runs it: exit code 1, one line, no traceback."""
    code, output = project.run(*project.command("vocab", sandbox("nothing", [])))
    assert code == 1
    assert re.fullmatch(r"error: \S+/corpus\.parquet is missing; run `dvc repro corpus` first\n", output)


def test_segments_of_another_corpus_are_refused(project, sandbox):
    root = sandbox("other", project.sources("selector"))
    project.change(corpus__max_sentence_words=4)
    other = sandbox("corpus", project.sources("corpus"))
    project.run_here("corpus", other)
    shutil.copyfile(other / "data" / "corpus.parquet", root / "data" / "corpus.parquet")
    with pytest.raises(LexivertError, match="run `dvc repro vocab`"):
        project.run_here("selector", root)
