from __future__ import annotations

import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.controller.belief import BeliefState
from lexivert.controller.evidence import Positions, evidence_at
from lexivert.controller.noise import estimate_noise, prefix_cosine
from lexivert.controller.observation import Observation
from lexivert.priors.base import Belief


def state(world, texts, committed, guessed, prefix=None):
    """Observation, belief and noise of texts of which (row, position, unit) are committed, or guessed at .25."""
    order = add_noise(world.vectors(texts), torch.ones(len(texts)), torch.Generator().manual_seed(0))
    observed = Observation.of(order, torch.ones(len(texts), 8) if prefix is None else prefix)
    belief = BeliefState.of_lengths(world.codebook, torch.tensor([len(text) for text in texts]))
    belief.commit(*torch.tensor(committed, dtype=torch.int64).view(-1, 3).T)
    for row, position, unit in guessed:
        units, marginals = torch.tensor([[unit, -1, -1]]), torch.tensor([[0.25, 0.0, 0.0]])
        mean = 0.25 * world.codebook.embed(units[:, 0])
        belief.put(torch.tensor([row]), torch.tensor([position]), units, marginals, mean)
    rows = torch.arange(len(texts))
    return observed, belief, estimate_noise(observed, belief, rows, complete=belief.complete(rows))


def at(rows, which, positions):
    return Positions(*(torch.tensor(part, dtype=torch.int64) for part in (rows, which, positions)))


def test_the_effective_observation_is_all_but_what_others_explain(world):
    """A commit that is looked at again, an open position, a guess; and another text, whose noise is its own."""
    observed, belief, estimate = state(world, [[5, 6, 7], [8]], [(0, 0, 5)], [(0, 2, 9)])
    found = evidence_at(at([0, 1], [0, 0, 0, 1], [0, 1, 2, 0]), 3, observed, belief, estimate, world.prior)
    codebook = world.codebook
    bound = codebook.binding.bind(codebook.codes[[5, 9]].float(), torch.tensor([0, 2]))
    for place, own in ((0, bound[0]), (1, torch.zeros(512)), (2, 0.25 * bound[1])):
        unbound = codebook.binding.unbind((estimate.residual[0] + own)[None], torch.tensor([place]))[0]
        torch.testing.assert_close(found.natural[place], unbound / estimate.variance[0], atol=1e-3, rtol=1e-4)
    first = codebook.binding.unbind(estimate.residual[1:], torch.tensor([0]))[0]
    torch.testing.assert_close(found.natural[3], first / estimate.variance[1])
    assert torch.equal(found.variance, estimate.variance[[0, 0, 0, 1]])
    assert estimate.variance[0] != estimate.variance[1]


def test_rows_are_some_of_the_texts_in_any_order(world):
    observed, belief, _ = state(world, [[5, 6, 7], [8], [9, 10]], [(0, 0, 5), (2, 1, 10)], [])
    everything, some = torch.arange(3), torch.tensor([2, 0])
    full = evidence_at(
        at([0, 1, 2], [0, 2], [1, 0]), 3, observed, belief, estimate_noise(observed, belief, everything), world.prior
    )
    part = evidence_at(
        at([2, 0], [1, 0], [1, 0]), 3, observed, belief, estimate_noise(observed, belief, some), world.prior
    )
    for name in ("natural", "queries", "variance"):
        torch.testing.assert_close(getattr(full, name), getattr(part, name))


def test_queries_are_the_priors_for_what_is_believed(make_world):
    """Of a trained Selector: committed units at 1, guesses at their probability, the prefix's cosine by its noise."""
    world = make_world(50, 64, positions=8)
    selector = world.prior.selector
    prefix = F.normalize(torch.ones(1, 8), dim=1)
    observed, belief, estimate = state(world, [[5, 6, 7]], [(0, 0, 5)], [(0, 2, 9)], prefix)
    with torch.no_grad():
        torch.nn.init.normal_(selector.query[-1].weight, generator=torch.Generator().manual_seed(0))
        found = evidence_at(at([0], [0, 0], [1, 2]), 3, observed, belief, estimate, world.prior)
        units, marginals = torch.full((1, 3, 3), -1), torch.zeros(1, 3, 3)
        units[0, :, 0], marginals[0, :, 0] = torch.tensor([5, -1, 9]), torch.tensor([1.0, 0.0, 0.25])
        cosine = prefix_cosine(estimate.cosine, 64, 8, 0.5)
        vectors = world.prior.output.weight[units.clamp_min(0)]
        expected = selector(Belief(units, marginals, torch.tensor([3]), prefix, cosine), vectors)[0, 1:]
    torch.testing.assert_close(found.queries, expected)
    assert found.queries.abs().max() > 0.1


def test_no_positions(world):
    observed, belief, estimate = state(world, [[]], [], [])
    found = evidence_at(at([0], [], []), 1, observed, belief, estimate, world.prior)
    assert found.natural.shape == (0, 512)
    assert len(found.queries) == len(found.variance) == 0
