"""The robustness benchmark and the ablation, run on a few texts of the tiny model."""

from __future__ import annotations

import json
import math
from functools import partial

import pytest
import torch
import typer

from lexivert.evaluation.corruptions import send
from lexivert.evaluation.robustness import Condition, RobustnessSweep

VARIANTS = {
    "all",
    "no_semantic_prefix",
    "no_selector",
    "no_unit_prior",
    "no_placer",
    "amp_selector",
    "identity_codes_alone",
    "head_codes_alone",
    "hard_cancellation",
}


@pytest.fixture(scope="module")
def bench(load):
    return load("robustness")


@pytest.fixture(scope="module")
def encoded(bench, tiny_model, tiny_project):
    return bench.sources(tiny_model, tiny_project, "", 12)


def test_every_variant_reads_clean_texts(bench, tiny_model, tiny_project, encoded):
    """Without noise all read some of them; nothing reads more than the decoder with all its parts."""
    tried = partial(bench.ablated, tiny_model, tiny_project)
    report = bench.measure(tried, encoded, [Condition(length=(1, 24))], 3)
    variants = report["test-default"]
    assert variants.keys() == VARIANTS
    assert {scores["texts"] for scores in variants.values()} == {3}
    assert variants["all"]["exact_match"] == 1.0
    assert all(scores["unit_accuracy"] > 0.3 for scores in variants.values())
    assert all(scores["texts_per_second"] > 0 for scores in variants.values())
    assert all(-1.0 <= scores["backbone_cosine"] <= 1.0 + 1e-6 for scores in variants.values())
    assert all(("backbone_cosine_of_wrong" in row) == (row["exact_match"] < 1.0) for row in variants.values())


def test_each_variant_leaves_its_part_out(bench, tiny_model, tiny_project):
    codebook, full = tiny_model.decoder.codebook, tiny_model.decoder.parts
    made = {name: make() for name, make in bench.variants(tiny_model, tiny_project, 128).items()}
    assert {variant.parts.codebook.width for variant in made.values()} == {128}
    assert made["no_selector"].parts.prior.output.weight.shape[1] == 0
    torch.testing.assert_close(made["no_selector"].parts.prior.output.bias[1:], codebook.log_prior[1:])
    assert len(made["no_unit_prior"].parts.codebook.log_prior[1:].unique()) == 1
    assert made["no_placer"].parts.params.cascade.underloaded_from == math.inf
    assert made["no_placer"].parts.params.cascade.restarts == full.params.cascade.restarts
    own, learned = (made[name].parts.codebook.codes.float() for name in ("identity_codes_alone", "head_codes_alone"))
    mixed = made["all"].parts.codebook.codes.float()
    assert (own * mixed).sum(dim=1).mean() > (own * learned).sum(dim=1).mean()


def test_without_a_prefix_the_prefix_makes_no_difference(bench, tiny_model, tiny_project, encoded):
    variant = bench.variants(tiny_model, tiny_project, 128)["no_semantic_prefix"]()
    chosen = encoded["test"].only([0, 1, 2])
    order, prefixes = send(chosen.units, chosen.prefixes, variant.parts.codebook, 0.7, "float32", 0)
    assert variant.decoder()(order, prefixes) == variant.decoder()(order, prefixes.flip(0))


def test_conditions_are_tried_on_every_source(bench, tiny_model, tiny_project, tmp_path):
    page = tmp_path / "wikitext.txt"
    page.write_text(" = Title = \n\n The captain saw the river . The moon was in the river . \n")
    encoded = bench.sources(tiny_model, tiny_project, str(page), 6)
    assert {name: len(texts) for name, texts in encoded.items()} == {"test": 6, "wikitext": 2}
    sweep = RobustnessSweep(tiny_model.decoder.parts, tiny_model.encoder.config)
    conditions = [Condition(storage="float16", decoders=("cascade",)), Condition(cosine=0.9, decoders=("one_shot",))]
    report = bench.measure(sweep.run, encoded, conditions, 2)
    assert {key: [*rows] for key, rows in report.items()} == {
        "test-storage_float16": ["cascade"],
        "test-cosine_0.9": ["one_shot"],
        "wikitext-storage_float16": ["cascade"],
        "wikitext-cosine_0.9": ["one_shot"],
    }
    assert report["test-storage_float16"]["cascade"]["exact_match"] == 1.0


def test_a_condition_below_its_bar_fails(bench):
    """Bars stand beside conditions; those without one, and names that are none's, are left alone."""
    kept = {"cascade": {"exact_match": 1.0}}
    report = {
        "test-width_384": kept,
        "wikitext-cosine_0.8": kept,
        "test-width_128": {"cascade": {"exact_match": 0.0}},
    }
    assert bench.below_bars(report) == []
    for scores in ({"exact_match": 0.59}, {"exact_match": math.nan}, {"texts": 0}):
        assert bench.below_bars(report | {"wikitext-cosine_0.8": {"cascade": scores}}) == ["wikitext-cosine_0.8"]


def test_figures_are_written_and_decide(bench, tiny_project, tmp_path, capsys):
    """In noise the tiny model may or may not reach the bar; its figures say which."""
    out = tmp_path / "robustness.json"
    try:
        bench.main(root=tiny_project, texts=2, only="cosine_0.8", out=out)
        missed = False
    except typer.Exit as end:
        missed = end.exit_code == 1
    (name,), (scores,) = zip(*json.loads(out.read_text()).items(), strict=True)
    assert name == "test-cosine_0.8"
    assert scores.keys() == {"amp_unigram", "cascade"}
    assert scores["cascade"]["exact_match_low"] <= scores["cascade"]["exact_match"]
    assert missed is bool(bench.below_bars({name: scores}))
    assert missed is ("below its bar" in capsys.readouterr().out)
