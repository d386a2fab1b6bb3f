"""The robustness benchmark on the tiny model: every condition and every part left out, really decoded."""

from __future__ import annotations

import json

import pytest
import typer

from lexivert.evaluation.robustness import Condition


@pytest.fixture
def bench(load, monkeypatch):
    module = load("robustness")
    narrow = Condition(width=128, decoders=(module.AMP, module.OWN))
    monkeypatch.setattr(module, "BARS", ((narrow, 0.0), (Condition(storage="int8", decoders=(module.OWN,)), None)))
    monkeypatch.setattr(module, "ABLATION", (Condition(width=128),))
    return module


def test_conditions_are_named_by_what_is_special(bench, tiny_project, tmp_path):
    out, wiki = tmp_path / "robustness.json", tmp_path / "wiki.txt"
    wiki.write_text("The owl saw the river . The old captain wanted the rose .\n", encoding="utf-8")
    bench.main(root=tiny_project, wikitext=wiki, texts=2, conditions="bars", only="", out=out)
    report = json.loads(out.read_text())
    assert list(report) == ["storage_int8", "width_128", "wikitext-storage_int8", "wikitext-width_128"]
    assert set(report["width_128"]) == {"amp_unigram", "cascade"}
    assert report["storage_int8"]["cascade"]["texts"] == 2
    assert report["storage_int8"]["cascade"]["exact_match"] == 1.0


def test_each_part_is_left_out(bench, tiny_project, tmp_path):
    out = tmp_path / "ablation.json"
    bench.main(root=tiny_project, wikitext=None, texts=2, conditions="ablation", only="", out=out)
    (report,) = json.loads(out.read_text()).values()
    parts = {"nothing", "semantic_prefix", "learned_prior", "any_prior", "easy_first_loop", "soft_decoding"}
    assert set(report) == parts | {"learned_codes", "identity_codes"}
    assert all(scores["texts"] == 2 for scores in report.values())
    assert report["nothing"]["exact_match"] >= report["identity_codes"]["exact_match"]


def test_a_missed_bar_ends_the_command(bench, monkeypatch, tiny_project, capsys):
    monkeypatch.setattr(bench, "BARS", ((Condition(cosine=0.2, decoders=(bench.OWN,)), 0.9),))
    with pytest.raises(typer.Exit) as end:
        bench.main(root=tiny_project, wikitext=None, texts=2, conditions="bars", only="", out=None)
    assert end.value.exit_code == 1
    assert "cosine_0.2" in capsys.readouterr().out
