from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.controller import amp
from lexivert.controller.amp import AmpDecoder, AmpParams
from lexivert.priors.base import Prior
from lexivert.text.lexicon import EOS, NEVER

DAMPING = 0.3


def semantic(count):
    return torch.zeros(count, 8)


def flat(world):
    return Prior.fixed(torch.full_like(world.codebook.log_prior, -math.log(len(world.codebook.log_prior))))


def unigram(world):
    return Prior.fixed(world.codebook.log_prior)


def bound(world, code, position):
    return world.codebook.binding.bind(code[None], torch.tensor([position]))[0]


def naive(world, target, log_prior, rounds, caution, sparse):
    """Message passing for one text, position by position, with posteriors over all units.

    In the first round, an unsure position from ``sparse[0]`` on is asked if it is a multiple of ``sparse[1]``, and
    else takes over what the last such one says of the length.

    Returns:
        Means (N, O), probabilities of lengths (P,), what is left of the vector (O,), and the positions left out.
    """
    codes, positions, width = world.codebook.codes.float(), world.codebook.binding.positions, len(target)
    log_prior = log_prior.clone()
    log_prior[EOS] = -torch.inf
    log_prior -= log_prior.logsumexp(dim=0)
    ends = [bound(world, codes[EOS], n) for n in range(positions)]
    start = [((target @ ends[n]) / math.sqrt(n + 1) - 0.5 / (n + 1)) * width for n in range(positions)]
    lengths = torch.stack(start).softmax(dim=0)
    means, residual, onsager = torch.zeros(positions, width), torch.zeros(width), 0.0
    left_out = []
    support = torch.full((positions,), NEVER)  # where nothing is asked any more, what was found last
    for number in range(rounds):
        alive = [n for n in range(positions) if n == 0 or 1 - lengths[: n + 1].sum() > 1e-3]
        unsure = [n for n in alive if n >= sparse[0] and 1 - lengths[: n + 1].sum() < 0.98 and n % sparse[1]]
        unsure = unsure if number == 0 else []
        left_out += unsure
        expected = sum(float(lengths[n]) * (n + 1) for n in range(positions))
        total = sum(bound(world, means[n], n) + lengths[n] * ends[n] for n in range(positions))
        known = float(means.square().sum() + lengths.square().sum())
        measured = float(target @ total) * math.sqrt(expected) / float(total @ total)
        precision = known * width / expected
        cosine = min(max((measured * precision + 0.95 * 25) / (precision + 25), 0.2), 1.05)
        residual = math.sqrt(expected) / cosine * target - total + onsager * residual
        variance = caution * float(residual @ residual) / width
        posterior_means = torch.zeros_like(means)
        for n in [n for n in alive if n not in unsure]:
            evidence = world.codebook.binding.unbind(residual[None], torch.tensor([n]))[0] + means[n]
            logits = codes @ evidence / variance + log_prior
            posterior_means[n] = logits.softmax(dim=0) @ codes
            support[n] = logits.logsumexp(dim=0) - 0.5 / variance
        for n in unsure:
            support[n] = support[n - n % sparse[1]]
        ahead = torch.stack([(residual @ ends[n] + lengths[n] - 0.5) / variance for n in range(positions)])
        behind = torch.stack([support[:n].sum() for n in range(positions)])
        kept = DAMPING if number else 0.0
        lengths = kept * lengths + (1 - kept) * (ahead + behind).softmax(dim=0)
        spread = (1 - kept) * float((lengths - lengths.square()).sum())
        for n in range(positions):
            asked = n in alive and n not in unsure
            inside = max(1 - float(lengths[: n + 1].sum()), 0.0) if asked else 0.0
            means[n] = DAMPING * means[n] + (1 - DAMPING) * inside * posterior_means[n]
            spread += (1 - DAMPING) * (inside - float(means[n].square().sum())) if asked else 0.0
        onsager = max(spread, 0.0) / (width * variance)
    return means, lengths, residual, left_out


