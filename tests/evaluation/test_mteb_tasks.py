from __future__ import annotations

import json
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from lexivert.codes.encoder import Encoder
from lexivert.errors import LexivertError
from lexivert.evaluation.sts_files import read_pairs
from lexivert.model import Lexivert

PARTS = ("full", "prefix", "order")
PAIRS = [
    (4.8, "The old captain saw the river.", "The captain saw the old river."),
    (0.2, "Alice bought a red lamp.", "“Don't you see the moon?” said Emma; “it is pale.”"),
    (3.1, "The king rode near the old mill.", "The queen was near the old mill."),
    (2.5, 'She took "the book".', "She took a paper."),
    (2.5, "It was a cold night.", "The evening was dark and cold."),
    (1.0, "The owl sat by the river.", "The ship was lost in the storm."),
]


@pytest.fixture(scope="module")
def tasks():
    """The module, which takes seconds to import: only the worker that runs these tests does."""
    from lexivert.evaluation import mteb_tasks

    assert tuple(mteb_tasks.PARTS) == PARTS
    return mteb_tasks


@pytest.fixture
def sts_file(tmp_path):
    path = tmp_path / "mine.tsv"
    path.write_text("".join(f"{score}\t{first}\t{second}\n" for score, first, second in PAIRS), encoding="utf-8")
    return path


@pytest.fixture
def lexivert(lexivert):
    """Runs ``lexivert mteb``; gives exit code, standard output and standard error."""
    return partial(lexivert, "mteb")


def part_of(vectors, part, width):
    return {"full": vectors, "prefix": vectors[:, :width], "order": vectors[:, width:]}[part].astype(np.float64)


def cosines(model, part):
    width = model.encoder.config.semantic_width
    first, second = (part_of(model.encode([pair[column] for pair in PAIRS]), part, width) for column in (1, 2))
    return (first * second).sum(1) / np.linalg.norm(first, axis=1) / np.linalg.norm(second, axis=1)


def results(folder, name):
    (path,) = folder.rglob(f"{name}.json")
    return path, json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("part", PARTS)
def test_an_sts_file_in_mtebs_layout(lexivert, sts_file, tiny_model, tmp_path, part):
    out = tmp_path / "out"
    code, shown, err = lexivert("--sts", sts_file, "--part", part, out)
    path, content = results(out, "LocalSTS-mine")
    assert (code, err) == (0, f"results in {path.parent}\n")
    assert path.parent.parent == out / f"lexivert__{part}"
    assert {file.name for file in path.parent.iterdir()} == {path.name, "model_meta.json", "run_settings.jsonl"}
    meta = json.loads((path.parent / "model_meta.json").read_text(encoding="utf-8"))
    assert meta["name"] == f"lexivert/{part}"
    assert meta["revision"] == path.parent.name
    assert meta["embed_dim"] == {"full": 256, "prefix": 32, "order": 224}[part]

    scores, expected = content["scores"]["test"][0], cosines(tiny_model, part)
    truth = [pair[0] for pair in PAIRS]
    assert scores["main_score"] == scores["spearman"] == pytest.approx(spearmanr(truth, expected)[0], abs=1e-6)
    assert scores["cosine_pearson"] == pytest.approx(pearsonr(truth, expected)[0], abs=1e-5)
    head, row = shown.splitlines()
    assert head.split() == ["task", "split", "subset", "measure", "score"]
    assert row.split()[:4] == ["LocalSTS-mine", "test", "default", "cosine_spearman"]
    assert float(row.split()[4]) == pytest.approx(scores["main_score"], abs=6e-5)


@pytest.mark.parametrize("part", PARTS)
def test_parts_have_unit_length(tasks, tiny_model, sts_file, part):
    texts = [pair[1] for pair in PAIRS]
    batches = [{"text": texts[:4]}, {"text": texts[4:]}]
    given = tasks.PartEncoder(tiny_model, part).encode(
        batches, task_metadata=tasks.LocalSTS(sts_file).metadata, batch_size=4
    )
    expected = part_of(tiny_model.encode(texts), part, tiny_model.encoder.config.semantic_width)
    np.testing.assert_allclose(given, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5)


