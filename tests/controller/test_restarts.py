from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise, full_cosine
from lexivert.config import RestartParams
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.observation import Observation
from lexivert.controller.restarts import Restarts
from lexivert.controller.results import DecodeResult
from lexivert.priors.unigram import FixedPrior, unigram
from lexivert.search.output_layer import OutputLayer
from lexivert.text.lexicon import NEVER
from sections import section

USUAL = RestartParams(damping=0.3, variance_scale=1.0)
BOLD = RestartParams(damping=0.0, variance_scale=0.7)


def amp_of(parts):
    return AmpDecoder(parts.index, parts.codebook, parts.prior, parts.params.amp)


def restarts_of(world, kind=Restarts, dimensions=16.0, **cascade):
    """Restarts where a unit of mean surprisal has so many order dimensions at most, a length's two at once."""
    nats = Restarts(world.parts).mean_surprisal
    cascade = {"overloaded_below": (dimensions - 1e-4) / nats, "batch": 2} | cascade
    return kind(replace(world.parts, params=section("controller", cascade=cascade)))


class Counted(Restarts):
    """Notes the lengths of every restart."""

    def __init__(self, parts):
        super().__init__(parts)
        self.asked = []

    def restart(self, observed, pairs):
        self.asked.append([length for length, _ in pairs])
        return super().restart(observed, pairs)


class Listed(Counted):
    """Notes the lengths and finds nothing."""

    def restart(self, observed, pairs):
        self.asked.append([length for length, _ in pairs])
        count = len(pairs)
        return DecodeResult(
            [[1]] * count, [[0.1]] * count, torch.zeros(count), torch.zeros(count).bool(), [[]] * count
        )


def anything(world, count=1):
    """Vectors without a prefix, which tell nothing of their noise."""
    return world.observed(torch.ones(count, world.codebook.width))


def evidence(positions, values):
    """Evidence of some lengths; all others are ruled out. Shape: (1, positions)."""
    line = torch.full((1, positions), NEVER)
    for length, value in values.items():
        line[0, length] = value
    return line


def found(units, scores, log_evidence, verified=False, fit=0.0):
    return DecodeResult([units], [scores], torch.tensor([fit]), torch.tensor([verified]), [[]], log_evidence)


@pytest.fixture(scope="module")
def narrow(make_world):
    """300 units in 96 dimensions, 16 a unit at 5 units: lengths from 6 on, EOS counted, are overloaded."""
    return make_world(300, 96, positions=24)


def test_likely_lengths_are_near_the_likeliest(narrow):
    """Within 12 nats of it, the likeliest first, and at most so many."""
    first = {4: 30.0, 5: 20.0, 6: 19.0, 7: 17.0}
    second = {10: 5.0, 20: 7.0, 22: 6.0}
    for most, expected in ((8, [[4, 5, 6], [20, 22, 10], []]), (2, [[4, 5], [20, 22], []])):
        restarts = restarts_of(narrow, lengths=most)
        likely = [
            restarts.unsure(found([], [], evidence(24, values)), anything(narrow))[0]
            for values in (first, second, {})
        ]
        assert likely == expected


@pytest.mark.parametrize(
    ("likeliest", "units", "score", "verified", "fit", "restarted"),
    [
        (4, 4, 0.95, False, 0.7, []),  # sure, and of a likely length, though it is one with dimensions in plenty
        (4, 4, 0.85, False, 0.7, [6, 6]),
        (4, 5, 0.95, False, 0.7, [6, 6]),  # sure, but of a length that is not likely
        (4, 4, 0.85, True, 0.7, []),
        (4, 2, 0.85, False, 0.7, []),  # half of the energy in three codes: 16 squared deviations each, above 2 ln 300
    ],
)
def test_what_is_restarted_and_at_which_lengths(narrow, likeliest, units, score, verified, fit, restarted):
    """Found: so many units with such scores; lengths 4 and 6 are likely, of which 6 is overloaded."""
    restarts = restarts_of(narrow, Listed)
    before = found(
        list(range(1, units + 1)), [score] * units, evidence(24, {likeliest: 30.0, 6: 19.0}), verified, fit
    )
    observed = narrow.observed(narrow.vectors(narrow.drawn(1, 17, seed=1)))
    for likely in restarts.unsure(before, observed).values():
        list(restarts.run(observed, likely, before.units[0], fit))
    assert [length for call in restarts.asked for length in call] == restarted


