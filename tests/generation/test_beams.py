from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
import torch

from lexivert.generation import beams

END = 0


@dataclass(frozen=True)
class Chain:
    """A Markov chain of second order over a few tokens, as ``beams.Steps``; nothing but its end follows the end."""

    table: torch.Tensor  # (T, T, T): log probability of a token behind two others
    last: torch.Tensor  # (R, 2): the last two tokens of each beginning

    @classmethod
    def of(cls, tokens, rows, seed=0):
        logits = torch.randn(tokens, tokens, tokens, generator=torch.Generator().manual_seed(seed)).double() * 1.5
        return cls(logits.log_softmax(dim=2), torch.zeros(rows, 2, dtype=torch.int64))

    def __len__(self):
        return len(self.last)

    def choices(self, count):
        return self.table[self.last[:, 0], self.last[:, 1]].topk(min(count, len(self.table)), dim=1)

    def moved(self, rows, tokens):
        return Chain(self.table, torch.stack((self.last[rows, 1], tokens), dim=1))

    def log_probability(self, text):
        path = [0, 0, *text, END]
        return sum(float(self.table[tuple(path[place : place + 3])]) for place in range(len(path) - 2))


def exhaustive(chain, tokens, longest):
    """All texts of at most so many tokens, the likeliest first."""
    texts = [
        list(text) for length in range(longest + 1) for text in itertools.product(range(1, tokens), repeat=length)
    ]
    return sorted(((chain.log_probability(text), text) for text in texts), key=lambda one: -one[0])


@pytest.mark.parametrize("seed", range(5))
def test_a_wide_beam_finds_what_exhaustive_search_does(seed):
    chain = Chain.of(4, 1, seed)
    every = exhaustive(chain, 4, 4)
    found = beams.search(chain, 400, 5, END)[0]
    ended = [beam for beam in found if beam.ended]
    assert len(ended) == len(every) == 1 + 3 + 9 + 27 + 81
    for beam, (log_probability, text) in zip(ended, every, strict=True):
        assert beam.log_probability == pytest.approx(log_probability)
        assert beam.tokens == text


def test_a_narrow_beam_is_greedy_at_width_one():
    chain = Chain.of(6, 1, 3)
    text, last, greedy = [], chain, 0.0
    while len(text) < 12:
        token = int(last.choices(1)[1][0, 0])
        greedy += float(last.choices(1)[0][0, 0])
        if token == END:
            break
        text.append(token)
        last = last.moved(torch.tensor([0]), torch.tensor([token]))
    (found,) = beams.search(chain, 1, 12, END)[0]
    assert (found.tokens, found.ended) == (text, token == END)
    assert found.log_probability == pytest.approx(greedy)


def test_groups_do_not_see_each_other():
    three = beams.search(Chain.of(5, 3), 4, 6, END)
    alone = beams.search(Chain.of(5, 1), 4, 6, END)[0]
    assert three == [alone] * 3


def test_what_never_ends_is_given_back_as_it_is():
    chain = Chain.of(3, 1)
    table = chain.table.clone()
    table[:, :, END] = -torch.inf
    found = beams.search(Chain(table, chain.last), 2, 4, END)[0]
    assert [(len(beam.tokens), beam.ended) for beam in found] == [(4, False)] * 2


def test_draws_are_different_texts_and_the_same_for_the_same_seed():
    def draw(seed):
        return beams.search(Chain.of(5, 1), 6, 8, END, [torch.Generator().manual_seed(seed)], tried=5)[0]

    for seed in range(20):
        found = draw(seed)
        assert len({tuple(beam.tokens) for beam in found}) == len(found) == 6
        assert found == draw(seed)
    assert draw(0) != draw(1)


def test_the_first_draw_comes_as_often_as_its_probability_says():
    """Of draws without replacement the first is an ordinary one (Kool et al. 2019)."""
    chain, count = Chain.of(3, 200, 1), 200
    firsts = []
    for seed in range(3):
        draws = [torch.Generator().manual_seed(1000 * seed + row) for row in range(count)]
        firsts += [tuple(own[0].tokens) for own in beams.search(chain, 3, 80, END, draws, tried=3)]
    for text in ((), (1,), (2,), (1, 2)):
        expected = torch.tensor(chain.log_probability(list(text))).exp().item()
        observed = firsts.count(text) / len(firsts)
        assert abs(observed - expected) < 4 * (expected * (1 - expected) / len(firsts)) ** 0.5 + 1e-3


def test_log_probabilities_of_draws_are_their_own():
    chain = Chain.of(4, 1, 2)
    for beam in beams.search(chain, 8, 6, END, [torch.Generator().manual_seed(0)], tried=4)[0]:
        if beam.ended:
            assert beam.log_probability == pytest.approx(chain.log_probability(beam.tokens))
