from __future__ import annotations

import sys
from io import BytesIO, TextIOWrapper

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lexivert import io
from lexivert.errors import LexivertError

VECTORS = np.arange(21, dtype=np.float32).reshape(7, 3)


def lines(path, field="text"):
    return [(line.number, line.text) for line in io.read_texts(path, field)]


def test_txt_is_a_text_a_line(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes("\ufeffone\r\n\nthrée \u2028 \x0b here\nlast".encode())
    assert lines(path) == [(1, "one"), (2, ""), (3, "thrée \u2028 \x0b here"), (4, "last")]


def test_jsonl_is_an_object_a_line(tmp_path):
    path = tmp_path / "notes.jsonl"
    path.write_text('{"text": "a", "id": 1}\n\n{"id": 2, "text": "b\\nc"}\n', encoding="utf-8")
    assert lines(path) == [(1, "a"), (3, "b\nc")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"text": "a"}\n{"title": "b"}', r"notes\.jsonl line 2: no field 'text'"),
        ('{"text": 3}', r"line 1: field 'text' is 3, not a string"),
        ('{"text": null}', r"line 1: field 'text' is null, not a string"),
        ("[1]", "line 1: not a JSON object"),
        ("[" * 100_000, "line 1: not valid JSON"),
        ('{"text": "a"', r"line 1: not valid JSON \(.*\)"),
    ],
)
def test_errors_name_file_and_line(tmp_path, content, message):
    path = tmp_path / "notes.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(LexivertError, match=message):
        lines(path)


def test_bytes_that_are_no_text(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_bytes(b"fine\nbad \xff\n")
    with pytest.raises(LexivertError, match=r"notes\.txt line 2: not valid UTF-8 \(byte 5\)"):
        lines(path)


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO("ä\nb".encode())))
    assert lines(io.STANDARD) == [(1, "ä"), (2, "b")]
    assert io.count_lines(io.STANDARD) is None


def test_inputs_and_outputs_are_checked_before_work(tmp_path):
    (tmp_path / "folder.npy").mkdir()
    for check, name, suffixes, message in [
        (io.check_input, "a.doc", io.TEXT_SUFFIXES, r"a\.doc is no \.txt or \.jsonl file"),
        (io.check_input, "a.txt", io.TEXT_SUFFIXES, r"a\.txt is not there"),
        (io.check_input, "folder.npy", io.VECTOR_SUFFIXES, r"folder\.npy is no file"),
        (io.check_output, "a.csv", io.VECTOR_SUFFIXES, r"a\.csv: write to a \.npy or \.parquet file"),
        (io.check_output, "folder.npy", io.VECTOR_SUFFIXES, r"folder\.npy is a folder"),
    ]:
        with pytest.raises(LexivertError, match=message):
            check(tmp_path / name, suffixes)
    with pytest.raises(LexivertError, match="- is no"):
        io.check_input(io.STANDARD, io.VECTOR_SUFFIXES)
    io.check_input(io.STANDARD, io.TEXT_SUFFIXES)


@pytest.mark.parametrize("suffix", io.VECTOR_SUFFIXES)
@pytest.mark.parametrize("rows", [0, 1, 7])
def test_vectors_written_in_parts_are_read_in_parts(tmp_path, suffix, rows):
    path = tmp_path / f"vectors{suffix}"
    with io.vector_writer(path, 3, "0123") as write:
        for start in range(0, rows, 4):
            part = VECTORS[start : min(start + 4, rows)]
            write(list(range(start + 1, start + 1 + len(part))), part)
    assert io.count_vectors(path) == rows
    parts = list(io.read_vectors(path, 3))
    assert all(1 <= len(part) <= 3 for part in parts)
    assert [row.tolist() for part in parts for row in part] == VECTORS[:rows].tolist()
    if suffix == ".npy":
        whole = np.load(path)
        assert whole.dtype == np.float32
        np.testing.assert_array_equal(whole, VECTORS[:rows])
    else:
        table = pq.read_table(path)
        assert table["line"].to_pylist() == list(range(1, rows + 1))
        assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)


def test_parquet_names_the_model_that_wrote_it(tmp_path):
    for suffix, expected in ((".parquet", "0123"), (".npy", None)):
        with io.vector_writer(tmp_path / f"v{suffix}", 3, "0123") as write:
            write([1], VECTORS[:1])
        assert io.fingerprint_of(tmp_path / f"v{suffix}") == expected
    pq.write_table(pa.table({"vector": [[1.0]]}), tmp_path / "other.parquet")
    assert io.fingerprint_of(tmp_path / "other.parquet") is None
    (tmp_path / "other.parquet").write_bytes(b"rubbish")
    with pytest.raises(LexivertError, match="no readable Parquet file"):
        io.fingerprint_of(tmp_path / "other.parquet")


