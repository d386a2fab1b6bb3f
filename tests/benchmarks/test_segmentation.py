"""The segmentation benchmark on the tiny corpus and on lines of which its lexicon knows all words or none."""

from __future__ import annotations

import json
import math

import pytest

from lexivert.artifacts import Paths
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter


@pytest.fixture(scope="module")
def bench(load):
    return load("segmentation")


@pytest.fixture
def files(tmp_path):
    """Lines of known words, of unknown words, and none that can be used."""
    texts = {
        "easy": "The moon was in the river.\n\nThe <unk> was here.\nThe captain was there.\n",
        "hard": "Xylophonists quixotically jazzed zymurgy.\n",
        "empty": "\n<unk> .\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    return {name: str(tmp_path / f"{name}.txt") for name in texts}


def test_figures_are_those_of_the_texts(bench, tiny_project, files, tmp_path, capsys):
    out = tmp_path / "segmentation.json"
    bench.main(root=tiny_project, texts=3, file=[files["easy"]], out=out)
    assert "kept: easy takes 1." in capsys.readouterr().out
    report = json.loads(out.read_text())
    assert report.keys() == {"files_test", "files_train", "files_valid", "easy"}
    segmenter = Segmenter(Lexicon.load(Paths(tiny_project).vocab))
    units = [segmenter.segment(text) for text in bench.file_lines(bench.Path(files["easy"]))]
    easy = report["easy"]
    assert easy["texts"] == len(units) == 2
    assert easy["words_a_text"] == 5.0
    assert easy["units_a_word"] == pytest.approx(sum(map(len, units)) / 10)
    assert all(row["greedy_units_a_word"] >= row["units_a_word"] for row in report.values())
    assert all(row[f"{name}_texts_per_second"] > 0 for row in report.values() for name in ("first", "again", "join"))


def test_lines_of_unknown_words_miss_the_bar(bench, tiny_project, files):
    with pytest.raises(SystemExit, match=r"^missed: at most 1.25 units a word are wanted; hard takes "):
        bench.main(root=tiny_project, texts=3, file=[files["easy"], files["hard"]])


def test_a_file_without_a_line_is_refused(bench, tiny_project, files):
    with pytest.raises(SystemExit, match=r"empty\.txt holds no line without <unk>"):
        bench.main(root=tiny_project, texts=3, file=[files["empty"]])


def test_no_file_no_figures(bench, tiny_project, tmp_path, capsys):
    bench.main(root=tiny_project, texts=3, file=[str(tmp_path / "gone.txt"), ""])
    assert capsys.readouterr().err == f"there is no file {tmp_path}/gone.txt; its figures are left out\n"


@pytest.mark.parametrize("value", [1.26, math.nan])
def test_the_bar_can_be_missed(bench, value):
    bench.judge({"a": 1.25})
    with pytest.raises(SystemExit, match="missed"):
        bench.judge({"a": 1.0, "b": value})
