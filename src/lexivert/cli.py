"""Console command ``lexivert``: texts to vectors and back, from the command line.

The heavy libraries are imported inside the commands, so that ``lexivert --help`` answers at once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TextIO, TypeVar

import typer

from lexivert import commands
from lexivert.display import visible
from lexivert.errors import LexivertError, LexivertWarning, RowError, TooLongError

if TYPE_CHECKING:
    from lexivert.generation.alignment import Alignment
    from lexivert.generation.base import Candidate, Generated
    from lexivert.io import TextLine
    from lexivert.model import Lexivert, Reading

T = TypeVar("T")

_TEXTS_AT_ONCE = 2048
_MOST_SEED = 2**32 - 1  # as of params.yaml's, whose module takes longer to import than --help may take
_MOST_THREADS = 1024
_VECTORS_AT_ONCE = 64  # no more than a model reads in one go, so that the bar moves after each

EFFORT, MAX_SECONDS = "--effort", "--max-seconds"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)

Model = Annotated[str, typer.Option("--model", help="Model folder or hub id, or a project folder after `dvc repro`.")]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="auto|cpu|cuda|mps", help="Where to compute; as the model says if not given."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads", min=1, max=_MOST_THREADS, help="Threads to compute with; as many as cores if not given."
    ),
]
EffortOption = Annotated[
    str,
    typer.Option(
        EFFORT,
        metavar="draft|normal|high",
        help="How far to go for texts that are not read for sure: above draft with a language model, seconds each.",
    ),
]
WriteEffort = Annotated[
    str, typer.Option(EFFORT, metavar="draft|normal|high", help="How long to search for a better text.")
]
MaxSeconds = Annotated[
    float | None, typer.Option(MAX_SECONDS, help="Of a text's search; as the model says if not given.")
]
Input = Annotated[Path, typer.Argument(metavar="IN")]
Output = Annotated[Path, typer.Argument(metavar="OUT")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"lexivert {version('lexivert')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Write texts as vectors, and read vectors back."""


@app.command()
def roundtrip(  # noqa: PLR0913, PLR0917 a command has the options it has
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    trace: Annotated[bool, typer.Option("--trace", help="Show every step of the rebuild.")] = False,
    noise: Annotated[
        float, typer.Option(metavar="COS", help="Cosine of the vector, made noisy, with the true one.")
    ] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    meaning: Annotated[
        bool, typer.Option("--meaning", help="Write a text from the sentence embedding alone, with its drafts.")
    ] = False,
    effort: Annotated[
        str | None,
        typer.Option(
            EFFORT,
            metavar="draft|normal|high",
            help="How far to go for a text that is not read for sure, draft if not given; with --meaning how long to "
            "search for a better text, normal if not given.",
        ),
    ] = None,
    max_seconds: MaxSeconds = None,
) -> None:
    """Encode a text, read it back from the vector, and tell whether it is the same."""
    if not 0.0 < noise <= 1.0:
        raise LexivertError(f"--noise is {noise}; a cosine above 0 and up to 1 is needed")
    if not 0 <= seed <= _MOST_SEED:
        raise LexivertError(f"--seed is {seed}; a number from 0 to {_MOST_SEED} is needed")
    from rich.console import Console

    from lexivert.console import show_drafts, show_rebuild, verdict
    from lexivert.display import show
    from lexivert.text.tokenizer import normalize

    if meaning and (trace or max_seconds is not None):
        option = "--trace" if trace else MAX_SECONDS
        raise LexivertError(f"{option} is for reading a vector back; leave it out, or --meaning")
    with _one_line():
        if meaning and not normalize(text):
            raise LexivertError(
                "the text is empty, so it has no meaning to write from; give a text, or leave out --meaning"
            )
    budget = _budget(effort or ("normal" if meaning else "draft"), max_seconds)
    loaded = _load(model, device, threads)
    with _one_line():
        vectors = loaded.encode([text])
        noisy = _noisy(vectors, noise, seed)
        if meaning:
            loaded.generator  # noqa: B018 says what it lacks before anything is shown
            with show_drafts(Console(highlight=False)) as watch:
                written = loaded.generate(noisy, effort=budget["effort"], watch=watch)[0]
            show(written.text)
            show(f"written from the embedding alone, whose cosine with that of this text is {written.cosine:.4f}")
            return
        reading = loaded.read(noisy, trace=trace, **budget)[0]
    if trace:
        show_rebuild(Console(highlight=False), loaded, reading)
    show(reading.text)
    show(verdict(reading, normalize(text)))