@pytest.mark.parametrize(("rounds", "caution"), [(1, 1.0), (3, 1.0), (3, 0.7)])
@pytest.mark.parametrize("prior", [flat, unigram])
@pytest.mark.parametrize("sparse", [(32, 4), (2, 3)])
def test_rounds_with_all_units_equal_a_naive_implementation(make_world, monkeypatch, prior, rounds, caution, sparse):
    monkeypatch.setattr(amp, "_DENSE", sparse[0])
    monkeypatch.setattr(amp, "_STRIDE", sparse[1])
    world = make_world(60, 64, positions=12)
    target = add_noise(
        world.vectors(world.texts([2, 7, 4])), torch.tensor([1.0, 0.95, 0.8]), torch.Generator().manual_seed(0)
    )
    rules = AmpParams(candidates=60, damping=DAMPING, caution=caution, remote=1e-3)
    passing = AmpDecoder(world.index, world.codebook, prior(world), rules)
    state = passing._start(target, semantic(3), None, None, [rules] * 3)
    for number in range(rounds):
        passing._round(state, torch.arange(3), first=number == 0)
    left_out = []
    for row in range(3):
        means, lengths, residual, positions = naive(
            world, target[row], prior(world).table[:, 0], rounds, caution, sparse
        )
        left_out += positions
        n = state.means.shape[1]
        torch.testing.assert_close(state.means[row], means[:n], atol=2e-4, rtol=1e-3)
        assert not means[n:].any()
        torch.testing.assert_close(state.lengths[row], lengths, atol=1e-4, rtol=1e-3)
        torch.testing.assert_close(state.residual[row], residual, atol=1e-3, rtol=1e-3)
    assert bool(left_out) == (sparse[0] < 12)


def test_texts_of_every_length_are_read_without_being_told_it(world):
    texts = world.texts(list(range(25)))
    settled = AmpDecoder(world.index, world.codebook, unigram(world)).decode(world.vectors(texts), semantic(25))
    assert settled.units == texts
    assert settled.proven.all()
    assert settled.fit.min() > 0.9999
    assert [len(scores) for scores in settled.scores] == list(range(25))
    assert min(min(scores) for scores in settled.scores if scores) > 0.5


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    target = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    passing = AmpDecoder(world.index, world.codebook, unigram(world))
    together = passing.decode(target, semantic(5))
    for row in range(5):
        alone = passing.decode(3.0 * target[row : row + 1], semantic(1))
        assert alone.units[0] == together.units[row]
        assert alone.scores[0] == pytest.approx(together.scores[row], abs=1e-3)


def test_scores_in_noise_are_no_bolder_than_right(make_world):
    world = make_world(1000, 256)
    texts = world.drawn(100, 12, seed=3)
    target = add_noise(world.vectors(texts), torch.full((100,), 0.75), torch.Generator().manual_seed(1))
    settled = AmpDecoder(world.index, world.codebook, unigram(world)).decode(target, semantic(100))
    pairs = [
        (score, place < 12 and truth[place] == unit)
        for truth, text, scores in zip(texts, settled.units, settled.scores, strict=True)
        for place, (unit, score) in enumerate(zip(text, scores, strict=True))
    ]
    assert not settled.proven.any()
    right = np.mean([hit for _, hit in pairs])
    assert 0.3 < right < 0.99
    assert np.mean([score for score, _ in pairs]) < right + 0.1


def test_known_units_are_kept(world):
    """Even wrong ones; right ones are no hindrance."""
    texts = world.texts([6, 9])
    fixed = torch.full((2, 65), -1)
    fixed[0, :2] = torch.tensor([texts[0][0], 1 + texts[0][1] % 1999])
    fixed[1, :3] = torch.tensor(texts[1][:3])
    settled = AmpDecoder(world.index, world.codebook, unigram(world)).decode(
        world.vectors(texts), semantic(2), fixed=fixed
    )
    assert settled.units[0] == [*fixed[0, :2].tolist(), *texts[0][2:]]
    assert settled.units[1] == texts[1]
    assert settled.proven.tolist() == [False, True]


def test_known_units_are_subtracted_from_the_first_round_on(world):
    """Units 5 and 6 in place of what the vector says: seven tenths of their codes after one round."""
    fixed = torch.full((1, 65), -1)
    fixed[0, :2] = torch.tensor([5, 6])
    passing = AmpDecoder(world.index, world.codebook, unigram(world), AmpParams(damping=DAMPING))
    state = passing._start(world.vectors([[9, 10, 11]]), semantic(1), None, fixed, [passing.rules])
    passing._round(state, torch.tensor([0]), first=True)
    inside = 1 - state.lengths[0].cumsum(dim=0)[:2, None]
    expected = (1 - DAMPING) * inside * world.codebook.codes[[5, 6]].float()
    torch.testing.assert_close(state.means[0, :2], expected, atol=1e-4, rtol=1e-3)
    assert inside.min() > 0.5