@pytest.mark.parametrize("part", PARTS)
def test_texts_without_end_and_what_is_no_text(tasks, tiny_model, sts_file, part):
    encoder, metadata = tasks.PartEncoder(tiny_model, part), tasks.LocalSTS(sts_file).metadata
    for endless in ("x" * 5_000_000, "moon " * 1_000_000, "a" + "\u0301\u0316" * 500_000):
        started = time.process_time()
        if part == "prefix":
            assert encoder.encode([{"text": [endless]}], task_metadata=metadata).shape == (1, 32)
        else:
            with pytest.raises(LexivertError, match=r"text 1 has \d+ characters, far too many"):
                encoder.encode([{"text": ["a", endless]}], task_metadata=metadata)
        assert time.process_time() - started < 10.0
    with pytest.raises(LexivertError, match=r"task LocalSTS-mine: text 1 is None"):
        encoder.encode([{"text": ["a"]}, {"text": [None]}], task_metadata=metadata)


def test_mteb_reads_the_results_back(tasks, sts_file, tiny_model, tmp_path):
    import mteb

    encoder = tasks.PartEncoder(tiny_model, "full")
    assert isinstance(encoder, mteb.EncoderProtocol)
    (score,) = tasks.evaluate(encoder, [tasks.LocalSTS(sts_file)], tmp_path / "results")
    found = mteb.ResultCache(tmp_path).load_task_result("LocalSTS-mine", encoder.mteb_model_meta)
    assert found.get_score() == pytest.approx(score.value, abs=1e-6)


def test_a_changed_file_is_run_again(tasks, sts_file, tiny_model, tmp_path):
    encoder = tasks.PartEncoder(tiny_model, "prefix")
    (before,) = tasks.evaluate(encoder, [tasks.LocalSTS(sts_file)], tmp_path / "out")
    sts_file.write_text("".join(f"{-score}\t{one}\t{two}\n" for score, one, two in PAIRS), encoding="utf-8")
    (after,) = tasks.evaluate(encoder, [tasks.LocalSTS(sts_file)], tmp_path / "out")
    assert after.value == pytest.approx(-before.value)
    assert results(tmp_path / "out", "LocalSTS-mine")[1]["scores"]["test"][0]["main_score"] == round(after.value, 6)


def test_another_model_is_another_revision(tasks, tiny_project, tiny_model):
    revision = tasks.PartEncoder(tiny_model, "full").mteb_model_meta.revision
    assert tasks.PartEncoder(tiny_model, "order").mteb_model_meta.revision == revision
    other = Lexivert.load(tiny_project)
    assert tasks.PartEncoder(other, "full").mteb_model_meta.revision == revision
    encoder, codes = other.encoder, other.encoder.codes.clone()
    codes[-1, 0] += 0.5
    other = Lexivert(Encoder(encoder.config, encoder.backbone, encoder.segmenter, codes), other.decoder)
    assert tasks.PartEncoder(other, "full").mteb_model_meta.revision != revision


