"""Inputs of the command line: commands, options and files of any kind; one line where something is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fuzz import inputs
from lexivert import cli
from lexivert.text.tokenizer import normalize

START = "from lexivert.cli import main; main()"


@dataclass(frozen=True)
class Outcome:
    """How a command has ended.

    Attributes:
        code: exit status.
        out: standard output.
        err: standard error.
    """

    code: int
    out: bytes
    err: str


Run = Callable[[list[str], bytes, Path], Outcome]


def within(arguments: list[str], given: bytes, folder: Path) -> Outcome:
    """Run the command in this process, as its entry point does."""
    before, out, err = (sys.argv, sys.stdin, Path.cwd()), io.BytesIO(), io.StringIO()
    sys.argv = ["lexivert", *arguments]
    sys.stdin = io.TextIOWrapper(io.BytesIO(given), encoding="utf-8")
    os.chdir(folder)
    try:
        with (
            contextlib.redirect_stdout(io.TextIOWrapper(out, encoding="utf-8", write_through=True)) as stream,
            contextlib.redirect_stderr(err),
        ):
            try:
                cli.main()
                code: object = 0
            except SystemExit as end:
                code = end.code or 0
            with contextlib.suppress(ValueError):  # the command may have closed it
                stream.flush()
            stream.detach()
    finally:
        sys.argv, sys.stdin = before[:2]
        os.chdir(before[2])
    assert isinstance(code, int), code
    return Outcome(code, out.getvalue(), err.getvalue())


def as_process(arguments: list[str], given: bytes, folder: Path) -> Outcome:
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", START, *arguments]
    done = subprocess.run(command, input=given, cwd=folder, capture_output=True, timeout=100, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))


@dataclass(frozen=True)
class Bench:
    """What commands are tried on.

    Attributes:
        model: folder of a project with a model.
        vectors: true vectors, as `encode` wrote them: bytes by ending.
        texts: theirs.
        folder: empty, for the files of one input.
    """

    model: Path
    vectors: dict[str, bytes]
    texts: list[str]
    folder: Path


def attempt(run: Run, bench: Bench, rng: random.Random) -> None:
    """Make a command line with its files, run it, and look at what it says and leaves."""
    for file in bench.folder.iterdir():
        file.unlink()
    command = rng.choice(("roundtrip", "roundtrip", "encode", "encode", "decode", "decode", "neighbors", "other"))
    if command == "encode":
        encode(run, bench, rng)
    elif command == "decode":
        decode(run, bench, rng)
    else:
        words = [*_one_text(command, rng), *_options(bench, rng)]
        outcome = run([word for word in words if "\0" not in word], b"", bench.folder)
        proper(outcome)
        assert not list(bench.folder.iterdir())


def _one_text(command: str, rng: random.Random) -> list[str]:
    raw = inputs.text(rng)[:100_000].encode("utf-8", "replace")
    if rng.random() < 0.1:  # what is no UTF-8 reaches a program as lone surrogates
        raw += bytes([rng.randrange(128, 256)])
    text = raw.decode("utf-8", "surrogateescape")
    if command == "roundtrip":
        noise = ["--noise", str(rng.choice((1, 0.99, 0.5, 0, 2, -1, "nan", "a", inputs.value(rng))))]
        seed = ["--seed", str(rng.choice((0, 7, 2**70, -1, "a")))]
        return ["roundtrip", *rng.choice(([], noise, [*noise, *seed])), *rng.choice(([], ["--trace"])), "--", text]
    if command == "neighbors":
        return ["neighbors", "-k", str(rng.choice((1, 5, 10**9, 0, -1, "a"))), "--", text]
    return [rng.choice(("mteb", "roundtrip", "", "--version", "--help", "nothing", "encode")), *text.split()[:3]]


def _options(bench: Bench, rng: random.Random) -> list[str]:
    """A model, mostly the right one; and now and then a device, threads, or what is no option."""
    where = str(bench.model) if rng.random() < 0.95 else rng.choice((".", "nowhere", "", "/", "a/b/c"))
    wrong = ["--device", rng.choice(("cpu", "cuda", "tpu", "")), "--threads", rng.choice(("1", "0", "-1", "a"))]
    options = ["--model", where]
    if rng.random() < 0.1:
        options += rng.choice((wrong[:2], wrong[2:], ["--nothing"], ["-x", "1"]))
    return options


def encode(run: Run, bench: Bench, rng: random.Random) -> None:
    """A file of texts to a file of vectors, and back: the lines that are verified are those of the file."""
    lines = [inputs.text(rng) for _ in range(rng.randint(0, 4))]
    kind = rng.choice((".txt", ".txt", ".jsonl", "-", ".csv", ""))
    data = _json_lines(lines, rng) if kind == ".jsonl" else _plain_lines(lines)
    if rng.random() < 0.1:
        data = data[: rng.randint(0, len(data))] + bytes([rng.randrange(256)])
    source = bench.folder / f"in{kind}"
    if kind != "-":
        source.write_bytes(data)
    ending = rng.choice((".npy", ".parquet", ".parquet", ".txt", ""))
    target = bench.folder / f"out{ending}"
    words = ["-" if kind == "-" else source.name, target.name]
    words += rng.choice(([], [], ["--skip-long"], ["--field", rng.choice(("text", "a", ""))]))
    outcome = run(["encode", *words, *_options(bench, rng)], data if kind == "-" else b"", bench.folder)
    proper(outcome)
    left = {file.name for file in bench.folder.iterdir()} - {source.name}
    assert left == ({target.name} if outcome.code == 0 else set()), (left, outcome)
    if outcome.code == 0:
        _read_again(run, bench, target, _texts_of(kind, data, words))


def _plain_lines(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")


def _json_lines(lines: list[str], rng: random.Random) -> bytes:
    records: list[object] = [{"text": line, "a": "b"} for line in lines]
    if records and rng.random() < 0.3:
        records[rng.randrange(len(records))] = rng.choice(({"text": inputs.value(rng)}, inputs.value(rng), {}))
    dumped = [json.dumps(record, ensure_ascii=rng.random() < 0.5) for record in records]
    if rng.random() < 0.1:
        dumped.append(
            rng.choice(("{", "[" * 5000, '{"text": "\\ud800"}', '{"text": 1e999}', "", "nul", '{"text": "a"}{}'))
        )
    return "\n".join(dumped).encode("utf-8", "surrogatepass") + b"\n"


def _texts_of(kind: str, data: bytes, words: list[str]) -> list[str]:
    """The texts that a file states, read by Python's own means."""
    content = data.decode("utf-8-sig")
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    if lines[-1] == "":
        lines.pop()
    if kind != ".jsonl":
        return lines
    field = words[words.index("--field") + 1] if "--field" in words else "text"
    return [json.loads(line)[field] for line in lines if line.strip()]


