"""The whole pipeline, run by DVC in a copy of the project on a tiny corpus and backbone."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = list(yaml.safe_load((REPOSITORY / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
TRAINED = {"token_head": {"token_head__epochs": 12}, "controller": {"controller__steps": 150}}
"""Stages that resume after a kill, with enough steps that a kill comes in the middle."""
ABSENT_DEVICE = "mps" if torch.cuda.is_available() else "cuda"


def ran(output: str) -> list[str]:
    return re.findall(r"^Running stage '(\w+)'", output, flags=re.MULTILINE)


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


CHANGES = [
    ({"corpus__valid_share": 0.2}, {"corpus"}),
    ({"vocab__min_count__ngram": 3}, {"vocab"}),
    ({"lexical_maps__max_synonyms": 3}, {"lexical_maps"}),
    ({"backbone__pooling": "cls"}, {"features", "index", "token_space"}),
    ({"backbone__device": "auto"}, {"features", "token_head", "index", "token_space"}),
    ({"features__max_train_sentences": 100}, {"features"}),
    ({"code__max_units": 90}, {"index"}),
    ({"token_head__weight__synonym": 0.2}, {"token_head"}),
    ({"controller__weight__length": 0.1}, {"controller"}),
    ({"evaluate__noise_cosine": 0.8}, {"evaluate"}),
    ({"robustness__texts": 2}, {"robustness"}),
    ({"token_head__heldout_share": 0.1}, {"token_head", "token_space", "collapse"}),
    ({"token_space__units": 30}, {"token_space"}),
    ({"sentence_space__pairs": 10}, {"sentence_space"}),
    ({"collapse__texts": 5}, {"collapse"}),
    ({"report__map_units": 50}, {"report"}),
]


@pytest.mark.parametrize(("change", "stages"), CHANGES, ids=["+".join(change) for change, _ in CHANGES])
def test_a_param_is_read_by_the_right_stages(project, change, stages):
    from dvc.repo import Repo  # slow to import, and only needed here

    project.change(**change)
    with Repo(str(project.root)) as repo:
        own = {name for name in repo.status() if "experiments/dvc.yaml" not in name}  # run by a command of its own
        assert {name.rpartition(":")[2] for name in own} == stages


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"controller__steps": 40}, {"controller", "evaluate", "robustness", "collapse", "report"}),
        (
            {"token_head__epochs": 3},
            {"token_head", "index", "controller", "evaluate", "robustness", "token_space", "sentence_space"}
            | {"collapse", "report"},
        ),
    ],
)
def test_a_changed_param_runs_what_depends_on_it_and_no_more(project, change, stages):
    project.repro()
    project.change(**change)
    done = ran(project.repro())
    assert len(done) == len(stages)
    assert set(done) == stages
    assert done[-1] == "report"


def test_metrics_diff_shows_a_changed_loss_weight_in_the_right_keys(project, tmp_path):
    project.repro()
    copy = type(project)(tmp_path / "copy")
    shutil.copytree(project.root, copy.root, symlinks=True)
    author = ("-c", "user.name=test", "-c", "user.email=test@example.org")
    for command in (("add", "--all"), ("commit", "--quiet", "--message", "before")):
        code, output = copy.run("git", *author, *command)
        assert code == 0, output
    copy.change(token_head__weight__synonym=2.0)
    copy.repro("token_head")
    code, output = copy.run(sys.executable, "-m", "dvc", "metrics", "diff", "--json")
    assert code == 0, output
    changed = json.loads(output.splitlines()[-1])
    assert list(changed) == ["metrics/token_head.json"]
    values = changed["metrics/token_head.json"]
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
        tens = dict.fromkeys(("controller.steps", "controller.topic_steps"), 10)
        step = ({"vocab.ngram_max": -1} | tens).get(key, 2)
        return value + step
    return value


def _disturbed(content: dict, declared: list[str], prefix: str = "") -> dict:
    """The params with every key changed that is neither declared nor in a declared section."""
    changed = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        if key in declared:
            changed[name] = value
        elif isinstance(value, dict):
            changed[name] = _disturbed(value, declared, f"{key}.")
        else:
            changed[name] = _other_value(key, value)
    return changed


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage != "fetch"])
def test_a_stage_reads_only_what_it_declares_and_gives_the_same_bytes_twice(
    project, sandbox, hashes, stage, tmp_path
):
    project.repro()
    root = sandbox("declared", project.sources(stage))
    content = yaml.safe_load(project.params.read_text(encoding="utf-8"))
    params = tmp_path / "disturbed.yaml"
    disturbed = _disturbed(content, project.stages[stage]["params"])
    params.write_text(yaml.safe_dump(disturbed, allow_unicode=True), encoding="utf-8")
    code, output = project.run(*project.stage(stage, root, params))
    assert code == 0, output
    declared = project.products(stage)
    timeless = [name for name in declared if not name.endswith(".json")]
    products = timeless or declared  # a stage that writes metrics alone has no seconds in them
    assert hashes(root, products) == hashes(project.root, products) != {}


@pytest.mark.parametrize("stage", TRAINED)
def test_a_killed_training_resumes_to_the_same_bytes(project, sandbox, hashes, stage):
    project.change(**TRAINED[stage])
    straight = sandbox("straight", project.sources(stage))
    code, output = project.run(*project.stage(stage, straight))
    assert code == 0, output

    killed = sandbox("killed", project.sources(stage))
    process = project.start(*project.stage(stage, killed))
    deadline = time.monotonic() + 120
    while not list((killed / ".checkpoints").rglob("*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the stage ended before it could be killed"
    products = project.products(stage)
    assert hashes(killed, products) == {}

    code, output = project.run(*project.stage(stage, killed))
    assert code == 0, output
    assert "resuming" in output
    resumed = hashes(killed, products)
    assert [name for name in resumed if name.endswith(".safetensors")], "the weights are among what is compared"
    assert resumed == hashes(straight, products)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _overwrite(path: Path) -> None:
    path.write_bytes(b"not what it should be\n" * 10)


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
        ("controller", "models/index/units.faiss", _overwrite),
        ("evaluate", "models/controller/controller.safetensors", _overwrite),
        ("token_space", "models/token_head", _remove),
        ("sentence_space", "data/raw/wordnet", _remove),
        ("collapse", "data/unit_features.npy", _truncate),
        ("report", "metrics/evaluate.json", _remove),
    ],
)
def test_a_missing_or_damaged_artifact_is_named_in_one_line(project, sandbox, stage, artifact, damage):
    root = sandbox("damaged", project.sources(stage))
    damage(root / artifact)
    code, output = project.run(*project.stage(stage, root))
    assert code == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert Path(artifact).name in errors[0]
    assert "dvc repro" in errors[0]
    assert "Traceback" not in output


@pytest.mark.parametrize("stage", ["features", "token_head"])
def test_a_device_that_is_not_there_is_named_in_one_line(project, sandbox, stage):
    project.change(backbone__device=ABSENT_DEVICE)
    code, output = project.run(*project.stage(stage, sandbox("device", project.sources(stage))))
    assert code == 1
    errors = [line for line in output.splitlines() if line.startswith("error: ")]
    assert errors == [
        f"error: backbone.device is '{ABSENT_DEVICE}', but this machine has no such device; use cpu or auto"
    ]
    assert "Traceback" not in output


def test_an_unknown_param_is_named_in_one_line(project, sandbox):
    project.change(vocab__min_cuont=3)
    code, output = project.run(*project.stage("vocab", sandbox("unknown", [])))
    assert code == 1
    assert re.search(r"^error: .*params.yaml: vocab.min_cuont", output, flags=re.MULTILINE)
    assert "Traceback" not in output