@app.command()
def encode(
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    field: Annotated[str, typer.Option(help="Key of the text in .jsonl.")] = "text",
    skip_long: Annotated[
        bool, typer.Option("--skip-long", help="Leave out texts too long for a vector and name their lines.")
    ] = False,
) -> None:
    """Write the vectors of a file's texts.

    IN is .txt (a text a line), .jsonl, or - for lines on standard input; OUT is .npy, or .parquet with the columns
    line and vector.
    """
    from lexivert import io

    io.check_input(source, io.TEXT_SUFFIXES)
    io.check_output(target, io.VECTOR_SUFFIXES, source)
    loaded = _load(model, device, threads)
    lines = _progress(io.read_texts(source, field), io.count_lines(source), "encode")
    skipped: list[int] = []
    surprising: list[int] = []
    count = 0
    encoder = loaded.encoder
    fingerprint = loaded.fingerprint if target.suffix == ".parquet" else ""
    with io.vector_writer(target, loaded.embed_dim, fingerprint) as write:
        for part in _batches(_fitting(loaded, lines, skipped if skip_long else None)):
            vectors = encoder.encode_segmented([text.normalized for text in part], [text.units for text in part])
            write([text.number for text in part], vectors)
            surprising += [part[row].number for row in loaded.surprising([text.units for text in part], vectors)]
            count += len(part)
    typer.echo(visible(f"{count} vectors of width {loaded.embed_dim} written to {target}"), err=True)
    if skipped:
        typer.echo(f"left out, too long for a vector: {_listed(skipped)}", err=True)
    if surprising:
        typer.echo(f"too surprising to be read back exactly, as expected: {_listed(surprising)}", err=True)


@app.command()
def decode(  # noqa: PLR0913, PLR0917 a command has the options it has
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
    ignore_fingerprint: Annotated[
        bool, typer.Option("--ignore-fingerprint", help="Read even vectors that another model wrote.")
    ] = False,
    effort: EffortOption = "draft",
    max_seconds: MaxSeconds = None,
) -> None:
    """Read the texts of a file's vectors back.

    IN is .npy or .parquet; OUT is .txt, .jsonl (text, fit, verified, confidence, score), or - for lines on
    standard output. Vectors in .parquet that another model wrote are refused.
    """
    from lexivert import io

    budget = _budget(effort, max_seconds)
    io.check_input(source, io.VECTOR_SUFFIXES)
    io.check_output(target, io.TEXT_SUFFIXES, source)
    total = io.count_vectors(source)
    written_by = None if ignore_fingerprint else io.fingerprint_of(source)
    loaded = _load(model, device, threads)
    if written_by not in {None, loaded.fingerprint}:
        raise LexivertError(
            f"{source} was written by the model {written_by}, but {model} is {loaded.fingerprint}; use that model, "
            "or --ignore-fingerprint to read it anyway"
        )
    parts = io.read_vectors(source, _VECTORS_AT_ONCE, column)
    verified, doubtful = 0, []
    readings = _by_row(lambda part: loaded.read(part, **budget), parts, source)
    with io.line_writer(target) as write:
        for line, reading in enumerate(_progress(readings, total, "decode"), start=1):
            write(_record(reading) if target.suffix == ".jsonl" else _one_row(reading.text))
            verified += reading.verified
            doubtful += [line] if reading.doubtful else []
    typer.echo(f"{total} texts read, {verified} of them verified exact", err=True)
    if doubtful:
        typer.echo(f"doubtful, of a confidence below 0.5: {_listed(doubtful)}", err=True)


