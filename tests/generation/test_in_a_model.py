"""Language-model search as users call it: of a project, and of a folder that was saved."""

from __future__ import annotations

import shutil
import warnings

import numpy as np
import pytest
from ruamel.yaml import YAML

from lexivert.artifacts import read_json, write_json
from lexivert.controller import model_folder
from lexivert.errors import DamagedArtifactError, GenerationWarning, MissingArtifactError
from lexivert.generation.hill_climbing import HillClimbing
from lexivert.generation.in_units import InUnits
from lexivert.generation.language_model_search import LanguageModelSearch
from lexivert.generation.params import SearchParams
from lexivert.model import Lexivert
from lexivert.yaml_reader import overridden, read_yaml

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill."]


@pytest.fixture(scope="module")
def model(generation_project):
    return Lexivert.load(generation_project.root)


@pytest.fixture(scope="module")
def vectors(model):
    return model.encode(TEXTS)


def test_a_project_with_a_conditional_model_searches(generation_project, model, vectors):
    with warnings.catch_warnings():
        warnings.simplefilter("error", GenerationWarning)
        assert isinstance(Lexivert.load(generation_project.root).generator, LanguageModelSearch)
    assert isinstance(model.generator, LanguageModelSearch)
    found = model.generate(vectors, 2, effort="draft")
    again = model.generate(vectors[:, :32] * 7, 2, effort="draft")
    assert [one.text for one in again] == [one.text for one in found]
    assert [one.cosine for one in again] == pytest.approx([one.cosine for one in found], abs=1e-5)
    for one in found:
        assert one.text
        assert one.log_probability < 0
        assert len(one.alternatives) <= 1


def test_several_batches_are_written_as_one_is(model, vectors, monkeypatch):
    texts = [one.text for one in model.generate(vectors, effort="draft")]
    monkeypatch.setattr("lexivert.writing._TEXTS_AT_ONCE", 1)
    assert [one.text for one in model.generate(vectors, effort="draft")] == texts


def test_whoever_watches_sees_drafts(model, vectors):
    seen = []
    (found,) = model.generate(vectors[:1], effort="draft", watch=seen.append)
    assert [[one.text for one in best] for best in seen] == [[found.text]]


def test_the_mean_of_two_embeddings_is_written_about(model, vectors):
    (found,) = model.generate(np.mean(vectors, axis=0, keepdims=True), effort="draft")
    assert found.text


def test_it_travels_with_the_language_model(model, vectors, tmp_path):
    model.save_pretrained(tmp_path / "with", include_language_model=True)
    again = Lexivert.from_pretrained(tmp_path / "with", device="cpu")
    assert isinstance(again.generator, LanguageModelSearch)
    assert again.generate(vectors, effort="draft") == model.generate(vectors, effort="draft")
    assert again.generator.params == model.generator.params
    again.save_pretrained(tmp_path / "again", include_language_model=True)
    file = tmp_path / "again" / model_folder.GENERATION / model_folder.SEARCH
    assert SearchParams.model_validate(read_json(file)) == model.generator.params
    write_json(file, {"weights": {}})
    with pytest.raises(
        DamagedArtifactError, match=r"search\.json is damaged \(weights\.nearness is missing, so another"
    ):
        Lexivert.from_pretrained(tmp_path / "again", device="cpu")
    model.save_pretrained(tmp_path / "without")
    assert not (tmp_path / "without" / model_folder.GENERATION).exists()
    generator = Lexivert.from_pretrained(tmp_path / "without", device="cpu").generator
    assert isinstance(generator, InUnits)
    assert isinstance(generator.writers["normal"], HillClimbing)


def test_a_missing_conditional_model_is_named(generation_project, tmp_path):
    """By the generator that was asked for; ``auto`` takes another one."""
    shutil.copytree(generation_project.root, tmp_path / "project")
    shutil.rmtree(tmp_path / "project" / "models" / "generation")
    other = Lexivert.load(tmp_path / "project")
    with pytest.warns(GenerationWarning, match=r"^there is no conditional model, .* `dvc repro generation") as said:
        other.generate(np.ones((1, 32)), effort="draft")
    assert [warning.filename for warning in said] == [__file__]  # where it was called
    with warnings.catch_warnings():  # it is said once
        warnings.simplefilter("error", GenerationWarning)
        other.generate(np.ones((1, 32)), effort="draft")
    assert isinstance(other.generator, InUnits)
    file = tmp_path / "project" / "generation" / "params.yaml"
    YAML(typ="safe", pure=True).dump(overridden(read_yaml(file), {"generator": "language_model_search"}), file)
    with pytest.raises(MissingArtifactError, match="needs its conditional model; run `dvc repro generation/dvc"):
        Lexivert.load(tmp_path / "project").generate(np.ones((1, 32)))


def test_a_missing_language_model_is_named(generation_project, tmp_path):
    shutil.copytree(generation_project.root, tmp_path / "project")
    shutil.rmtree(tmp_path / "project" / "models" / "language_model")
    with pytest.raises(MissingArtifactError, match="language_model is missing; run `dvc repro language_model`"):
        Lexivert.load(tmp_path / "project").generate(np.ones((1, 32)))
