"""From raw documents to ``corpus.parquet``: sentences with document, source and split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import CorpusParams
from lexivert.data.gutenberg import book_sentences, genre, read_book
from lexivert.data.sentences import balance_quotes, limit_words, paragraphs, split_sentences
from lexivert.data.sources import SPLITS
from lexivert.data.splits import FEWEST_TO_SPLIT, DocumentSize, assign_splits
from lexivert.data.wikipedia import page_sentences, read_pages
from lexivert.data.wordnet import read_synsets
from lexivert.errors import DamagedArtifactError, LexivertError
from lexivert.text.wikitext import article_sentences, is_wikitext

SCHEMA = pa.schema([("doc_id", pa.string()), ("source", pa.string()), ("split", pa.string()), ("text", pa.string())])
_CHUNK = 100_000


@dataclass(frozen=True)
class Document:
    """A document as sentences.

    Attributes:
        doc_id: unique name.
        source: where it comes from: one of ``embedded.EMBEDDED_SOURCES``, datasets or files.
        split: the split that its source put it in, or None.
        sentences: its sentences as they stand there, in order.
        is_cut: whether they were cut out of paragraphs, so that quotation marks may have lost their partners.
    """

    doc_id: str
    source: str
    split: str | None
    sentences: list[str]
    is_cut: bool = False


def read_documents(paths: Paths, params: CorpusParams) -> Iterator[Document]:
    """Documents of the chosen source, out of ``data/raw``.

    Raises:
        MissingArtifactError, DamagedArtifactError: stage ``fetch`` has not run for this source, or its files are
            damaged.
    """
    documents = (
        _embedded(paths, params.max_documents) if params.source == "embedded" else _texts(paths, params.source)
    )
    for document in documents:
        yield replace(document, sentences=list(limit_words(document.sentences, params.max_sentence_words)))


def _embedded(paths: Paths, most: int) -> Iterator[Document]:
    """Books, pages and synsets; ``most`` limits each of the three, 0 for all."""
    limit = most or None
    for path in islice(sorted(artifacts.require(paths.gutenberg).glob("*.txt")), limit):
        sentences = book_sentences(path.stem, read_book(path))
        yield Document(f"gutenberg/{path.stem}", genre(path.stem), None, sentences, is_cut=True)
    for dump in sorted(artifacts.require(paths.wikipedia).glob("*.bz2")):
        for page in islice(read_pages(dump), limit):
            yield Document(f"wikipedia/{page.title}", "wikipedia", None, page_sentences(page.text), is_cut=True)
    for synset in islice(read_synsets(paths.wordnet), limit):
        yield Document(f"wordnet/{synset.name}", "glosses", None, synset.sentences)


def _texts(paths: Paths, source: str) -> Iterator[Document]:
    artifacts.require(paths.raw_texts)
    try:
        for batch in pq.ParquetFile(paths.raw_texts).iter_batches(1000, columns=["doc_id", "split", "text"]):
            for row in batch.to_pylist():
                text = row["text"]
                is_cut = not is_wikitext(text)
                yield Document(row["doc_id"], source, row["split"], text_sentences(text), is_cut)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DamagedArtifactError(f"{paths.raw_texts} can't be read ({error}); run `dvc repro -f fetch`") from error


def text_sentences(text: str) -> list[str]:
    """Sentences of one document: WikiText's tokens kept raw and its headings dropped, plain text otherwise."""
    if is_wikitext(text):
        return article_sentences(text)
    return [sentence for paragraph in paragraphs(text) for sentence in split_sentences(paragraph)]


@dataclass(frozen=True)
class Gathered:
    """All sentences of a corpus before the split.

    Attributes:
        sizes: documents in order, R in all.
        is_cut: whether each document's sentences were cut out of paragraphs. Shape: (R,).
        owner: document of each sentence, as a row of ``sizes``. Shape: (S,).
        text: the sentences.
    """

    sizes: list[DocumentSize]
    is_cut: npt.NDArray[np.bool_]
    owner: npt.NDArray[np.int32]
    text: pa.ChunkedArray


def gather(documents: Iterable[Document]) -> Gathered:
    """Collect all sentences in Arrow memory, a few bytes a sentence above their text."""
    sizes: list[DocumentSize] = []
    is_cut: list[bool] = []
    chunks: list[Any] = []
    pending: list[str] = []
    for document in documents:
        sizes.append(DocumentSize(document.doc_id, document.source, document.split, len(document.sentences)))
        is_cut.append(document.is_cut)
        pending += document.sentences
        if len(pending) >= _CHUNK:
            chunks.append(pa.array(pending, pa.string()))
            pending = []
    chunks.append(pa.array(pending, pa.string()))
    counts = np.array([size.sentences for size in sizes], dtype=np.int64)
    owner = np.repeat(np.arange(len(sizes), dtype=np.int32), counts)
    return Gathered(sizes, np.array(is_cut, dtype=bool), owner, pa.chunked_array(chunks, pa.string()))


