from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.controller.amp import AmpDecoder, AmpParams
from lexivert.controller.cascade import Cascade, CascadeParams, _Best
from lexivert.controller.confidence import Calibration
from lexivert.controller.results import Found, Settled
from lexivert.priors.base import Prior
from lexivert.text.lexicon import EOS, NEVER


def semantic(count):
    return torch.zeros(count, 8)


def exact(found, texts):
    return [units == text for units, text in zip(found, texts, strict=True)]


def fixed_units(positions, **known):
    line = torch.full((1, positions), -1)
    for place, unit in known.items():
        line[0, int(place[1:])] = unit
    return line


@pytest.fixture(scope="module")
def decoded(world):
    """One text of each length from 0 to 40, read back without noise: up to 20 units by the incremental pass."""
    texts = world.texts(list(range(41)))
    return texts, Cascade(world.proposer).decode(world.vectors(texts), semantic(41), trace=True)


def test_texts_of_every_length_are_read_exactly(decoded):
    texts, result = decoded
    assert result.units == texts
    assert result.proven.all()
    assert result.fit.min() > 0.9999
    assert result.confidence.min() > 0.9999
    assert [len(scores) for scores in result.scores] == list(range(41))
    assert all(score > 0.9999 for scores in result.scores for score in scores)


def test_the_trace_ends_in_the_text(decoded):
    texts, result = decoded
    for text, steps in zip(texts, result.steps, strict=True):
        assert steps[0].unit == EOS
        assert list(steps[-1].buffer) == text
        assert steps[-1].residual < 0.01
        for step in steps:
            assert step.position == len(step.buffer) or step.buffer[step.position] == step.unit


def test_a_text_found_as_a_whole_is_rebuilt_the_surest_first(make_world):
    world = make_world(300, 96, positions=24)
    texts = world.drawn(4, 12, seed=1)
    result = Cascade(world.proposer).decode(world.vectors(texts), semantic(4), trace=True)
    for steps, units in zip(result.steps, result.units, strict=True):
        assert [step.unit for step in steps[:1]] == [EOS]
        assert steps[0].position == len(units)
        scores = [step.score for step in steps[1:]]
        assert scores == sorted(scores, reverse=True)
        assert sorted(step.position for step in steps[1:]) == list(range(len(units)))
        assert list(steps[-1].buffer) == units


def test_trace_and_length_of_the_vector_change_nothing(world, decoded):
    texts, _ = decoded
    chosen = texts[3:40:6]
    vectors = world.vectors(chosen)
    result = Cascade(world.proposer).decode(1e-3 * vectors, semantic(len(chosen)))
    assert result.units == chosen
    assert result.steps == [[] for _ in chosen]


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    target = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    together = Cascade(world.proposer).decode(target, semantic(5))
    for row in range(5):
        alone = Cascade(world.proposer).decode(target[row : row + 1], semantic(1))
        assert alone.units[0] == together.units[row]
        assert alone.fit.item() == pytest.approx(together.fit[row].item(), abs=1e-4)
        assert alone.confidence.item() == pytest.approx(together.confidence[row].item(), abs=1e-2)


def test_no_texts_at_all(world):
    result = Cascade(world.proposer).decode(torch.empty(0, 512), semantic(0))
    assert (result.units, result.scores, result.steps) == ([], [], [])
    assert result.confidence.shape == result.proven.shape == (0,)
    many = Cascade(world.proposer).decode_all(torch.empty(0, 512), semantic(0), 8, "nothing")
    assert (many.units, many.confidence.shape) == ([], (0,))
    alone = AmpDecoder(world.index, world.codebook, world.proposer.prior)
    assert alone.decode(torch.empty(0, 512), semantic(0)).units == []


def test_batches_are_joined(world):
    texts = world.texts([3, 0, 7, 12, 5])
    whole = Cascade(world.proposer).decode(world.vectors(texts), semantic(5))
    parts = Cascade(world.proposer).decode_all(world.vectors(texts), semantic(5), 2, "parts")
    assert parts.units == whole.units == texts
    assert parts.proven.tolist() == whole.proven.tolist()
    assert parts.features.shape == whole.features.shape
    torch.testing.assert_close(parts.confidence, whole.confidence)