@app.command()
def align(  # noqa: PLR0913, PLR0917 a command has the options it has
    texts: Annotated[Path, typer.Argument(metavar="TEXTS")],
    vectors: Annotated[Path, typer.Argument(metavar="VECTORS")],
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    field: Annotated[str, typer.Option(help="Key of the text in .jsonl, or column in .parquet.")] = "text",
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
    encoder: Annotated[str, typer.Option(metavar="NAME", help="Of the other encoder, for messages.")] = "",
) -> None:
    """Fit a map from another encoder's vectors to the model's, so that texts can be written for them.

    TEXTS is .txt (a text a line), .jsonl or .parquet, 1,000 to 5,000 texts; VECTORS is .npy or .parquet, the other
    encoder's vector of each; OUT is a folder, made with the folders above it, and replaced where it holds an
    alignment.
    """
    from lexivert import io
    from lexivert.generation.alignment import check_target

    io.check_input(texts, io.TABLE_SUFFIXES)
    io.check_input(vectors, io.VECTOR_SUFFIXES)
    check_target(target)
    fingerprint = io.fingerprint_of(vectors) or ""
    lines = list(io.read_texts(texts, field))
    foreign = _foreign(vectors, column)
    if (count := len(foreign)) != len(lines):
        raise LexivertError(f"{texts} has {len(lines)} texts, {vectors} {count} vectors; a vector a text is needed")
    loaded = _load(model, device, threads)
    with _one_line(f"{texts} with {vectors}"):
        try:
            alignment = loaded.align([line.text for line in lines], foreign, encoder=encoder, fingerprint=fingerprint)
        except RowError as error:  # the vectors have been checked
            raise LexivertError(f"{lines[error.row].where}: {error.kind} {error.reason}") from error
    alignment.save(target)
    fit = alignment.fit
    found = f"cosine {fit.cosine:.3f} ({fit.cosine_low:.3f} to {fit.cosine_high:.3f}) on {fit.heldout} held-out pairs"
    typer.echo(visible(f"{target}: {fit.pairs} pairs, {found}, {fit.baseline:.3f} of the mean embedding"), err=True)


@app.command()
def write(  # noqa: PLR0913, PLR0917 a command has the options it has
    source: Input,
    target: Output,
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    effort: WriteEffort = "normal",
    alternatives: Annotated[int, typer.Option(help="Further texts of each, 0 or more, in .jsonl.")] = 0,
    alignment: Annotated[
        Path | None, typer.Option(help="Folder of `lexivert align`, for another encoder's vectors.")
    ] = None,
    column: Annotated[str, typer.Option(help="Column of the vectors in .parquet.")] = "vector",
) -> None:
    """Write texts of the meaning of sentence embeddings, such as predicted or averaged ones.

    IN is .npy or .parquet, embeddings of the model's backbone, or full vectors, whose semantic prefix counts; OUT is
    .txt, .jsonl (text, cosine, alternatives, and log_probability where there is a language model), or - for lines on
    standard output; folders above it are made. All of IN is checked before the first text is written.
    """
    from lexivert import io
    from lexivert.generation.alignment import Alignment

    io.check_input(source, io.VECTOR_SUFFIXES)
    io.check_output(target, io.TEXT_SUFFIXES, source)
    budget = _budget(effort)
    if alternatives < 0:
        raise LexivertError(f"--alternatives is {alternatives}; a number from 0 on is needed")
    if alternatives and target.suffix != ".jsonl":
        raise LexivertError("--alternatives needs a .jsonl file")
    total = io.count_vectors(source)
    aligned = None if alignment is None else Alignment.load(alignment)
    if aligned is not None:
        with _one_line(source):
            aligned.check_fingerprint(io.fingerprint_of(source))
    loaded = _load(model, device, threads)
    _check_embeddings(loaded, source, column, aligned)
    loaded.generator  # noqa: B018 says what it lacks before anything is shown

    def written(part: Any) -> list[Generated]:
        return loaded.generate(part, 1 + alternatives, effort=budget["effort"], alignment=aligned)

    parts = _by_row(written, io.read_vectors(source, _VECTORS_AT_ONCE, column), source)
    cosines = 0.0
    with io.line_writer(target) as write_line:
        for one in _progress(parts, total, "write"):
            write_line(_generated_record(one) if target.suffix == ".jsonl" else _one_row(one.text))
            cosines += one.cosine
    mean = f", of a mean cosine of {cosines / total:.3f} with their embeddings" if total else ""
    typer.echo(f"{total} texts written{mean}", err=True)


@app.command()
def neighbors(
    text: Annotated[str, typer.Argument(metavar="TEXT")],
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
    count: Annotated[int, typer.Option("-k", min=1, help="How many.")] = 10,
) -> None:
    """List the units whose codes are nearest to a word's, a phrase's or a text's."""
    from lexivert.console import neighbor_table, show_table

    loaded = _load(model, device, threads)
    with _one_line():
        found = loaded.neighbors(text, count)
    show_table(neighbor_table(found))