def build_corpus(documents: Iterable[Document], params: CorpusParams, seed: int) -> tuple[pa.Table, dict[str, int]]:
    """Split documents and drop from valid and test every sentence that also stands, letter by letter, in train.

    Quotation marks whose partners went to another sentence are mended for training and validation; test sentences
    stay as they stand in their source, and are dropped if they stand in train with their marks mended, too.

    Args:
        documents: see ``read_documents``.
        params: section ``corpus``.
        seed: seed of the split.

    Returns:
        The corpus table, documents in their order, and the number of sentences dropped from each split. A sentence
        in both valid and test is dropped from valid.
    """
    gathered = gather(documents)
    splits = assign_splits(gathered.sizes, valid_share=params.valid_share, test_share=params.test_share, seed=seed)
    split_ids = np.array([SPLITS.index(splits[size.doc_id]) for size in gathered.sizes], dtype=np.int8)
    of_sentence = split_ids[gathered.owner] if len(gathered.sizes) else split_ids
    text, mended = _mended(gathered, of_sentence)
    keep = _without_leaks(text, of_sentence) & _without_leaks(mended, of_sentence)
    dropped = {split: int((~keep & (of_sentence == SPLITS.index(split))).sum()) for split in ("valid", "test")}
    table = pa.table(
        {
            "doc_id": _spread([size.doc_id for size in gathered.sizes], gathered.owner[keep]),
            "source": _spread([size.source for size in gathered.sizes], gathered.owner[keep]),
            "split": _spread(list(SPLITS), of_sentence[keep].astype(np.int32)),
            "text": text.filter(pa.array(keep)),
        },
        schema=SCHEMA,
    )
    return table, dropped


def _spread(values: list[str], rows: npt.NDArray[np.int32]) -> Any:
    return pa.array(values, pa.string()).take(pa.array(rows))


def _mended(gathered: Gathered, split: npt.NDArray[np.int8]) -> tuple[pa.ChunkedArray, pa.ChunkedArray]:
    """The sentences with quotation marks mended: those that are not for testing; and all."""
    if not gathered.is_cut.any():
        return gathered.text, gathered.text
    is_cut, chunks, start = gathered.is_cut[gathered.owner], list[Any](), 0
    for chunk in gathered.text.chunks:
        flags = is_cut[start : start + len(chunk)].tolist()
        start += len(chunk)
        pairs = zip(chunk.to_pylist(), flags, strict=True)
        chunks.append(pa.array([balance_quotes(own) if cut else own for own, cut in pairs], pa.string()))
    mended = pa.chunked_array(chunks, pa.string())
    return pc.if_else(pa.array(split == SPLITS.index("test")), gathered.text, mended), mended


def _without_leaks(text: pa.ChunkedArray, split: npt.NDArray[np.int8]) -> npt.NDArray[np.bool_]:
    """Rows to keep, (S,): those of the held-out splits that stand in no other; of valid and test, test keeps them."""
    train, valid, test = (split == number for number in range(3))
    keep = np.ones(len(split), dtype=bool)
    for heldout, others in ((test, train), (valid, train | test)):
        rows = np.flatnonzero(heldout)
        seen = pc.is_in(text.take(pa.array(rows)), value_set=_shared(text, rows, others))
        keep[rows] = ~np.asarray(seen)
    return keep


def _shared(text: pa.ChunkedArray, rows: npt.NDArray[np.int64], others: npt.NDArray[np.bool_]) -> Any:
    """Texts of ``rows`` that stand among ``others`` too."""
    values = pc.unique(text.take(pa.array(rows)))
    elsewhere = text.filter(pa.array(others))
    return pc.unique(elsewhere.filter(pc.is_in(elsewhere, value_set=values)))


def require_every_split(table: pa.Table, dropped: dict[str, int], params: CorpusParams) -> None:
    """Make sure that there is text to train on, to validate on and to test on.

    Args:
        table: the corpus.
        dropped: sentences dropped from each held-out split.
        params: section ``corpus``.

    Raises:
        LexivertError: a split is empty; the message says why, and what to do.
    """
    there = set(pc.unique(table["split"]).to_pylist())
    empty = next((split for split in SPLITS if split not in there), None)
    if empty is not None:
        raise LexivertError(f"the corpus has no {empty} sentence: {_why_empty(empty, table, dropped, params)}")


def _why_empty(split: str, table: pa.Table, dropped: dict[str, int], params: CorpusParams) -> str:
    documents = pc.count_distinct(table["doc_id"]).as_py()
    if {"valid": params.valid_share, "test": params.test_share}.get(split) == 0.0:
        return f"corpus.{split}_share is 0; set it above 0"
    if dropped.get(split):
        return f"all its {dropped[split]} sentences stand in other splits too; give documents that differ"
    if split == "train" and documents:
        return f"the source puts all {documents} documents into valid or test; corpus.dataset needs a train split"
    return (
        f"there are {documents} documents with text, and at least {FEWEST_TO_SPLIT} of one source are needed, since "
        "validation and test take entire documents; add some to corpus.files, or raise corpus.max_documents"
    )


def corpus_metrics(table: pa.Table, dropped: dict[str, int]) -> dict[str, Any]:
    """Documents, sentences and white-space words by split, by source and in all, with the leaks dropped."""
    words = pc.add(pc.count_substring(table["text"], " "), 1)
    counted = pa.table({**{name: table[name] for name in ("doc_id", "source", "split")}, "words": words})
    return {
        "total": _counts(counted),
        "split": {split: _counts(counted.filter(pc.equal(counted["split"], split))) for split in SPLITS},
        "source": {
            source: {split: _counts(rows.filter(pc.equal(rows["split"], split))) for split in SPLITS}
            for source in sorted(pc.unique(counted["source"]).to_pylist())
            for rows in [counted.filter(pc.equal(counted["source"], source))]
        },
        "dropped_as_seen_elsewhere": dropped,
    }


def _counts(rows: pa.Table) -> dict[str, int]:
    return {
        "documents": pc.count_distinct(rows["doc_id"]).as_py(),
        "sentences": len(rows),
        "words": pc.sum(rows["words"]).as_py() or 0,
    }
