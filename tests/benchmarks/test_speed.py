"""The benchmark of speed, run small on the tiny model."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from lexivert.controller.observation import Observation
from lexivert.search.rough_scores import Logits


@pytest.fixture(scope="module")
def speed(load):
    return load("speed")


@pytest.fixture(scope="module")
def texts(speed, tiny_project):
    return speed.held_out(tiny_project)


def test_encoding_and_backbone_take_turns_on_all_texts(speed, tiny_model, texts):
    figures = speed.encode_rates(tiny_model, texts[:17], rounds=2)
    assert figures["encode_texts"] == 16
    assert figures["encode_to_backbone_min"] <= figures["encode_to_backbone"] <= figures["encode_to_backbone_max"]
    assert figures["encode_to_backbone_min"] > 0
    assert min(figures["encode_texts_per_second"], figures["backbone_texts_per_second"]) > 0


def test_decoding_rates_are_of_these_texts(speed, tiny_model, texts):
    chosen = speed.of_about(12, texts, 6)
    figures = speed.decode_rates(tiny_model, chosen, rounds=1, seed=0)
    assert figures["decode_texts"] == figures["decode_batch"] == 6
    assert figures["decode_words"] == pytest.approx(sum(len(text.split()) for text in chosen) / 6)
    for name in ("cascade", "cascade_noisy", "one_shot", "cancellation"):
        assert 0 < figures[f"{name}_texts_per_second"] < math.inf


def test_the_prefix_is_the_backbones_embedding(speed, tiny_model, texts):
    assert speed.prefix_cosine(tiny_model, texts[:8])["prefix_cosine_min"] > 0.9999


def test_an_exact_search_reads_clean_texts_alike(speed, tiny_model, texts):
    vectors = torch.from_numpy(tiny_model.encode(texts[:3]))
    assert 0.5 < speed.same_as_exact_search(tiny_model, vectors, seed=0) <= 1.0
    exact = replace(tiny_model.decoder.parts, index=speed.ExactIndex.of(tiny_model.index))
    prefix, order = speed.split_parts(vectors, tiny_model.semantic_width)
    read = tiny_model.decoder.with_parts(exact).decode(Observation.of(order, prefix)).units
    assert read == tiny_model.encoder.segment(texts[:3])


def test_the_exact_index_is_a_dense_search_and_a_softmax(speed, tiny_model):
    """Against scoring everything; the quick index agrees with it."""
    index = speed.ExactIndex.of(tiny_model.index)
    layer = tiny_model.decoder.parts.prior.output
    codes, rows = tiny_model.index.codes.float(), torch.arange(10, 30)
    generator = torch.Generator().manual_seed(0)
    queries = 40.0 * codes[rows] + torch.randn(20, codes.shape[1], generator=generator)
    prior = Logits(torch.randn(20, layer.weight.shape[1], generator=generator), layer)
    bias = layer.logits(prior.queries)
    scores = queries @ codes.T + bias
    best = scores.topk(4, dim=1)
    assert torch.equal(index.scan(queries, 4, prior, width=8, biased=False).units, best.indices)
    assert index.scan(queries, 3, prior, first=20).units.max() < 20
    (found,) = index.compare(queries, 4, prior)
    assert torch.equal(found.units, best.indices)
    torch.testing.assert_close(found.log_prior, bias.logsumexp(dim=1))
    total = torch.logaddexp(found.log_tail, found.scores.logsumexp(dim=1))
    torch.testing.assert_close(total, scores.logsumexp(dim=1))
    (quick,) = tiny_model.index.compare(queries, 4, prior)
    mass = torch.logaddexp(quick.log_tail, quick.scores.logsumexp(dim=1))
    torch.testing.assert_close(mass, total, atol=0.05, rtol=0.01)


def test_wikitexts_sentences_are_read_back(speed, tiny_model, texts, tmp_path):
    own = [text for text in texts if 4 <= len(text.split()) <= 40 and text.endswith(".")][:4]
    page = tmp_path / "wikitext.txt"
    page.write_text(" = Title = \n\n " + " \n ".join([*own, "a <unk> is left out .", "too short ."]) + " \n")
    assert list(speed.wikitext_sentences(page)) == own
    figures = speed.round_trip(tiny_model, own, seed=0)
    assert figures["wikitext_sentences"] == 4
    assert figures["wikitext_clean_exact_match"] == figures["wikitext_clean_unit_accuracy"] == 1.0
    assert figures["wikitext_noisy_exact_match"] <= figures["wikitext_noisy_unit_accuracy"] <= 1.0


@pytest.mark.parametrize(
    ("figures", "missed"),
    [
        ({"encode_to_backbone": 0.8, "trace_seconds": 0.1, "units": 80_000}, []),
        ({"encode_to_backbone": 0.79, "trace_seconds": 0.1}, ["encode_to_backbone"]),
        ({"encode_to_backbone": math.nan, "trace_seconds": 0.11}, ["encode_to_backbone", "trace_seconds"]),
    ],
)
def test_a_missed_bar_is_named(speed, figures, missed):
    assert speed.show(figures) == missed


def test_a_release_against_itself(load, tiny_project, texts):
    """Both read the same texts in processes of their own."""
    against = load("against")
    sources = against.Path(__file__).resolve().parents[2] / "src"
    decoded = texts[:4]
    with against.Release(tiny_project, sources) as own, against.Release(tiny_project, sources) as other:
        figures = against.compare(own, other, texts[:8], decoded, rounds=2)
    assert figures["encode_texts"] == 4
    assert figures["exact_match"] == figures["other_exact_match"] == 1.0
    for what in ("encode", "decode"):
        assert 0 < figures[f"{what}_ratio_min"] <= figures[f"{what}_ratio"] <= figures[f"{what}_ratio_max"]


def test_a_release_without_sources_is_refused(load, tiny_project, tmp_path):
    against = load("against")
    with against.Release(tiny_project, tmp_path) as release, pytest.raises(RuntimeError, match="has ended"):
        release.ask("encode", ["A text."])
