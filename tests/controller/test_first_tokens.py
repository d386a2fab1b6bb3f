from __future__ import annotations

import pytest
import torch

from lexivert.controller.first_tokens import FirstTokens, spoken
from lexivert.language_model import storage
from lexivert.text.lexicon import CAP, EOS, FIRST_BYTE

SURFACES = ["", "river", "rivers", "owl", "Owl", None, None]


@pytest.fixture(scope="module")
def model(tiny_language_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("named") / "language_model"
    storage.write(str(tiny_language_model), folder)
    return storage.load(folder, "cpu")


def test_a_unit_is_as_likely_as_its_first_token_times_its_share_of_what_begins_alike(model):
    prior = torch.tensor([0.1, 0.2, 0.1, 0.3, 0.1, 0.1, 0.1])
    following = torch.randn(3, model.vocabulary, generator=torch.Generator().manual_seed(0)).log_softmax(dim=1)
    found = FirstTokens(model, SURFACES, prior.log()).log_probs(following, torch.tensor([3, 1, 2, 1]))
    first = {n: [model.tokens([space + SURFACES[n]])[0][0] for space in (" ", "")] for n in range(1, 5)}
    for column, unit in enumerate((3, 1, 2, 1)):
        alike = sum(float(prior[n]) for n, (spaced, _) in first.items() if spaced == first[unit][0])
        expected = following[:, first[unit]].amax(dim=1) + prior[unit].log() - torch.tensor(alike).log()
        torch.testing.assert_close(found[:, column], expected)


def test_what_writes_nothing_costs_nothing_and_of_what_goes_on_with_a_word_the_unigram_prior_tells(model):
    following = torch.randn(2, model.vocabulary).log_softmax(dim=1)
    prior = torch.tensor([0.2, 0.2, 0.1, 0.1, 0.2, 0.05, 0.15])
    found = FirstTokens(model, SURFACES, prior.log()).log_probs(following, torch.tensor([0, 5]))
    torch.testing.assert_close(found, torch.tensor([[1.0, 0.25]] * 2).log())


def test_what_a_lexicons_units_say(tiny_model):
    lexicon = tiny_model.encoder.segmenter.lexicon
    found = spoken(lexicon)
    assert (found[EOS], found[CAP], found[FIRST_BYTE]) == ("", "", None)
    assert found[lexicon.id_of["the"]] == "the"
    assert all(found[unit] is None for unit, surface in enumerate(lexicon.surfaces) if surface.startswith("##"))
