from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.cascade import Cascade
from lexivert.controller.easy_first import EasyFirst
from lexivert.controller.restarts import Restarts
from lexivert.text.lexicon import EOS
from sections import section


def cascade(world, **changes):
    return Cascade(replace(world.parts, params=section("controller", cascade=changes)))


def exact(found, texts):
    return [units == text for units, text in zip(found, texts, strict=True)]


def known_units(positions, **units):
    line = torch.full((1, positions), -1)
    for place, unit in units.items():
        line[0, int(place[1:])] = unit
    return line


@pytest.fixture(scope="module")
def decoded(world):
    """One text of each length from 0 to 40, read back without noise: up to 20 units by easy-first decoding."""
    texts = world.texts(list(range(41)))
    return texts, cascade(world).decode(world.observed(world.vectors(texts)), trace=True)


def test_texts_of_every_length_are_read_exactly(decoded):
    texts, found = decoded
    assert found.units == texts
    assert found.verified.all()
    assert found.fit.min() > 0.9999
    assert [len(scores) for scores in found.scores] == list(range(41))


def test_the_trace_ends_in_the_text(decoded):
    texts, found = decoded
    for text, steps in zip(texts, found.steps, strict=True):
        assert steps[0].unit == EOS
        assert list(steps[-1].buffer) == text
        assert steps[-1].residual < 0.01
        for step in steps:
            assert step.position == len(step.buffer) or step.buffer[step.position] == step.unit


def test_a_text_found_by_message_passing_is_rebuilt_the_surest_first(make_world):
    world = make_world(300, 96, positions=24)
    texts = world.drawn(4, 12, seed=1)
    found = cascade(world).decode(world.observed(world.vectors(texts)), trace=True)
    for steps, units in zip(found.steps, found.units, strict=True):
        assert [step.unit for step in steps[:1]] == [EOS]
        assert steps[0].position == len(units)
        scores = [step.score for step in steps[1:]]
        assert scores == sorted(scores, reverse=True)
        assert sorted(step.position for step in steps[1:]) == list(range(len(units)))
        assert list(steps[-1].buffer) == units


def test_trace_and_length_of_the_vector_change_nothing(world, decoded):
    texts, _ = decoded
    chosen = texts[3:40:6]
    found = cascade(world).decode(world.observed(1e-3 * world.vectors(chosen)))
    assert found.units == chosen
    assert found.steps == [[] for _ in chosen]


def test_a_text_does_not_depend_on_its_batch(world):
    texts = world.texts([7, 25, 1, 0, 33], seed=4)
    order = add_noise(world.vectors(texts), torch.full((5,), 0.9), torch.Generator().manual_seed(1))
    decoder = cascade(world)
    together = decoder.decode(world.observed(order))
    for row in range(5):
        alone = decoder.decode(world.observed(order[row : row + 1]))
        assert alone.units[0] == together.units[row]
        assert alone.fit.item() == pytest.approx(together.fit[row].item(), abs=1e-4)


def test_no_texts_at_all(world):
    found = cascade(world).decode(world.observed(torch.empty(0, 512)))
    assert (found.units, found.scores, found.steps) == ([], [], [])
    assert found.fit.shape == found.verified.shape == (0,)


@pytest.fixture
def asked(monkeypatch):
    """Lengths of every restart, and how many vectors easy-first decoding and message passing were given."""
    noted = {"easy_first": [], "amp": [], "restarts": []}
    easy_first, amp, restart = EasyFirst.decode, AmpDecoder.run, Restarts.restart

    def of_easy_first(self, observed, **options):
        noted["easy_first"].append(len(observed))
        return easy_first(self, observed, **options)

    def of_amp(self, observed, **options):
        noted["amp"] += [] if options else [len(observed)]  # a restart has options
        return amp(self, observed, **options)

    def of_restarts(self, observed, pairs):
        noted["restarts"].append([length for length, _ in pairs])
        return restart(self, observed, pairs)

    monkeypatch.setattr(EasyFirst, "decode", of_easy_first)
    monkeypatch.setattr(AmpDecoder, "run", of_amp)
    monkeypatch.setattr(Restarts, "restart", of_restarts)
    return noted


def test_each_vector_is_read_by_the_algorithm_that_suits_its_load(world, asked):
    """512 dimensions are 24 a unit at 20 units, EOS counted at 21."""
    texts = world.texts([0, 40, 15, 20, 21])
    assert cascade(world).decode(world.observed(world.vectors(texts))).units == texts
    assert asked == {"easy_first": [3], "amp": [2], "restarts": []}


def test_a_vector_of_zeros_and_a_text_that_is_partly_known_are_not_for_easy_first_decoding(world, asked):
    cascade(world, restarts=[]).decode(world.observed(torch.zeros(1, 512)))
    texts = world.texts([5])
    known = known_units(65, p0=texts[0][0])
    assert cascade(world).decode(world.observed(world.vectors(texts), known)).units == texts
    assert asked["easy_first"] == []
    assert asked["amp"] == [1, 1]


