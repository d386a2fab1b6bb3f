"""The one place that names files: where each stage's outputs live, and how they are written, complete or not."""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Paths:
    """Every artifact below a project folder.

    Attributes:
        root: the folder that holds ``data/``, ``models/`` and ``metrics/``.
    """

    root: Path = Path()

    @property
    def raw(self) -> Path:
        """Unpacked sources (stage ``fetch``)."""
        return self.root / "data" / "raw"

    @property
    def wordnet(self) -> Path:
        """WordNet 3.0's dictionary files, in NLTK's layout."""
        return self.raw / "wordnet"

    @property
    def gutenberg(self) -> Path:
        """The Gutenberg selection, one ``.txt`` a book."""
        return self.raw / "gutenberg"

    @property
    def wikipedia(self) -> Path:
        """Wikipedia pages, a part of a database dump."""
        return self.raw / "wikipedia"

    @property
    def word_lists(self) -> Path:
        """Word frequencies, a file a language."""
        return self.raw / "word_lists"

    @property
    def raw_texts(self) -> Path:
        """Documents of a hub dataset or of the user's files: doc_id, split or null, text."""
        return self.raw / "texts.parquet"

    @property
    def corpus(self) -> Path:
        """Sentences: doc_id, source, split, text."""
        return self.root / "data" / "corpus.parquet"

    @property
    def vocab(self) -> Path:
        """The lexicon: unit_id, surface, kind, count, rank, usage."""
        return self.root / "data" / "vocab.parquet"

    @property
    def segments(self) -> Path:
        """Every sentence of the corpus in units, row by row: units, a list of int32 (stage ``vocab``)."""
        return self.root / "data" / "segments.parquet"

    @property
    def synonyms(self) -> Path:
        """Related units: unit_id, other_id, relation (synonym, inflection, sibling)."""
        return self.root / "data" / "synonyms.parquet"

    @property
    def antonyms(self) -> Path:
        """Opposite units: unit_id, other_id, relation (antonym)."""
        return self.root / "data" / "antonyms.parquet"

    @property
    def unit_features(self) -> Path:
        """Frozen backbone features of the units, float16 (V, H)."""
        return self.root / "data" / "unit_features.npy"

    @property
    def sentence_features(self) -> Path:
        """Frozen backbone features of the sentences, float16 (S, H)."""
        return self.root / "data" / "sentence_features.npy"

    @property
    def sentence_rows(self) -> Path:
        """Corpus row number of each sentence feature, int64 (S,)."""
        return self.root / "data" / "sentence_rows.npy"

    @property
    def token_head(self) -> Path:
        """Trained token head."""
        return self.root / "models" / "token_head"

    @property
    def index(self) -> Path:
        """FAISS index and unit codes."""
        return self.root / "models" / "index"

    @property
    def selector(self) -> Path:
        """Trained Selector, the learned prior over units."""
        return self.root / "models" / "selector"

    @property
    def language_model(self) -> Path:
        """The causal language model: its weights and tokeniser, or its name."""
        return self.root / "models" / "language_model"

    @property
    def controller(self) -> Path:
        """Rules of the decoding loops, and the calibration of confidences."""
        return self.root / "models" / "controller"

    @property
    def generation(self) -> Path:
        """Trained parts of generators, a folder each (pipeline ``generation``)."""
        return self.root / "models" / "generation"

    @property
    def exported(self) -> Path:
        """The complete model as a folder that travels (stage ``export``)."""
        return self.root / "models" / "lexivert"

    @property
    def code(self) -> Path:
        """Fingerprints of the code that each stage runs, one text file a stage."""
        return self.root / "build" / "code"

    @property
    def checkpoints(self) -> Path:
        """Resumable training state; ignored by git and DVC."""
        return self.root / ".checkpoints"

    @property
    def plots(self) -> Path:
        """Curves and tables for ``dvc plots``."""
        return self.root / "metrics" / "plots"

    @property
    def report(self) -> Path:
        """The page of results."""
        return self.root / "metrics" / "report.html"

    def metrics(self, stage: str) -> Path:
        """Metrics file of a stage."""
        return self.root / "metrics" / f"{stage}.json"


UNIT_CODES = "unit_codes.npy"
"""Unit codes inside the index folder, float16 (V, O)."""