def test_with_known_units_every_position_is_asked_from_the_first_round_on(make_world, monkeypatch):
    """Else what is known, which says nothing, would speak for what is not; a known unit far behind counts, too."""
    for name, value in (("_DENSE", 2), ("_STRIDE", 3), ("_INSIDE", 2.0)):
        monkeypatch.setattr(amp, name, value)
    world = make_world(60, 64, positions=12)
    target = world.vectors(world.texts([7, 7]))
    fixed = torch.full((2, 12), -1)
    fixed[1, [0, 3, 5]] = torch.tensor([5, 6, 7])
    passing = AmpDecoder(world.index, world.codebook, unigram(world), AmpParams(remote=1e-4))
    state = passing._start(target, semantic(2), None, fixed, [passing.rules] * 2)
    passing._round(state, torch.arange(2), first=True)
    supports, n = state.supports, state.means.shape[1]
    assert n > 6
    assert supports[0, 3] == supports[0, 4] == supports[0, 5]
    assert supports[1, [0, 3, 5]].tolist() == [0.0, 0.0, 0.0]
    assert supports[1, 4] != 0.0
    assert state.means[1, 5].any()
    assert not state.means[0, 5].any()


def test_a_text_is_no_shorter_than_what_is_known_of_it(world):
    fixed = torch.full((1, 65), -1)
    fixed[0, :4] = torch.tensor([5, 6, 7, 8])
    settled = AmpDecoder(world.index, world.codebook, unigram(world)).decode(
        world.vectors([[9, 10]]), semantic(1), fixed=fixed
    )
    assert settled.units[0][:4] == [5, 6, 7, 8]


@pytest.mark.parametrize("wanted", [3, 8, 9, 20])
def test_a_length_can_be_forced(world, wanted):
    text = world.texts([8])
    length_prior = torch.full((1, 65), NEVER)
    length_prior[0, wanted] = 0.0
    settled = AmpDecoder(world.index, world.codebook, unigram(world)).decode(
        world.vectors(text), semantic(1), length_prior
    )
    assert len(settled.units[0]) == wanted
    assert bool(settled.proven[0]) == (wanted == 8)
    assert (length_prior == NEVER).sum() == 64  # the caller's own is not written to


def test_near_the_limit_a_prior_reads_more_texts(make_world):
    """20 units of 1000 in 150 dimensions: a flat prior needs 14 a unit, the unigram prior tells some of it."""
    world = make_world(1000, 150)
    texts = world.drawn(80, 20, seed=1)
    exact = {}
    for prior in (flat, unigram):
        settled = AmpDecoder(world.index, world.codebook, prior(world)).decode(world.vectors(texts), semantic(80))
        exact[prior] = sum(units == text for units, text in zip(settled.units, texts, strict=True)) / 80
    assert exact[unigram] > exact[flat] + 0.1
    assert exact[flat] < 0.9


def test_a_prior_that_knows_the_text_reads_it_from_less(make_world):
    """A Selector that says at every position what stands there, in a vector far too narrow to tell."""

    class Knowing(Prior):
        def queries(self, context):
            return F.one_hot(torch.tensor([text])[:, : context.shares.shape[1]], 300).float() * 8.0

        def log_length(self, context, positions):
            return torch.zeros(1, positions)

    world = make_world(300, 64, positions=21)
    text = world.drawn(1, 20, seed=1)[0]
    assert AmpDecoder(world.index, world.codebook, unigram(world)).decode(
        world.vectors([text]), semantic(1)
    ).units != [text]
    settled = AmpDecoder(world.index, world.codebook, Knowing(torch.eye(300))).decode(
        world.vectors([text]), semantic(1)
    )
    assert settled.units == [text]


def test_ways_over_shared_lists_equal_ways_one_by_one(make_world):
    """With lists that hold every unit; each way keeps its own length, damping and caution."""
    world = make_world(60, 64, positions=12)
    text = world.texts([7], seed=3)
    target = add_noise(world.vectors(text), torch.tensor([0.7]), torch.Generator().manual_seed(0))
    ways = [(7, AmpParams()), (5, AmpParams()), (7, AmpParams(damping=0.0, caution=0.7)), (9, AmpParams(damping=0.5))]
    together = AmpDecoder(world.index, world.codebook, unigram(world)).decode_one(target[0], semantic(1)[0], ways)
    assert len({str(units) for units in together.units}) > 1
    for row, (length, rules) in enumerate(ways):
        length_prior = torch.full((1, 12), NEVER)
        length_prior[0, length] = 0.0
        alone = AmpDecoder(world.index, world.codebook, unigram(world), rules)
        settled = alone.decode(target, semantic(1), length_prior)
        assert together.units[row] == settled.units[0]
        assert together.scores[row] == pytest.approx(settled.scores[0], abs=0.02)
        assert together.fit[row].item() == pytest.approx(settled.fit[0].item(), abs=1e-3)