@pytest.fixture(scope="module")
def narrow(make_world):
    """18 of 300 units in 96 dimensions, 5.3 a unit: message passing alone reads about half."""
    world = make_world(300, 96, positions=24)
    texts = world.drawn(40, 17, seed=1)
    alone = cascade(world).amp.decode(world.observed(world.vectors(texts)))
    return world, texts, exact(alone.units, texts)


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"lengths": 8, "restarts": [{"damping": 0.3, "variance_scale": 1.0}]}, 1),
        ({"lengths": 1, "restarts": [{"damping": 0.3, "variance_scale": 0.8}]}, 1),
        ({}, 2),
    ],
)
def test_restarts_find_more_texts_and_lose_none(narrow, changes, more):
    """By other lengths alone, by bolder guesses alone, and by both as is usual."""
    world, texts, alone = narrow
    found = cascade(world, **changes).decode(world.observed(world.vectors(texts)))
    right = exact(found.units, texts)
    assert sum(right) >= sum(alone) + more
    assert all(after for before, after in zip(alone, right, strict=True) if before)
    assert found.verified.tolist() == right


def test_without_restarts_message_passing_has_the_last_word(narrow):
    world, texts, alone = narrow
    found = cascade(world, restarts=[]).decode(world.observed(world.vectors(texts)))
    assert exact(found.units, texts) == alone


def test_a_verified_text_ends_the_restarts_of_its_vector(narrow, asked):
    """Two runs a length: where the first two give it, the third is left alone; where none does, all have their turn.

    No length has where what was found stands out as no wrong text could.
    """
    world, texts, alone = narrow
    rows = [row for row, right in enumerate(alone) if not right][:8]
    decoder = cascade(world, batch=4, margin=1e3, lengths=3, sure=2.0, overloaded_below=1e3)
    counts = []
    for row in rows:
        asked["restarts"].clear()
        found = decoder.decode(world.observed(world.vectors([texts[row]])))
        counts.append((bool(found.verified[0]), [len(call) for call in asked["restarts"]]))
    uncertain = [calls for certain, calls in counts if not certain]
    assert all(calls in ([4, 2], []) for calls in uncertain)
    assert [4, 2] in uncertain
    assert (True, [4]) in counts


def test_where_there_is_room_nothing_is_restarted(world, asked):
    """At 512 dimensions for 13 units noise is to blame, and restarts would find it again."""
    text = world.drawn(1, 12, seed=2)
    known = known_units(65, p0=text[0][0])  # so that easy-first decoding is not asked
    noise = torch.Generator().manual_seed(1)
    order = add_noise(world.vectors(text), torch.tensor([0.7]), noise)
    for changes in ({}, {"overloaded_below": 1e3, "sure": 1.1}):
        cascade(world, **changes).decode(world.observed(order, known))
    assert asked["restarts"] == []
    order = add_noise(world.vectors(text), torch.tensor([0.6]), noise)  # 14 squared deviations a code: not detected
    cascade(world, overloaded_below=1e3).decode(world.observed(order, known))
    assert any(12 in call for call in asked["restarts"])
    rules = world.params.cascade
    assert max(map(len, asked["restarts"])) <= rules.batch


@pytest.mark.parametrize("width", [96, 512])
def test_units_that_are_ruled_out_never_appear(make_world, width):
    """Neither in what is found first nor in restarts."""
    world = make_world(300, width, positions=24)
    texts = [[5, 6, 7, 8, 9, 10], [6, 6], *world.drawn(3, 14, seed=1)]
    banned = [6, 9, *texts[2][:2]]
    observed = world.observed(world.vectors(texts))
    assert all(exact(cascade(world).decode(observed).units, texts))
    found = Cascade(world.parts.with_prior(world.prior.without(banned))).decode(observed)
    assert not {unit for units in found.units for unit in units} & {EOS, *banned}
    assert not found.verified[[0, 1, 2]].any()
    assert [found.units[0][place] for place in (0, 2, 3, 5)] == [5, 7, 8, 10]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_known_beginning_is_kept(narrow, wrong):
    world, texts, alone = narrow
    row = alone.index(True)
    first, second = texts[row][0], 250 if wrong else texts[row][1]
    known = known_units(24, p0=first, p1=second)
    found = cascade(world).decode(world.observed(world.vectors(texts[row : row + 1]), known))
    assert found.units[0][:2] == [first, second]
    assert bool(found.verified[0]) is not wrong


def test_what_is_known_helps(narrow):
    """With every third unit known, most of the others' texts are read too."""
    world, texts, alone = narrow
    known = torch.full((40, 24), -1)
    for row, text in enumerate(texts):
        known[row, 0:17:3] = torch.tensor(text[0:17:3])
    found = cascade(world).amp.decode(world.observed(world.vectors(texts), known))
    assert sum(exact(found.units, texts)) > sum(alone) + 5


def test_noise_is_survived_but_verifies_nothing(world):
    texts = world.texts([2, 5, 8, 11, 14] * 4, seed=2)
    order = add_noise(world.vectors(texts), torch.full((20,), 0.9), torch.Generator().manual_seed(1))
    found = cascade(world).decode(world.observed(order))
    assert sum(exact(found.units, texts)) >= 18
    assert not found.verified.any()
    assert found.fit.mean().item() == pytest.approx(0.9, abs=0.03)