_PRODUCERS = {
    "raw": "fetch",
    "corpus.parquet": "corpus",
    "vocab.parquet": "vocab",
    "segments.parquet": "vocab",
    "synonyms.parquet": "lexical_maps",
    "antonyms.parquet": "lexical_maps",
    "unit_features.npy": "features",
    "sentence_features.npy": "features",
    "sentence_rows.npy": "features",
    "token_head": "token_head",
    "index": "index",
    "selector": "selector",
    "language_model": "language_model",
    "controller": "controller",
    "generation": "generation/dvc.yaml",
    "exact_match.csv": "evaluate",
    "reliability.csv": "evaluate",
    "robustness.csv": "robustness",
    "neighbours.csv": "token_space",
    "pair_cosines.csv": "token_space",
    "order_awareness.csv": "sentence_space",
    "token_head.csv": "token_head",
    "selector.csv": "selector",
}


def producer(path: Path) -> str | None:
    """Name of the stage that writes ``path``, or None for a file that no stage writes."""
    if path.parent.name == "metrics" and path.suffix == ".json":
        return path.stem
    names = [path.name, *(parent.name for parent in path.parents)]
    return next((_PRODUCERS[name] for name in names if name in _PRODUCERS), None)


def require(path: Path) -> Path:
    """Return ``path`` if it is there.

    Raises:
        MissingArtifactError: it is not; the message names the stage that writes it.
    """
    if path.exists():
        return path
    stage = producer(path)
    hint = f"; run `dvc repro {stage}` first" if stage else ""
    raise MissingArtifactError(f"{path} is missing{hint}")


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary sibling of ``path`` to write a file or folder to, and rename it into place on success.

    A stage that is killed or fails leaves the old content of ``path``, or nothing. Where ``path`` is a symbolic link,
    what it points to is replaced, and the link stays. Modes are those that the umask gives, whatever wrote the files.

    Raises:
        LexivertError: a device, pipe or endless link is in the place of ``path``.
    """
    target = target_of(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f".{target.name[:50]}.{uuid.uuid4().hex[:8]}.tmp"
    try:
        yield temporary
        _set_modes(temporary)
        if target.is_dir():
            shutil.rmtree(target)
        os.replace(temporary, target)
    except OSError as error:
        if error.filename == str(temporary):  # nobody knows that name
            error.filename = str(path)
        raise
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def target_of(path: Path) -> Path:
    """Where something is written under a name: the end of all symbolic links, which need not be there yet.

    A link into DVC's cache is no such place, as a stage's own output may be one: what the cache holds never changes.

    Raises:
        LexivertError: a device, pipe or endless link is there.
    """
    target = Path(os.path.realpath(path))
    if path.is_symlink() and target.parts[-4:-2] == ("files", "md5"):
        return path
    if target.is_symlink():
        raise LexivertError(f"{path} is a symbolic link that leads back to itself; name a file")
    if target.exists() and not target.is_file() and not target.is_dir():
        raise LexivertError(f"{path} is a device or pipe; name a file")
    return target


def _set_modes(written: Path) -> None:
    """Give a file, or all of a folder, the modes of plainly opened files; some libraries write for one user alone."""
    mask = os.umask(0o077)  # it can only be read by setting it
    os.umask(mask)
    for path in [written, *(written.rglob("*") if written.is_dir() else [])]:
        if not path.is_symlink():
            path.chmod((0o777 if path.is_dir() else 0o666) & ~mask)


def write_parquet(path: Path, columns: Mapping[str, Any], schema: pa.Schema) -> None:
    """Write equally long columns as one Parquet file."""
    table = pa.table(dict(columns), schema=schema)
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_parquet(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a Parquet file that a stage wrote.

    Raises:
        MissingArtifactError: the file is not there.
        DamagedArtifactError: it is no Parquet file or lacks one of ``columns``.
    """
    require(path)
    try:
        with pq.ParquetFile(path) as file:  # `read_table` would import pandas first, for half a second
            table = file.read(columns)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path} is not a readable Parquet file ({reason}); delete it and run `dvc repro`"
        ) from error
    missing = [name for name in columns or [] if name not in table.column_names]
    if missing:
        raise DamagedArtifactError(f"{path} lacks column {missing[0]!r}; delete it and run `dvc repro`")
    return table


