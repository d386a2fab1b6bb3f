from __future__ import annotations

import math

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.belief import OPEN, Buffer
from lexivert.controller.noise import observe, prefix_cosine
from lexivert.controller.posterior import _CLEAR_DEVIATIONS, score
from lexivert.priors.selector import Context
from lexivert.text.lexicon import EOS, NEVER


def state(world, texts, committed, cosine=1.0):
    """Buffer and channel of noisy texts of which (row, position, unit, weight) are known."""
    codebook = world.codebook
    target = add_noise(world.vectors(texts), torch.full((len(texts),), cosine), torch.Generator().manual_seed(0))
    buffer = Buffer(torch.tensor([len(text) for text in texts]), codebook.codes, codebook.binding)
    if committed:
        rows, positions, units, weights = zip(*committed, strict=True)
        buffer.put(torch.tensor(rows), torch.tensor(positions), torch.tensor(units), torch.tensor(weights))
    channel = observe(target, buffer.total, buffer.length, buffer.known_energy(), buffer.complete())
    return target, buffer, channel


def test_what_the_prior_and_the_evidence_see(world):
    codebook, texts = world.codebook, [[5, 6, 7], [8]]
    _, buffer, channel = state(world, texts, [(0, 0, 5, 1.0), (0, 2, 9, 0.5)])
    rows, asked = torch.tensor([0, 1]), buffer.open()[:, :3]
    asked[0, 0] = True  # a committed unit, to be examined again
    slots = world.proposer.see(buffer, rows, channel, torch.ones(2, 8), asked)
    assert (slots.rows.tolist(), slots.positions.tolist()) == ([0, 0, 0, 1], [0, 1, 2, 0])
    bound = codebook.binding.bind(codebook.codes[[5, 9]].float(), torch.tensor([0, 2]))
    for place, own in ((0, bound[0]), (2, 0.5 * bound[1])):
        unbound = codebook.binding.unbind((channel.residual[0] + own)[None], torch.tensor([place]))[0]
        torch.testing.assert_close(slots.evidence[place], unbound, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(slots.intentions[3], slots.evidence[3] / channel.variance[1])


def test_queries_are_the_priors_for_what_is_held(make_world):
    """Of a trained Selector: committed units with share 1, guesses with theirs, the prefix's cosine by its noise."""
    world = make_world(50, 64, positions=8)
    selector = world.proposer.prior.selector
    torch.nn.init.normal_(selector.query[-1].weight, generator=torch.Generator().manual_seed(0))
    _, buffer, channel = state(world, [[5, 6, 7]], [(0, 0, 5, 1.0), (0, 2, 9, 0.25)])
    semantic = torch.nn.functional.normalize(torch.ones(1, 8), dim=1)
    asked = torch.tensor([[False, True, True]])
    with torch.no_grad():
        slots = world.proposer.see(buffer, torch.tensor([0]), channel, semantic, asked)
        units, shares = torch.full((1, 3, 3), -1), torch.zeros(1, 3, 3)
        units[0, :, 0], shares[0, :, 0] = torch.tensor([5, -1, 9]), torch.tensor([1.0, 0.0, 0.25])
        cosine = prefix_cosine(channel.cosine, 64, 8, 0.5)
        held = world.proposer.prior.table[units.clamp_min(0)][..., :-1]
        expected = selector(Context(units, shares, torch.tensor([3]), semantic, cosine), held)[0, 1:]
    torch.testing.assert_close(slots.queries[:, :-1], expected)
    assert slots.queries[:, -1].tolist() == [1.0, 1.0]
    assert slots.queries[:, :-1].abs().max() > 0.1


def test_an_empty_text_has_nothing_to_propose(world):
    _, buffer, channel = state(world, [[]], [])
    slots = world.proposer.see(
        buffer, torch.tensor([0]), channel, torch.ones(1, 8), torch.zeros(1, 1, dtype=torch.bool)
    )
    assert slots.evidence.shape == (0, 512)
    assert slots.queries.shape[0] == 0


def nothing(count):
    return torch.full((count,), -1)


def scored(world, slots, quick):
    units, logits = world.proposer.retrieve(slots, quick, nothing(len(quick)))
    return units, score(slots, units, logits, world.proposer.unigram, quick)


@pytest.mark.parametrize("variance", [0.005, 0.02, 0.03])
@pytest.mark.parametrize("quick", [False, True])
def test_the_posterior_is_near_the_full_softmax(make_world, variance, quick):
    """Eight candidates stand for all of 1000 units; what is left out is estimated."""
    world = make_world(1000, 256, frequent=300)
    _, slots = world.slots(variance, 200)
    units, log_posterior = scored(world, slots, torch.full((200,), quick))
    exact = world.log_posterior(slots).gather(1, units)
    inside = exact.amax(dim=1) > math.log(0.05)
    if quick:
        inside &= world.log_posterior(slots).argmax(dim=1) < 300
    assert inside.sum() > 50
    difference = (log_posterior.exp() - exact.exp())[inside].abs().amax(dim=1)
    assert difference.mean() < 0.05
    assert log_posterior.exp().sum(dim=1).max() <= 1.0 + 1e-5


def test_with_all_units_retrieved_the_posterior_is_the_softmax(make_world):
    world = make_world(40, 64, candidates=40)
    _, slots = world.slots(0.02, 20)
    units, log_posterior = scored(world, slots, torch.zeros(20, dtype=torch.bool))
    exact = world.log_posterior(slots).gather(1, units)
    torch.testing.assert_close(log_posterior.exp(), exact.exp(), atol=2e-3, rtol=0)


def test_quick_retrieval_is_of_frequent_units(world):
    _, slots = world.slots(0.03, 6)
    quick = torch.tensor([True, False, True, False, False, True])
    units, logits = world.proposer.retrieve(slots, quick, nothing(6))
    everything = slots.intentions @ world.codebook.codes.float().T + world.codebook.log_prior
    everything[:, EOS] = NEVER
    for row in range(6):
        expected = torch.topk(everything[row, : 500 if quick[row] else 2000], 8)
        assert units[row, :6].tolist() == expected.indices[:6].tolist()
        torch.testing.assert_close(logits[row, :6], expected.values[:6], atol=1e-2, rtol=1e-4)


def test_a_held_unit_is_always_a_candidate(world):
    """Row 0 holds nothing, row 1 what is found anyway, row 2 a unit that has nothing to do with the evidence."""
    _, slots = world.slots(0.03, 3)
    quick = torch.zeros(3, dtype=torch.bool)
    alone, _ = world.proposer.retrieve(slots, quick, nothing(3))
    stranger = next(unit for unit in range(1, 2000) if unit not in alone[2].tolist())
    units, logits = world.proposer.retrieve(slots, quick, torch.tensor([-1, int(alone[1, 3]), stranger]))
    assert torch.equal(units[:2], alone[:2])
    assert torch.equal(units[2], torch.cat((alone[2, :-1], torch.tensor([stranger]))))
    exact = slots.intentions[2] @ world.codebook.codes[stranger].float() + world.codebook.log_prior[stranger]
    assert logits[2, -1].item() == pytest.approx(exact.item(), rel=1e-4)


def test_a_query_changes_what_is_retrieved(world):
    _, slots = world.slots(0.05, 4)
    everywhere = torch.zeros(4, dtype=torch.bool)
    without, _ = world.proposer.retrieve(slots, everywhere, nothing(4))
    slots.queries[2, :-1] = torch.linspace(-3.0, 3.0, slots.queries.shape[1] - 1)
    units, _ = world.proposer.retrieve(slots, everywhere, nothing(4))
    assert torch.equal(units, world.log_posterior(slots).topk(8, dim=1).indices)
    assert (units != without).any(dim=1).tolist() == [False, False, True, False]


@pytest.mark.parametrize("width", [128, 256, 384, 512])
def test_a_search_of_few_dimensions_misses_next_to_nothing(make_world, width):
    """At the noise up to which so few dimensions are searched, against a search in all of them."""
    world = make_world(20000, 640, candidates=4, frequent=10)
    variance = (width / _CLEAR_DEVIATIONS**2 - 1.0) / 640 * 0.999
    _, slots = world.slots(variance, 600)
    asked = [
        search
        for chosen, search in world.proposer._searches(torch.tensor([False]), torch.tensor([variance]))
        if chosen
    ]
    assert [search.keywords["width"] for search in asked] == [width]
    units, _ = world.proposer.retrieve(slots, torch.zeros(600, dtype=torch.bool), nothing(600))
    missed = (units != world.log_posterior(slots).argmax(dim=1)[:, None]).all(dim=1)
    assert missed.float().mean() <= 0.01


def test_the_right_unit_is_proposed(world):
    texts = world.texts([6, 3])
    _, buffer, channel = state(world, texts, [])
    rows = torch.tensor([0, 1])
    slots = world.proposer.see(buffer, rows, channel, torch.ones(2, 8), buffer.open()[:, :6])
    with torch.no_grad():
        proposal = world.proposer.propose(slots, torch.zeros(9, dtype=torch.bool), torch.full((9,), OPEN))
    assert proposal.rows.tolist() == [0] * 6 + [1] * 3
    assert proposal.positions.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    best = proposal.units.gather(1, proposal.probabilities.argmax(dim=1)[:, None])[:, 0]
    assert best.tolist() == texts[0] + texts[1]
    assert (proposal.probabilities.amax(dim=1) > 0.5).all()


def test_what_is_held_stays_a_candidate(world):
    """The quick search can't find a rare unit; held at its position, it is scored all the same."""
    text, rare = world.texts([6])[0], 1700
    text[2] = rare
    _, buffer, channel = state(world, [text], [])
    slots = world.proposer.see(buffer, torch.tensor([0]), channel, torch.ones(1, 8), buffer.open()[:, :6])
    quick = torch.ones(6, dtype=torch.bool)
    held = torch.full((6,), OPEN)
    with torch.no_grad():
        without = world.proposer.propose(slots, quick, held)
        held[2] = rare
        proposal = world.proposer.propose(slots, quick, held)
        raw = slots.intentions
    assert rare not in without.units[2]
    assert proposal.units[2, -1] == rare
    assert proposal.units[2, proposal.probabilities[2].argmax()] == rare
    expected = raw[2] @ world.codebook.codes[rare].float() + world.codebook.log_prior[rare]
    others = raw[2] @ world.codebook.codes[proposal.units[2, :-1]].float().T
    assert expected > (others + world.codebook.log_prior[proposal.units[2, :-1]]).max()
    torch.testing.assert_close(proposal.units[[0, 1, 3, 4, 5]], without.units[[0, 1, 3, 4, 5]])