def test_a_failed_write_leaves_nothing(tmp_path):
    def fail(path):
        with io.vector_writer(path, 3, "0123") as write:
            write([1], VECTORS[:1])
            raise KeyboardInterrupt

    for suffix in io.VECTOR_SUFFIXES:
        with pytest.raises(KeyboardInterrupt):
            fail(tmp_path / f"vectors{suffix}")
    assert list(tmp_path.iterdir()) == []


def test_parquet_of_other_tools(tmp_path):
    path = tmp_path / "vectors.parquet"
    lists = pa.array(VECTORS.astype(np.float64).tolist())
    pq.write_table(pa.table({"embedding": lists, "id": list(range(7))}), path)
    (read,) = io.read_vectors(path, 10, "embedding")
    np.testing.assert_array_equal(read, VECTORS)
    with pytest.raises(LexivertError, match="has no column 'vector' but embedding, id"):
        list(io.read_vectors(path, 10))
    with pytest.raises(LexivertError, match="column 'id' holds int64, not lists of numbers"):
        list(io.read_vectors(path, 10, "id"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([[1.0, 2.0], [1.0]], "different widths: 1, 2"),
        ([[1.0], None], "missing values"),
        ([[1.0, None]], "missing values"),
    ],
)
def test_columns_that_hold_no_vectors(tmp_path, column, message):
    path = tmp_path / "vectors.parquet"
    pq.write_table(pa.table({"vector": column}), path)
    with pytest.raises(LexivertError, match=message):
        list(io.read_vectors(path, 10))


@pytest.mark.parametrize("suffix", io.VECTOR_SUFFIXES)
def test_damaged_vector_files_give_one_line(tmp_path, suffix):
    path = tmp_path / f"vectors{suffix}"
    with io.vector_writer(path, 3, "0123") as write:
        write([1, 2], VECTORS[:2])
    whole = path.read_bytes()
    archive = BytesIO()
    np.savez(archive, VECTORS)
    objects = BytesIO()
    np.save(objects, np.array([[{}]], dtype=object), allow_pickle=True)
    for content in (b"", b"rubbish", whole[:-4], archive.getvalue(), objects.getvalue()):
        path.write_bytes(content)
        for read in (io.count_vectors, lambda file: list(io.read_vectors(file, 10))):
            with pytest.raises(LexivertError, match=f"vectors\\{suffix} is no readable") as caught:
                read(path)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", io.VECTOR_SUFFIXES)
def test_no_change_of_a_byte_is_more_than_one_line(tmp_path, suffix):
    path = tmp_path / f"vectors{suffix}"
    with io.vector_writer(path, 3, "0123") as write:
        write([1, 2], VECTORS[:2])
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        content = bytearray(whole)
        for place in rng.integers(len(whole), size=rng.integers(1, 4)):
            content[place] = rng.integers(256)
        path.write_bytes(bytes(content))
        try:
            list(io.read_vectors(path, 10))
            io.count_vectors(path)
            io.fingerprint_of(path)
        except LexivertError as error:
            assert "\n" not in str(error)  # noqa: PT017 what was changed may be a vector's own bytes


def test_an_output_is_not_its_own_input(tmp_path):
    np.save(tmp_path / "v.npy", VECTORS)
    (tmp_path / "out.txt").symlink_to("v.npy")
    (tmp_path / "hard.txt").hardlink_to(tmp_path / "v.npy")
    for name in ("out.txt", "hard.txt"):
        with pytest.raises(LexivertError, match=f"{name} is the file that is read; name another"):
            io.check_output(tmp_path / name, io.TEXT_SUFFIXES, tmp_path / "v.npy")
    (tmp_path / "null.txt").symlink_to("/dev/null")
    with pytest.raises(LexivertError, match=r"null\.txt is a device or pipe"):
        io.check_output(tmp_path / "null.txt", io.TEXT_SUFFIXES)


def test_closed_standard_input_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LexivertError, match="standard input is closed"):
        lines(io.STANDARD)


def test_an_array_of_another_shape(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(LexivertError, match=r"shape \(3,\); a row a vector is needed"):
        io.count_vectors(tmp_path / "a.npy")


def test_lines_to_a_file_and_to_standard_output(tmp_path, capsys):
    for path in (tmp_path / "out.txt", io.STANDARD):
        with io.line_writer(path) as write:
            write("ä")
            write("")
    assert (tmp_path / "out.txt").read_bytes() == "ä\n\n".encode()
    assert capsys.readouterr().out == "ä\n\n"
