from __future__ import annotations

import dataclasses
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from lexivert.cli import rows
from lexivert.controller.language_search import LanguageSearch
from lexivert.errors import GenerationWarning
from lexivert.generation.alignment import Alignment
from lexivert.io import vector_writer
from lexivert.model import Lexivert

REPOSITORY = Path(__file__).resolve().parents[1]
TEXTS = [
    "The old captain saw the river.",
    "",
    "“Don't you see the moon?” said Emma; “it is pale.”",
    "Emma saw ☃ and 🙂…",
    "Alice bought a red lamp.",
]


@pytest.fixture
def notes(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


def test_version_and_help(lexivert):
    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    assert lexivert("--version", model=False) == (0, f"lexivert {version}\n", "")
    code, out, _ = lexivert("--help", model=False)
    assert code == 0
    assert all(command in out for command in ("roundtrip", "encode", "decode", "neighbors"))


def test_help_needs_no_heavy_library():
    check = "import sys, lexivert.cli; sys.exit(bool({'torch', 'numpy', 'pyarrow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_roundtrip(lexivert):
    code, out, err = lexivert("roundtrip", "  The old  captain saw the river.")
    assert (code, err) == (0, "")
    text, verdict = out.splitlines()
    assert text == TEXTS[0]
    assert re.fullmatch(r"read back exactly, verified by a zero residual \(fit 1\.0+, \d units\)", verdict)


def test_trace_off_a_terminal_is_a_line_a_step(lexivert):
    code, out, _ = lexivert("roundtrip", TEXTS[0], "--trace")
    *steps, text, verdict = out.splitlines()
    assert code == 0
    assert text == TEXTS[0]
    assert verdict.startswith("read back exactly, verified")
    assert [int(step.split()[0]) for step in steps] == list(range(1, len(steps) + 1))
    assert "<end>" in steps[0]
    assert "·" in steps[0]
    assert steps[-1].endswith(TEXTS[0])
    residuals = [float(re.search(r"residual (\S+)", step)[1]) for step in steps]
    assert residuals[0] > 0.3
    assert residuals[-1] < 0.01
    assert "\x1b" not in out


def test_trace_on_a_terminal_is_live(lexivert, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = lexivert("roundtrip", "Alice bought a lamp.", "--trace")
    assert code == 0
    assert "\x1b[" in out
    assert "text so far" in out
    assert "read back exactly" in out


def test_noise_proves_nothing(lexivert):
    code, out, _ = lexivert("roundtrip", "Alice bought a lamp.", "--noise", "0.99", "--seed", "3")
    assert code == 0
    fit = float(re.search(r"not verified \(fit (\S+),", out)[1])
    assert 0.9 < fit < 0.9999
    for wrong in ("0", "1.5", "-0.5", "nan"):
        code, out, err = lexivert("roundtrip", "a", "--noise", wrong)
        assert (code, out) == (1, "")
        assert err == f"error: --noise is {float(wrong)}; a cosine above 0 and up to 1 is needed\n"


def test_more_effort(lexivert, tiny_model, tmp_path, monkeypatch):
    """It searches what is not sure, for so many seconds; what is verified is not searched."""
    searched, search = [], LanguageSearch.search

    def recorded(self, read, observed, effort):
        searched.append(effort)
        return search(self, read, observed, effort)

    monkeypatch.setattr(LanguageSearch, "search", recorded)
    text = "The old captain saw the river."
    hard = ("roundtrip", text, "--noise", "0.8")
    draft = lexivert(*hard)[1]
    assert draft == lexivert(*hard, "--effort", "draft")[1]
    assert not searched
    code, out, err = lexivert(*hard, "--effort", "normal", "--max-seconds", "5")
    assert (code, err) == (0, "")
    normal = tiny_model.decoder.parts.params.language_search.normal
    assert searched == [normal.model_copy(update={"max_seconds": 5.0})]
    assert out.splitlines()[0] != draft.splitlines()[0]
    np.save(tmp_path / "v.npy", tiny_model.encode([text]))
    assert lexivert("decode", tmp_path / "v.npy", "-", "--effort", "high")[1] == f"{text}\n"
    assert len(searched) == 1


STRANGE = [":x:0:", ":smile:", "[bold]a[/bold] [/] [link=b]c", "\x1b[31ma\x07\u202eb"]


@pytest.mark.parametrize("text", STRANGE)
def test_a_users_text_is_shown_byte_for_byte(lexivert, text):
    code, out, _ = lexivert("roundtrip", text, "--trace")
    *steps, shown, verdict = out.split("\n")[:-1]
    assert code == 0
    assert shown == text
    assert verdict.startswith("read back exactly")
    assert steps[-1].endswith(text)
    table = lexivert("neighbors", text, "-k", "1")[1]
    assert len(table.splitlines()) == 2


def test_on_a_terminal_what_would_steer_it_is_made_visible(lexivert, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    code, out, _ = lexivert("roundtrip", "\x1b[31m:smile:\x07 \u202eb")
    assert (code, out.splitlines()[0]) == (0, r"\x1b[31m:smile:\x07 \u202eb")


def test_read_texts_are_visible_on_a_terminal_and_bytes_in_a_pipe(lexivert, tmp_path, monkeypatch):
    assert lexivert("encode", "-", tmp_path / "v.npy", stdin="\x1b[31ma\x07\n")[0] == 0
    assert lexivert("decode", tmp_path / "v.npy", "-")[:2] == (0, "\x1b[31ma\x07\n")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert lexivert("decode", tmp_path / "v.npy", "-")[:2] == (0, "\\x1b[31ma\\x07\n")


def test_an_empty_text(lexivert):
    code, out, _ = lexivert("roundtrip", "", "--trace")
    assert code == 0
    assert "read back exactly, verified" in out


@pytest.mark.parametrize("vectors", ["v.npy", "v.parquet"])
@pytest.mark.parametrize("texts", ["back.txt", "back.jsonl"])
def test_files_there_and_back(lexivert, notes, tmp_path, tiny_model, vectors, texts):
    code, out, err = lexivert("encode", notes, tmp_path / vectors)
    assert (code, out) == (0, "")
    assert err.endswith(f"5 vectors of width 256 written to {tmp_path / vectors}\n")
    code, out, err = lexivert("decode", tmp_path / vectors, tmp_path / texts)
    assert (code, out) == (0, "")
    assert err.endswith("5 texts read, 5 of them verified exact\n")
    content = (tmp_path / texts).read_text(encoding="utf-8").splitlines()
    if texts == "back.txt":
        assert content == TEXTS
    else:
        records = [json.loads(line) for line in content]
        assert [record["text"] for record in records] == TEXTS
        assert all(record.keys() == {"text", "fit", "verified", "confidence", "score"} for record in records)
        assert all(record["verified"] and 0 <= record["score"] <= 1 for record in records)
    if vectors == "v.npy":
        np.testing.assert_allclose(np.load(tmp_path / vectors), tiny_model.encode(TEXTS), atol=1e-5)


def test_many_parts(lexivert, tmp_path, monkeypatch, notes):
    monkeypatch.setattr(rows, "TEXTS_AT_ONCE", 2)
    monkeypatch.setattr(rows, "VECTORS_AT_ONCE", 2)
    lexivert("encode", notes, tmp_path / "v.npy")
    assert np.load(tmp_path / "v.npy").shape == (5, 256)
    _, out, _ = lexivert("decode", tmp_path / "v.npy", "-")
    assert out.splitlines() == TEXTS


def test_standard_input_and_output(lexivert, tmp_path):
    code, _, _ = lexivert("encode", "-", tmp_path / "v.npy", stdin="Alice saw a lamp.\nEmma\n")
    assert code == 0
    code, out, _ = lexivert("decode", tmp_path / "v.npy", "-")
    assert (code, out) == (0, "Alice saw a lamp.\nEmma\n")


def test_jsonl_fields(lexivert, tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"body": "Alice"}\n{"body": "Emma"}\n{"title": "x"}\n', encoding="utf-8")
    code, out, err = lexivert("encode", path, tmp_path / "v.npy", "--field", "body")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1] == f"error: {path} line 3: no field 'body'"
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["notes.jsonl"]


def test_nothing_in_nothing_out(lexivert, tmp_path):
    (tmp_path / "empty.txt").write_text("", encoding="utf-8")
    for name in ("v.npy", "v.parquet"):
        assert lexivert("encode", tmp_path / "empty.txt", tmp_path / name)[0] == 0
        code, out, err = lexivert("decode", tmp_path / name, "-")
        assert (code, out) == (0, "")
        assert "0 texts read" in err
    assert np.load(tmp_path / "v.npy").shape == (0, 256)


def test_long_texts_are_never_cut(lexivert, tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("Alice\n" + "moon stone " * 60 + "\nEmma\n", encoding="utf-8")
    code, _, err = lexivert("encode", path, tmp_path / "v.npy")
    assert code == 1
    assert re.search(
        r"^error: .*notes\.txt line 2: text has \d+ units; a vector holds at most 96: split it", err, re.MULTILINE
    )
    assert not (tmp_path / "v.npy").exists()
    code, _, err = lexivert("encode", path, tmp_path / "v.parquet", "--skip-long")
    assert code == 0
    assert "left out, too long for a vector: 1 texts, lines 2" in err
    assert pq.read_table(tmp_path / "v.parquet")["line"].to_pylist() == [1, 3]
    code, _, err = lexivert("roundtrip", "moon stone " * 60)
    assert code == 1
    assert "a vector holds at most 96" in err


def test_wrong_vectors_name_file_and_row(lexivert, tmp_path, monkeypatch, tiny_model):
    monkeypatch.setattr(rows, "VECTORS_AT_ONCE", 2)
    vectors = tiny_model.encode(TEXTS)
    vectors[3, 100] = np.nan
    np.save(tmp_path / "v.npy", vectors)
    code, _, err = lexivert("decode", tmp_path / "v.npy", tmp_path / "back.txt")
    assert code == 1
    assert err.splitlines()[-1] == f"error: {tmp_path / 'v.npy'}: vector 3 holds NaN or infinity"
    assert not (tmp_path / "back.txt").exists()
    np.save(tmp_path / "v.npy", vectors[:, :7])
    assert "(B, 256) is needed" in lexivert("decode", tmp_path / "v.npy", "-")[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("encode", "gone.txt", "v.npy"), "gone.txt is not there"),
        (("encode", "gone.csv", "v.npy"), "gone.csv is no .txt or .jsonl file"),
        (("decode", "gone.npy", "-"), "gone.npy is not there"),
        (("roundtrip", "a", "--effort", "fast"), "--effort is 'fast'; give one of draft, normal, high"),
        (("decode", "v.npy", "-", "--max-seconds", "0"), "--max-seconds is 0.0; give a finite number above 0"),
        (
            ("roundtrip", "a", "--meaning", "--trace"),
            "--trace is for reading a vector back; leave it out, or --meaning",
        ),
        (
            ("roundtrip", "a", "--meaning", "--max-seconds", "3"),
            "--max-seconds is for reading a vector back; leave it out, or --meaning",
        ),
        (("decode", "v.npy", "-", "--max-seconds", "inf"), "--max-seconds is inf; give a finite number above 0"),
        (("decode", "v.npy", "-", "--max-seconds", "3"), "--max-seconds needs --effort normal or high"),
        (
            ("roundtrip", "a", "--effort", "draft", "--max-seconds", "3"),
            "--max-seconds needs --effort normal or high",
        ),
        (
            ("roundtrip", " ", "--meaning"),
            "the text is empty, so it has no meaning to write from; give a text, or leave out --meaning",
        ),
        (("neighbors", ""), "the text is empty; it has no neighbours"),
    ],
)
def test_mistakes_are_one_line(lexivert, arguments, message):
    code, out, err = lexivert(*arguments)
    assert (code, out, err) == (1, "", f"error: {message}\n")


def test_no_model_is_one_line(lexivert, tmp_path, notes, monkeypatch):
    advice = "use --model with a model's folder, its hub id, or a project folder after `make reproduce`"
    monkeypatch.chdir(tmp_path)
    np.save("v.npy", np.ones((1, 256), np.float32))
    for command in (
        ("neighbors", "captain"),
        ("roundtrip", "captain"),
        ("encode", notes, "w.npy"),
        ("decode", "v.npy", "-"),
    ):
        assert lexivert(*command, model=False) == (1, "", f"error: no model here; {advice}\n")
    code, out, err = lexivert("neighbors", "captain", "--model", tmp_path, model=False)
    assert (code, out, err) == (1, "", f"error: no model in {tmp_path}; {advice}\n")
    (tmp_path / "dvc.yaml").touch()  # a project in which nothing has been made
    code, out, err = lexivert("neighbors", "captain", model=False)
    assert (code, out) == (1, "")
    assert re.fullmatch(r"error: \S+ is missing; run `dvc repro \w+` first\n", err)


def test_a_links_target_is_written(lexivert, notes, tmp_path):
    (tmp_path / "disk").mkdir()
    for name in ("v.npy", "v.parquet", "back.txt", "back.jsonl"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
        source = notes if name.startswith("v.") else tmp_path / "v.npy"
        for _ in range(2):  # where the target is not there yet, and where it is
            assert lexivert("encode" if name.startswith("v.") else "decode", source, tmp_path / name)[0] == 0
            assert (tmp_path / name).is_symlink()
    assert (tmp_path / "disk" / "back.txt").read_text(encoding="utf-8").splitlines() == TEXTS
    assert np.load(tmp_path / "disk" / "v.npy").shape == (5, 256)
    assert len(list((tmp_path / "disk").iterdir())) == 4
    (tmp_path / "own.txt").symlink_to("v.npy")
    code, _, err = lexivert("decode", tmp_path / "v.npy", tmp_path / "own.txt")
    assert (code, err) == (1, f"error: {tmp_path / 'own.txt'} is the file that is read; name another\n")


def test_an_archive_named_npy_is_one_line(lexivert, tmp_path):
    with (tmp_path / "v.npy").open("wb") as file:
        np.savez(file, np.ones((2, 256)))
    code, out, err = lexivert("decode", tmp_path / "v.npy", "-")
    assert (code, out) == (1, "")
    assert err == f"error: {tmp_path / 'v.npy'} is no readable .npy file of numbers, as `lexivert encode` writes it\n"


@pytest.mark.parametrize("seed", ["-1", str(2**32), str(2**70)])
def test_a_seed_that_does_not_fit_is_one_line(lexivert, seed):
    code, out, err = lexivert("roundtrip", "Alice", "--noise", "0.9", "--seed", seed)
    assert (code, out, err) == (1, "", f"error: --seed is {seed}; a number from 0 to {2**32 - 1} is needed\n")


def in_a_shell(command: str, folder: Path) -> tuple[int, str]:
    """Exit code and standard error of a command line, whose first program is ``lexivert``."""
    done = subprocess.run(
        ["bash", "-c", f'{command}; echo "${{PIPESTATUS[0]}}" >&2'],
        cwd=folder,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, status = done.stderr.splitlines()
    return int(status), "\n".join(line for line in lines if "texts" not in line)


def test_standard_output_that_lacks_a_sign(lexivert, tiny_model, tmp_path, monkeypatch):
    """What PYTHONIOENCODING=ascii makes of it."""
    np.save(tmp_path / "v.npy", tiny_model.encode(TEXTS))
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    code, _, err = lexivert("decode", tmp_path / "v.npy", "-")
    assert (code, err.count("\n")) == (1, 1)
    assert err.startswith("error: standard output is ascii, which has no \\u")


def test_standard_output_of_any_kind(tiny_project, tiny_model, tmp_path):
    np.save(tmp_path / "v.npy", tiny_model.encode(TEXTS))
    model = f"--model {shlex.quote(str(tiny_project))}"
    code, err = in_a_shell(f"lexivert decode v.npy - {model} >&-", tmp_path)
    assert (code, err) == (1, "error: standard output is closed; write to a file instead")
    code, err = in_a_shell(f"lexivert neighbors captain {model} | true", tmp_path)
    assert (code, err) == (1, "error: standard output was closed before everything was written")


def test_a_place_that_can_not_be_written(lexivert, notes, tmp_path):
    code, _, err = lexivert("encode", notes, notes / "v.npy")
    assert code == 1
    assert err.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in err


def test_a_line_of_a_million_letters_is_refused_at_once(lexivert, tmp_path, tiny_model, monkeypatch):
    (tmp_path / "notes.txt").write_text("Alice\n" + "x" * 1_000_000 + "\n", encoding="utf-8")
    code, _, err = lexivert("encode", tmp_path / "notes.txt", tmp_path / "v.npy")
    assert code == 1
    assert "notes.txt line 2: text has 1000000 characters, far too many for the 96 units" in err
    assert lexivert("encode", tmp_path / "notes.txt", tmp_path / "v.npy", "--skip-long")[0] == 0


def test_vectors_of_another_model_are_not_read(lexivert, tmp_path, notes, tiny_model):
    lexivert("encode", notes, tmp_path / "v.parquet")
    metadata = pq.read_schema(tmp_path / "v.parquet").metadata
    assert metadata[b"lexivert.fingerprint"] == tiny_model.fingerprint.encode()
    table = pq.read_table(tmp_path / "v.parquet")
    pq.write_table(
        table.replace_schema_metadata({"lexivert.fingerprint": "0123456789abcdef"}), tmp_path / "w.parquet"
    )
    code, out, err = lexivert("decode", tmp_path / "w.parquet", "-")
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "w.parquet was written by the model 0123456789abcdef, but " in err
    assert f" is {tiny_model.fingerprint}; " in err
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "x.parquet")
    for arguments in (("w.parquet", "--ignore-fingerprint"), ("x.parquet",)):
        code, out, _ = lexivert("decode", tmp_path / arguments[0], "-", *arguments[1:])
        assert (code, out.splitlines()) == (0, TEXTS)


def test_a_model_folder_is_a_model(lexivert, tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    code, out, _ = lexivert("roundtrip", TEXTS[0], "--model", tmp_path / "model", model=False)
    assert (code, out.splitlines()[0]) == (0, TEXTS[0])
    code, out, err = lexivert("roundtrip", TEXTS[0], "--model", "nobody/no-such-model", model=False)
    assert (code, out) == (1, "")
    assert err.startswith("error: 'nobody/no-such-model' is no folder here, nor a model that the hub gives")
    assert err.count("\n") == 1


def test_device_and_threads(lexivert):
    before = torch.get_num_threads()
    try:
        code, out, _ = lexivert("roundtrip", TEXTS[0], "--threads", "1", "--device", "cpu")
        assert (code, out.splitlines()[0], torch.get_num_threads()) == (0, TEXTS[0], 1)
    finally:
        torch.set_num_threads(before)
    code, _, err = lexivert("roundtrip", TEXTS[0], "--device", "tpu")
    assert code == 1
    assert "'tpu'" in err
    assert "auto, cpu, cuda or mps" in err
    assert lexivert("roundtrip", TEXTS[0], "--threads", "0")[0] == 2


def test_neighbors(lexivert):
    code, out, err = lexivert("neighbors", "captain", "-k", "3")
    assert (code, err) == (0, "")
    head, first, *others = out.splitlines()
    assert head.split() == ["unit", "kind", "cosine"]
    assert first.split() == ["captain", "word", "1.0000"]
    assert len(others) == 2
    assert lexivert("neighbors", "captain", "-k", "0")[0] == 2


def test_interrupted_it_leaves_nothing(tiny_project, tmp_path):
    script = Path(sys.executable).parent / "lexivert"
    process = subprocess.Popen(
        [script, "encode", "-", str(tmp_path / "out" / "v.npy"), "--model", str(tiny_project)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell that runs us in the background has Ctrl-C ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 no threads here
    )
    process.stdin.write("one line\n")
    process.stdin.flush()
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("out/.v.npy*")) and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    error = process.stderr.read()
    assert process.wait(timeout=60) not in (0, None)
    assert "Traceback" not in error
    assert list((tmp_path / "out").iterdir()) == []


def _pairs(folder, count=150):
    """Texts, and embeddings of an encoder that turns the backbone's."""
    texts = [f"The captain saw {number} lamps near the mill." for number in range(count)]
    (folder / "pairs.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
    return texts


def test_align_and_generate(lexivert, tiny_model, tmp_path):
    texts = _pairs(tmp_path)
    embeddings = tiny_model.encoder.backbone.encode(texts)
    turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(embeddings.shape[1],) * 2))
    np.save(tmp_path / "theirs.npy", embeddings @ turn)
    code, _, err = lexivert(
        "align", tmp_path / "pairs.txt", tmp_path / "theirs.npy", tmp_path / "map", "--encoder", "turned"
    )
    assert code == 0
    alignment = Alignment.load(tmp_path / "map")
    found = re.search(
        r"map: 150 pairs, cosine (\S+) \((\S+) to (\S+)\) on 30 held-out pairs, (\S+) of the mean embedding\n$", err
    )
    fit = alignment.fit
    assert [float(number) for number in found.groups()] == pytest.approx(
        [fit.cosine, fit.cosine_low, fit.cosine_high, fit.baseline], abs=5e-4
    )
    assert (alignment.fit.encoder, alignment.fit.backbone) == ("turned", tiny_model.encoder.backbone.fingerprint())
    mapped = alignment.apply(embeddings[:3] @ turn, alignment.fit.backbone)
    ours = embeddings[:3] / np.linalg.norm(embeddings[:3], axis=1, keepdims=True)
    assert ((mapped * ours).sum(axis=1) > 0.99).all()
    written = tiny_model.generate(embeddings[:2] @ turn, effort="draft", alignment=tmp_path / "map")
    own = tiny_model.generate(embeddings[:2], effort="draft")
    assert len(written) == 2
    for name, fingerprint in (("theirs", "1234"), ("others", "99")):
        with vector_writer(tmp_path / f"{name}.parquet", embeddings.shape[1], fingerprint) as write:
            write(range(150), (embeddings @ turn).astype(np.float32))
    mine = (tmp_path / "pairs.txt", tmp_path / "theirs.parquet", tmp_path / "fingerprinted")
    assert lexivert("align", *mine)[0] == 0
    code, _, err = lexivert("write", tmp_path / "others.parquet", tmp_path / "out.txt", "--alignment", mine[2])
    assert (code, "written by the encoder 99, but the alignment is for 1234" in err) == (1, True)
    assert [one.cosine for one in written] == pytest.approx([one.cosine for one in own], abs=0.05)


def test_embeddings_of_other_texts_are_doubted(lexivert, tiny_model, tmp_path):
    texts = _pairs(tmp_path)
    random = np.random.default_rng(0).normal(size=(len(texts), 16))
    np.save(tmp_path / "random.npy", random)
    code, _, err = lexivert("align", tmp_path / "pairs.txt", tmp_path / "random.npy", tmp_path / "map")
    warning, _ = err.splitlines()
    fit = Alignment.load(tmp_path / "map").fit
    assert code == 0
    assert fit.cosine_low < fit.baseline
    assert warning == (
        f"warning: mapped embeddings, of cosine {fit.cosine:.3f} with the true ones, are not surely nearer than the "
        f"mean of all, {fit.baseline:.3f}: the texts are too alike, or the embeddings not theirs"
    )
    with pytest.warns(GenerationWarning, match="not surely nearer"):
        tiny_model.align(texts, random)


def test_align_reads_tables(lexivert, tmp_path, tiny_model):
    texts = _pairs(tmp_path)
    vectors = [row.tolist() for row in tiny_model.encoder.backbone.encode(texts)]
    pq.write_table(pa.table({"sentence": texts, "theirs": vectors}), tmp_path / "pairs.parquet")
    table = tmp_path / "pairs.parquet"
    code, _, err = lexivert("align", table, table, tmp_path / "map", "--field", "sentence", "--column", "theirs")
    assert (code, "150 pairs" in err) == (0, True)


def test_mistakes_of_align_are_one_line(lexivert, tmp_path, tiny_model):
    texts = _pairs(tmp_path)
    embeddings = tiny_model.encoder.backbone.encode(texts)
    np.save(tmp_path / "fewer.npy", embeddings[:-1])
    np.save(tmp_path / "theirs.npy", embeddings)
    np.save(tmp_path / "nan.npy", np.where(np.arange(len(texts))[:, None] == 7, np.nan, embeddings))
    pairs = tmp_path / "pairs.txt"

    def said(*arguments):
        code, out, err = lexivert("align", *arguments)
        assert (code, out) == (1, "")
        assert not (tmp_path / "map").exists()
        return err

    assert "has 150 texts," in said(pairs, tmp_path / "fewer.npy", tmp_path / "map")
    assert "149 vectors; a vector a text is needed" in said(pairs, tmp_path / "fewer.npy", tmp_path / "map")
    nan = said(pairs, tmp_path / "nan.npy", tmp_path / "map")
    assert nan == f"error: {tmp_path / 'nan.npy'}: vector 7 holds NaN or infinity\n"
    assert "is no .npy or .parquet file" in said(pairs, pairs, tmp_path / "map")
    assert "is a file; name a folder" in said(pairs, tmp_path / "theirs.npy", pairs)
    (tmp_path / "gap.txt").write_text("\n".join([*texts[:3], " ", *texts[4:]]) + "\n", encoding="utf-8")
    gap = said(tmp_path / "gap.txt", tmp_path / "theirs.npy", tmp_path / "map")
    assert gap == f"error: {tmp_path / 'gap.txt'} line 4: text is empty; it has no meaning\n"
    (tmp_path / "half.jsonl").write_text('{"text": "a\\ud800"}\n' * 150, encoding="utf-8")
    half = said(tmp_path / "half.jsonl", tmp_path / "theirs.npy", tmp_path / "map")
    assert half.startswith(f"error: {tmp_path / 'half.jsonl'} line 1: text holds the lone surrogate U+D800")
    (tmp_path / "same.txt").write_text("The mill.\n" * 150, encoding="utf-8")
    same = said(tmp_path / "same.txt", tmp_path / "theirs.npy", tmp_path / "map")
    assert same.endswith(
        "an alignment needs at least 100 different texts, not 1: 149 of the 150 given repeat another\n"
    )
    np.save(tmp_path / "zero.npy", embeddings * (np.arange(len(texts)) != 7)[:, None])
    zero = said(pairs, tmp_path / "zero.npy", tmp_path / "map")
    assert zero == f"error: {tmp_path / 'zero.npy'}: vector 7 is zero; it has no direction\n"
    alignment = tiny_model.align(texts, embeddings)
    with pytest.raises(ValueError, match=r"embeddings are 5 wide; the alignment is for \(B, 32\)"):
        tiny_model.generate(np.ones((2, 5)), alignment=alignment)
    for wrong, message in (
        ((["a"], embeddings[:1]), "an alignment needs at least 100 different texts, not 1$"),
        (([*texts[:3], " ", *texts[4:]], embeddings), "^text 3 is empty; it has no meaning$"),
        ((["a\ud800", *texts[1:]], embeddings), r"^text 0 holds the lone surrogate U\+D800"),
    ):
        with pytest.raises(ValueError, match=message):
            tiny_model.align(*wrong)
    with pytest.raises(ValueError, match=r"^encoder is of type int; give a string$"):
        tiny_model.align(texts, embeddings, encoder=3)
    with pytest.raises(ValueError, match=r"^alignment is of type int; give one of `align`, or the folder of one$"):
        tiny_model.generate(embeddings, alignment=3)
    with pytest.raises(ValueError, match="150 texts, but 149 embeddings"):
        tiny_model.align(texts, embeddings[:-1])
    other = dataclasses.replace(alignment, fit=dataclasses.replace(alignment.fit, backbone="another"))
    with pytest.raises(ValueError, match="alignment leads to the backbone another"):
        tiny_model.generate(embeddings, alignment=other)


def test_write_and_read_it_again(lexivert, tiny_model, tmp_path):
    vectors = tiny_model.encode(TEXTS[:3:2])
    np.save(tmp_path / "vectors.npy", vectors)
    np.save(tmp_path / "embeddings.npy", vectors[:, :32] * 3)
    expected = tiny_model.generate(vectors, effort="draft")
    for name in ("vectors", "embeddings"):
        code, out, err = lexivert("write", tmp_path / f"{name}.npy", tmp_path / "out.txt", "--effort", "draft")
        assert (code, out) == (0, "")
        assert (tmp_path / "out.txt").read_text(encoding="utf-8").splitlines() == [one.text for one in expected]
        mean = sum(one.cosine for one in expected) / 2
        *warnings, count = err.splitlines()
        if name == "vectors":  # Python says it once a process
            (warning,) = warnings
            assert warning.startswith(
                "warning: there is no conditional model, so hill climbing finds words, no sentences"
            )
            assert "; run `dvc repro generation/dvc.yaml:conditional` in the project" in warning
        assert count == f"2 texts written, of a mean cosine of {mean:.3f} with their embeddings"
    code, _, _ = lexivert(
        "write", tmp_path / "vectors.npy", tmp_path / "out.jsonl", "--effort", "draft", "--alternatives", "2"
    )
    assert code == 0
    found = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()]
    three = tiny_model.generate(vectors, 3, effort="draft")
    assert [one["text"] for one in found] == [one.text for one in three]
    assert [one["cosine"] for one in found] == pytest.approx([one.cosine for one in three])
    others = [[other.text for other in one.alternatives] for one in three]
    assert [[other["text"] for other in one.get("alternatives", [])] for one in found] == others


def test_mistakes_of_write_are_one_line(lexivert, tmp_path):
    np.save(tmp_path / "narrow.npy", np.ones((2, 7), dtype=np.float32))
    np.save(tmp_path / "wrong.npy", np.eye(3, 32, dtype=np.float32) * np.array([[1], [0], [1]], dtype=np.float32))
    target = tmp_path / "out.txt"
    for arguments, message in (
        (["narrow.npy"], r"narrow\.npy: vectors are 7 wide; \(B, 256\) is needed"),
        (["wrong.npy"], r"wrong\.npy: vector 1 is zero"),
        (["narrow.npy", "--effort", "much"], "--effort is 'much'; give one of draft, normal, high"),
        (["wrong.npy", "--alternatives", "-1"], "--alternatives is -1; a number from 0 on is needed"),
        (["wrong.npy", "--alternatives", "3"], r"--alternatives needs a \.jsonl file"),
    ):
        code, out, err = lexivert("write", tmp_path / arguments[0], target, *arguments[1:])
        assert (code, out) == (1, "")
        assert re.search(message, err)
        assert err.count("\n") == 1
        assert not target.exists()


def test_a_bad_row_late_in_a_file_is_found_before_anything_is_written(lexivert, tmp_path, monkeypatch):
    generated = []
    monkeypatch.setattr(rows, "VECTORS_AT_ONCE", 2)
    monkeypatch.setattr(Lexivert, "generate", lambda *_, **__: generated.append(1))
    good = np.eye(5, 32, dtype=np.float32)
    wordless = np.eye(5, 256, 32 - 4, dtype=np.float32)  # row 4 has no semantic prefix
    for name, wrong, message in (
        ("zero", good * (np.arange(5) != 3)[:, None], "vector 3 is zero"),
        ("nan", np.where(np.arange(5)[:, None] == 4, np.nan, good), "vector 4 holds NaN or infinity"),
        ("prefix", wordless, "vector 4 has no semantic prefix"),
    ):
        np.save(tmp_path / f"{name}.npy", wrong)
        code, out, err = lexivert("write", tmp_path / f"{name}.npy", tmp_path / "out.txt")
        assert (code, out, generated) == (1, "", [])
        assert err.startswith(f"error: {tmp_path / name}.npy: {message}")
        assert err.count("\n") == 1


def test_with_its_parts_generation_warns_of_nothing(lexivert, generation_project):
    model = ("--model", generation_project.root)
    code, _, err = lexivert("roundtrip", TEXTS[0], "--meaning", "--effort", "draft", *model, model=False)
    assert (code, err) == (0, "")
    code, _, err = lexivert("roundtrip", TEXTS[0], "--meaning", "--effort", "draft")
    assert (code, err.count("\n"), err.startswith("warning: there is no conditional model")) == (0, 1, True)


@pytest.mark.parametrize(("given", "effort"), [((), "normal"), (("--effort", "draft"), "draft")])
def test_roundtrip_by_meaning_searches_as_generate_does(lexivert, monkeypatch, given, effort):
    efforts, generate = [], Lexivert.generate

    def recorded(self, *arguments, effort, **options):
        efforts.append(effort)
        return generate(self, *arguments, effort="draft", **options)

    monkeypatch.setattr(Lexivert, "generate", recorded)
    assert lexivert("roundtrip", TEXTS[0], "--meaning", *given)[0] == 0
    assert efforts == [effort]


def test_roundtrip_by_meaning_shows_its_drafts(lexivert, tiny_model):
    code, out, _ = lexivert("roundtrip", TEXTS[0], "--meaning", "--effort", "draft")
    *_, text, verdict = out.splitlines()
    (expected,) = tiny_model.generate(tiny_model.encode(TEXTS[:1]), effort="draft")
    assert (code, text) == (0, expected.text)
    assert verdict == (
        f"written from the embedding alone, whose cosine with that of this text is {expected.cosine:.4f}"
    )


def test_a_vector_without_an_order_part_is_written_not_read(lexivert, tmp_path):
    np.save(tmp_path / "prefixes.npy", np.ones((2, 32), dtype=np.float32))
    code, out, err = lexivert("decode", tmp_path / "prefixes.npy", tmp_path / "out.txt")
    assert (code, out) == (1, "")
    assert "vector 0 has no order part, so there is nothing to read; `lexivert write` writes" in err
    assert not (tmp_path / "out.txt").exists()
