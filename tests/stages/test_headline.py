"""The headline figures are those of the other stages."""

from __future__ import annotations

import json
import shutil

import pytest

from lexivert.artifacts import Paths
from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.stages import headline
from sections import REPOSITORY, repository_params


@pytest.fixture
def paths(tmp_path):
    (tmp_path / "metrics").mkdir()
    for name in ("evaluate", "robustness", "selector", "sentence_space"):
        shutil.copy(Paths(REPOSITORY).metrics(name), Paths(tmp_path).metrics(name))
    return Paths(tmp_path)


def test_figures_are_few_and_stand_elsewhere_too(paths):
    headline.run(paths, repository_params())
    found = json.loads(paths.metrics("headline").read_text())
    evaluate, robustness = (json.loads(paths.metrics(name).read_text()) for name in ("evaluate", "robustness"))
    assert found["exact_match"] == evaluate["clean"]["cascade"]["exact_match"]
    assert found["exact_match_noisy"] == evaluate["noisy"]["cascade"]["exact_match"]
    assert found["expected_calibration_error"] == evaluate["confidence"]["expected_calibration_error"]
    assert found["exact_match_width_192"] == robustness["width_192"]["cascade"]["exact_match"]
    assert found["selector_valid_nats_a_unit"] > 0
    assert 0 < found["full_definitions_ndcg_at_10"] < 1
    assert len(found) <= 12


def test_missing_figures_name_the_stage(paths):
    paths.metrics("selector").write_text('{"valid_nats_a_unit": 5}')
    with pytest.raises(DamagedArtifactError, match=r"has no valid_nats_a_unit\.\w+; run `dvc repro selector`$"):
        headline.run(paths, repository_params())
    paths.metrics("selector").unlink()
    with pytest.raises(MissingArtifactError, match=r"selector\.json is missing; run `dvc repro selector` first"):
        headline.run(paths, repository_params())
    assert not paths.metrics("headline").exists()
