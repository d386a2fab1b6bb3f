"""The segmentation benchmark on the tiny corpus and on lines of which its lexicon knows all words or none."""

from __future__ import annotations

import json
import sys


def run(module, monkeypatch, *arguments):
    """Exit code and message of its command."""
    monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, arguments)])
    try:
        module.main()
    except SystemExit as end:
        return end.code
    return 0


def test_lines_of_unknown_words_miss_the_bar(load, monkeypatch, tmp_path, tiny_project, capsys):
    segmentation = load("segmentation")
    easy, hard, empty = (tmp_path / name for name in ("easy.txt", "hard.txt", "empty.txt"))
    easy.write_text("The moon was in the river.\n\nThe <unk> was here.\nThe captain was there.\n")
    hard.write_text("Xylophonists quixotically jazzed zymurgy.\n")
    empty.write_text("\n<unk> .\n")
    common = ("--root", tiny_project, "--texts", 3, "--file", easy)
    assert run(segmentation, monkeypatch, "--root", tiny_project, "--texts", 3) == 0
    assert run(segmentation, monkeypatch, *common) == 0
    assert f"met: {easy} takes 1." in capsys.readouterr().out
    out = tmp_path / "segmentation.json"
    assert run(segmentation, monkeypatch, *common, "--out", out) == 0
    figures = json.loads(out.read_text())
    assert figures.keys() == {"easy.txt", "files_test", "files_train", "files_valid"}
    assert 1.0 <= figures["easy.txt"]["units_a_word"] <= figures["easy.txt"]["greedy_units_a_word"] < 1.25
    message = run(segmentation, monkeypatch, *common, "--file", hard)
    assert message.startswith(f"missed: at most 1.25 units a word are wanted; {hard} takes ")
    assert run(segmentation, monkeypatch, *common, "--file", empty) == f"{empty} holds no line without <unk>"
