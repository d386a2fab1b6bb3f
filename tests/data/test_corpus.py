from __future__ import annotations

import shutil
from collections import Counter

import pyarrow.compute as pc
import pytest

from lexivert.artifacts import Paths
from lexivert.data.corpus import (
    SCHEMA,
    Document,
    build_corpus,
    corpus_metrics,
    read_documents,
    require_every_split,
    text_sentences,
)
from lexivert.data.embedded import EMBEDDED_SOURCES
from lexivert.data.fetch import fetch
from lexivert.data.sources import RawText, write_texts
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from sections import section


def test_sentences_seen_in_train_leave_valid_and_test():
    documents = [
        Document("a", "s", "train", ["Yes.", "Yes.", "Only here."]),
        Document("b", "s", "valid", ["Yes.", "Mine.", "Shared."]),
        Document("c", "s", "test", ["yes.", "Shared.", "Yes."]),
    ]
    table, dropped = build_corpus(documents, section("corpus"), seed=0)
    assert dropped == {"valid": 2, "test": 1}
    assert table.schema == SCHEMA
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("a", "s", "train", "Yes."),
        ("a", "s", "train", "Yes."),
        ("a", "s", "train", "Only here."),
        ("b", "s", "valid", "Mine."),
        ("c", "s", "test", "yes."),
        ("c", "s", "test", "Shared."),
    ]
    metrics = corpus_metrics(table, dropped)
    assert metrics["total"] == {"documents": 3, "sentences": 6, "words": 7}
    assert metrics["source"]["s"]["train"] == {"documents": 1, "sentences": 3, "words": 4}
    assert metrics["split"]["valid"] == {"documents": 1, "sentences": 1, "words": 1}


def test_quotes_are_mended_but_in_the_test_split():
    cut = ['"It rains," he said.', '"Come in.', 'It is open."']
    documents = [
        Document("a", "s", "train", cut, is_cut=True),
        Document("b", "s", "valid", ["He (once", "1 ) 2 (x"], is_cut=True),
        Document("c", "s", "valid", ['" spaced .']),
        Document("d", "s", "test", ['"Wait.', 'It is open."', 'it is "fine.', "(a"], is_cut=True),
    ]
    table, dropped = build_corpus(documents, section("corpus"), seed=0)
    texts = {
        split: table.filter(pc.equal(table["split"], split))["text"].to_pylist() for split in dropped | {"train": 0}
    }
    assert texts["train"] == ['"It rains," he said.', "Come in.", "It is open."]
    assert texts["valid"] == ["He (once)", "1 ) 2 (x", '" spaced .']
    assert texts["test"] == ['"Wait.', 'it is "fine.', "(a"]  # as they stand; what stands in train, mended, is gone
    assert dropped == {"valid": 0, "test": 1}


def document(number, text="", split=None):
    return Document(f"d{number}", "s", split, [text or f"Sentence of document {number}."])


@pytest.mark.parametrize(
    ("documents", "shares", "message"),
    [
        ([], {}, r"no train sentence: there are 0 documents with text, and at least 3 of one source are needed"),
        ([document(0)], {}, r"no valid sentence: there are 1 documents .*, since validation and test take entire"),
        ([document(0), document(1)], {}, r"no valid sentence: there are 2 documents .*add some to corpus\.files"),
        ([document(n, split="train") for n in range(2)], {}, r"no valid sentence: there are 2 documents"),
        ([document(n, split="test") for n in range(4)], {}, r"no train sentence: the source puts all 4 documents"),
        ([document(n) for n in range(4)], {"test_share": 0.0}, r"no test sentence: corpus\.test_share is 0; set it"),
        ([document(n, "Yes.") for n in range(4)], {}, r"no valid sentence: all its 1 sentences stand in other"),
    ],
)
def test_a_corpus_without_a_split_is_refused(documents, shares, message):
    params = section("corpus", **shares)
    table, dropped = build_corpus(documents, params, seed=0)
    with pytest.raises(LexivertError, match=message) as caught:
        require_every_split(table, dropped, params)
    assert "\n" not in str(caught.value)


def test_a_corpus_with_every_split_is_accepted():
    table, dropped = build_corpus([document(n) for n in range(3)], section("corpus"), seed=0)
    require_every_split(table, dropped, section("corpus"))


def test_an_empty_corpus_has_zero_counts():
    table, dropped = build_corpus([], section("corpus"), seed=0)
    assert corpus_metrics(table, dropped)["total"] == {"documents": 0, "sentences": 0, "words": 0}


def test_wikitext_documents_lose_headings_and_keep_tokens():
    text = " = Homarus = \n\n It weighs 6 @-@ 7 kg . It is blue . \n\n = = Habitat = = \n The sea . \n"
    assert text_sentences(text) == ["It weighs 6 @-@ 7 kg .", "It is blue .", "The sea ."]
    assert text_sentences("Plain text. It\nis wrapped.") == ["Plain text.", "It is wrapped."]


def test_long_sentences_are_cut(tmp_path):
    write_texts(Paths(tmp_path), [RawText("a", None, "one two three four five six seven.")])
    params = section("corpus", source="files", files=("a.txt",), max_sentence_words=3)
    (document,) = read_documents(Paths(tmp_path), params)
    assert document.sentences == ["one two three", "four five six", "seven."]
    assert document.source == "files"


def test_missing_and_damaged_input(tmp_path):
    paths = Paths(tmp_path)
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        list(read_documents(paths, section("corpus")))
    with pytest.raises(MissingArtifactError, match="dvc repro fetch"):
        list(read_documents(paths, section("corpus", source="datasets")))
    paths.raw.mkdir(parents=True)
    paths.raw_texts.write_bytes(b"nonsense")
    with pytest.raises(DamagedArtifactError, match=r"texts.parquet can't be read"):
        list(read_documents(paths, section("corpus", source="datasets")))


@pytest.fixture
def four_books(embedded, tmp_path) -> Paths:
    paths = Paths(tmp_path)
    paths.gutenberg.mkdir(parents=True)
    paths.wordnet.symlink_to(embedded.wordnet.resolve())
    paths.wikipedia.symlink_to(embedded.wikipedia.resolve())
    for name in ("blake-poems", "carroll-alice", "shakespeare-macbeth", "burgess-busterbrown"):
        shutil.copy(embedded.gutenberg / f"{name}.txt", paths.gutenberg)
    return paths


def test_embedded_documents(four_books):
    metrics = fetch(four_books, section("corpus"))  # nothing is missing, so nothing is downloaded
    assert metrics["gutenberg"]["files"] == 4
    documents = list(read_documents(four_books, section("corpus", max_documents=300)))
    counts = Counter(document.source for document in documents)
    assert counts == {"poems": 1, "drama": 1, "novels": 2, "wikipedia": 106, "glosses": 300}
    assert set(counts) < set(EMBEDDED_SOURCES)
    assert documents[0].doc_id == "gutenberg/blake-poems"
    table, _ = build_corpus(documents, section("corpus", valid_share=0.05, test_share=0.05), seed=42)
    for source in ("wikipedia", "glosses"):
        rows = table.filter(pc.equal(table["source"], source))
        assert set(rows["split"].to_pylist()) == {"train", "valid", "test"}
    by_document = {}
    for row in table.select(["doc_id", "split"]).to_pylist():
        assert by_document.setdefault(row["doc_id"], row["split"]) == row["split"]
    texts = {
        split: set(table.filter(pc.equal(table["split"], split))["text"].to_pylist())
        for split in ("train", "valid", "test")
    }
    assert not texts["train"] & (texts["valid"] | texts["test"])
    assert not texts["valid"] & texts["test"]
