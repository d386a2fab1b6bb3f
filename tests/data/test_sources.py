from __future__ import annotations

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexivert.artifacts import Paths
from lexivert.data.sources import RawText, read_source, write_texts
from lexivert.errors import LexivertError
from sections import section

ARTICLE_LINES = ["", " = Homarus gammarus = \n", "", " It is a lobster . \n", " = = Habitat = = \n", " The sea . \n"]
SECOND_LINES = ["", " = Robert Boulter = \n", "", " He acts . = 5 = \n"]


def hub(folder, dataset, **changes):
    return section("corpus", source="datasets", config="", folder=str(folder), dataset=dataset, **changes)


def files(folder, *names, **changes):
    return section("corpus", source="files", folder=str(folder), files=tuple(map(str, names)), **changes)


@pytest.fixture
def wikitext_folder(tmp_path):
    """A folder as the hub stores it: a configuration's Parquet files, a line a row."""
    folder = tmp_path / "wikitext" / "wikitext-103-raw-v1"
    folder.mkdir(parents=True)
    for split, lines in {
        "train": ARTICLE_LINES + SECOND_LINES,
        "validation": SECOND_LINES,
        "test": ARTICLE_LINES,
    }.items():
        pq.write_table(pa.table({"text": lines}), folder / f"{split}-00000-of-00001.parquet")
    return folder.parent


def test_hub_rows_become_articles_in_their_own_splits(wikitext_folder):
    own = {"source": "datasets", "folder": str(wikitext_folder.parent), "dataset": wikitext_folder.name}
    texts = list(read_source(section("corpus", **own)))
    assert [(text.doc_id, text.split) for text in texts] == [
        ("train:0", "train"),
        ("train:1", "train"),
        ("validation:0", "valid"),
        ("test:0", "test"),
    ]
    limited = read_source(section("corpus", max_documents=1, **own))
    assert [text.doc_id for text in limited] == ["train:0", "validation:0", "test:0"]


def test_saved_dataset_with_a_document_a_row(tmp_path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_dict({"body": ["One here. Two.", "", None, "Three."]})
    saved.save_to_disk(str(tmp_path / "single"))
    datasets.DatasetDict(train=saved, extra=saved).save_to_disk(str(tmp_path / "several"))
    expected = [RawText("train:0", "train", "One here. Two."), RawText("train:1", "train", "Three.")]
    for name in ("single", "several"):
        assert list(read_source(hub(tmp_path, name, text_field="body"))) == expected


def test_hub_errors_are_one_line(wikitext_folder, monkeypatch):
    inner = "wikitext-103-raw-v1"
    with pytest.raises(LexivertError, match=r"corpus.text_field is 'body', but dataset .* has text"):
        list(read_source(hub(wikitext_folder, inner, text_field="body")))
    with pytest.raises(
        LexivertError, match=r"^corpus.dataset 'nobody/nothing' \(config ''\) can't be loaded: .+"
    ) as caught:
        list(read_source(hub(wikitext_folder, "nobody/nothing")))
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LexivertError, match=r"pip install 'lexivert\[hub\]'"):
        list(read_source(hub(wikitext_folder, inner)))


def test_a_dataset_of_this_machine_lies_in_the_folder(wikitext_folder, tmp_path, monkeypatch):
    (tmp_path / "texts").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("wikitext", "../wikitext", str(wikitext_folder)):
        with pytest.raises(LexivertError, match=rf"^corpus\.dataset: {name} lies outside corpus\.folder \(texts\)"):
            list(read_source(hub("texts", name)))
    assert list(read_source(hub(tmp_path, str(wikitext_folder / "wikitext-103-raw-v1"))))


def test_local_files(tmp_path):
    plain, rows, table, wiki = (tmp_path / name for name in ("a.txt", "b.jsonl", "c.parquet", "w.txt"))
    plain.write_text("\ufeffHello there.\n", encoding="utf-8")
    rows.write_text('{"text": "One."}\n\n{"text": " "}\n{"text": "Two."}\n', encoding="utf-8")
    pq.write_table(pa.table({"text": ["Three.", None, "Four."]}), table)
    wiki.write_text("".join([*ARTICLE_LINES[1:], "\n", *SECOND_LINES[1:]]), encoding="utf-8")
    texts = {text.doc_id: text.text.strip() for text in read_source(files(tmp_path, plain, rows.name, table, wiki))}
    assert list(texts) == ["a.txt", "b.jsonl:1", "b.jsonl:4", "c.parquet:1", "c.parquet:3", "w.txt:0", "w.txt:1"]
    assert texts["a.txt"] == "Hello there."
    assert texts["c.parquet:3"] == "Four."
    assert [text.doc_id for text in read_source(files(tmp_path, plain, rows, max_documents=2))] == [
        "a.txt",
        "b.jsonl:1",
    ]