def test_headers_empty_lines_and_quotes(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_bytes('\ufeffscore\tone\ttwo\r\n\r\n-1\t"a\tb "c"\r\n1e1\tc\td'.encode())
    pairs = read_pairs(path)
    assert [(pair.where, pair.score, pair.first, pair.second) for pair in pairs] == [
        (f"{path} line 3", -1.0, '"a', 'b "c"'),
        (f"{path} line 4", 10.0, "c", "d"),
    ]
    path.write_text("1\ta\tb\n2\tc\td\n", encoding="utf-8")
    assert len(read_pairs(path)) == 2


NO_NUMBERS = ["5,0", "", " ", "4/5", "4.0.", '"5.0"', "1_0", "x", "N/A", "None", "~3", "O.5", "$4", "e5", "-", "null"]
"""What might stand in the place of a first score, and is no header."""


@pytest.mark.parametrize("title", ["score", "Score (0-5)", "# similarity", '"score"', "sim_1", "_label", "оценка"])
def test_titles_of_columns(tmp_path, title):
    path = tmp_path / "a.tsv"
    path.write_text(f"{title}\tone\ttwo\n1\ta\tb\n2\tc\td\n", encoding="utf-8")
    assert [pair.score for pair in read_pairs(path)] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["1\ta\tb", "2\tc"], " line 2: 2 columns; score, sentence and sentence are needed, tabs between"),
        (["score;one;two", "1;a;b"], " line 1: 1 columns; score, sentence and sentence are needed, tabs between"),
        (["1\ta\tb", "x\ta\tb"], " line 2: score 'x' is no number, such as 3.5"),
        (["score\ta\tb", "1,5\ta\tb"], " line 2: score '1,5' is no number, such as 3.5"),
        *(
            ([f"{score}\ta\tb", "1\ta\tb"], f" line 1: score {score!r} is no number, such as 3.5")
            for score in NO_NUMBERS
        ),
        (["nan\ta\tb", "1\ta\tb"], " line 1: score is nan; a finite number is needed"),
        (["1\ta\tb", "1_0\ta\tb"], " line 2: score '1_0' is no number, such as 3.5"),
        (["1\ta\tb", "nan\ta\tb"], " line 2: score is nan; a finite number is needed"),
        (["1\ta\tb", "2\t \tb"], " line 2: sentence 1 is empty"),
        (["1\ta\tb", "2\ta\t"], " line 2: sentence 2 is empty"),
        (["1\ta\tb", "1\tc\td"], " holds 2 pairs; at least two with different scores are needed"),
        (["score\ta\tb"], " holds 0 pairs; at least two with different scores are needed"),
    ],
)
def test_bad_lines_are_named(lexivert, tmp_path, lines, message):
    path = tmp_path / "bad.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lexivert("--sts", path, tmp_path / "out") == (1, "", f"error: {path}{message}\n")
    assert not (tmp_path / "out").exists()


def test_bad_files_are_named(tasks, lexivert, sts_file, tmp_path):
    out = tmp_path / "out"
    (tmp_path / "latin.tsv").write_bytes(b"1\ta\tb\n2\tcaf\xe9\tb\n")
    code, _, err = lexivert("--sts", tmp_path / "latin.tsv", out)
    assert (code, err) == (1, f"error: {tmp_path / 'latin.tsv'} line 2: not valid UTF-8 (byte 6)\n")
    assert lexivert("--sts", "gone.tsv", out)[2] == "error: gone.tsv is not there\n"
    assert lexivert("--sts", "pairs.csv", out)[2] == "error: pairs.csv is no .tsv file\n"
    (tmp_path / "other").mkdir()
    again = tmp_path / "other" / sts_file.name
    again.write_bytes(sts_file.read_bytes())
    with pytest.raises(LexivertError, match=r"^two STS files are called mine\.tsv; "):
        tasks.read_tasks([sts_file, again])
    code, _, err = lexivert("--sts", sts_file, sts_file)
    assert (code, err) == (1, f"error: {sts_file} is no folder; name one for the results\n")


def test_sentences_too_long_for_a_vector(lexivert, tmp_path):
    path = tmp_path / "long.tsv"
    path.write_text("1\tAlice\tEmma\n2\tEmma\t" + "moon stone " * 60 + "\n3\ta\ta\n", encoding="utf-8")
    code, out, err = lexivert("--sts", path, tmp_path / "out")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {path} line 2: sentence has ")
    assert err.endswith(" units; a vector holds at most 96: split it, or compare part prefix\n")
    assert lexivert("--sts", path, "--part", "prefix", tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to run; name tasks with --tasks, or a file with --sts"),
        (("--tasks", " , "), "nothing to run; name tasks with --tasks, or a file with --sts"),
        (("--tasks", "STS12", "--part", "half"), "part is 'half'; full, prefix or order is needed"),
        (("--tasks", "STS12,STSBenchmrk"), "mteb task 'STSBenchmrk' not found. Did you mean: 'STSBenchmark'?"),
        (("--tasks", "STS12", "--tasks", "CIFAR10"), "mteb task 'CIFAR10' has data of kind image; only text can be"),
    ],
)
def test_mistakes_are_one_line(lexivert, tmp_path, arguments, message):
    code, out, err = lexivert(*arguments, tmp_path / "out")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith(f"error: {message}")
    assert not (tmp_path / "out").exists()