def numbers(path: Path, table: pa.Table, name: str) -> npt.NDArray[Any]:
    """A column of numbers, read-only. Arrow's own ``to_numpy`` would import pandas first, for half a second.

    Raises:
        DamagedArtifactError: it holds something else, or has gaps; ``path`` is the table's file.
    """
    try:
        column: npt.NDArray[Any] = np.from_dlpack(table[name].combine_chunks())
    except pa.ArrowException as error:
        raise DamagedArtifactError(
            f"{path} has a column {name!r} that is not all numbers; delete it and run `dvc repro`"
        ) from error
    return column


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write one array as ``.npy``."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: Path, *, mmap: bool = False) -> npt.NDArray[Any]:
    """Read a ``.npy`` array that a stage wrote, memory-mapped read-only if ``mmap``.

    Raises:
        MissingArtifactError: the file is not there.
        DamagedArtifactError: it is cut short or no ``.npy`` file.
    """
    require(path)
    try:
        return load_npy(path, mmap=mmap)
    except (ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path} is not a readable .npy file ({reason}); delete it and run `dvc repro`"
        ) from error


def load_npy(path: Path, *, mmap: bool) -> npt.NDArray[Any]:
    """The array of a ``.npy`` file, memory-mapped read-only if ``mmap``; ``numpy.load`` would take archives, too.

    Raises:
        ValueError: it is no such file, cut short, or of Python objects.
        OSError: it can't be read.
    """
    try:
        if mmap:
            return np.lib.format.open_memmap(path, mode="r")
        with path.open("rb") as file:
            array: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
            return array
    except OSError:
        raise
    except Exception as error:  # the header is a piece of Python, and whatever reads such fails in many ways
        raise ValueError(str(error) or type(error).__name__) from error


def write_csv(path: Path, table: pd.DataFrame, fractions: str = "%.4f") -> None:
    """Write a table without its index as CSV; a missing cell is empty.

    Args:
        path: the file.
        table: its columns.
        fractions: how floats are written.
    """
    with atomic_path(path) as temporary:
        table.to_csv(temporary, index=False, float_format=fractions, lineterminator="\n", encoding="utf-8")


def read_csv(path: Path, strings: Sequence[str] = ()) -> pd.DataFrame:
    """Read a table that a stage wrote.

    Args:
        path: the file.
        strings: columns of text, whatever it looks like: a unit may be "12" or "NA".

    Raises:
        MissingArtifactError: the file is not there.
        DamagedArtifactError: it is no table.
    """
    import pandas as pd

    require(path)
    try:
        table = pd.read_csv(path, dtype=dict.fromkeys(strings, str), keep_default_na=False, na_values=[""])
    except (ValueError, UnicodeDecodeError) as error:  # pandas' own errors among them
        reason = str(error).splitlines()[0]
        raise DamagedArtifactError(
            f"{path} is no readable table ({reason}); delete it and run `dvc repro`"
        ) from error
    there = [name for name in strings if name in table.columns]
    return table.fillna(dict.fromkeys(there, "")) if there else table


def write_json(path: Path, content: Any) -> None:
    """Write JSON with sorted keys and a final newline."""
    with atomic_path(path) as temporary:
        temporary.write_text(
            json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
            encoding="utf-8",
        )


def read_json(path: Path) -> Any:
    """Read a JSON file that a stage wrote.

    Raises:
        MissingArtifactError: the file is not there.
        DamagedArtifactError: it is not JSON.
    """
    require(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedArtifactError(f"{path} is not valid JSON ({error}); delete it and run `dvc repro`") from error


def write_metrics(path: Path, metrics: Mapping[str, Any]) -> None:
    """Write a stage's metrics: nested dicts whose leaves are finite numbers (strings only for signatures).

    Floats keep six significant digits, so that the last bits of a sum's order don't show in a diff.

    Raises:
        LexivertError: a leaf is NaN, infinite or a list; the message names its key.
    """
    write_json(path, _rounded(dict(metrics), ""))


def _rounded(value: Any, key: str) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _rounded(item, f"{key}.{name}".lstrip(".")) for name, item in value.items()}
    if isinstance(value, str | bool | int):
        return value
    number = float(value) if isinstance(value, float | np.floating) else None
    if isinstance(value, np.integer):
        return int(value)
    if number is None or not math.isfinite(number):
        raise LexivertError(f"metric {key} is {value!r}; a metric must be a finite number")
    return float(f"{number:.6g}")