def test_the_first_proof_ends_all_ways(world, monkeypatch):
    rounds, one = [], AmpDecoder._round

    def counted(self, *args, **more):
        rounds.append(1)
        return one(self, *args, **more)

    monkeypatch.setattr(AmpDecoder, "_round", counted)
    text = world.texts([9], seed=1)
    passing = AmpDecoder(world.index, world.codebook, unigram(world))
    ways = [(30, AmpParams()), (9, AmpParams()), (3, AmpParams())]
    settled = passing.decode_one(world.vectors(text)[0], semantic(1)[0], ways)
    assert settled.proven.tolist() == [False, True, False]
    assert settled.units[1] == text[0]
    assert len(rounds) < 10


def test_what_is_known_holds_for_every_way(world):
    text = world.texts([9], seed=1)
    fixed = torch.full((world.codebook.binding.positions,), -1)
    fixed[:2] = torch.tensor([5, text[0][1]])
    passing = AmpDecoder(world.index, world.codebook, unigram(world))
    settled = passing.decode_one(world.vectors(text)[0], semantic(1)[0], [(9, AmpParams()), (8, AmpParams())], fixed)
    assert [units[:2] for units in settled.units] == [[5, text[0][1]]] * 2
    assert not settled.proven.any()


def test_ways_must_be_given_and_hold_what_is_known(world):
    passing = AmpDecoder(world.index, world.codebook, unigram(world))
    fixed = torch.full((world.codebook.binding.positions,), -1)
    fixed[:2] = 5
    for ways in ([], [(4, AmpParams()), (1, AmpParams())]):
        with pytest.raises(ValueError, match="at least the 2 units that are known"):
            passing.decode_one(world.vectors([[5, 5, 6]])[0], semantic(1)[0], ways, fixed)


def test_support_equals_a_naive_likelihood_ratio(make_world):
    """Of the positions of a length's later half, at the mean length's variance, each by a sum over all units.

    The prior is another one at every position.
    """
    generator = torch.Generator().manual_seed(0)
    table, told = torch.randn(60, 3, generator=generator), torch.randn(14, 2, generator=generator)

    class Placed(Prior):
        def queries(self, context):
            return torch.cat((told, torch.ones(14, 1)), dim=1)[None, : context.shares.shape[1]]

    world, lengths = make_world(60, 64, positions=24), [9, 4, 14]
    target, codes = world.vectors(world.texts([9]))[0], world.codebook.codes.float()
    expected = []
    for n in lengths:
        count, ratios = 10.0, []  # of (9 + 4 + 14) / 3 units and EOS
        for place in range(n // 2, n):
            seen = count**0.5 * world.codebook.binding.unbind(target[None], torch.tensor([place]))[0]
            log_prior = torch.log_softmax(table[:, :2] @ told[place] + table[:, 2], dim=0)
            ratios.append(((codes @ seen - 0.5) * 64 / count + log_prior).logsumexp(dim=0))
        expected.append(torch.stack(ratios).mean() * n)
    passing = AmpDecoder(world.index, world.codebook, Placed(table))
    found = passing.support(3.0 * target, semantic(1)[0], lengths)
    torch.testing.assert_close(found, torch.stack(expected), atol=0.3, rtol=2e-2)
    assert passing.support(target, semantic(1)[0], []).shape == (0,)


def test_units_speak_for_the_length_of_a_text_and_against_noise_and_shorter_texts(world):
    """30 units in 512 dimensions; what has 12 units, in noise, is no text of 30."""
    passing, text = AmpDecoder(world.index, world.codebook, unigram(world)), world.drawn(3, 30, seed=5)
    generator = torch.Generator().manual_seed(2)
    long = world.vectors(text)
    short = add_noise(world.vectors([units[:12] for units in text]), torch.full((3,), 0.7), generator)
    noise = torch.randn(3, 512, generator=generator)
    support = [[float(passing.support(row, semantic(1)[0], [30])) for row in rows] for rows in (long, short, noise)]
    assert min(support[0]) > 20
    assert max(support[1] + support[2]) < -5
