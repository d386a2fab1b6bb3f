import random
import runpy
from collections import Counter
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lexivert.text import ngrams
from lexivert.text.ngrams import BREAK, count_phrases, encode_texts
from lexivert.text.tokenizer import normalize, split_chunk
from lexivert.text.wikitext import looks_like_wikitext, tokenize_wikitext

BENCHMARK = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "counting.py"))


def rows_of(text):
    """The coded rows as lists of surfaces."""
    ends = np.flatnonzero(text.codes == BREAK)
    return [[text.surfaces[code] for code in row if code >= 0] for row in np.split(text.codes, ends + 1)[:-1]]


def surfaces_of(row):
    if looks_like_wikitext(row):
        return tuple(tokenize_wikitext(row))
    return tuple(surface for chunk in normalize(row).split() for surface in split_chunk(chunk))


def phrases_of(text, **options):
    eligible = np.array([surface.isalpha() for surface in text.surfaces])
    return {
        " ".join(text.surfaces[code] for code in codes): count
        for phrases in count_phrases(text, eligible, **options)
        for codes, count in zip(phrases.tokens.tolist(), phrases.counts.tolist(), strict=True)
    }


def test_rows_become_codes_with_breaks():
    text = encode_texts(["the cat, the", "", "cat didn't"])
    assert text.surfaces == ["the", "cat", ",", "did", "n't"]
    assert text.codes.tolist() == [0, 1, 2, 0, BREAK, BREAK, 1, 3, 4, BREAK]
    assert text.counts.tolist() == [2, 2, 1, 1, 1]


def test_wikitext_rows_share_tokens_with_plain_rows():
    text = encode_texts(["He didn 't , the red @-@ tipped", "He didn't, the red-tipped"])
    assert text.counts.tolist() == [2] * 6


# strange characters one by one, and the chunks that WikiText is known by
ROW = st.text(st.sampled_from("ab,.' é\u2003\x1c\x1f\u0085\n@-日\u0301"), max_size=12) | st.lists(
    st.sampled_from(["a", "don", "'t", "'s", ",", ";", "(", '"', "=", "@-@", "@,@", "@.@", "?", "!", ".", "a,", "1"]),
    max_size=5,
).map(" ".join)


@given(st.lists(ROW, max_size=6))
def test_coded_rows_are_the_tokenised_rows(rows):
    at_once = encode_texts(rows)
    with mock.patch.object(ngrams, "_BATCH_CHARACTERS", 8):  # every row or two a batch of its own
        batched = encode_texts(rows)
    for text in (at_once, batched):
        assert Counter(map(tuple, rows_of(text))) == Counter(map(surfaces_of, rows))
        assert text.counts.all()


def test_an_invalid_row_of_a_later_batch_is_reported(monkeypatch):
    monkeypatch.setattr(ngrams, "_BATCH_CHARACTERS", 8)
    with pytest.raises(ValueError, match="lone surrogate"):
        encode_texts(["the cat sat", "the dog", "a \ud800"])


def test_phrases_worked_by_hand():
    text = encode_texts(["a b a b a", "b a , b a b"])
    # by row: ab ba ab ba | ba ba ab;  aba bab aba | bab
    assert phrases_of(text, min_count=2, longest=7) == {"a b": 3, "b a": 4, "a b a": 2, "b a b": 2}


def test_phrases_cross_neither_rows_nor_other_tokens():
    assert phrases_of(encode_texts(["x y", "y x , y x 7 y"]), min_count=1, longest=3) == {"x y": 1, "y x": 2}


def test_no_phrase_in_empty_text():
    text = encode_texts([])
    assert count_phrases(text, np.zeros(0, dtype=bool), min_count=1, longest=7) == []


@pytest.mark.parametrize("min_count", [1, 2, 5])
@pytest.mark.parametrize("longest", [2, 7])
def test_phrases_equal_a_plain_count(min_count, longest, monkeypatch):
    monkeypatch.setattr(ngrams, "_BLOCK", 37)  # many blocks
    rng = random.Random(7)
    rows = [[rng.choice("aaaabbbccde.") for _ in range(rng.randrange(30))] for _ in range(60)]
    expected = Counter(
        gram
        for row in rows
        for n in range(2, longest + 1)
        for start in range(len(row) - n + 1)
        if "." not in (gram := " ".join(row[start : start + n]))
    )
    text = encode_texts(" ".join(row) for row in rows)
    found = phrases_of(text, min_count=min_count, longest=longest)
    assert found == {gram: count for gram, count in expected.items() if count >= min_count}


def test_benchmark_counts_equal_the_plain_implementation():
    rows = list(BENCHMARK["zipf_rows"](3_000, 300))[:300]
    params = BENCHMARK["params_for"](3)
    fast = BENCHMARK["by_kind"](BENCHMARK["fast_counts"](rows, params))
    assert fast == BENCHMARK["plain_counts"](rows, params)
    assert min(len(fast[kind]) for kind in ("word", "entity", "ngram", "number")) > 5