def test_only_rows_that_are_unsure_are_restarted(narrow):
    lines = torch.cat([evidence(24, {n: 5.0}) for n in (2, 2, 3)])
    before = DecodeResult(
        [[1, 2], [3, 4], [5]],
        [[0.95, 0.95], [0.95, 0.5], [0.95]],
        torch.zeros(3),
        torch.zeros(3).bool(),
        [[]] * 3,
        lines,
    )
    assert restarts_of(narrow).unsure(before, anything(narrow, 3)) == {1: [2], 2: [3]}


class Told(Listed):
    """Is told for which long lengths units speak."""

    def __init__(self, parts, spoken_for):
        super().__init__(parts)
        self.spoken_for = spoken_for

    def later_half_evidence(self, observed, lengths):
        return torch.tensor([1.0 if n in self.spoken_for else -1.0 for n in lengths])


def worth(world, likely, *, spoken_for=(), detected=False, **cascade):
    """Lengths that are restarted, when told which long ones units speak for."""
    restarts = restarts_of(world, lambda parts: Told(parts, spoken_for), **cascade)
    list(restarts.run(anything(world), likely, [1], 1.0 if detected else 0.0))
    return [length for call in restarts.asked for length in call[:: len(restarts.params.restarts)]]


def test_long_texts_are_restarted_at_few_lengths(narrow, make_world):
    """400 positions in all, but one length in any case."""
    wide, everything = make_world(300, 1664, positions=12), range(64, 300)
    assert worth(wide, [250, 160, 50, 30, 9], spoken_for=everything) == [250]
    assert worth(wide, [150, 103, 104, 140, 190, 110], spoken_for=everything) == [150, 104, 140]
    assert worth(wide, [150, 104, 190, 140], spoken_for=everything) == [150, 104, 140]
    assert worth(narrow, [20, 4, 5, 6, 30], spoken_for=everything) == [20, 6, 30]
    assert worth(narrow, [20, 30], max_positions=10) == [20]
    assert worth(narrow, [3]) == []


def test_units_must_speak_for_a_long_text_and_nothing_detected_against_a_short_one(world):
    assert worth(world, [120, 110, 64, 63]) == [63]
    assert worth(world, [120, 110, 64, 63], spoken_for=[110, 64]) == [110, 64, 63]
    assert worth(world, [120, 110, 64, 63], spoken_for=[110, 64], detected=True) == [110, 64]


def test_a_text_of_rare_units_is_overloaded_at_fewer(narrow):
    """Its found units say how surprising it is; units more frequent than the mean don't make it less so."""
    restarts = restarts_of(narrow, Listed)
    rare = float(-narrow.codebook.log_prior[299])
    assert rare > 1.2 * restarts.mean_surprisal
    for units, restarted in (([299], [5, 6]), ([1], [6]), ([], [6])):
        restarts.asked.clear()
        list(restarts.run(anything(narrow), [3, 5, 6], units, 0.0))
        assert [length for call in restarts.asked for length in call[:: len(restarts.params.restarts)]] == restarted


def told(world, order, cosine):
    """Vectors with prefixes whose proportion to the order part says that this is the order part's cosine."""
    share = 0.5  # the world's semantic share; 8 of 8 + O dimensions are the prefix's
    noise = world.codebook.width / (world.codebook.width + 8)
    full = full_cosine(torch.tensor([cosine]), world.codebook.width, 8, share).square().item()
    energy = full * (1 - share) + (1 - full) * noise
    prefix = torch.full((len(order), 8), ((1 - energy) / 8) ** 0.5)
    return Observation.of(F.normalize(order, dim=1) * energy**0.5, prefix)


