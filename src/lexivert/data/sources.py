"""Documents from the embedded texts, a dataset of the hub, or the user's own files."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import CorpusParams
from lexivert.errors import LexivertError
from lexivert.io import read_records
from lexivert.text.tokenizer import check_characters
from lexivert.text.wikitext import group_articles, is_title, is_wikitext

_Document = TypeVar("_Document")
SPLITS = ("train", "valid", "test")
_SPLIT_NAMES = {"train": "train", "validation": "valid", "valid": "valid", "dev": "valid", "test": "test"}
TEXT_SCHEMA = pa.schema([("doc_id", pa.string()), ("split", pa.string()), ("text", pa.large_string())])
SUFFIXES = (".txt", ".jsonl", ".parquet")


@dataclass(frozen=True)
class RawText:
    """One document as it was found.

    Attributes:
        doc_id: unique name.
        split: the split that the source itself put it in, or None.
        text: all of it.
    """

    doc_id: str
    split: str | None
    text: str


def read_source(params: CorpusParams) -> Iterator[RawText]:
    """Documents of source ``datasets`` or ``files``, at most ``max_documents`` of each split.

    Raises:
        LexivertError: a file, dataset, line or field is missing or not what it should be.
    """
    return hub_texts(params) if params.source == "datasets" else _first(file_texts(params), params)


def _first(documents: Iterable[_Document], params: CorpusParams) -> Iterator[_Document]:
    return itertools.islice(documents, params.max_documents or None)


def write_texts(paths: Paths, texts: Iterable[RawText]) -> int:
    """Write ``texts.parquet`` a batch at a time and return the number of documents.

    Raises:
        LexivertError: there is none.
    """
    count = 0
    with (
        artifacts.atomic_path(paths.raw_texts) as temporary,
        pq.ParquetWriter(temporary, TEXT_SCHEMA, compression="zstd") as writer,
    ):
        for batch in _batches(texts, 2000):
            columns = [[text.doc_id for text in batch], [text.split for text in batch], [text.text for text in batch]]
            writer.write_batch(pa.record_batch(columns, schema=TEXT_SCHEMA))
            count += len(batch)
        if not count:
            raise LexivertError("the corpus source has no text; check corpus.dataset, or the files in corpus.folder")
    return count


def _batches(texts: Iterable[RawText], size: int) -> Iterator[list[RawText]]:
    batch: list[RawText] = []
    for text in texts:
        batch.append(text)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def hub_texts(params: CorpusParams) -> Iterator[RawText]:
    """Documents of a dataset of the hub, or of one in ``corpus.folder`` in its formats; its own splits are kept.

    A row is a document, unless the rows are WikiText's lines, which are joined to articles. Splits by other names
    than train, validation (valid, dev) and test are left out.

    Raises:
        LexivertError: ``datasets`` isn't installed, the dataset can't be loaded, or the text field is missing.
    """
    for name, rows in load_hub(params).items():
        if name in _SPLIT_NAMES:
            for number, text in enumerate(_first(_hub_documents(rows, params), params)):
                yield RawText(f"{name}:{number}", _SPLIT_NAMES[name], text)


def _hub_documents(rows: Any, params: CorpusParams) -> Iterator[str]:
    field = params.text_field
    if field not in rows.column_names:
        columns = ", ".join(rows.column_names)
        raise LexivertError(f"corpus.text_field is {field!r}, but dataset {params.dataset} has {columns}")
    values = (value for batch in rows.select_columns([field]).iter(1000) for value in batch[field])
    texts = ("" if value is None else _checked(value, params) for value in values)
    head = list(itertools.islice(texts, 50))
    everything = itertools.chain(head, texts)
    return group_articles(everything) if any(map(is_title, head)) else filter(str.strip, everything)


def _checked(value: Any, params: CorpusParams) -> str:
    if isinstance(value, str):
        return value
    raise LexivertError(f"dataset {params.dataset}: field {params.text_field!r} must hold strings, not {value!r:.60}")


def load_hub(params: CorpusParams) -> Mapping[str, Any]:
    """Load a dataset through ``datasets``: one of the hub, or a folder in ``corpus.folder``.

    The folder holds data files, or what ``save_to_disk`` wrote.

    Returns:
        Rows by split name.

    Raises:
        LexivertError: see ``hub_texts``.
    """
    try:
        import datasets  # optional and slow to import
    except ImportError as error:
        raise LexivertError("corpus.source: datasets needs the extra `hub`: pip install 'lexivert[hub]'") from error
    name = local_dataset(params) or params.dataset
    folder = Path(name)
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            loaded = datasets.load_from_disk(name)
        elif params.config and (folder / params.config).is_dir():
            loaded = datasets.load_dataset(str(folder / params.config))
        else:
            loaded = datasets.load_dataset(name, params.config or None)
    except Exception as error:  # the library raises dozens of unrelated types
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise LexivertError(
            f"corpus.dataset {params.dataset!r} (config {params.config!r}) can't be loaded: {reason}"
        ) from error
    return loaded if isinstance(loaded, dict) else {"train": loaded}


def local_dataset(params: CorpusParams) -> str | None:
    """Path of a dataset in ``corpus.folder``, or None for one of the hub.

    Raises:
        LexivertError: it is one of this machine, but not in that folder.
    """
    folder = Path(params.folder)
    path = folder / params.dataset
    if path.exists() and path.resolve().is_relative_to(folder.resolve()):
        return str(path)
    if path.exists() or Path(params.dataset).exists():
        raise LexivertError(f"corpus.dataset: {params.dataset} {_outside(folder)}")
    return None


def file_texts(params: CorpusParams) -> Iterator[RawText]:
    """Documents of the user's files: a ``.txt`` is one (or one a WikiText article), a row of the others is one.

    Raises:
        LexivertError: see ``read_source``.
    """
    folder = Path(params.folder)
    for path in user_files(params):
        label = path.relative_to(folder).as_posix()
        reader = {".txt": _read_txt, ".jsonl": _read_jsonl, ".parquet": _read_parquet}[path.suffix]
        for key, text in reader(path, params.text_field):
            if text.strip():
                yield RawText(f"{label}{key}", None, text)


def user_files(params: CorpusParams) -> list[Path]:
    """The files of ``corpus.folder`` that ``corpus.files`` names, in that order, or all of them by name.

    Raises:
        LexivertError: the folder or a file is not there, of another kind, outside the folder, or named twice.
    """
    folder = Path(params.folder)
    if not folder.is_dir():
        raise LexivertError(f"corpus.folder: {folder} is no folder; make it, and put your files there")
    if params.files:
        paths = [_named_file(folder, name) for name in params.files]
    else:
        paths = sorted(path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not paths:
        raise LexivertError(f"corpus.folder: {folder} holds no {', '.join(SUFFIXES)} file; put yours there")
    met: dict[tuple[int, int], str] = {}
    for path, name in zip(paths, params.files or map(str, paths), strict=True):
        status = path.stat()
        file = (status.st_dev, status.st_ino)
        if file in met:
            what = f"{name} twice" if met[file] == name else f"{met[file]} and {name}, which are one file"
            raise LexivertError(f"corpus.files: {what}; it would be read twice")
        met[file] = name
    return paths


def _named_file(folder: Path, name: str) -> Path:
    path = folder / name
    if path.suffix not in SUFFIXES:
        raise LexivertError(f"corpus.files: {name} must end in {', '.join(SUFFIXES)}")
    place, root = path.parent.resolve(), folder.resolve()
    if not place.is_relative_to(root):
        raise LexivertError(f"corpus.files: {name} {_outside(folder)}")
    if not path.is_file():
        reason = "is no file" if path.exists() else f"is not in corpus.folder ({folder})"
        raise LexivertError(f"corpus.files: {name} {reason}; names are relative to that folder")
    return folder / place.relative_to(root) / path.name


def _outside(folder: Path) -> str:
    return f"lies outside corpus.folder ({folder}), where DVC would not see it change; move it there"


def _read_txt(path: Path, _field: str) -> Iterator[tuple[str, str]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise LexivertError(f"{path}: byte {error.start} is not UTF-8; convert the file to UTF-8") from error
    if not is_wikitext(text):
        yield "", text
        return
    for number, article in enumerate(group_articles(text.splitlines(keepends=True))):
        yield f":{number}", article


def _read_jsonl(path: Path, field: str) -> Iterator[tuple[str, str]]:
    for line in read_records(path, field):
        try:
            check_characters(line.text)
        except ValueError as error:
            raise LexivertError(f"{line.where}: {error}") from error
        yield f":{line.number}", line.text


def _read_parquet(path: Path, field: str) -> Iterator[tuple[str, str]]:
    number = 0
    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if field not in names:
            raise LexivertError(f"{path}: no column {field!r} (corpus.text_field); it has {', '.join(names)}")
        for batch in file.iter_batches(columns=[field]):
            for value in batch.column(0):
                number += 1
                text = value.as_py()
                if text is not None and not isinstance(text, str):
                    raise LexivertError(f"{path}: row {number}: column {field!r} must hold strings, not {text!r:.60}")
                yield f":{number}", text or ""
    except UnicodeDecodeError as error:
        raise LexivertError(f"{path}: row {number}: column {field!r} holds bytes that are not UTF-8") from error
    except (pa.ArrowException, OSError) as error:
        raise LexivertError(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from error
