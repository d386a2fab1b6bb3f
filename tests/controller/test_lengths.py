from __future__ import annotations

import math

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.lengths import length_evidence, log_length_prior
from lexivert.controller.observation import Observation
from lexivert.text.lexicon import NEVER


def test_evidence_by_hand():
    """Orthogonal EOS codes in four dimensions: at n an inner product e scores the mean of exp(4 s (e - s/2)) over
    s = c / sqrt(n + 1), c being 1, ¾, ½ and ¼."""
    order = torch.tensor([[0.0, 0.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    evidence = length_evidence(order, torch.eye(4))

    def by_hand(product, n):
        clean = [cosine / math.sqrt(n + 1) for cosine in (1.0, 0.75, 0.5, 0.25)]
        return math.log(sum(math.exp(4 * s * (product - s / 2)) for s in clean) / 4)

    assert evidence[0].tolist() == pytest.approx([by_hand(0.5 * (n == 2), n) for n in range(4)], rel=1e-5)
    assert evidence.argmax(dim=1).tolist() == [2, 3, 0]  # where there is nothing, the longest is the least unlikely


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