def _read_again(run: Run, bench: Bench, vectors: Path, texts: list[str]) -> None:
    found = run(["decode", vectors.name, "back.jsonl", "--model", str(bench.model)], b"", bench.folder)
    proper(found)
    assert found.code == 0, found
    records = [
        json.loads(line) for line in (bench.folder / "back.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    ]
    wanted = [normalize(text) for text in texts]
    if len(records) == len(wanted):
        pairs = zip(records, wanted, strict=True)
        assert all(not record["verified"] or record["text"] == text for record, text in pairs), (records, wanted)
    else:  # some were too long, with --skip-long
        assert len(records) < len(wanted)
        assert all(not record["verified"] or record["text"] in wanted for record in records), (records, wanted)


def decode(run: Run, bench: Bench, rng: random.Random) -> None:
    """A file of vectors, right or damaged, to a file of texts."""
    ending = rng.choice((".npy", ".parquet"))
    data = bytearray(bench.vectors[rng.choice((ending, ending, ending, ".npy"))])
    kind = rng.random()
    if kind < 0.4:
        for _ in range(rng.randint(1, 4)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif kind < 0.6:
        del data[rng.randrange(len(data)) :]
    elif kind < 0.7:
        data = bytearray(_array(rng))
    source = bench.folder / f"in{ending}"
    source.write_bytes(bytes(data))
    target = rng.choice(("back.txt", "back.jsonl", "back.jsonl", "-", "back.csv"))
    words = [source.name, target, *rng.choice(([], [], ["--column", rng.choice(("vector", "line", "a"))]))]
    words += rng.choice(([], ["--ignore-fingerprint"]))
    outcome = run(["decode", *words, *_options(bench, rng)], b"", bench.folder)
    proper(outcome)
    left = {file.name for file in bench.folder.iterdir()} - {source.name}
    assert left == ({target} - {"-"} if outcome.code == 0 else set()), (left, outcome)
    if outcome.code == 0 and target == "back.jsonl":
        lines = (bench.folder / target).read_text(encoding="utf-8").split("\n")[:-1]
        records = [json.loads(line) for line in lines]
        assert all(not record["verified"] or record["text"] in bench.texts for record in records), records


def _array(rng: random.Random) -> bytes:
    """A .npy file of another shape, type or content."""
    kinds = ("<i4", ">f8", "?", "<c8", "S3", "<U2", "<M8[s]", "f2")
    arrays = [
        np.zeros((2, 256), dtype=np.float32),
        np.full((1, 256), np.nan, dtype=np.float32),
        np.ones((2, 256)).astype(rng.choice(kinds)),
        np.ones((2, 255)),
        np.ones(256),
        np.ones((0, 256)),
        np.ones((1, 2, 3)),
        np.array(rng.choice((1, "a"))),
        np.array([[1, None]], dtype=object),
    ]
    stream = io.BytesIO()
    np.save(stream, rng.choice(arrays), allow_pickle=True)
    return stream.getvalue()


def proper(outcome: Outcome) -> None:
    """Exit status and messages are those of a command that knows what it says."""
    assert outcome.code in {0, 1, 2}, outcome
    assert "Traceback" not in outcome.err, outcome
    outcome.out.decode("utf-8")
    assert outcome.code != 2 or re.search(r"^Usage: ", outcome.err.lstrip(), re.MULTILINE), outcome
    if outcome.code == 1:
        lines = outcome.err.replace("\r", "\n").split("\n")
        told = [line for line in lines if line.startswith("error: ")]
        assert len(told) == 1, outcome
        assert told[0] == lines[-2], outcome
        assert len(told[0]) < 2000, len(told[0])