@app.command()
def mteb(
    target: Annotated[Path, typer.Argument(metavar="OUTDIR")],
    tasks: Annotated[
        list[str] | None, typer.Option(metavar="NAMES", help="MTEB tasks, with commas between; may be repeated.")
    ] = None,
    sts: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.tsv", help="Score, sentence, sentence a line, tabs between; may be repeated."),
    ] = None,
    part: Annotated[str, typer.Option(metavar="full|prefix|order", help="What of the vectors is compared.")] = "full",
    model: Model = ".",
    device: Device = None,
    threads: Threads = None,
) -> None:
    """Run tasks of MTEB, or STS files of your own, and write their results to a folder in MTEB's layout.

    The data of MTEB's tasks come from the Hugging Face hub, unless they are in its cache already; STS files need no
    network.
    """
    names = [name for listed in tasks or [] for name in map(str.strip, listed.split(",")) if name]
    if not names and not sts:
        raise LexivertError("nothing to run; name tasks with --tasks, or a file with --sts")
    if target.exists() and not target.is_dir():
        raise LexivertError(f"{target} is no folder; name one for the results")
    with _needs_mteb():
        from lexivert.evaluation import mteb_tasks
    from lexivert.console import score_table, show_table

    mteb_tasks.check_part(part)
    found = [*mteb_tasks.read_tasks(sts or []), *mteb_tasks.find_tasks(names)]
    encoder = mteb_tasks.PartEncoder(_load(model, device, threads), part)
    scores: list[mteb_tasks.Score] = []
    try:
        scores.extend(mteb_tasks.evaluate(encoder, found, target, progress=sys.stderr.isatty()))
    finally:  # what is finished is written, and shown even if a later task stops the command
        if scores:
            show_table(score_table(scores))
            typer.echo(f"results in {visible(str(mteb_tasks.result_folder(encoder, target)))}", err=True)


