from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.encoder import Encoder
from lexivert.config import ModelConfig
from lexivert.generation.base import GENERATORS, Generator, GeneratorParts, Request
from lexivert.generation.hill_climbing import HillClimbing, hill_climbing
from lexivert.generation.in_units import UnitWriter
from lexivert.generation.mask_predict import equal_draws
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.text.segmentation import Segmenter

FIRST = len(RESERVED)
"""Id of the first of sixty words."""
WORDS = [first + second for first in "bcdfghjklm" for second in "aeiouy"]
WANTED = torch.eye(4)[:2]
"""Embeddings of words that four divides, and of words that leave 1."""


class RestCounter:
    """A sentence encoder: how many of a text's words have a number that leaves 0, 1, 2 and 3, divided by four."""

    width = 4

    def encode(self, texts, *, progress=""):
        rests = [np.array([WORDS.index(word) % 4 for word in text.split()], dtype=np.int64) for text in texts]
        return np.stack([np.bincount(rest, minlength=4).astype(np.float32) for rest in rests])

    def fingerprint(self):
        return "rests"


@pytest.fixture
def encoder(tiny_params):
    """Texts of at most eleven of sixty words."""
    code = tiny_params.code.model_copy(update={"max_units": 11})
    config = ModelConfig.of(tiny_params.model_copy(update={"code": code}), 4)
    surfaces = (*RESERVED, *WORDS)
    zeros = np.zeros(len(surfaces), dtype=np.int64)
    lexicon = Lexicon(surfaces, ("word",) * len(surfaces), zeros, zeros)
    return Encoder(config, RestCounter(), Segmenter(lexicon), torch.zeros(len(surfaces), config.order_width).half())


@pytest.fixture
def climber(encoder, told):
    """A prior to which all words are alike and texts have eleven units, each word at most once."""
    bias = torch.zeros(FIRST + 60)
    bias[:FIRST] = -1e4  # words alone

    def make(rounds=12):
        return HillClimbing(encoder, told(FIRST + 60, (), 11, bias), rounds, repeatable=0)

    return make


def words(*numbers):
    return [FIRST + number for number in numbers]


def beginning(*numbers):
    known = torch.full((2, 12), -1)
    known[:, : len(numbers)] = torch.tensor(words(*numbers))
    return known


def cosines(encoder, texts):
    written = [encoder.segmenter.join(text) for text in texts]
    return F.cosine_similarity(torch.from_numpy(encoder.backbone.encode(written)), WANTED)


def test_it_writes_in_units_and_is_a_generator_that_is_registered(climber, encoder, told):
    assert isinstance(climber(), UnitWriter)
    assert GENERATORS.make("hill_climbing") is hill_climbing
    bias = torch.zeros(FIRST + 60)
    bias[:FIRST] = -1e4
    generator = hill_climbing(GeneratorParts(encoder, told(FIRST + 60, (), 11, bias)))
    assert isinstance(generator, Generator)
    (found, _) = generator.generate(Request(WANTED, count=2, effort="draft", prefix=WORDS[31]))
    assert [candidate.text.split()[0] for candidate in found] == [WORDS[31]] * 2
    assert found[0].cosine >= found[1].cosine
    written = [candidate.text for candidate in found]
    expected = F.cosine_similarity(torch.from_numpy(encoder.backbone.encode(written)), WANTED[:1])
    assert [candidate.cosine for candidate in found] == pytest.approx(expected.tolist())


def test_another_seed_is_another_text(climber):
    assert climber(0).write(WANTED, seed=1) != climber(0).write(WANTED, seed=2)


def test_revisions_come_nearer_and_keep_what_is_known(encoder, climber):
    """With the drafts alone, then with more and more rounds: never further away, in the end much nearer."""
    near = []
    for rounds in (0, 1, 4, 12):
        texts = climber(rounds).write(WANTED, beginning(31))  # leaves 3
        assert [(len(text), text[0]) for text in texts] == [(11, FIRST + 31)] * 2
        near.append(cosines(encoder, texts))
    for before, after in itertools.pairwise(near):
        assert (after >= before).all()
    assert (near[-1] > near[0] + 0.05).all()


def test_without_anything_known(encoder, climber):
    texts = climber().write(WANTED)
    assert [len(text) for text in texts] == [11, 11]
    assert texts == climber().write(WANTED)
    assert (cosines(encoder, texts) > 0.7).all()


def test_units_that_are_ruled_out_are_not_written(climber):
    banned = words(*range(0, 60, 4))
    texts = climber().without(banned).write(WANTED)
    assert not set(banned) & {unit for text in texts for unit in text}


def test_a_revision_writes_a_few_units_anew(climber):
    """Of eleven units of which two are known, 15 % of nine and at least one; the same again for the same seed."""
    known, own = beginning(31, 31), climber()
    texts = [words(31, 31, *range(2, 20, 2))] * 2
    counts = []
    for seed in range(200):
        revised = own.revised(WANTED, texts, known, equal_draws(seed, 2))
        assert [text[:2] for text in revised] == [words(31, 31)] * 2
        assert [len(text) for text in revised] == [11, 11]
        pairs = zip(texts, revised, strict=True)
        changed = [sum(a != b for a, b in zip(old, new, strict=True)) for old, new in pairs]
        assert changed[0] == changed[1]  # the same draws; prefixes that say the same
        counts.append(changed[0])
    assert counts.count(0) < 10  # an opened place may be given the unit that stood there
    assert 1.2 < np.mean(counts) < 1.8
    assert own.revised(WANTED, texts, known, equal_draws(7, 2)) == own.revised(
        WANTED, texts, known, equal_draws(7, 2)
    )
    assert own.revised(WANTED, [words(31, 31)] * 2, known, equal_draws(0, 2)) == [words(31, 31)] * 2


def test_the_nearest_of_the_texts_is_kept_and_of_equals_the_old_one(climber):
    first, second = [words(4, 5), words(5, 6)], [words(4, 8), words(9, 7)]
    texts, near = climber().nearer(WANTED, [first, second], [words(9), words(8)], torch.full((2,), -1.0))
    assert texts == [words(4, 8), words(5, 6)]
    assert near.tolist() == pytest.approx([1.0, 0.5**0.5])
    again, same = climber().nearer(WANTED, [[words(8, 8), words(9, 6)]], texts, near)
    assert (again, same.tolist()) == (texts, near.tolist())