def test_what_noise_explains_is_not_restarted_and_what_it_does_not_is(world):
    """A long text without noise is restarted though nothing speaks for it, one whose noise is told is not."""
    order = torch.ones(1, 512)
    lines = evidence(65, {60: 5.0})
    before = found([1, 2], [0.5, 0.5], lines, fit=0.6)
    restarts = restarts_of(world, lambda parts: Told(parts, []), long_from=20)
    assert restarts.unsure(before, told(world, order, 0.6)) == {}
    assert restarts.unsure(before, told(world, order, 1.0)) == {0: [60]}
    list(restarts.run(told(world, order, 1.0), [60], [1, 2], 0.2))
    assert restarts.asked == [[60, 60]]
    list(restarts.run(told(world, order, 1.0), [60], [1, 2], 0.6))  # detected: the rest is another text's
    list(restarts.run(anything(world), [60], [1, 2], 0.6))
    assert len(restarts.asked) == 1


@pytest.mark.parametrize(("width", "fit", "restarted"), [(512, 0.622, 0), (512, 0.620, 1), (500, 0.622, 1)])
def test_what_stands_out_further_than_any_wrong_code_is_detected(make_world, width, fit, restarted):
    """2 ln 2000 = 15.2 squared deviations a code, 13 with EOS's: of 512 dimensions a cosine of .621, squared .386."""
    some = make_world(2000, width, frequent=500)
    restarts = restarts_of(some, Listed, dimensions=100.0)
    list(restarts.run(anything(some), [12], [1] * 12, fit))
    assert len(restarts.asked) == restarted


def test_a_long_text_is_restarted_at_its_length_and_noise_is_not(world):
    """30 units in 512 dimensions, counted as long: a text, and noise, of which EOS says the same."""
    noise = F.normalize(torch.randn(1, 512, generator=torch.Generator().manual_seed(1)), dim=1)
    text = world.drawn(1, 30, seed=3)
    restarts = restarts_of(world, Counted, long_from=20, dimensions=24.0)
    assert list(restarts.run(world.observed(noise), [30], [], 0.0)) == []
    ((count, texts),) = restarts.run(world.observed(world.vectors(text)), [30], [], 0.0)
    assert restarts.asked == [[30, 30]]
    assert count == 2
    assert texts.verified.any()
    assert text[0] in texts.units


def test_the_likeliest_lengths_are_restarted_first_and_only_as_far_as_anybody_reads(narrow):
    rules = [{"damping": 0.3, "variance_scale": 1.0}, {"damping": 0.3, "variance_scale": 0.8}]
    restarts = restarts_of(narrow, Listed, batch=2, margin=1e3, restarts=rules)
    observed = narrow.observed(narrow.vectors(narrow.drawn(1, 17, seed=1)))
    line = torch.arange(24.0)[None].clone()
    line[0, 17] = 30.0
    likely = restarts.unsure(found([1], [0.5], line), observed)[0]
    results = restarts.run(observed, likely, [1], 0.0)
    assert restarts.asked == []
    next(results)
    assert restarts.asked == [[17, 17]]
    list(results)
    assert restarts.asked == [[length, length] for length in (17, 23, 22, 21, 20, 19, 18, 16)]


def test_restarts_over_shared_lists_equal_runs_one_by_one(make_world):
    """With lists that have every unit; each restart keeps its own length, damping and variance scale."""
    world = make_world(60, 64, positions=12)
    parts = world.parts.with_prior(unigram(world.codebook.log_prior))
    order = add_noise(world.vectors(world.texts([7], seed=3)), torch.tensor([0.7]), torch.Generator().manual_seed(0))
    observed, damped = world.observed(order), RestartParams(damping=0.5, variance_scale=1.0)
    pairs = [(7, USUAL), (5, USUAL), (7, BOLD), (9, damped)]
    together = Restarts(parts).restart(observed, pairs)
    assert len({str(units) for units in together.units}) > 1
    for row, (length, rule) in enumerate(pairs):
        alone = amp_of(parts).run(observed, lengths=[length], restarts=[rule])
        assert together.units[row] == alone.units[0]
        assert together.scores[row] == pytest.approx(alone.scores[0], abs=0.02)
        assert together.fit[row].item() == pytest.approx(alone.fit[0].item(), abs=1e-3)


