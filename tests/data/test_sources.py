from __future__ import annotations

import json
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexivert.artifacts import Paths
from lexivert.data.sources import RawText, read_source, write_texts
from lexivert.errors import LexivertError
from sections import section

ARTICLE_LINES = ["", " = Homarus gammarus = \n", "", " It is a lobster . \n", " = = Habitat = = \n", " The sea . \n"]
SECOND_LINES = ["", " = Robert Boulter = \n", "", " He acts . = 5 = \n"]


def hub(**changes):
    return section("corpus", source="datasets", config="", **changes)


def files(*paths, **changes):
    return section("corpus", source="files", files=tuple(map(str, paths)), **changes)


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
    texts = list(read_source(section("corpus", source="datasets", dataset=str(wikitext_folder))))
    assert [(text.doc_id, text.split) for text in texts] == [
        ("train:0", "train"),
        ("train:1", "train"),
        ("validation:0", "valid"),
        ("test:0", "test"),
    ]
    limited = read_source(section("corpus", source="datasets", dataset=str(wikitext_folder), max_documents=1))
    assert [text.doc_id for text in limited] == ["train:0", "validation:0", "test:0"]


def test_saved_dataset_with_a_document_a_row(tmp_path):
    datasets = pytest.importorskip("datasets")
    saved = datasets.Dataset.from_dict({"body": ["One here. Two.", "", None, "Three."]})
    saved.save_to_disk(str(tmp_path / "single"))
    datasets.DatasetDict(train=saved, extra=saved).save_to_disk(str(tmp_path / "several"))
    expected = [RawText("train:0", "train", "One here. Two."), RawText("train:1", "train", "Three.")]
    for name in ("single", "several"):
        assert list(read_source(hub(dataset=str(tmp_path / name), text_field="body"))) == expected


def test_hub_errors_are_one_line(wikitext_folder, monkeypatch):
    inner = str(wikitext_folder / "wikitext-103-raw-v1")
    with pytest.raises(LexivertError, match=r"corpus.text_field is 'body', but dataset .* has text"):
        list(read_source(hub(dataset=inner, text_field="body")))
    with pytest.raises(
        LexivertError, match=r"^corpus.dataset 'nobody/nothing' \(config ''\) can't be loaded: .+"
    ) as caught:
        list(read_source(hub(dataset="nobody/nothing")))
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LexivertError, match=r"pip install 'lexivert\[hub\]'"):
        list(read_source(hub(dataset=inner)))


def test_local_files(tmp_path):
    plain, rows, table, wiki = (tmp_path / name for name in ("a.txt", "b.jsonl", "c.parquet", "w.txt"))
    plain.write_text("\ufeffHello there.\n", encoding="utf-8")
    rows.write_text('{"text": "One."}\n\n{"text": " "}\n{"text": "Two."}\n', encoding="utf-8")
    pq.write_table(pa.table({"text": ["Three.", None, "Four."]}), table)
    wiki.write_text("".join([*ARTICLE_LINES[1:], "\n", *SECOND_LINES[1:]]), encoding="utf-8")
    texts = {text.doc_id: text.text.strip() for text in read_source(files(plain, rows, table, wiki))}
    assert list(texts) == ["a.txt", "b.jsonl:1", "b.jsonl:4", "c.parquet:1", "c.parquet:3", "w.txt:0", "w.txt:1"]
    assert texts["a.txt"] == "Hello there."
    assert texts["c.parquet:3"] == "Four."
    assert [text.doc_id for text in read_source(files(plain, rows, max_documents=2))] == ["a.txt", "b.jsonl:1"]


def test_files_of_one_name_keep_apart(tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text("Hi.")
    names = [text.doc_id for text in read_source(files(tmp_path / "x" / "a.txt", tmp_path / "y" / "a.txt"))]
    assert len(set(names)) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"caf\xe9", r"a.txt: byte 3 is not UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{oops\n', r"a.jsonl:2: not JSON"),
        ("a.jsonl", b'{"body": "x"}\n', r"a.jsonl:1: field 'text' must be a string"),
        ("a.jsonl", b'{"text": 5}\n', r"a.jsonl:1: field 'text' must be a string"),
        ("a.jsonl", b'"x"\n', r"a.jsonl:1: field 'text'"),
        ("a.parquet", b"nonsense", r"a.parquet: not a Parquet file"),
        ("a.csv", b"x", r"a.csv must end in .txt, .jsonl, .parquet"),
    ],
)
def test_file_errors_name_file_line_and_field(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LexivertError, match=message) as caught:
        list(read_source(files(tmp_path / name)))
    assert "\n" not in str(caught.value)


def test_more_file_errors(tmp_path):
    with pytest.raises(LexivertError, match=r"corpus.files is empty"):
        list(read_source(files()))
    with pytest.raises(LexivertError, match=r"gone.txt is not there"):
        list(read_source(files(tmp_path / "gone.txt")))
    with pytest.raises(LexivertError, match="twice"):
        list(read_source(files("a.txt", "a.txt")))
    pq.write_table(pa.table({"body": ["x"], "n": [1]}), tmp_path / "t.parquet")
    with pytest.raises(LexivertError, match=r"t.parquet: no column 'text' \(corpus.text_field\); it has body, n"):
        list(read_source(files(tmp_path / "t.parquet")))
    with pytest.raises(LexivertError, match=r"t.parquet: row 1: column 'n' must hold strings, not 1"):
        list(read_source(files(tmp_path / "t.parquet", text_field="n")))


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
