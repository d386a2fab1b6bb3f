from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.base import Belief
from lexivert.priors.perplexity import cross_entropies
from lexivert.priors.selector_data import padded

KNOWN = {"unigram": None, "prefix": (1, 0), "neighbours": (0, 1), "prefix_and_neighbours": (1, 1)}
"""Whether prefix and neighbours are known, for each figure."""


@pytest.fixture
def small(make_world):
    """A new world for every test: the figures are those of a changed Selector."""
    return make_world(120, 32, positions=16, candidates=16)


@pytest.fixture
def texts(small):
    prefixes = F.normalize(torch.randn(20, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    return EncodedTexts([], small.texts([6, 3, 9, 1] * 5), prefixes)


def test_untrained_the_selector_costs_what_the_unigram_prior_costs(small, texts):
    log_prior = small.codebook.log_prior
    plain = cross_entropies(small.prior, log_prior, texts)
    without_eos = log_prior[1:].log_softmax(dim=0)
    expected = -without_eos[[unit - 1 for text in texts.units for unit in text]].mean().item()
    assert list(plain) == list(KNOWN)
    assert plain == pytest.approx(dict.fromkeys(KNOWN, expected), rel=1e-4)


def test_figures_are_exact(small, texts):
    """Against the logits of one text at a time."""
    prior, log_prior = small.prior, small.codebook.log_prior
    torch.nn.init.normal_(prior.selector.query[-1].weight, std=0.3)
    torch.nn.init.normal_(prior.selector.bag_of_words[-1].weight, std=0.3)
    found = cross_entropies(prior, log_prior, texts)
    for name in ("prefix", "neighbours", "prefix_and_neighbours"):
        prefix_known, neighbours_known = KNOWN[name]
        cost = 0.0
        for units, prefix in zip(texts.units, texts.prefixes, strict=True):
            truth, length = padded([units])
            seen = truth if neighbours_known else torch.full_like(truth, -1)
            belief = Belief.certain(seen, length, prefix[None], torch.tensor([float(prefix_known)]))
            with torch.no_grad():
                vectors = prior.output.weight
                queries = prior.selector(belief, vectors[belief.units.clamp_min(0)])[0]
            logits = queries @ vectors.T + log_prior
            cost += F.cross_entropy(logits[:, 1:], truth[0] - 1, reduction="sum").item()
        assert found[name] == pytest.approx(cost / sum(map(len, texts.units)), rel=1e-4)
    assert len({round(value, 3) for value in found.values()}) == 4