def test_the_first_verified_text_ends_all_restarts(world):
    """The others are as far as they have come by then, and not where they converge."""
    text = world.texts([9], seed=1)
    observed, pairs = world.observed(world.vectors(text)), [(30, USUAL), (9, USUAL), (3, USUAL)]
    ended = restarts_of(world).restart(observed, pairs)
    assert ended.verified.tolist() == [False, True, False]
    assert ended.units[1] == text[0]
    alone = restarts_of(world).restart(observed, pairs[:1])
    assert alone.scores[0] != ended.scores[0]


def test_what_is_known_is_kept_in_every_restart(world):
    text = world.texts([9], seed=1)
    known = torch.full((1, 65), -1)
    known[0, :2] = torch.tensor([5, text[0][1]])
    texts = restarts_of(world).restart(world.observed(world.vectors(text), known), [(9, USUAL), (8, USUAL)])
    assert [units[:2] for units in texts.units] == [[5, text[0][1]]] * 2
    assert not texts.verified.any()


def test_restarts_must_be_given_and_have_room_for_what_is_known(world):
    known = torch.full((1, 65), -1)
    known[0, :2] = 5
    for pairs in ([], [(4, USUAL), (1, USUAL)]):
        with pytest.raises(ValueError, match="at least the 2 units that are known"):
            restarts_of(world).restart(world.observed(world.vectors([[5, 5, 6]]), known), pairs)


def test_the_later_halfs_evidence_equals_a_naive_likelihood_ratio(make_world):
    """Of the positions of a length's later half, at the mean length's variance, each by a sum over all units.

    The prior is another one at every position.
    """
    generator = torch.Generator().manual_seed(0)
    weight, bias = torch.randn(60, 2, generator=generator), torch.randn(60, generator=generator)
    told = torch.randn(14, 2, generator=generator)

    class Placed(FixedPrior):
        def queries(self, belief):
            return told[None, : belief.units.shape[1]]

    world, lengths = make_world(60, 64, positions=24), [9, 4, 14]
    order, codes = world.vectors(world.texts([9]))[0], world.codebook.codes.float()
    expected = []
    for n in lengths:
        count, ratios = 10.0, []  # of (9 + 4 + 14) / 3 units and EOS
        for place in range(n // 2, n):
            seen = count**0.5 * world.codebook.binding.unbind(order[None], torch.tensor([place]))[0]
            log_prior = torch.log_softmax(weight @ told[place] + bias, dim=0)
            ratios.append(((codes @ seen - 0.5) * 64 / count + log_prior).logsumexp(dim=0))
        expected.append(torch.stack(ratios).mean() * n)
    restarts = Restarts(world.parts.with_prior(Placed(OutputLayer(weight, bias))))
    found = restarts.later_half_evidence(world.observed(3.0 * order[None]), lengths)
    torch.testing.assert_close(found, torch.stack(expected), atol=0.3, rtol=2e-2)
    assert restarts.later_half_evidence(world.observed(order[None]), []).shape == (0,)


def test_units_speak_for_the_length_of_a_text_and_against_noise_and_shorter_texts(world):
    """30 units in 512 dimensions; what has 12 units, in noise, is no text of 30."""
    restarts, text = Restarts(world.parts.with_prior(unigram(world.codebook.log_prior))), world.drawn(3, 30, seed=5)
    generator = torch.Generator().manual_seed(2)
    long = world.vectors(text)
    short = add_noise(world.vectors([units[:12] for units in text]), torch.full((3,), 0.7), generator)
    noise = torch.randn(3, 512, generator=generator)
    evidence = [
        [float(restarts.later_half_evidence(world.observed(row[None]), [30])) for row in rows]
        for rows in (long, short, noise)
    ]
    assert min(evidence[0]) > 20
    assert max(evidence[1] + evidence[2]) < -5
