from __future__ import annotations

import collections
import re

import datasets
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from lexivert.arguments import (
    check_banned,
    check_count,
    check_effort,
    check_query,
    check_seconds,
    check_strings,
    check_text,
    check_texts,
    check_vectors,
    refuse_table,
)
from lexivert.errors import RowError

TEXTS = ["a b", "c"]
COLUMNS = {"id": [1, 2], "text": TEXTS, "vector": [[1.0, 2.0, 0.5, 0.25], [3.0, 4.0, 0.5, 0.25]]}
VECTORS = np.array(COLUMNS["vector"])


def tables():
    dataset = datasets.Dataset.from_dict(COLUMNS)
    records = np.array([(1, "a", 0.5)], dtype=[("id", int), ("text", "U3"), ("vector", float)])
    return {
        "dict": COLUMNS,
        "defaultdict": collections.defaultdict(list, COLUMNS),
        "UserDict": collections.UserDict(COLUMNS),
        "DataFrame": pd.DataFrame(COLUMNS),
        "Table": pa.table(COLUMNS),
        "RecordBatch": pa.record_batch(COLUMNS),
        "Dataset": dataset,
        "IterableDataset": dataset.to_iterable_dataset(),
        "slice": dataset[:2],
        "ndarray": records,
        "recarray": records.view(np.recarray),
    }


def text_columns():
    dataset = datasets.Dataset.from_dict(COLUMNS)
    return [
        TEXTS,
        tuple(TEXTS),
        iter(TEXTS),
        dict.fromkeys(TEXTS).keys(),
        {1: "a b", 2: "c"}.values(),
        np.array(TEXTS),
        pd.Series(TEXTS, index=["columns", "column_names"]),
        pd.Index(TEXTS),
        pd.Categorical(TEXTS),
        pa.table(COLUMNS)["text"],
        pa.array(TEXTS),
        dataset["text"],
        dataset[:]["text"],
        dataset.to_iterable_dataset()["text"],
    ]


@pytest.mark.parametrize("name", tables())
def test_a_table_is_refused_and_a_column_named(name):
    kind = "dict" if name == "slice" else name
    for check, argument, column in (
        (check_texts, "texts", "text"),
        (lambda table: check_vectors(table, 4, 2), "vectors", "vector"),
        (lambda table: check_query(table, 4), "query", "vector"),
    ):
        message = f"{argument} is a table (of type {kind}); give one of its columns, such as {argument}['{column}']"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            check(tables()[name])


def test_tables_without_columns_are_tables():
    for empty in ({}, pd.DataFrame()):
        with pytest.raises(ValueError, match=r"give one of its columns$"):
            check_texts(empty)
    with pytest.raises(ValueError, match=r"such as texts\['train'\]"):
        check_texts(datasets.DatasetDict({"train": datasets.Dataset.from_dict(COLUMNS)}))


