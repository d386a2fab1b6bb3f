from __future__ import annotations

import itertools
import time

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import superpose
from lexivert.controller.first_tokens import FirstTokens
from lexivert.controller.proposals import Substitutes
from lexivert.controller.unit_beam import BeamRules, UnitBeam
from lexivert.language_model import storage

WORDS = ["the", "silent", "owl", "sat", "by", "river", "The", "isn't", "is", "n't", ",", ".", "mill", "rose", "un"]
WORDS += ["like"]


@pytest.fixture(scope="module")
def toy(make_world):
    """As many units as words, 256 wide."""
    return make_world(len(WORDS) + 1, 256, positions=12)


@pytest.fixture(scope="module")
def model(tiny_language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "language_model"
    storage.write(str(tiny_language_model), folder)
    return storage.load(folder, "cpu")


@pytest.fixture(scope="module")
def first_tokens(toy, model):
    return FirstTokens(model, ["", *WORDS], toy.codebook.log_prior)


def no_prefix(texts):
    return torch.zeros(len(texts))


def write(units):
    """Words behind each other; "n't" and commas join what stands before them, so that tokens change behind a text."""
    text = ""
    for unit in units:
        word = WORDS[unit - 1]
        text += word if not text or word in {"n't", ",", ".", "like"} else f" {word}"
    return text


def exhaustive(toy, model, text, observed, substitutes, rules):
    """Every text that the candidates allow, and its log posterior at the start's scale and variance, in order."""
    start = superpose([text], toy.codebook.codes, toy.codebook.binding)[0]
    order = observed.order[0]
    scale = start.square().sum() / (order @ start)
    variance = (scale * order - start).square().mean()
    places = list(itertools.product(range(substitutes.units.shape[1]), repeat=len(text)))
    texts = [[int(substitutes.units[n, place]) for n, place in enumerate(own)] for own in places]
    sums = superpose(texts, toy.codebook.codes, toy.codebook.binding)
    distance = (scale * order - sums).square().sum(dim=1)
    language = model.log_probability([write(units) for units in texts])
    ratios = substitutes.log_prior - toy.codebook.log_prior[substitutes.units]
    selector = torch.stack([sum(ratios[n, place] for n, place in enumerate(own)) for own in places])
    total = -distance / (2 * variance) + rules.language_weight * language + rules.selector_weight * selector
    ranking = total.argsort(descending=True).tolist()
    return [texts[place] for place in ranking], total[ranking]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_beam_of_all_texts_is_exhaustive_search(toy, model, first_tokens, seed):
    rules = BeamRules(beams=256, margin=1e6, language_weight=0.5, selector_weight=0.3)
    truth = [[7, 2, 3, 12], [9, 10, 8, 11], [15, 16, 5, 6]][seed]
    noisy = add_noise(toy.vectors([truth]), torch.tensor([0.3]), torch.Generator().manual_seed(seed))
    observed = toy.observed(noisy)
    generator = torch.Generator().manual_seed(seed)
    units = torch.stack([torch.randperm(len(WORDS), generator=generator)[:4] + 1 for _ in range(4)])
    start = units[:, 0].tolist()
    substitutes = Substitutes(units, toy.prior.output.bias[units] + torch.randn(4, 4, generator=generator))
    found = UnitBeam(toy.codebook, model, first_tokens, write, no_prefix, rules).search(start, observed, substitutes)
    expected, totals = exhaustive(toy, model, start, observed, substitutes, rules)
    assert len(found) == 256
    assert float(totals[0] - totals[1]) > 0.05  # or rounding may swap them
    assert found[0] == expected[0]
    places = {tuple(text): place for place, text in enumerate(expected)}
    ranked = totals[[places[tuple(text)] for text in found]]
    torch.testing.assert_close(ranked, totals, atol=0.3, rtol=1e-3)  # sorted, whatever changes place by rounding


def test_several_wrong_units_are_mended_at_once(toy, model, first_tokens):
    truth, start = [7, 2, 3, 4, 5, 1, 6, 12], [7, 2, 3, 9, 8, 13, 6, 12]
    observed = toy.observed(add_noise(toy.vectors([truth]), torch.tensor([0.8]), torch.Generator().manual_seed(0)))
    units = torch.arange(1, len(WORDS) + 1).expand(len(truth), -1)
    rules = BeamRules(beams=6, margin=50.0, language_weight=0.1, selector_weight=0.0)
    search = UnitBeam(toy.codebook, model, first_tokens, write, no_prefix, rules).search
    found = search(start, observed, Substitutes(units, toy.prior.output.bias[units]))
    assert found[0] == truth
    assert len(found) == 6
    assert len(set(map(tuple, found))) == 6
    late = search(start, observed, Substitutes(units, toy.prior.output.bias[units]), deadline=time.monotonic())
    assert late == [start]  # as it was: nothing is tried when time is over


def test_candidates_that_are_not_there_are_passed_over(toy, model, first_tokens):
    text = [1, 2, 3]
    nothing = torch.full((3, 2), -1)
    rules = BeamRules(beams=3, margin=50.0, language_weight=1.0, selector_weight=1.0)
    search = UnitBeam(toy.codebook, model, first_tokens, write, no_prefix, rules).search
    assert search(text, toy.observed(toy.vectors([text])), Substitutes(nothing, torch.zeros(3, 2))) == [text]
