from __future__ import annotations

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import parts_of
from lexivert.controller import language_search
from lexivert.controller.controller import Controller
from lexivert.controller.language_search import LanguageSearch
from lexivert.controller.observation import Observation
from lexivert.controller.total_score import TotalScore
from lexivert.errors import LexivertError, MissingArtifactError
from lexivert.language_model import storage
from lexivert.language_model.storage import Source
from sections import section

TEXTS = [
    "The old captain saw the river.",
    "Emma saw two lamps near the old mill.",
    "It was a noble snow, and the letter watched it.",
    "She painted the harbour (a quiet one) -- but the sailor didn't.",
]


@pytest.fixture(scope="module")
def source(tiny_language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "language_model"
    storage.write(str(tiny_language_model), folder)
    return Source(folder, "cpu")


@pytest.fixture(scope="module")
def search(tiny_model, source):
    """An untrained language model says little that is true: its weight is small. Beams are narrow, to be fast."""
    rules = section("controller.language_search", language_weight=0.02, below=1.0)
    quick = rules.normal.model_copy(update={"beams": 2, "embedded": 32, "rounds": 4})
    rules = rules.model_copy(update={"normal": quick})
    params = tiny_model.decoder.parts.params.model_copy(update={"language_search": rules})
    return LanguageSearch(replace(tiny_model.decoder.parts, params=params), tiny_model.encoder, source)


def observed_at(tiny_model, texts, cosine):
    clean = torch.from_numpy(tiny_model.encode(texts))
    noise = torch.Generator().manual_seed(3)
    vectors = clean if cosine == 1.0 else add_noise(clean, torch.full((len(texts),), cosine), noise)
    prefix, order = parts_of(vectors, tiny_model.semantic_width)
    return Observation.of(order, prefix)


def damaged(units):
    """One unit in another's place, one left out, two put in at the end: no single change mends it."""
    return [units[0], units[3], units[1], *units[4:], units[2], units[2]]


def test_what_was_misread_is_found(tiny_model, search):
    units = tiny_model.encoder.segment(TEXTS)
    observed = observed_at(tiny_model, TEXTS, 0.98)
    found = search.decode([damaged(own) for own in units], observed, search.effort("normal"))
    assert found.units == units
    assert all(min(scores) > 0.9 for scores in found.scores)


def test_a_text_gives_way_to_one_of_a_higher_score_alone(tiny_model, search):
    observed = observed_at(tiny_model, TEXTS, 0.35)
    read = [damaged(own) for own in tiny_model.encoder.segment(TEXTS)]
    found = search.decode(read, observed, search.effort("normal"))
    for row, (before, after) in enumerate(zip(read, found.units, strict=True)):
        one = observed[slice(row, row + 1)]
        score = TotalScore(one, search.parts.codebook, search.encoder, search.language_model, search.params)
        assert float(score([after])[0]) >= float(score([before])[0]) - 1e-3
        assert len(found.scores[row]) == len(after)
        assert all(0.0 <= value <= 1.0 for value in found.scores[row])


def test_the_same_text_twice(tiny_model, search):
    observed = observed_at(tiny_model, TEXTS[:2], 0.5)
    read = tiny_model.decoder.algorithm.decode(observed).units
    effort = search.effort("normal", 600.0)
    one, other = search.decode(read, observed, effort), search.decode(read, observed, effort)
    assert one.units == other.units
    assert one.scores == other.scores


def test_where_nothing_was_read_it_starts_from_likely_lengths(tiny_model, search):
    found = search.decode([[]], observed_at(tiny_model, TEXTS[:1], 1.0), search.effort("normal"))
    assert found.units == tiny_model.encoder.segment(TEXTS[:1])
    assert found.verified.tolist() == [True]


def test_known_units_stay(tiny_model, search):
    observed = observed_at(tiny_model, TEXTS[:1], 0.5)
    known = torch.full((1, tiny_model.encoder.config.code.max_units + 1), -1)
    known[0, 0] = tiny_model.encoder.segment(TEXTS[1:2])[0][0]
    read = tiny_model.decoder.algorithm.decode(replace(observed, known=known)).units
    found = search.decode(read, replace(observed, known=known), search.effort("normal"))
    assert found.units[0][0] == int(known[0, 0])


def test_nothing_begins_after_the_last_second(tiny_model, search, monkeypatch):
    """Neither the first beam where there is no time at all, nor single changes where that beam took all of it."""
    observed, read = observed_at(tiny_model, TEXTS[:1], 0.4), damaged(tiny_model.encoder.segment(TEXTS[:1])[0])
    begun, late = [], [0.0]

    def spy(name):
        method = getattr(LanguageSearch, name)

        def taking_all_time(*given):
            begun.append(name)
            method(*given)
            late[0] = 1e6

        monkeypatch.setattr(LanguageSearch, name, taking_all_time)

    spy("_several")
    spy("_revised")
    monkeypatch.setattr(language_search, "time", SimpleNamespace(monotonic=lambda: time.monotonic() + late[0]))
    small = search.params.normal.model_copy(update={"lengths": 1, "climbs": 1, "embedded": 8, "beams": 1})
    search.search(read, observed, small.model_copy(update={"max_seconds": 1e-6}))
    assert not begun
    search.search(read, observed, small.model_copy(update={"max_seconds": 600.0}))
    assert begun == ["_several"]


def test_without_a_language_model_it_says_so(tiny_model, tmp_path):
    storage.write("none", tmp_path / "language_model")
    for folder, error, message in (
        (tmp_path / "language_model", LexivertError, "language_model.model is none"),
        (tmp_path / "models" / "language_model", MissingArtifactError, "dvc repro language_model"),
    ):
        search = LanguageSearch(tiny_model.decoder.parts, tiny_model.encoder, Source(folder))
        with pytest.raises(error, match=message):
            _ = search.language_model


def test_a_controller_searches_what_is_not_sure_and_nothing_else(tiny_model, search):
    observed = observed_at(tiny_model, TEXTS, 1.0)
    controller = Controller(search.parts, tiny_model.decoder.calibration, search=search)
    draft, normal = controller.decode(observed), controller.decode(observed, effort="normal")
    assert draft.verified.all()
    assert (normal.units, normal.scores) == (draft.units, draft.scores)  # what is verified is never touched
    hard = observed_at(tiny_model, TEXTS, 0.4)
    draft, normal = controller.decode(hard), controller.decode(hard, effort="normal", trace=True)
    assert draft.units != normal.units
    assert normal.confidence.shape == (len(TEXTS),)
    assert normal.features.shape == draft.features.shape
    assert all(steps[-1].buffer == tuple(units) for steps, units in zip(normal.steps, normal.units, strict=True))


def test_a_controller_without_a_search_refuses_more_than_draft(tiny_model):
    controller = Controller(tiny_model.decoder.parts, tiny_model.decoder.calibration)
    with pytest.raises(LexivertError, match="effort is 'high', but this controller has no language model"):
        controller.decode(observed_at(tiny_model, TEXTS[:1], 1.0), effort="high")
