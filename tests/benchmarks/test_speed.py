"""The speed benchmark on the tiny model: its figures are those of real runs, and a missed bar ends the command."""

from __future__ import annotations

import json

import pytest
import torch
import typer

from lexivert.search.unit_index import Logits

TEXTS = [
    "The old captain saw the river.",
    "Emma saw two lamps near the old mill.",
    "The silent owl wanted a rose.",
] * 6


@pytest.fixture
def speed(load, monkeypatch):
    module = load("speed")
    for name, value in {"LARGE_LEXICON": 3000, "COMPARED_TEXTS": 3, "DECODE_ROUNDS": 1, "ENCODE_ROUNDS": 2}.items():
        monkeypatch.setattr(module, name, value)
    return module


def test_rates_are_of_the_texts_given(speed, tiny_model):
    encoding = speed.encode_rates(tiny_model, TEXTS, 2)
    assert (encoding["encode_texts"], encoding["encode_rounds"]) == (18, 2)
    assert encoding["encode_to_backbone_min"] <= encoding["encode_to_backbone"] <= encoding["encode_to_backbone_max"]
    decoding = speed.decode_rates(tiny_model, TEXTS[:3], 1, seed=0)
    assert decoding["decode_words"] == pytest.approx(20 / 3)
    rates = {name for name, value in decoding.items() if name.endswith("_texts_per_second") and value > 0}
    assert rates == {f"{name}_texts_per_second" for name in ("cascade", "cascade_noisy", "one_shot", "cancellation")}


def test_quick_and_exact_searches_read_the_same(speed, tiny_model):
    found = speed.decode_otherwise(tiny_model, TEXTS[:3], 1, seed=0)
    assert found["same_as_exact_search"] >= 6 / 9  # texts in noise may be read either way
    assert found["trace_seconds"] > 0
    assert found["cascade_300k_texts_per_second"] > 0


def test_the_prefix_is_the_backbones_own(speed, tiny_model):
    assert speed.prefix_cosine(tiny_model, TEXTS[:3])["prefix_cosine_min"] > 0.9999


def test_the_exact_index_is_a_dense_search_and_a_softmax(speed, tiny_model):
    """Against scoring everything; the quick index agrees with it, and a crippled one would not."""
    index, prior = speed.ExactIndex.of(tiny_model.index), tiny_model.decoder.parts.prior
    codes, rows = index.codes.float(), torch.arange(10, 30)
    queries = 40.0 * codes[rows] + torch.randn(20, codes.shape[1], generator=torch.Generator().manual_seed(0))
    asked = Logits(torch.zeros(20, prior.output.weight.shape[1]), prior.output)
    scores = queries @ codes.T + prior.output.bias
    assert torch.equal(index.scan(queries, 3, asked, width=8).units, scores.topk(3, dim=1).indices)
    assert index.scan(queries, 3, asked, first=20).units.max() < 20
    (exact,) = index.compare(queries, 4, asked)
    best = scores.topk(4, dim=1)
    assert torch.equal(exact.units, best.indices)
    torch.testing.assert_close(exact.scores, best.values)
    total = torch.logaddexp(exact.log_tail, exact.scores.logsumexp(dim=1))
    torch.testing.assert_close(total, scores.logsumexp(dim=1))
    torch.testing.assert_close(exact.log_prior, prior.output.bias.logsumexp(dim=0).expand(20))
    (quick,) = tiny_model.index.compare(queries, 4, asked)
    torch.testing.assert_close(quick.scores.max(dim=1).values, exact.scores[:, 0], atol=1e-3, rtol=1e-3)


def test_wikitext_is_read_if_it_is_there(speed, tmp_path, caplog):
    path = tmp_path / "wiki.valid.txt"
    assert not speed.is_given(None)
    assert not speed.is_given(path)
    assert "wiki.valid.txt is not there" in caplog.text
    path.write_text(" = Owls = \n\n The owl saw the <unk> . The owl saw the river . It slept .\n", encoding="utf-8")
    assert speed.is_given(path)
    assert list(speed.wikitext_sentences(path)) == ["The owl saw the river ."]


def test_the_command_writes_figures_and_misses_the_bars_of_a_large_model(speed, tiny_project, tmp_path):
    """The tiny model has few units: bar ``units`` says so."""
    out = tmp_path / "speed.json"
    with pytest.raises(typer.Exit) as end:
        speed.main(root=tiny_project, encode_texts=12, decode_texts=4, sentences=0, seed=0, wikitext=None, out=out)
    assert end.value.exit_code == 1
    figures = json.loads(out.read_text())
    assert figures["units"] < speed.BARS["units"]
    assert {name for name in speed.BARS if not name.startswith("wikitext")} <= figures.keys()


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"units": 80_000, "cascade_texts_per_second": 160.0, "trace_seconds": 0.05}, []),
        ({"cascade_texts_per_second": 149.0}, ["cascade_texts_per_second"]),
        ({"trace_seconds": 0.11}, ["trace_seconds"]),
        ({"prefix_cosine_min": float("nan"), "trace_seconds": float("nan")}, ["prefix_cosine_min", "trace_seconds"]),
    ],
)
def test_a_figure_below_its_bar_is_named(speed, figures, missed):
    assert speed.show(figures) == missed
