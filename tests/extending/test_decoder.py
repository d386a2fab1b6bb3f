"""The second decoding algorithm: Gibbs sampling."""

from __future__ import annotations

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.base import DecodingAlgorithm
from lexivert.controller.registry import DECODERS
from lexivert.model import Lexivert

NAME = "gibbs_sampling"


@pytest.fixture(scope="module")
def small(make_world):
    """300 units, 256 wide, texts of up to 23 units."""
    return make_world(300, 256, positions=24)


@pytest.fixture(scope="module")
def decoder(plugin, small):
    plugin(NAME)
    found = DECODERS.make("gibbs")(small.parts)
    assert isinstance(found, DecodingAlgorithm)
    return found


def test_texts_are_read_to_the_last_unit(small, decoder):
    texts = small.texts([1, 2, 5, 9, 12, 0])
    found = decoder.decode(small.observed(small.vectors(texts)))
    assert found.units == texts
    assert found.verified.all()
    assert all(score > 0.99 for scores in found.scores for score in scores)


def test_a_text_does_not_depend_on_the_others(small, decoder):
    texts = small.texts([6, 11, 3], seed=4)
    vectors = add_noise(small.vectors(texts), torch.full((3,), 0.8), torch.Generator().manual_seed(0))
    together = decoder.decode(small.observed(vectors))
    for row in range(3):
        assert decoder.decode(small.observed(vectors[row : row + 1])).units == [together.units[row]]


def test_noise_lowers_the_scores_and_verifies_nothing(small, decoder):
    texts = small.texts([8] * 10, seed=2)
    vectors = add_noise(small.vectors(texts), torch.full((10,), 0.55), torch.Generator().manual_seed(0))
    found = decoder.decode(small.observed(vectors))
    assert not found.verified.any()
    scores = [score for own in found.scores for score in own]
    assert all(0.0 <= score <= 1.0 for score in scores)
    assert sum(scores) / len(scores) < 0.9


def test_known_units_are_kept(small, decoder):
    texts = small.texts([7, 7], seed=3)
    known = torch.full((2, 24), -1)
    known[0, :2] = torch.tensor(texts[0][:2])
    known[1, :2] = torch.tensor([5, 6])  # not what the vector says
    found = decoder.decode(small.observed(small.vectors(texts), known))
    assert found.units[0] == texts[0]
    assert found.units[1][:2] == [5, 6]
    assert found.units[1][2:] == texts[1][2:]


def test_units_that_are_ruled_out_are_not_read(small, decoder):
    texts = small.texts([6], seed=5)
    banned = DECODERS.make("gibbs")(small.parts.with_prior(small.prior.without(texts[0][:1])))
    assert texts[0][0] not in banned.decode(small.observed(small.vectors(texts))).units[0]


def test_a_trace_ends_with_the_text(small, decoder):
    (text,) = texts = small.texts([6], seed=6)
    observed = small.observed(small.vectors(texts))
    (steps,) = decoder.decode(observed, trace=True).steps
    assert list(steps[-1].buffer) == text
    assert steps[-1].residual < 0.01
    assert decoder.decode(observed).steps == [[]]


def test_end_to_end_every_text_is_read(extended, heldout_texts):
    root = extended("decoder", [NAME], {"controller": {"algorithm": "gibbs"}}, ["controller"])
    model = Lexivert.load(root)
    assert model.decoder.parts.params.algorithm == "gibbs"
    readings = model.read(model.encode(heldout_texts))
    assert [reading.text for reading in readings] == heldout_texts
    assert all(reading.verified for reading in readings)
