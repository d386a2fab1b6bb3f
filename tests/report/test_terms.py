"""Labels and what explains them."""

from __future__ import annotations

import pytest

from lexivert.data.embedded import EMBEDDED_SOURCES
from lexivert.evaluation.decoders import label_of
from lexivert.evaluation.neighbours import PHRASE_TAGS, TAGS
from lexivert.evaluation.robustness import ALL_DECODERS, LIMITS, condition_label
from lexivert.evaluation.round_trip import DECODERS_TRIED
from lexivert.report.sections.sentences import PARTS
from lexivert.report.sections.units import SPACES
from lexivert.report.terms import SAME, TERMS, Piece, anchor, explanation, pieces, used
from lexivert.text.lexicon import COUNTED_KINDS


def terms(label: str) -> list[str]:
    return [piece.term for piece in pieces(label)]


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("exact", ["exact"]),
        ("cascade, unigram prior, noisy", ["cascade, unigram prior", "noisy"]),
        ("author of sentence, full vector", ["author of sentence", "full vector"]),
        ("12 words, noisy, cosine 0.8", ["", "noisy", "noisy"]),
        ("noun.animal", ["lexicographer class"]),
        ("width 192, stored as int8", ["width", "stored as"]),
        ("of nothing", [""]),
    ],
)
def test_labels_are_cut_into_the_longest_terms(label, expected):
    assert terms(label) == expected
    assert ", ".join(piece.text for piece in pieces(label)) == label


def test_an_explanation_names_the_terms_where_there_are_several():
    assert explanation("exact") == TERMS["exact"]
    assert explanation("cascade, unigram prior, noisy") == (
        f"cascade, unigram prior: {TERMS['cascade, unigram prior']} noisy: {TERMS['noisy']}"
    )
    assert explanation("of nothing") == ""
    assert Piece("of nothing").explanation == ""


def test_used_terms_are_listed_once_in_one_order():
    assert list(used(["noisy", "exact", "clean", "exact", "of nothing"])) == ["exact", "clean", "noisy"]


@pytest.mark.parametrize(
    "label",
    [
        *map(label_of, (*DECODERS_TRIED, *ALL_DECODERS)),
        *LIMITS.values(),
        *SPACES.values(),
        *PARTS.values(),
        *TAGS,
        *PHRASE_TAGS,
        *COUNTED_KINDS,
        *EMBEDDED_SOURCES,
        *map(condition_label, ("width_192", "cosine_0.7-storage_int8", "length_48", "storage_sign")),
    ],
)
def test_every_name_of_a_registry_is_explained(label):
    assert all(terms(label))


def test_explanations_are_a_line_each_and_have_places_of_their_own():
    assert all(text.endswith((".", "”")) and len(text) <= 100 for text in TERMS.values())
    assert len({anchor(term) for term in TERMS}) == len(TERMS)
    assert {term for _, term in SAME} <= set(TERMS)
