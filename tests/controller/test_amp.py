from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.config import RestartParams
from lexivert.controller.amp import AmpDecoder, FirstRound
from lexivert.controller.lengths import length_evidence
from lexivert.priors.base import TOP_K
from lexivert.priors.unigram import FixedPrior, flat, unigram
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import EOS, NEVER
from sections import section

DAMPING = 0.3


def decoder(world, prior=unigram, first_round=None, codebook=None, **changes):
    """Message passing with a prior made of the unigram one, or a prior as it is."""
    own = prior(world.codebook.log_prior) if callable(prior) else prior
    params = section("controller.amp", **changes)
    return AmpDecoder(world.index, codebook or world.codebook, own, params, first_round=first_round)


def bound(world, code, position):
    return world.codebook.binding.bind(code[None], torch.tensor([position]))[0]


def after(amp, observed, rounds, **options):
    """The state after so many rounds."""
    states = amp.rounds(observed, **options)
    state = next(states)
    for _ in range(rounds):
        state = next(states)
    return state


def naive(world, order, log_prior, rounds, variance_scale, sparse):
    """Message passing for one text, position by position, with posteriors over all units.

    In the first round, an unsure position from ``sparse[0]`` on is asked if it is a multiple of ``sparse[1]``, and
    else takes over what the last such one says of the length.

    Returns:
        Means (N, O), probabilities of lengths (P,), the memory for the next residual (O,), and the positions left
        out.
    """
    codes, positions, width = world.codebook.codes.float(), world.codebook.binding.positions, len(order)
    log_prior = log_prior.clone()
    log_prior[EOS] = -torch.inf
    log_prior -= log_prior.logsumexp(dim=0)
    ends = [bound(world, codes[EOS] * world.codebook.eos_scale[n], n) for n in range(positions)]
    energies = codes.square().sum(dim=1)
    eos_energy = [float(end @ end) for end in ends]
    lengths = length_evidence(order[None], torch.stack(ends))[0].softmax(dim=0)
    more = torch.zeros(positions)  # energy that the likeliest units have beyond 1
    means, memory = torch.zeros(positions, width), torch.zeros(width)
    left_out = []
    evidence = torch.full((positions,), NEVER)  # where nothing is asked any more, what was found last
    for number in range(rounds):
        asked = [n for n in range(positions) if n == 0 or 1 - lengths[: n + 1].sum() > 1e-3]
        unsure = [n for n in asked if n >= sparse[0] and 1 - lengths[: n + 1].sum() < 0.98 and n % sparse[1]]
        unsure = unsure if number == 0 else []
        left_out += unsure
        expected = sum(float(lengths[n]) * (n + eos_energy[n] + float(more[:n].sum())) for n in range(positions))
        total = sum(bound(world, means[n], n) + lengths[n] * ends[n] for n in range(positions))
        energy = float(means.square().sum() + lengths.square() @ torch.tensor(eos_energy))
        measured = float(order @ total) * math.sqrt(expected) / float(total @ total)
        precision = energy * width / expected
        cosine = min(max((measured * precision + 0.95 * 25) / (precision + 25), 0.2), 1.05)
        residual = math.sqrt(expected) / cosine * order - total + memory
        variance = variance_scale * float(residual @ residual) / width
        posterior_means, posterior_energy = torch.zeros_like(means), torch.zeros(positions)
        best = torch.zeros(positions)
        for n in [n for n in asked if n not in unsure]:
            effective = world.codebook.binding.unbind(residual[None], torch.tensor([n]))[0] + means[n]
            logits = (codes @ effective - energies / 2) / variance + log_prior
            posterior = logits.softmax(dim=0)
            posterior_means[n], posterior_energy[n] = posterior @ codes, posterior @ energies
            likeliest = posterior.topk(TOP_K)
            best[n] = likeliest.values @ (energies[likeliest.indices] - 1.0)
            evidence[n] = logits.logsumexp(dim=0)
        for n in unsure:
            evidence[n] = evidence[n - n % sparse[1]]
        ahead = torch.stack(
            [(residual @ ends[n] + eos_energy[n] * (lengths[n] - 0.5)) / variance for n in range(positions)]
        )
        behind = torch.stack([evidence[:n].sum() for n in range(positions)])
        kept = DAMPING if number else 0.0
        lengths = kept * lengths + (1 - kept) * (ahead + behind).softmax(dim=0)
        divergence = (1 - kept) * float((lengths - lengths.square()) @ torch.tensor(eos_energy))
        for n in range(positions):
            own = n in asked and n not in unsure
            inside = max(1 - float(lengths[: n + 1].sum()), 0.0) if own else 0.0
            means[n] = DAMPING * means[n] + (1 - DAMPING) * inside * posterior_means[n]
            spread = inside * float(posterior_energy[n]) - float(means[n].square().sum())
            divergence += (1 - DAMPING) * spread if own else 0.0
            more[n] = inside * best[n]
        memory = min(max(divergence, 0.0) / (width * variance), 1.0) * residual
    return means, lengths, memory, left_out


