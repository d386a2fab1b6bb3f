from __future__ import annotations

import math

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.lengths import length_evidence, log_length_prior
from lexivert.controller.observation import Observation
from lexivert.text.lexicon import NEVER


@pytest.mark.parametrize("energy", [1.0, 2.0])
def test_evidence_by_hand(energy):
    """Orthogonal EOS codes of energy g in four dimensions, where e is a vector's inner product with them.

    It scores the mean of exp(4 s (e - s/2) / g) over s = c g / sqrt(n + g), c being 1, ¾, ½ and ¼, or what is told.
    """
    order = torch.tensor([[0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    codes = energy**0.5 * torch.eye(4)
    evidence = length_evidence(order, codes)

    def by_hand(product, n, cosines):
        clean = [cosine * energy / math.sqrt(n + energy) for cosine in cosines]
        return math.log(sum(math.exp(4 * s * (product - s / 2) / energy) for s in clean) / len(clean))

    products = [0.0, 0.0, 0.5 * energy**0.5, 0.0]
    expected = [by_hand(product, n, (1.0, 0.75, 0.5, 0.25)) for n, product in enumerate(products)]
    assert evidence[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert evidence.argmax(dim=1).tolist() == [2, 3, 0]  # where there is nothing, the longest is the least unlikely
    told = length_evidence(order, codes, torch.tensor([0.6, torch.nan, 0.6]))
    expected = [by_hand(product, n, (0.6,)) for n, product in enumerate(products)]
    assert told[0].tolist() == pytest.approx(expected, rel=1e-5)
    torch.testing.assert_close(told[1], evidence[1])


@pytest.mark.parametrize("cosine", [1.0, 0.6])
def test_noisy_vectors_show_their_length_too(world, cosine):
    texts = world.texts([4, 9, 14] * 10, seed=3)
    order = add_noise(world.vectors(texts), torch.full((30,), cosine), torch.Generator().manual_seed(2))
    found = length_evidence(order, world.codebook.eos_codes).argmax(dim=1).tolist()
    assert sum(n == len(text) for n, text in zip(found, texts, strict=True)) >= (30 if cosine == 1.0 else 26)


def test_the_prior_is_the_models_less_what_is_ruled_out(world):
    """Known units rule out shorter texts; given lengths rule out all others."""
    prefix = torch.eye(8)[:2]
    known = torch.full((2, 65), -1)
    known[1, :3] = 5
    observed = Observation(torch.zeros(2, 512), prefix, known)
    free = log_length_prior(world.prior, Observation(torch.zeros(2, 512), prefix), 65)
    torch.testing.assert_close(free.exp().sum(dim=1), torch.ones(2))
    told = log_length_prior(world.prior, observed, 65)
    assert (told[1] < NEVER / 2).nonzero()[:, 0].tolist() == [0, 1, 2]
    torch.testing.assert_close(told[0], free[0])
    torch.testing.assert_close(told[1, 3:], free[1, 3:])
    given = log_length_prior(world.prior, observed, 65, [7, 4])
    assert (given > NEVER / 2).nonzero().tolist() == [[0, 7], [1, 4]]