def test_clear_vectors_are_read_by_the_incremental_pass_alone(world, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("message passing was asked")

    decoder = Cascade(world.proposer)
    monkeypatch.setattr(AmpDecoder, "decode", fail)
    texts = world.texts([0, 5, 15])
    assert decoder.decode(world.vectors(texts), semantic(3)).units == texts
    with pytest.raises(AssertionError, match="was asked"):
        decoder.decode(world.vectors(world.texts([40])), semantic(1))


def test_the_likelier_text_is_kept_and_a_proof_for_good(world):
    """Unigram probabilities, and -O/2 ln of the energy that the text leaves."""
    target, prior = world.vectors([[5, 6, 7]] * 3), world.codebook.log_prior
    best = _Best(target, prior)
    best.offer(
        torch.tensor([1, 2]),
        Found([[5, 8], [9]], [[0.5, 0.4], [0.3]], torch.tensor([0.6, 0.2]), torch.tensor([False, False])),
    )
    expected = [prior[[5, 8]].sum().item() - 256 * math.log(0.64), prior[9].item() - 256 * math.log(0.96)]
    assert best.likelihood.tolist() == pytest.approx([-math.inf, *expected], rel=1e-4)
    later = Found([[1], [2]], [[0.9], [0.9]], torch.tensor([0.5, 0.5]), torch.tensor([False, True]))
    best.offer(torch.tensor([1, 2]), later)
    best.offer(torch.tensor([2]), Found([[3]], [[1.0]], torch.tensor([0.99]), torch.tensor([False])))
    assert best.units == [[], [5, 8], [2]]
    assert best.scores == [[], [0.5, 0.4], [0.9]]
    assert best.fit.tolist() == pytest.approx([0.0, 0.6, 0.5])
    assert best.proven.tolist() == [False, False, True]


@pytest.fixture(scope="module")
def narrow(make_world):
    """18 of 300 units in 96 dimensions, 5.3 a unit: message passing alone reads about half."""
    world = make_world(300, 96, positions=24)
    texts = world.drawn(40, 17, seed=1)
    alone = AmpDecoder(world.index, world.codebook, world.proposer.prior).decode(world.vectors(texts), semantic(40))
    return world, texts, exact(alone.units, texts)


@pytest.mark.parametrize(
    ("lengths", "retries", "more"),
    [(8, (AmpParams(),), 1), (1, (AmpParams(caution=0.8),), 1), (8, None, 2)],
)
def test_trying_again_finds_more_texts_and_loses_none(narrow, lengths, retries, more):
    """By other lengths alone, by bolder guesses alone, and by both as is usual."""
    world, texts, alone = narrow
    rules = CascadeParams() if retries is None else CascadeParams(lengths=lengths, retries=retries)
    result = Cascade(world.proposer, rules=rules).decode(world.vectors(texts), semantic(40))
    found = exact(result.units, texts)
    assert sum(found) >= sum(alone) + more
    assert all(after for before, after in zip(alone, found, strict=True) if before)
    assert result.proven.tolist() == found


def test_without_ways_nothing_is_tried_again(narrow):
    world, texts, alone = narrow
    decoder = Cascade(world.proposer, rules=CascadeParams(retries=()))
    assert exact(decoder.decode(world.vectors(texts), semantic(40)).units, texts) == alone


def test_likely_lengths_are_near_the_likeliest(narrow):
    """Within 12 nats of it, the likeliest first, and at most so many."""
    world, _, _ = narrow
    first, second, none = (torch.full((24,), NEVER) for _ in range(3))
    first[[4, 5, 6, 7]] = torch.tensor([30.0, 20.0, 19.0, 17.0])
    second[[10, 20, 22]] = torch.tensor([5.0, 7.0, 6.0])
    decoder, two = Cascade(world.proposer), Cascade(world.proposer, rules=CascadeParams(lengths=2))
    assert [decoder._likely_lengths(row) for row in (first, second, none)] == [[4, 5, 6], [20, 22, 10], []]
    assert [two._likely_lengths(row) for row in (first, second, none)] == [[4, 5], [20, 22], []]


@pytest.fixture
def tries(monkeypatch):
    """Lengths of every call that tries again."""
    asked, decode = [], AmpDecoder.decode_one

    def counted(self, order, semantic, ways, *more):
        asked.append([length for length, _ in ways])
        return decode(self, order, semantic, ways, *more)

    monkeypatch.setattr(AmpDecoder, "decode_one", counted)
    return asked


@pytest.mark.parametrize(
    ("found", "proven", "tried"),
    [
        ((4, 4, 0.95), False, []),  # sure, and of a likely length, though one with dimensions in plenty
        ((4, 4, 0.85), False, [6, 6]),
        ((4, 5, 0.95), False, [6, 6]),  # sure, but of a length that is not likely
        ((4, 4, 0.85), True, []),
        ((4, 2, 0.85), False, []),  # half of the energy in three codes: 16 squared deviations each, above 2 ln 300
    ],
)
def test_what_is_tried_again_and_at_which_lengths(narrow, tries, monkeypatch, found, proven, tried):
    """At 96 dimensions, 16 a unit: lengths from 6 on are tight. Found: likeliest length, units, their scores."""
    likeliest, units, score = found
    world, texts, _ = narrow
    evidence = torch.full((1, 24), NEVER)
    evidence[0, [likeliest, 6]] = torch.tensor([30.0, 19.0])
    settled = Settled(
        [list(range(1, units + 1))], [[score] * units], torch.tensor([0.7]), torch.tensor([proven]), evidence
    )
    monkeypatch.setattr(AmpDecoder, "decode", lambda *_, **__: settled)
    Cascade(world.proposer).decode(world.vectors(texts[:1]), semantic(1))
    assert [length for call in tries for length in call] == tried


def promising(decoder, likely, width, *, evident=False):
    return decoder._promising(torch.ones(width), torch.zeros(8), likely, evident=evident)


@pytest.fixture
def supported(monkeypatch):
    """Lengths that units speak for; all others they speak against."""
    spoken_for = set()

    def support(self, order, semantic, lengths):
        return torch.tensor([1.0 if n in spoken_for else -1.0 for n in lengths])

    monkeypatch.setattr(AmpDecoder, "support", support)
    return spoken_for


def test_long_texts_are_tried_at_few_lengths(narrow, supported):
    """400 positions in all, but one length in any case."""
    supported |= set(range(64, 300))
    decoder = Cascade(narrow[0].proposer)
    assert promising(decoder, [250, 160, 50, 30, 9], 1664) == [250]
    assert promising(decoder, [150, 103, 104, 140, 190, 110], 1664) == [150, 104, 140]
    assert promising(decoder, [150, 104, 190, 140], 1664) == [150, 104, 140]
    assert promising(decoder, [20, 4, 5, 6, 30], 96) == [20, 6, 30]
    few = Cascade(narrow[0].proposer, rules=CascadeParams(positions=10))
    assert promising(few, [20, 30], 96) == [20]
    assert promising(decoder, [3], 96) == []


def test_units_must_speak_for_a_long_text_and_nothing_evident_against_a_short_one(narrow, supported):
    decoder = Cascade(narrow[0].proposer)
    assert promising(decoder, [120, 110, 64, 63], 512) == [63]
    supported |= {110, 64}
    assert promising(decoder, [120, 110, 64, 63], 512) == [110, 64, 63]
    assert promising(decoder, [120, 110, 64, 63], 512, evident=True) == [110, 64]


def test_a_long_text_is_tried_at_its_length_and_noise_is_not(world, tries, monkeypatch):
    """30 units in 512 dimensions, counted as long: a text, and noise, of which EOS says the same."""
    evidence = torch.full((2, 65), NEVER)
    evidence[:, 30] = 10.0
    settled = Settled([[], []], [[], []], torch.zeros(2), torch.tensor([False, False]), evidence)
    monkeypatch.setattr(AmpDecoder, "decode", lambda *_, **__: settled)
    noise = torch.randn(1, 512, generator=torch.Generator().manual_seed(1))
    target = torch.cat((F.normalize(noise, dim=1), world.vectors(world.drawn(1, 30, seed=3))))
    known = fixed_units(65).expand(2, -1)  # nothing is known, but the incremental pass is not asked
    result = Cascade(world.proposer, rules=CascadeParams(long=20, tight=24)).decode(target, semantic(2), fixed=known)
    assert tries == [[30, 30]]
    assert result.proven.tolist() == [False, True]


def test_the_likeliest_lengths_are_tried_first_and_a_proof_ends_the_tries(narrow, tries, monkeypatch):
    world, texts, _ = narrow
    evidence = torch.arange(24.0)[None].clone()
    evidence[0, 17] = 30.0
    settled = Settled([[1]], [[0.5]], torch.zeros(1), torch.tensor([False]), evidence)
    monkeypatch.setattr(AmpDecoder, "decode", lambda *_, **__: settled)
    rules = CascadeParams(at_once=2, margin=1e3, retries=(AmpParams(), AmpParams(caution=0.8)))
    read = [Cascade(world.proposer, rules=rules).decode(world.vectors([text]), semantic(1)) for text in texts[:12]]
    first = [[17, 17, 23, 23], [22, 22, 21, 21], [20, 20, 19, 19], [18, 18, 16, 16]]
    expected = [first[:1] if found.proven[0] else first for found in read]
    assert {len(calls) for calls in expected} == {1, 4}
    assert tries == [call for calls in expected for call in calls]


def test_what_stands_out_further_than_any_wrong_code_is_evident(world):
    """2 ln 2000 = 15.2 squared deviations a code, 13 with EOS's: of 512 dimensions a cosine of .621, squared .386."""
    decoder = Cascade(world.proposer)
    assert decoder._evident(12, 0.622, 512)
    assert not decoder._evident(12, 0.620, 512)
    assert not decoder._evident(12, 0.622, 500)


def test_where_there_is_room_nothing_is_tried_again(world, tries):
    """At 512 dimensions for 13 units noise is to blame, and more tries would find it again."""
    text = world.drawn(1, 12, seed=2)
    known = fixed_units(64, p0=text[0][0])  # so that the incremental pass is not asked
    noise = torch.Generator().manual_seed(1)
    target = add_noise(world.vectors(text), torch.tensor([0.7]), noise)
    for rules in (CascadeParams(), CascadeParams(tight=1e3, sure=1.1)):
        Cascade(world.proposer, rules=rules).decode(target, semantic(1), fixed=known)
    assert tries == []
    target = add_noise(world.vectors(text), torch.tensor([0.6]), noise)  # 14 squared deviations a code: not evident
    Cascade(world.proposer, rules=CascadeParams(tight=1e3)).decode(target, semantic(1), fixed=known)
    assert any(12 in call for call in tries)
    assert max(map(len, tries)) <= CascadeParams().at_once * len(CascadeParams().retries)


@pytest.mark.parametrize("width", [96, 512])
def test_banned_units_never_appear(make_world, width):
    """Neither in what is found first nor in what is tried again."""
    world = make_world(300, width, positions=24)
    texts = [[5, 6, 7, 8, 9, 10], [6, 6], *world.drawn(3, 14, seed=1)]
    banned = [6, 9, *texts[2][:2]]
    free = Cascade(world.proposer).decode(world.vectors(texts), semantic(5))
    assert all(exact(free.units, texts))
    result = Cascade(world.proposer).without(banned).decode(world.vectors(texts), semantic(5))
    assert not {unit for units in result.units for unit in units} & {EOS, *banned}
    assert not result.proven[[0, 1, 2]].any()
    assert [result.units[0][place] for place in (0, 2, 3, 5)] == [5, 7, 8, 10]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_known_beginning_is_kept(narrow, wrong):
    world, texts, alone = narrow
    row = alone.index(True)
    first, second = texts[row][0], 250 if wrong else texts[row][1]
    fixed = fixed_units(24, p0=first, p1=second)
    result = Cascade(world.proposer).decode(world.vectors(texts[row : row + 1]), semantic(1), fixed=fixed)
    assert result.units[0][:2] == [first, second]
    assert bool(result.proven[0]) is not wrong


def test_what_is_known_helps(narrow):
    """With every third unit known, most of the others' texts are read too."""
    world, texts, alone = narrow
    fixed = torch.full((40, 24), -1)
    for row, text in enumerate(texts):
        fixed[row, 0:17:3] = torch.tensor(text[0:17:3])
    passing = Cascade(world.proposer).passing
    settled = passing.decode(world.vectors(texts), semantic(40), fixed=fixed)
    assert sum(exact(settled.units, texts)) > sum(alone) + 5


def test_confidence_is_calibrated_and_proofs_are_certain(world):
    texts = world.texts([4, 12, 20])
    target = world.vectors(texts)
    target[1:] = add_noise(target[1:], torch.tensor([0.9, 0.7]), torch.Generator().manual_seed(0))
    calibration = Calibration((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -1.0), (0.0, 0.0, 1.0))
    result = Cascade(world.proposer, calibration).decode(target, semantic(3))
    assert result.proven.tolist() == [True, False, False]
    assert result.confidence.tolist() == pytest.approx([1.0, 0.2689, 0.2689], abs=1e-4)
    assert result.scores[1] == pytest.approx([0.7311] * len(result.units[1]), abs=1e-4)


def test_noise_is_survived_but_proves_nothing(world):
    texts = world.texts([2, 5, 8, 11, 14] * 4, seed=2)
    target = add_noise(world.vectors(texts), torch.full((20,), 0.9), torch.Generator().manual_seed(1))
    result = Cascade(world.proposer).decode(target, semantic(20))
    assert sum(exact(result.units, texts)) >= 18
    assert not result.proven.any()
    assert result.fit.mean().item() == pytest.approx(0.9, abs=0.03)


def test_another_prior_changes_what_is_found(make_world):
    """A prior under which the text's own units are likely reads what the unigram prior does not."""
    world = make_world(300, 64, positions=24)
    text = world.texts([16], seed=3)[0]
    told = torch.full((300,), -12.0)
    told[text] = -2.0
    decoder = Cascade(world.proposer)
    told_so = decoder.changed(prior=Prior.fixed(told))
    results = [tried.decode(world.vectors([text]), semantic(1)) for tried in (decoder, told_so)]
    assert [result.units[0] == text for result in results] == [False, True]
