from __future__ import annotations

import time

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import parts_of
from lexivert.controller.evidence_climb import Change, EvidenceClimb, joined
from lexivert.controller.observation import Observation
from lexivert.controller.proposals import Proposals
from lexivert.controller.total_score import TotalScore
from lexivert.language_model import storage
from sections import section

TEXT = "Emma saw two lamps near the old mill."


@pytest.fixture(scope="module")
def climb(tiny_model, tiny_language_model, tmp_path_factory):
    """From a noisy vector of the text; the language model is never asked."""
    folder = tmp_path_factory.mktemp("named") / "language_model"
    storage.write(str(tiny_language_model), folder)
    clean = torch.from_numpy(tiny_model.encode([TEXT]))
    vector = add_noise(clean, torch.tensor([0.9]), torch.Generator().manual_seed(0))
    prefix, order = parts_of(vector, tiny_model.semantic_width)
    parts, params = tiny_model.decoder.parts, section("controller.language_search")
    score = TotalScore(
        Observation.of(order, prefix), parts.codebook, tiny_model.encoder, storage.load(folder, "cpu"), params
    )
    return EvidenceClimb(Proposals(parts), score, embedded=32)


@pytest.fixture(scope="module")
def truth(tiny_model):
    return tuple(tiny_model.encoder.segment([TEXT])[0])


def soon():
    return time.monotonic() + 60.0


def test_it_climbs_to_the_text(climb, truth):
    wrong = (*truth[:1], truth[3], truth[1], *truth[3:])
    assert wrong != truth
    assert climb.climbed(wrong, 10, soon()) == truth
    assert climb.climbed(truth, 10, soon()) == truth
    assert climb.climbed((*truth, truth[0]), 10, soon()) == truth
    assert not climb.score.known  # no total score was asked for


def test_rounds_and_time_bound_it(climb, truth):
    wrong = (*truth[:1], truth[3], truth[1], *truth[3:])
    assert climb.climbed(wrong, 0, soon()) == wrong
    assert climb.climbed(wrong, 10, time.monotonic() - 1.0) == wrong


def test_a_change_is_worth_its_evidence_and_prior(climb, truth):
    wrong = (*truth[:1], truth[3], truth[1], *truth[3:])
    for change in climb.near(wrong, 12, 40):
        gain = climb._evidence([change.text])[0] - climb._evidence([wrong])[0]
        assert change.worth == pytest.approx(gain + change.log_prior, abs=0.05)
        assert all(change.text[position] == unit for position, unit in change.units.items())


def test_changes_of_two_units_are_among_those_near(climb, truth):
    wrong = (*truth[:1], truth[3], truth[1], *truth[3:])
    near = climb.near(wrong, 12, 40)
    assert near[0].text == truth
    assert len(near[0].units) == 2
    assert [change.worth for change in near] == sorted((change.worth for change in near), reverse=True)
    assert len(climb.near(wrong, 12, 4)) <= 6
    assert all(len(change.units) < 2 for change in climb.near(wrong, 0, 40))


def test_some_changes_of_every_position_are_embedded(climb, truth):
    found = climb.proposals.replaced(truth, climb.score.observed, climb.score.params.candidates)
    found = [own for own in found if own.gain > -climb.score.params.margin]
    places = {own.position for own in found}
    few = EvidenceClimb(climb.proposals, climb.score, embedded=2 * len(places))
    chosen = few._proposals(truth)
    assert len(chosen) == len({own.text for own in chosen}) == 2 * len(places) < len(found)
    assert [own.text for own in chosen[: len(places)]] == [own.text for own in found[: len(places)]]
    assert {own.position for own in chosen} == places


def test_the_first_of_several_changes_of_a_position_counts():
    changes = [Change((), 3.0, 0.0, {1: 7}), Change((), 2.0, 0.0, {1: 8, 2: 9}), Change((), 1.0, 0.0, {})]
    assert joined((4, 5, 6), changes) == (4, 7, 9)
