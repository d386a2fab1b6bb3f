from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import parts_of
from lexivert.controller.observation import Observation
from lexivert.controller.total_score import TotalScore, log_likelihood
from lexivert.language_model import storage
from sections import section

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "The old captain saw the lamps."]


@pytest.fixture(scope="module")
def language_model(tiny_language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "language_model"
    storage.write(str(tiny_language_model), folder)
    return storage.load(folder, "cpu")


@pytest.fixture(scope="module")
def vector(tiny_model):
    clean = torch.from_numpy(tiny_model.encode(TEXTS[:1]))
    return add_noise(clean, torch.tensor([0.8]), torch.Generator().manual_seed(0))


def scored(tiny_model, language_model, vector, **changes):
    prefix, order = parts_of(vector, tiny_model.semantic_width)
    params = section("controller.language_search", **changes)
    observed = Observation.of(order, prefix)
    return TotalScore(observed, tiny_model.decoder.codebook, tiny_model.encoder, language_model, params)


def test_the_total_is_evidence_of_both_parts_and_prior(tiny_model, language_model, vector):
    """By hand: cosines of the two parts of the texts' own vectors, and the language model's log probability."""
    score = scored(tiny_model, language_model, vector, prefix_weight=0.7, language_weight=0.4)
    width = tiny_model.semantic_width
    vectors, given = tiny_model.encode(TEXTS), vector[0].numpy()
    expected = []
    for text, own in zip(TEXTS, vectors, strict=True):
        total = 0.4 * float(language_model.log_probability([text])[0])
        for part, weight in ((slice(width), 0.7), (slice(width, None), 1.0)):
            cosine = own[part] @ given[part] / np.linalg.norm(own[part]) / np.linalg.norm(given[part])
            total -= weight * len(own[part]) / 2 * math.log(1 - max(cosine, 0.0) ** 2)
        expected.append(total)
    units = tiny_model.encoder.segment(TEXTS)
    np.testing.assert_allclose(score(units).numpy(), expected, atol=0.05)
    assert score.known == pytest.approx(dict(zip(map(tuple, units), expected, strict=True)), abs=0.05)


def test_units_that_segmentation_would_not_write_cost(tiny_model, language_model, vector):
    lexicon = tiny_model.encoder.segmenter.lexicon
    units = tiny_model.encoder.segment(TEXTS[:1])[0]
    word = next(place for place, unit in enumerate(units) if lexicon.surfaces[unit].isalpha())
    letters = lexicon.surfaces[units[word]].encode()
    spelled = [*units[:word], *(lexicon.id_of[f"<0x{byte:02X}>"] for byte in letters), *units[word + 1 :]]
    free, dear = (
        scored(tiny_model, language_model, vector, segmentation_cost=cost)([units, spelled]) for cost in (0.0, 8.0)
    )
    assert tiny_model.encoder.segmenter.join(spelled).lower() == TEXTS[0].lower()
    assert (free - dear).tolist() == pytest.approx([0.0, 8.0], abs=1e-3)


def test_without_a_prefix_it_tells_nothing(tiny_model, language_model, vector):
    bare = vector.clone()
    bare[:, : tiny_model.semantic_width] = 0.0
    score = scored(tiny_model, language_model, bare)
    units = tiny_model.encoder.segment(TEXTS)
    assert score.prefix_evidence(units).tolist() == [0.0] * 3
    assert score.prefix_noise(units[0]) == 0.0


def test_noise_of_the_prefix_beside_that_of_the_order_part(tiny_model, language_model, vector):
    """By hand: noise over signal of the prefix, against what the order part's noise makes of it."""
    width, share = tiny_model.semantic_width, tiny_model.decoder.codebook.semantic_share
    score, given = scored(tiny_model, language_model, vector), vector[0].numpy()
    for text, own in zip(TEXTS, tiny_model.encode(TEXTS), strict=True):
        squared = []
        for part in (slice(width), slice(width, None)):
            cosine = own[part] @ given[part] / np.linalg.norm(own[part]) / np.linalg.norm(given[part])
            squared.append(max(cosine, 0.05) ** 2)
        a_dimension = (1 - share) * (1 - squared[1]) / squared[1] / (len(given) - width)
        ratio = (1 - squared[0]) / squared[0] / (width * a_dimension / share)
        expected = math.log(ratio) / math.sqrt(2 / width + 2 / (len(given) - width))
        assert score.prefix_noise(tiny_model.encoder.segment([text])[0]) == pytest.approx(expected, abs=0.05)


def test_a_text_is_embedded_and_read_once(tiny_model, language_model, vector):
    score = scored(tiny_model, language_model, vector)
    units = tiny_model.encoder.segment(TEXTS)
    first = score([*units, units[0]])
    assert float(first[3]) == float(first[0])
    score.encoder = score.language_model = None  # nothing is asked for again
    torch.testing.assert_close(score(units), first[:3])


def test_likelihood_of_extreme_cosines():
    found = log_likelihood(torch.tensor([-0.5, 0.0, 0.6, 1.0]), 100)
    assert found.tolist() == pytest.approx([0.0, 0.0, -50 * math.log(0.64), 50 * math.log(1e6)], rel=1e-3)
