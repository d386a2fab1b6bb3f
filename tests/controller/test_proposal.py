from __future__ import annotations

import math

import pytest
import torch

from lexivert.controller.buffer import OPEN, Buffer
from lexivert.controller.channel import observe
from lexivert.controller.placer import CANDIDATE_FEATURES, SLOT_FEATURES
from lexivert.controller.prior import UnitPrior
from lexivert.controller.proposal import placement, score, see, window_fit
from lexivert.controller.sampling import add_noise
from lexivert.controller.selector import Intention


def state(world, texts, committed, cosine=1.0):
    """Buffer and channel of noisy texts of which (row, position, unit, weight) are known."""
    language = world.language
    target = add_noise(world.vectors(texts), torch.full((len(texts),), cosine), torch.Generator().manual_seed(0))
    buffer = Buffer(torch.tensor([len(text) for text in texts]), language.codes, language.binding)
    if committed:
        rows, positions, units, weights = zip(*committed, strict=True)
        buffer.put(torch.tensor(rows), torch.tensor(positions), torch.tensor(units), torch.tensor(weights))
    channel = observe(target, buffer.total, buffer.length, buffer.known_energy(), buffer.complete())
    return target, buffer, channel


def test_what_the_selector_sees(world):
    language, texts = world.language, [[5, 6, 7], [8]]
    target, buffer, channel = state(world, texts, [(0, 0, 5, 1.0), (0, 2, 9, 0.5)])
    rows, asked = torch.tensor([0, 1]), buffer.open()[:, :3]
    slots = see(buffer, rows, channel, torch.ones(2, 8), asked, language)
    torch.testing.assert_close(slots.evidence[0, 0], language.codes[5].float())
    bound = language.binding.bind(language.codes[9].float()[None], torch.tensor([2]))[0]
    without_guess = channel.scale[0] * target[0] - (buffer.total[0] - 0.5 * bound)
    unbound = language.binding.unbind(without_guess[None], torch.tensor([2]))[0]
    torch.testing.assert_close(slots.evidence[0, 2], unbound, atol=1e-5, rtol=1e-4)
    assert not slots.evidence[1, 1:].any()
    assert slots.inside.tolist() == [[True] * 3, [True, False, False]]
    assert slots.open.tolist() == [[False, True, True], [True, False, False]]
    assert slots.length.tolist() == [3, 1]


def test_some_rows_of_an_empty_text(world):
    _, buffer, channel = state(world, [[]], [])
    slots = see(
        buffer, torch.tensor([0]), channel, torch.ones(1, 8), torch.zeros(1, 1, dtype=torch.bool), world.language
    )
    assert slots.inside.tolist() == [[True]]
    assert not slots.evidence.any()


def intentions(world, variance, rows=200, seed=0):
    """Physics: a code in noise of the given variance, over that variance."""
    generator = torch.Generator().manual_seed(seed)
    width = world.language.codes.shape[1]
    truth = torch.multinomial(world.language.log_prior.exp(), rows, replacement=True, generator=generator)
    evidence = world.language.codes[truth].float() + math.sqrt(variance) * torch.randn(
        rows, width, generator=generator
    )
    raw = evidence / variance
    return truth, Intention(raw, torch.nn.functional.normalize(raw, dim=1), torch.ones(()))


def full_log_posterior(world, intention):
    logits = intention.raw @ world.language.codes.float().T + world.language.log_prior
    return torch.log_softmax(logits, dim=1)


@pytest.mark.parametrize("variance", [0.005, 0.02, 0.03])
@pytest.mark.parametrize("quick", [False, True])
def test_the_posterior_is_near_the_full_softmax(make_world, variance, quick):
    """Eight candidates stand for all of 1000 units; what is left out is estimated."""
    world = make_world(1000, 256, frequent=300)
    _, intention = intentions(world, variance)
    asked = torch.full((200,), quick)
    products, units = world.proposer.retrieve(intention, asked, torch.full((200,), variance))
    log_posterior, _ = score(intention, units, products, world.proposer.prior, asked)
    exact = full_log_posterior(world, intention).gather(1, units)
    inside = exact.amax(dim=1) > math.log(0.05)
    if quick:
        inside &= full_log_posterior(world, intention).argmax(dim=1) < 300
    assert inside.sum() > 50
    difference = (log_posterior.exp() - exact.exp())[inside].abs().amax(dim=1)
    assert difference.mean() < 0.05
    assert log_posterior.exp().sum(dim=1).max() <= 1.0 + 1e-5


