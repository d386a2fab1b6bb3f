from __future__ import annotations

import pytest
import torch

from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import superpose
from lexivert.controller.controller import Controller
from lexivert.controller.language_search import LanguageSearch
from lexivert.controller.results import DecodeResult
from lexivert.controller.trace import replay
from lexivert.controller.verification import fit
from lexivert.reading import Reader, Reading
from lexivert.text import banned
from lexivert.text.lexicon import WIKITEXT


class Told:
    """A decoder that reads the same units whatever it is given."""

    def __init__(self, codebook, units, score, verified):
        self.codebook, self.units, self.verified = codebook, units, verified
        self.scores = [score, *[0.9] * (len(units) - 1)]

    def decode(self, observed, *, trace=False, **budget):
        steps = replay(observed.order, self.codebook, self.units, self.scores) if trace else []
        certain, sure = torch.tensor([self.verified]), torch.tensor([0.6])
        return DecodeResult([self.units], [self.scores], torch.tensor([0.7]), certain, [steps], confidence=sure)


@pytest.fixture
def read(tiny_model):
    """Reads ``ORDER`` as some units behind ``<wikitext>``, of which the decoder is so sure."""

    def run(units, score, verified, *, trace=False) -> Reading:
        encoder, decoder = tiny_model.encoder, Told(tiny_model.decoder.codebook, [WIKITEXT, *units], score, verified)
        reader = Reader(encoder, decoder, "")
        return reader.decode(ORDER, torch.ones(1, 32), trace=trace)[0]

    return run


ORDER = torch.nn.functional.normalize(torch.randn(1, 224, generator=torch.Generator().manual_seed(0)), dim=1)


@pytest.mark.parametrize(("score", "verified", "kept"), [(0.4, False, False), (0.6, False, True), (0.4, True, True)])
def test_wikitexts_convention_is_written_only_where_it_is_likely(tiny_model, read, score, verified, kept):
    units = tiny_model.encoder.segmenter.segment("the moon, the old-hearted moon.")
    plain, spaced = (tiny_model.encoder.segmenter.join([*mark, *units]) for mark in ([], [WIKITEXT]))
    assert "@-@" in spaced
    reading = read(units, score, verified)
    assert reading.text == (spaced if kept else plain)
    assert ("<wikitext>" in reading.units) is kept
    assert len(reading.units) == len(reading.scores)


def test_what_is_said_of_a_text_without_a_doubtful_mark_is_said_of_that_text(tiny_model, read):
    """Its units stand a position before where they were read, so it fits otherwise and is not the likely one."""
    units = tiny_model.encoder.segmenter.segment("the moon, the old-hearted moon.")
    codebook = tiny_model.decoder.codebook
    reading = read(units, 0.4, verified=False, trace=True)
    cosine = float(fit(ORDER, superpose([units], codebook.codes, codebook.binding)))
    assert reading.fit == pytest.approx(max(cosine, 0.0), abs=1e-6)
    assert reading.confidence == 0.0
    assert reading.steps[-1].buffer == tuple(units)
    assert {step.position for step in reading.steps[1:]} == set(range(len(units)))
    assert reading.steps[-1].residual == pytest.approx((1 - cosine**2) ** 0.5, abs=1e-3)
    kept = read(units, 0.6, verified=False, trace=True)
    assert (kept.fit, kept.confidence) == (pytest.approx(0.7), pytest.approx(0.6))
    assert kept.steps[-1].buffer == (WIKITEXT, *units)
    assert read(units, 0.4, verified=False).steps == ()


def test_a_text_is_searched_once_whatever_spellings_of_its_beginning_were_tried(tiny_model, monkeypatch):
    searched, read, decode, read_with = [], [], LanguageSearch.decode, Controller.decode

    def recorded(self, units, observed, effort):
        searched.append(observed.known)
        return decode(self, units, observed, effort)

    def read_recorded(self, observed, **options):
        read.append(options["effort"])
        return read_with(self, observed, **options)

    monkeypatch.setattr(LanguageSearch, "decode", recorded)
    monkeypatch.setattr(Controller, "decode", read_recorded)
    clean = torch.from_numpy(tiny_model.encode(["The old captain saw the river."]))
    noisy = add_noise(clean, torch.tensor([0.4]), torch.Generator().manual_seed(3)).numpy()
    reading = tiny_model.read(noisy, prefix="The old", effort="normal", max_seconds=0.5)[0]
    assert reading.text.startswith("The old")
    assert (len(read) > 2, read) == (True, ["draft"] * (len(read) - 1) + ["normal"])
    (known,) = searched
    starts = Reader(tiny_model.encoder, tiny_model.decoder, "The old").starts
    assert known[known >= 0].tolist() in starts


def test_all_units_are_looked_through_once_a_model(tiny_model, monkeypatch):
    """Texts from meaning alone avoid WikiText's marks, which units spell is found out for the first of them."""
    prefixes = tiny_model.encode(["The old captain saw the river."])[:, : tiny_model.semantic_width]
    tiny_model.generate(prefixes)
    read, letters_of = [], banned.letters_of
    monkeypatch.setattr(banned, "letters_of", lambda text: read.append(text) or letters_of(text))
    tiny_model.generate(prefixes)
    assert len(read) < len(tiny_model.encoder.segmenter.lexicon)
    tiny_model.generate(prefixes, banned=["river"])
    assert len(read) >= len(tiny_model.encoder.segmenter.lexicon) - 263