@pytest.mark.parametrize("number", range(len(text_columns())))
def test_columns_of_texts(number):
    assert check_texts(text_columns()[number]) == TEXTS


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("one", "texts is one string; give a list of strings"),
        (None, "texts is of type NoneType; give a list of strings"),
        (b"bytes", "texts is of type bytes"),
        (bytearray(b"bytes"), "texts is of type bytearray"),
        (True, "texts is of type bool"),
        (1.5, "texts is of type float"),
        ({"a", "b"}, "texts is a set, which has no order"),
        (frozenset({"a"}), "texts is a frozenset, which has no order"),
        (np.array("a"), "texts is a single value"),
        (torch.tensor(1), "texts is a single value"),
        (["a", None], "text 1 is None; give strings"),
        (["a", 3], "text 1 is of type int; give strings"),
        (["a", "b", True], "text 2 is of type bool"),
        ([float("nan")], "text 0 is of type float"),
        ([b"a"], "text 0 is of type bytes"),
        ([["a"]], "text 0 is of type list"),
        ([{"text": "a"}], "text 0 is of type dict"),
        (pd.Series(["a", None]), "text 1 is "),
        (pa.array(["a", None]), "text 1 is None"),
    ],
)
def test_what_is_no_list_of_strings_is_named_with_its_place(wrong, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_texts(wrong)


def test_one_text():
    assert check_text("a") == "a"
    for wrong, message in ((None, "text is None"), (3, "text is of type int"), (["a"], "text is of type list")):
        with pytest.raises(ValueError, match=f"^{message}; give a string"):
            check_text(wrong)


@pytest.mark.parametrize(
    "given",
    [
        VECTORS.tolist(),
        VECTORS.astype(np.float16),
        VECTORS.astype(np.longdouble),
        VECTORS.astype(object),
        torch.tensor(VECTORS).bfloat16(),
        torch.tensor(VECTORS).half(),
        torch.tensor(VECTORS).to_sparse(),
        torch.tensor(VECTORS, requires_grad=True),
        list(torch.tensor(VECTORS).bfloat16()),
        pd.DataFrame(VECTORS),
        pd.Series(list(VECTORS)),
        pd.Series(list(torch.tensor(VECTORS).bfloat16())),
        pa.table(COLUMNS)["vector"],
        datasets.Dataset.from_dict(COLUMNS)["vector"],
    ],
)
def test_all_kinds_of_real_numbers_are_vectors(given):
    expected = check_vectors(VECTORS, 4, 2)
    assert expected.dtype == np.float32
    np.testing.assert_array_equal(check_vectors(given, 4, 2), expected)


def changed(row, column, value):
    rows = VECTORS.tolist()
    rows[row][column] = value
    return rows


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (None, "vectors is of type NoneType; give an array of numbers"),
        (3, "vectors is of type int"),
        ("abcd", "vectors is of type str"),
        ({1.0, 2.0}, "vectors is of type set"),
        (iter(VECTORS), "vectors is of type "),
        (changed(1, 2, None), "vector 1 holds a value that is None; give real numbers"),
        (changed(1, 2, "x"), "vectors of type <U"),
        (changed(1, 2, [1.0]), "vector 1 holds a value that is of type list"),
        (changed(1, 2, 2**70), "vector 1 holds what is no real number"),
        ([[1.0] * 4, [1.0] * 3], "vector 1 has 3 numbers, the first has 4"),
        ([[1.0] * 4, None], "vector 1 is None"),
        ([{"vector": [1.0] * 4}], "vector 0 is of type dict"),
        (np.ma.masked_array(VECTORS, VECTORS > 2), "vector 1 holds a value that is of type MaskedConstant"),
        (VECTORS > 0, "vectors of type bool given; real numbers are needed"),
        (torch.tensor(VECTORS).to(torch.complex64), "vectors of type complex64"),
        (VECTORS.astype("datetime64[s]"), "vectors of type datetime64"),
        (VECTORS[None], "vectors have shape (1, 2, 4); (B, 4) is needed"),
        (VECTORS[:, :3], "vectors are 3 wide; (B, 4) is needed, or (B, 2) for semantic prefixes alone"),
        (VECTORS * 0, "vector 0 is zero; it has no direction"),
    ],
)
def test_what_is_no_vector_is_named_with_its_place(wrong, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check_vectors(wrong, 4, 2)


def test_no_vectors():
    for nothing in ([], np.empty((0, 4)), np.empty((0, 2)), pd.Series([], dtype=object)):
        assert check_vectors(nothing, 4, 2).shape == (0, 4)


def test_counts():
    assert check_count(np.int64(3)) == 3
    for wrong in (True, np.True_, 1.0, "3", None, 0, -1):
        with pytest.raises(ValueError, match=f"k is {re.escape(repr(wrong))}; ask for at least 1 neighbour"):
            check_count(wrong)


def test_effort_and_seconds():
    assert [check_effort(name) for name in ("draft", "normal", "high")] == ["draft", "normal", "high"]
    for wrong in ("fast", None, 1, ["high"]):
        with pytest.raises(ValueError, match=f"effort is {re.escape(repr(wrong))}; give one of draft, normal, high"):
            check_effort(wrong)
    assert [check_seconds(seconds, "normal") for seconds in (None, 3, 0.5)] == [None, 3.0, 0.5]
    assert check_seconds(None, "draft") is None
    with pytest.raises(ValueError, match=r"^max_seconds needs effort normal or high$"):
        check_seconds(3, "draft")
    for wrong in (0, -1.0, float("nan"), float("inf"), True, "3"):
        with pytest.raises(ValueError, match=f"{re.escape(repr(wrong))}; give a finite number above 0"):
            check_seconds(wrong, "high")


def test_banned_words_and_phrases():
    assert check_banned(["owl", "  by the\triver ", "cafe\u0301"]) == ["owl", "by the river", "café"]
    assert check_banned(set()) == []
    for wrong, row, reason in [
        ([3], 0, "is of type int; give strings"),
        (["a", None], 1, "is None; give strings"),
        (["a", True], 1, "is of type bool"),
        (["a", ""], 1, "is '', which holds nothing to be banned"),
        ([" \n"], 0, "is ' \\n', which holds nothing"),
        (["\u200b\u00ad"], 0, "which holds nothing"),
        (["\ud800"], 0, "holds the lone surrogate U+D800"),
    ]:
        with pytest.raises(RowError, match=re.escape(reason)) as caught:
            check_banned(wrong)
        assert (caught.value.kind, caught.value.row) == ("banned word", row)
    for wrong in ("owl", None, 3, {"owl": 1}):
        with pytest.raises(ValueError, match=r"^banned is "):
            check_banned(wrong)


def test_what_is_checked_is_asked_for_and_not_told_by_the_arguments_name():
    with pytest.raises(ValueError, match=r"^sentences is a set, which has no order; give a list of strings$"):
        check_strings("sentences", "sentence", {"a"}, "strings", ordered=True)
    assert check_strings("texts", "text", {"a"}, "strings", ordered=False) == ["a"]
    table = pd.DataFrame({"number": [1], "text": ["a"], "vector": [[1.0]]})
    for likely, column in ((("text",), "text"), (("vector",), "vector"), (("other",), "number")):
        with pytest.raises(ValueError, match=rf"such as given\['{column}'\]$"):
            refuse_table("given", table, likely)