def test_files_of_one_name_in_two_folders_are_two_documents(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("Hi.")
    for names in ((), ("x/a.txt", "y/a.txt"), ("./x/../x/a.txt", tmp_path / "y" / "a.txt")):
        assert [text.doc_id for text in read_source(files(tmp_path, *names))] == ["x/a.txt", "y/a.txt"]


def test_without_names_all_files_of_the_folder_are_read_in_the_order_of_their_names(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("c.txt", "b/a.txt", "a.txt", "README.md"):
        (tmp_path / name).write_text("Hi.")
    assert [text.doc_id for text in read_source(files(tmp_path))] == ["a.txt", "b/a.txt", "c.txt"]


def test_a_file_is_read_once_by_whatever_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").write_text("Hi.")
    (tmp_path / "texts" / "link.txt").symlink_to("a.txt")
    (tmp_path / "texts" / "hard.txt").hardlink_to(tmp_path / "texts" / "a.txt")
    for other in ("a.txt", "./a.txt", "../texts/a.txt", tmp_path / "texts" / "a.txt", "link.txt", "hard.txt"):
        with pytest.raises(LexivertError, match=r"^corpus\.files: .*a\.txt.*; it would be read twice$"):
            list(read_source(files("texts", "a.txt", other)))
    with pytest.raises(LexivertError, match="which are one file"):
        list(read_source(files("texts")))


def test_null_is_no_text_in_either_format(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": "One."}\n', encoding="utf-8")
    pq.write_table(pa.table({"text": [None, "One."]}), tmp_path / "a.parquet")
    found = [(text.doc_id, text.text) for text in read_source(files(tmp_path))]
    assert found == [("a.jsonl:2", "One."), ("a.parquet:2", "One.")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"caf\xe9", r"a.txt: byte 3 is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{oops\n', r"a.jsonl line 2: not valid JSON"),
        ("a.jsonl", b'{"body": "x"}\n', r"a.jsonl line 1: no field 'text'"),
        ("a.jsonl", b'{"text": 5}\n', r"a.jsonl line 1: field 'text' is 5, not a string"),
        ("a.jsonl", b'"x"\n', r"a.jsonl line 1: not a JSON object"),
        (
            "a.jsonl",
            b'{"text": "x"}\n{"text": "\\ud800"}\n',
            r"a.jsonl line 2: text holds the lone surrogate U\+D800",
        ),
        ("a.jsonl", b"[" * 100_000, r"a.jsonl line 1: not valid JSON"),
        ("a.jsonl", b'{"text": ' + b"9" * 5000 + b"}", r"a.jsonl line 1: not valid JSON"),
        ("a.jsonl", b'{"text": "caf\xe9"}', r"a.jsonl line 1: not valid UTF-8 \(byte 14\)"),
        ("a.jsonl", '{"text": "x"}'.encode("utf-16"), r"a.jsonl line 1: not valid UTF-8"),
        ("a.parquet", b"nonsense", r"a.parquet: not a readable Parquet file"),
        ("a.csv", b"x", r"a.csv must end in .txt, .jsonl, .parquet"),
    ],
)
def test_file_errors_name_file_line_and_field(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LexivertError, match=message) as caught:
        list(read_source(files(tmp_path, name)))
    assert "\n" not in str(caught.value)


def test_more_file_errors(tmp_path):
    with pytest.raises(LexivertError, match=r"corpus\.folder: \S+/gone is no folder"):
        list(read_source(files(tmp_path / "gone")))
    with pytest.raises(LexivertError, match=r"corpus\.folder: \S+ holds no \.txt, \.jsonl, \.parquet file"):
        list(read_source(files(tmp_path)))
    with pytest.raises(LexivertError, match=r"gone.txt is not in corpus\.folder"):
        list(read_source(files(tmp_path, "gone.txt")))
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(LexivertError, match=r"folder.txt is no file"):
        list(read_source(files(tmp_path, "folder.txt")))
    (tmp_path / "a.txt").write_text("Hi.")
    (tmp_path / "folder.txt" / "up").symlink_to(tmp_path)
    for outside in ("../a.txt", tmp_path / "a.txt", "up/a.txt"):
        with pytest.raises(LexivertError, match=r"a\.txt lies outside corpus\.folder"):
            list(read_source(files(tmp_path / "folder.txt", outside)))
    pq.write_table(pa.table({"body": ["x"], "n": [1]}), tmp_path / "t.parquet")
    with pytest.raises(LexivertError, match=r"t.parquet: no column 'text' \(corpus.text_field\); it has body, n"):
        list(read_source(files(tmp_path, "t.parquet")))
    with pytest.raises(LexivertError, match=r"t.parquet: row 1: column 'n' must hold strings, not 1"):
        list(read_source(files(tmp_path, "t.parquet", text_field="n")))
    broken = pa.StringArray.from_buffers(2, pa.py_buffer(np.array([0, 2, 3], np.int32)), pa.py_buffer(b"ok\xff"))
    pq.write_table(pa.table({"text": broken}), tmp_path / "t.parquet")
    with pytest.raises(LexivertError, match=r"t.parquet: row 2: column 'text' holds bytes that are not UTF-8"):
        list(read_source(files(tmp_path, "t.parquet")))
    pq.write_table(pa.table({"text": [f"Text {row} of many." for row in range(5000)]}), tmp_path / "t.parquet")
    data = bytearray((tmp_path / "t.parquet").read_bytes())
    data[100:400] = b"\xff" * 300
    (tmp_path / "t.parquet").write_bytes(data)
    with pytest.raises(LexivertError, match=r"t.parquet: not a readable Parquet file") as caught:
        list(read_source(files(tmp_path, "t.parquet")))
    assert "\n" not in str(caught.value)


def test_write_texts_is_whole_or_not_there(tmp_path):
    paths = Paths(tmp_path)

    def broken():
        yield RawText("a", None, "x")
        raise LexivertError("line 2")

    for texts in (broken(), iter(())):
        with pytest.raises(LexivertError):
            write_texts(paths, texts)
        assert list(paths.raw.iterdir()) == []
    assert write_texts(paths, [RawText("a", None, "x"), RawText("b", "test", "y")]) == 2
    assert json.loads(json.dumps(pq.read_table(paths.raw_texts).to_pylist())) == [
        {"doc_id": "a", "split": None, "text": "x"},
        {"doc_id": "b", "split": "test", "text": "y"},
    ]