@pytest.mark.parametrize(("rounds", "variance_scale"), [(1, 1.0), (3, 1.0), (3, 0.7)])
@pytest.mark.parametrize("prior", [flat, unigram])
@pytest.mark.parametrize("sparse", [(32, 4), (2, 3)])
def test_rounds_with_all_units_equal_a_naive_implementation(make_world, prior, rounds, variance_scale, sparse):
    world = make_world(60, 64, positions=12, surprisal_share=0.6, eos_nats=8.0)
    order = add_noise(
        world.vectors(world.texts([2, 7, 4])), torch.tensor([1.0, 0.95, 0.8]), torch.Generator().manual_seed(0)
    )
    never_verified = replace(world.codebook, min_distance=0.0)  # so that every text has every round
    rules = {"candidates": 60, "damping": DAMPING, "variance_scale": variance_scale, "min_reach": 1e-3}
    amp = decoder(world, prior, FirstRound(*sparse), never_verified, **rules)
    state = after(amp, world.observed(order), rounds)
    left_out = []
    for row in range(3):
        means, lengths, memory, positions = naive(
            world, order[row], amp.prior.output.bias, rounds, variance_scale, sparse
        )
        left_out += positions
        n = state.belief.positions
        torch.testing.assert_close(state.belief.means[row], means[:n], atol=2e-4, rtol=1e-3)
        assert not means[n:].any()
        torch.testing.assert_close(state.belief.lengths[row], lengths, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(state.belief.memory[row], memory, atol=1e-3, rtol=1e-3)
        assert rounds == 3 or memory.norm() > 0.1
    assert bool(left_out) == (sparse[0] < 12)


def test_the_rounds_end_with_the_last_text(world):
    """A verified text is left as it is; the state is the same object, and a run gives what it ends with."""
    texts = world.texts([3, 20])
    order = world.vectors(texts)
    order[1] = add_noise(order[1:], torch.tensor([0.5]), torch.Generator().manual_seed(0))[0]
    amp, kept = decoder(world), []
    for state in amp.rounds(world.observed(order)):
        kept.append((list(state.units[0]), bool(state.verified[0])))
    assert kept[0] == ([], False)
    first = next(place for place, (_, certain) in enumerate(kept) if certain)
    assert kept[first:] == [(texts[0], True)] * (len(kept) - first)
    assert first < len(kept) - 1 <= amp.params.rounds
    found = amp.run(world.observed(order))
    assert (found.units, found.scores) == (state.units, state.scores)
    assert torch.equal(found.length_evidence, state.length_evidence)


def test_texts_of_every_length_are_read_without_being_told_it(world):
    texts = world.texts(list(range(25)))
    found = decoder(world).decode(world.observed(world.vectors(texts)))
    assert found.units == texts
    assert found.verified.all()
    assert found.fit.min() > 0.9999
    assert [len(scores) for scores in found.scores] == list(range(25))
    assert min(min(scores) for scores in found.scores if scores) > 0.5


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    order = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    amp = decoder(world)
    together = amp.decode(world.observed(order))
    for row in range(5):
        alone = amp.decode(world.observed(3.0 * order[row : row + 1]))
        assert alone.units[0] == together.units[row]
        assert alone.scores[0] == pytest.approx(together.scores[row], abs=1e-3)


def test_no_texts_at_all(world):
    found = decoder(world).decode(world.observed(torch.empty(0, 512)))
    assert (found.units, found.scores, found.steps) == ([], [], [])
    assert found.fit.shape == found.verified.shape == (0,)
    assert found.length_evidence.shape == (0, 65)


def test_scores_in_noise_are_no_bolder_than_right(make_world):
    world = make_world(1000, 256)
    texts = world.drawn(100, 12, seed=3)
    order = add_noise(world.vectors(texts), torch.full((100,), 0.75), torch.Generator().manual_seed(1))
    found = decoder(world).decode(world.observed(order))
    pairs = [
        (score, place < 12 and truth[place] == unit)
        for truth, text, scores in zip(texts, found.units, found.scores, strict=True)
        for place, (unit, score) in enumerate(zip(text, scores, strict=True))
    ]
    assert not found.verified.any()
    right = np.mean([hit for _, hit in pairs])
    assert 0.3 < right < 0.99
    assert np.mean([score for score, _ in pairs]) < right + 0.1


def known_units(rows, positions, units):
    """Known units by row and position, -1 elsewhere."""
    known = torch.full((rows, positions), -1)
    for row, position, unit in units:
        known[row, position] = unit
    return known


def test_known_units_are_kept(world):
    """Even wrong ones; right ones are no hindrance."""
    texts = world.texts([6, 9])
    known = torch.full((2, 65), -1)
    known[0, :2] = torch.tensor([texts[0][0], 1 + texts[0][1] % 1999])
    known[1, :3] = torch.tensor(texts[1][:3])
    found = decoder(world).decode(world.observed(world.vectors(texts), known))
    assert found.units[0] == [*known[0, :2].tolist(), *texts[0][2:]]
    assert found.units[1] == texts[1]
    assert found.verified.tolist() == [False, True]


def test_known_units_are_subtracted_from_the_first_round_on(world):
    """Units 5 and 6 in place of what the vector says: seven tenths of their codes after one round."""
    known = known_units(1, 65, [(0, 0, 5), (0, 1, 6)])
    state = after(decoder(world, damping=DAMPING), world.observed(world.vectors([[9, 10, 11]]), known), rounds=1)
    inside = 1 - state.belief.lengths[0].cumsum(dim=0)[:2, None]
    expected = (1 - DAMPING) * inside * world.codebook.codes[[5, 6]].float()
    torch.testing.assert_close(state.belief.means[0, :2], expected, atol=1e-4, rtol=1e-3)
    assert inside.min() > 0.5


def test_with_known_units_every_position_is_asked_from_the_first_round_on(make_world):
    """Else what is known, which says nothing, would speak for what is not; a known unit far behind counts, too."""
    world = make_world(60, 64, positions=12)
    known = known_units(2, 12, [(1, 0, 5), (1, 3, 6), (1, 5, 7)])
    nowhere_sure = FirstRound(dense=2, stride=3, inside=2.0)
    amp = decoder(world, first_round=nowhere_sure, min_reach=1e-4)
    state = after(amp, world.observed(world.vectors(world.texts([7, 7])), known), rounds=1)
    evidence = state.unit_evidence
    assert state.belief.positions > 6
    assert evidence[0, 3] == evidence[0, 4] == evidence[0, 5]
    assert evidence[1, [0, 3, 5]].tolist() == [0.0, 0.0, 0.0]
    assert evidence[1, 4] != 0.0
    assert state.belief.means[1, 5].any()
    assert not state.belief.means[0, 5].any()


def test_a_text_is_no_shorter_than_what_is_known_of_it(world):
    known = known_units(1, 65, [(0, place, place + 5) for place in range(4)])
    found = decoder(world).decode(world.observed(world.vectors([[9, 10]]), known))
    assert found.units[0][:4] == [5, 6, 7, 8]


@pytest.mark.parametrize("wanted", [3, 8, 9, 20])
def test_a_length_can_be_given(world, wanted):
    text = world.texts([8])
    found = decoder(world).run(world.observed(world.vectors(text)), lengths=[wanted])
    assert len(found.units[0]) == wanted
    assert bool(found.verified[0]) == (wanted == 8)
    assert (found.length_evidence[0] > NEVER / 2).nonzero()[:, 0].tolist() == [wanted]


def test_every_vector_of_a_batch_has_its_own_length_and_rule(make_world):
    """Against runs one by one, in which the rule is that of the params."""
    world = make_world(60, 64, positions=12)
    text = world.texts([7], seed=3)
    order = add_noise(world.vectors(text), torch.tensor([0.7]), torch.Generator().manual_seed(0))
    pairs = [(7, 0.3, 1.0), (5, 0.3, 1.0), (7, 0.0, 0.7), (9, 0.5, 1.0)]
    rules = [RestartParams(damping=damping, variance_scale=scale) for _, damping, scale in pairs]
    amp = decoder(world)
    together = amp.run(world.observed(order).repeated(4), lengths=[n for n, _, _ in pairs], restarts=rules)
    assert len({str(units) for units in together.units}) > 1
    for row, (length, damping, scale) in enumerate(pairs):
        alone = decoder(world, damping=damping, variance_scale=scale).run(world.observed(order), lengths=[length])
        assert together.units[row] == alone.units[0]
        assert together.scores[row] == pytest.approx(alone.scores[0], abs=1e-4)


def test_the_first_verified_text_ends_a_run_that_wants_no_more(world):
    text = world.texts([9], seed=1)
    observed, lengths = world.observed(world.vectors(text)).repeated(3), [30, 9, 3]
    amp = decoder(world)
    rounds = len(list(amp.rounds(observed, lengths=lengths))) - 1
    ended = amp.run(observed, lengths=lengths, until_first_verified=True)
    full = amp.run(observed, lengths=lengths)
    assert ended.verified.tolist() == full.verified.tolist() == [False, True, False]
    assert ended.units[1] == full.units[1] == text[0]
    assert rounds >= 6
    assert ended.scores[0] != full.scores[0]  # what ended sooner is not there yet


def test_near_the_limit_a_prior_reads_more_texts(make_world):
    """20 units of 1000 in 150 dimensions: a flat prior needs 14 a unit, the unigram prior tells some of it."""
    world = make_world(1000, 150)
    texts = world.drawn(80, 20, seed=1)
    exact = {}
    for prior in (flat, unigram):
        found = decoder(world, prior).decode(world.observed(world.vectors(texts)))
        exact[prior] = sum(units == text for units, text in zip(found.units, texts, strict=True)) / 80
    assert exact[unigram] > exact[flat] + 0.1
    assert exact[flat] < 0.9


def test_a_prior_that_knows_the_text_reads_it_from_less(make_world):
    """A prior that says at every position what stands there, in a vector far too narrow to tell."""

    class Knowing(FixedPrior):
        def queries(self, belief):
            return F.one_hot(torch.tensor([text])[:, : belief.units.shape[1]], 300).float() * 8.0

    world = make_world(300, 64, positions=21)
    text = world.drawn(1, 20, seed=1)[0]
    observed = world.observed(world.vectors([text]))
    assert decoder(world).decode(observed).units != [text]
    knowing = Knowing(OutputLayer(torch.eye(300), torch.zeros(300)))
    assert decoder(world, knowing).decode(observed).units == [text]