def test_data_out_of_reach_names_the_task(lexivert, sts_file, tmp_path):
    out = tmp_path / "out"
    code, shown, err = lexivert("--tasks", "STS12,STSBenchmark", "--sts", sts_file, out)
    assert code == 1
    assert shown.splitlines()[1].startswith("LocalSTS-mine")  # what was finished before
    assert (done := results(out, "LocalSTS-mine")[0])
    where, error = err.splitlines()
    assert where == f"results in {done.parent}"
    assert error.startswith("error: task STS12: its data could not be reached (")
    assert error.endswith("); an STS file of your own (--sts) works offline")


@pytest.fixture
def reachable(monkeypatch):
    """Tasks of mteb with data; gives the names of those that asked for it."""
    import datasets
    import mteb

    asked = []

    def load_data(task, **_):
        asked.append(task.metadata.name)
        columns = dict(zip(("score", "sentence1", "sentence2"), map(list, zip(*PAIRS, strict=True)), strict=True))
        task.dataset = {"default": {"test": datasets.Dataset.from_dict(columns)}}
        task.data_loaded = True

    for name in ("STS12", "STS13"):
        monkeypatch.setattr(type(mteb.get_task(name)), "load_data", load_data)
    return asked


def test_tasks_of_mteb(lexivert, reachable, tiny_model, tmp_path):
    out = tmp_path / "out"
    code, shown, _ = lexivert("--tasks", "STS12, STS13", "--tasks", "STS12", out)
    assert code == 0
    assert [line.split()[0] for line in shown.splitlines()] == ["task", "STS12", "STS13"]
    path, content = results(out, "STS12")
    expected = spearmanr([pair[0] for pair in PAIRS], cosines(tiny_model, "full"))[0]
    assert content["scores"]["test"][0]["main_score"] == pytest.approx(expected, abs=1e-6)

    assert lexivert("--tasks", "STS12,STS13", out)[:2] == (0, shown)  # found, not run again
    assert reachable == ["STS12", "STS13"]
    assert lexivert("--tasks", "STS12", "--part", "order", out)[0] == 0  # another part, another run
    assert reachable == ["STS12", "STS13", "STS12"]

    path.write_text("{", encoding="utf-8")
    code, shown, err = lexivert("--tasks", "STS12", out)
    assert (code, shown, err) == (1, "", f"error: {path} is no result of mteb; delete it\n")


def test_texts_of_a_task_too_long_for_a_vector(tasks, reachable, monkeypatch, tiny_model, tmp_path):
    longer = [*PAIRS[:2], (3.1, "moon stone " * 60, "The queen was near the old mill."), *PAIRS[3:]]
    monkeypatch.setattr(sys.modules[__name__], "PAIRS", longer)
    message = r"^task STS12: text 2 has \d+ units; a vector holds at most 96: .* any length$"
    with pytest.raises(LexivertError, match=message):
        list(tasks.evaluate(tasks.PartEncoder(tiny_model, "order"), tasks.find_tasks(["STS12"]), tmp_path))
    (score,) = tasks.evaluate(tasks.PartEncoder(tiny_model, "prefix"), tasks.find_tasks(["STS12"]), tmp_path)
    assert score.task == "STS12"


def test_without_mteb_it_says_what_to_install(sts_file, tmp_path):
    script = "import sys; sys.modules['mteb'] = None; from lexivert.cli import main; main()"
    command = [sys.executable, "-c", script, "mteb", "--sts", str(sts_file), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: `lexivert mteb` needs the extra `eval`: pip install 'lexivert[eval]'\n"


def test_the_command_is_listed(lexivert):
    code, shown, _ = lexivert("--help")
    assert code == 0
    assert all(option in shown for option in ("--tasks", "--sts", "--part", "--model", "OUTDIR"))