def main() -> None:
    """Run the command; a user's mistake ends it with one line on standard error and exit code 1."""
    warnings.showwarning = _show_warning
    raise SystemExit(commands.run(app))


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show our own warnings in one line, without the place in the code; others as Python does."""
    if issubclass(category, LexivertWarning):
        typer.echo(f"warning: {message}", err=True)
    else:
        (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


@contextlib.contextmanager
def _one_line(source: Path | str = "") -> Iterator[None]:
    """Turn what the API says of a wrong argument into a message of the command, with the file that it is about."""
    try:
        yield
    except ValueError as error:
        raise LexivertError(f"{source}: {error}" if source else str(error)) from error


@contextlib.contextmanager
def _needs_mteb() -> Iterator[None]:
    """Say what to install where mteb is missing, or too old to have what is imported."""
    try:
        yield
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in {"mteb", "datasets"}:
            raise
        raise LexivertError("`lexivert mteb` needs the extra `eval`: pip install 'lexivert[eval]'") from error


def _load(name: str, device: str | None, threads: int | None) -> Lexivert:
    """A model by its folder or hub id, or that of a project folder."""
    if threads is not None:
        from lexivert.threads import limit_threads

        limit_threads(threads)
    from lexivert.model import Lexivert

    folder = Path(name)
    if folder.is_dir() and not (folder / "config.json").exists():
        if not any((folder / part).exists() for part in ("dvc.yaml", "params.yaml", "models/index")):
            where = "here" if name == "." else f"in {name}"
            raise LexivertError(
                f"no model {where}; use --model with a model's folder, its hub id, or a project folder after "
                "`make reproduce`"
            )
        return Lexivert.load(folder, device=device)
    return Lexivert.from_pretrained(name, device=device or "auto")


def _noisy(vectors: Any, cosine: float, seed: int) -> Any:
    """Turn vectors by a random direction to a given cosine. Shape: (B, D) to (B, D)."""
    if cosine == 1.0:
        return vectors
    import torch

    from lexivert.codes.corruption import add_noise

    generator = torch.Generator().manual_seed(seed)
    return add_noise(torch.from_numpy(vectors), torch.full((len(vectors),), cosine), generator).numpy()


def _progress(items: Iterator[Any], total: int | None, label: str) -> Iterator[Any]:
    """Show a bar on standard error, where that is a terminal."""
    from tqdm import tqdm

    bar: Iterator[Any] = iter(tqdm(items, desc=label, total=total, unit=" texts", disable=None))
    return bar


class _Segmented(NamedTuple):
    """A text of a file: its line, itself as it is encoded, and its units."""

    number: int
    normalized: str
    units: list[int]


def _batches(texts: Iterator[_Segmented]) -> Iterator[list[_Segmented]]:
    while part := list(itertools.islice(texts, _TEXTS_AT_ONCE)):
        yield part


def _fitting(model: Lexivert, lines: Iterator[TextLine], skipped: list[int] | None) -> Iterator[_Segmented]:
    """Yield the texts that a vector can take; note the others in ``skipped``, or stop if that is None."""
    for line in lines:
        try:
            text, units = model.encoder.written(line.text)
        except TooLongError as error:
            if skipped is None:
                raise LexivertError(f"{line.where}: text {error}: split it or add --skip-long") from error
            skipped.append(line.number)
        except ValueError as error:
            raise LexivertError(f"{line.where}: {error}") from error
        else:
            yield _Segmented(line.number, text, units)


def _budget(effort: str, max_seconds: float | None = None) -> dict[str, Any]:
    """How far to go, as the API takes it; a mistake is named by its option."""
    from lexivert.arguments import check_effort, check_seconds

    with _one_line():
        level = check_effort(effort, EFFORT)
        return {"effort": level, "max_seconds": check_seconds(max_seconds, level, MAX_SECONDS, EFFORT)}


def _by_row(action: Callable[[Any], list[T]], parts: Iterator[Any], source: Path) -> Iterator[T]:
    """What an action makes of vectors, one by one; a vector at fault is named by its row in the file."""
    start = 0
    for part in parts:
        try:
            found = action(part)
        except RowError as error:
            reason = error.reason.replace("`generate`", "`lexivert write`")  # of the API, and of the command line
            raise LexivertError(f"{source}: {error.kind} {start + error.row} {reason}") from error
        except ValueError as error:
            raise LexivertError(f"{source}: {error}") from error
        yield from found
        start += len(part)


def _check_embeddings(model: Lexivert, source: Path, column: str, alignment: Alignment | None) -> None:
    """Go through a file before anything is written for it, so that a bad row late in it costs no work."""
    from lexivert import io

    def checked(part: Any) -> list[None]:
        model.directions(part, alignment)
        return []

    for _ in _by_row(checked, io.read_vectors(source, _VECTORS_AT_ONCE, column), source):
        pass


def _foreign(source: Path, column: str) -> Any:
    """Another encoder's embeddings of a file, checked. Shape: (B, F)."""
    import numpy as np

    from lexivert import io
    from lexivert.arguments import check_foreign

    parts = list(io.read_vectors(source, _TEXTS_AT_ONCE, column))
    if len(widths := {part.shape[1] for part in parts}) > 1:
        raise LexivertError(f"{source} holds vectors of different widths: {', '.join(map(str, sorted(widths)))}")
    with _one_line(source):
        return check_foreign(np.concatenate(parts or [np.empty((0, 1))]))


def _listed(lines: Sequence[int]) -> str:
    """How many texts, and their lines."""
    return f"{len(lines)} texts, lines {', '.join(map(str, lines))}"


def _one_row(text: str) -> str:
    """A misread text may contain a line break; a row must not."""
    return " ".join(text.split())


def _record(reading: Reading) -> str:
    score = _mean(reading.scores)
    content: dict[str, object] = {"text": reading.text, "fit": reading.fit, "verified": reading.verified}
    content |= {"confidence": reading.confidence, "score": score}
    return json.dumps(content, ensure_ascii=False)


def _generated_record(one: Generated) -> str:
    def content(candidate: Candidate) -> dict[str, object]:
        found = {"text": candidate.text, "cosine": candidate.cosine, "log_probability": candidate.log_probability}
        return {name: value for name, value in found.items() if value is not None}

    others = {"alternatives": [content(other) for other in one.alternatives]} if one.alternatives else {}
    return json.dumps(content(one) | others, ensure_ascii=False)


def _mean(scores: Sequence[float]) -> float:
    """Mean probability of the units; the empty text has nothing to doubt."""
    return sum(scores) / len(scores) if scores else 1.0