def test_with_all_units_retrieved_the_posterior_is_the_softmax(make_world):
    world = make_world(40, 64, candidates=40)
    _, intention = intentions(world, 0.02, rows=20)
    everywhere = torch.zeros(20, dtype=torch.bool)
    products, units = world.proposer.retrieve(intention, everywhere, torch.full((20,), 0.02))
    log_posterior, log_odds = score(intention, units, products, world.proposer.prior, everywhere)
    exact = full_log_posterior(world, intention).gather(1, units)
    torch.testing.assert_close(log_posterior.exp(), exact.exp(), atol=2e-3, rtol=0)
    probable = (log_posterior.exp() < 0.999) & (log_posterior.exp() > 1e-3)
    expected = torch.logit(log_posterior.exp())
    torch.testing.assert_close(log_odds[probable], expected[probable], atol=1e-3, rtol=1e-3)


def test_quick_retrieval_is_of_frequent_units(world):
    _, intention = intentions(world, 0.03, rows=6)
    quick = torch.tensor([True, False, True, False, False, True])
    products, units = world.proposer.retrieve(intention, quick, torch.full((6,), 0.03))
    inner = intention.raw @ world.language.codes.float().T
    for row in range(6):
        limit = 500 if quick[row] else 2000
        expected = torch.topk((inner[row] + world.language.log_prior)[:limit], 8)
        assert units[row].tolist() == expected.indices.tolist()
        torch.testing.assert_close(products[row], inner[row, units[row]], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("width", [128, 256, 384, 512])
def test_a_search_of_few_dimensions_misses_next_to_nothing(make_world, width):
    """At the noise up to which so few dimensions are searched, against a search in all of them."""
    world = make_world(20000, 640, candidates=4, frequent=10)
    variance = (width / 6.5**2 - 1.0) / 640 * 0.999
    _, intention = intentions(world, variance, rows=600)
    asked = [
        search
        for chosen, search in world.proposer._searches(torch.tensor([False]), torch.tensor([variance]))
        if chosen
    ]
    assert [search.keywords["width"] for search in asked] == [width]
    _, units = world.proposer.retrieve(intention, torch.zeros(600, dtype=torch.bool), torch.full((600,), variance))
    best = (intention.raw @ world.language.codes.float().T + world.language.log_prior).argmax(dim=1)
    missed = (units != best[:, None]).all(dim=1)
    assert missed.float().mean() <= 0.005


@pytest.mark.parametrize("quick", [False, True])
@pytest.mark.parametrize("variance", [4.0, 12.0])
def test_the_rest_weighs_what_it_weighs_on_average(world, quick, variance):
    """Mean of the summed weights of all units that were not retrieved, over draws of their inner products."""
    log_prior = world.language.log_prior
    generator = torch.Generator().manual_seed(1)
    products = math.sqrt(variance) * torch.randn(4000, len(log_prior), generator=generator)
    searched = products[:, : 500 if quick else 2000] + log_prior[: 500 if quick else 2000]
    logits, units = searched.topk(8, dim=1)
    everything = torch.logsumexp(products + log_prior, dim=1).exp()
    truth = (everything - logits.exp().sum(dim=1)).mean()
    asked = torch.full((4000,), quick)
    rest = UnitPrior(log_prior, 500).rest(units, logits[:, -1], torch.full((4000,), variance), torch.ones(()), asked)
    assert rest.exp().mean().item() == pytest.approx(truth.item(), rel=0.05)


def test_windows_tell_right_from_wrong(world):
    """Of 40 positions, 8-15 are committed wrongly, 16-23 not at all, all others and END rightly."""
    text = world.texts([40])[0]
    right = [(0, position, text[position], 1.0) for position in (*range(8), *range(24, 40))]
    wrong = [(0, position, 1 + text[position] % 1999, 1.0) for position in range(8, 16)]
    target, buffer, channel = state(world, [text], right + wrong)
    fits = window_fit(buffer, torch.tensor([0]), channel, target)
    assert fits.shape == (1, 9)
    assert fits[0, 1].item() < 0.5
    assert fits[0, 2].item() == 1.0
    assert fits[0, [0, 3, 4]].min() > 0.8  # a quarter of what is known is wrong, so the scale is taken too large
    assert fits[0, [0, 3, 4]].max() < 1.8
    assert fits[0, 6:].tolist() == [1.0] * 3


def test_features_of_the_placer(world):
    language, texts = world.language, [[5, 6, 7], [8]]
    target, buffer, channel = state(world, texts, [(0, 0, 5, 1.0)])
    rows = torch.tensor([0, 1])
    slots = see(buffer, rows, channel, torch.ones(2, 8), buffer.open()[:, :3], language)
    with torch.no_grad():
        intention = world.proposer.selector(slots)
    everywhere = torch.zeros(3, dtype=torch.bool)
    products, units = world.proposer.retrieve(intention, everywhere, channel.variance[torch.tensor([0, 0, 1])])
    posterior = score(intention, units, products, world.proposer.prior, everywhere)
    fits = window_fit(buffer, rows, channel, target)
    seen = placement(slots, fits, units, products, posterior, language.log_prior)
    assert seen.slots.shape == (2, 3, SLOT_FEATURES)
    assert seen.candidates.shape == (3, 8, CANDIDATE_FEATURES)
    assert [part.tolist() for part in seen.rows] == [[0, 0, 1], [1, 2, 0]]
    assert seen.slots[0, :, 2].tolist() == pytest.approx([0.0, 1 / 3, 2 / 3])
    assert seen.slots[:, :, 3].tolist() == [[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]
    assert seen.slots[0, 0, 1].item() == pytest.approx(math.log(4) / 4)
    torch.testing.assert_close(seen.candidates[:, :, 4], language.log_prior[units] / 10)
    assert (seen.candidates[:, :, 1].amax(dim=1) == 0).all()
    torch.testing.assert_close(seen.log_odds, posterior[1])
    assert torch.isfinite(seen.slots).all()
    assert torch.isfinite(seen.candidates).all()


def test_the_right_unit_is_proposed(world):
    texts = world.texts([6, 3])
    target, buffer, channel = state(world, texts, [])
    rows = torch.tensor([0, 1])
    slots = see(buffer, rows, channel, torch.ones(2, 8), buffer.open()[:, :6], world.language)
    fits = window_fit(buffer, rows, channel, target)
    with torch.no_grad():
        proposal = world.proposer.propose(slots, fits, torch.zeros(9, dtype=torch.bool), torch.full((9,), OPEN))
    assert proposal.rows.tolist() == [0] * 6 + [1] * 3
    assert proposal.positions.tolist() == [0, 1, 2, 3, 4, 5, 0, 1, 2]
    best = proposal.units.gather(1, proposal.log_odds.argmax(dim=1)[:, None])[:, 0]
    assert best.tolist() == texts[0] + texts[1]
    assert (proposal.log_odds.amax(dim=1) > 0).all()


def test_what_is_held_stays_a_candidate(world):
    """The quick search can't find a rare unit; held at its position, it is scored all the same."""
    text, rare = world.texts([6])[0], 1700
    text[2] = rare
    target, buffer, channel = state(world, [text], [])
    slots = see(buffer, torch.tensor([0]), channel, torch.ones(1, 8), buffer.open()[:, :6], world.language)
    fits, quick = window_fit(buffer, torch.tensor([0]), channel, target), torch.ones(6, dtype=torch.bool)
    held = torch.full((6,), OPEN)
    with torch.no_grad():
        without = world.proposer.propose(slots, fits, quick, held)
        held[2] = rare
        proposal = world.proposer.propose(slots, fits, quick, held)
        raw = world.proposer.selector(slots).raw
    assert rare not in without.units[2]
    assert proposal.units[2, -1] == rare
    assert proposal.units[2, proposal.log_odds[2].argmax()] == rare
    expected = raw[2] @ world.language.codes[rare].float() + world.language.log_prior[rare]
    others = raw[2] @ world.language.codes[proposal.units[2, :-1]].float().T
    assert expected > (others + world.language.log_prior[proposal.units[2, :-1]]).max()
    torch.testing.assert_close(proposal.units[[0, 1, 3, 4, 5]], without.units[[0, 1, 3, 4, 5]])
