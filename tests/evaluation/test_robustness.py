from __future__ import annotations

import csv
import json
import math
import shutil

import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths
from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.controller.cascade import Cascade
from lexivert.controller.posterior import Proposer
from lexivert.evaluation.corruptions import STORAGE, at_width, send, with_codes, with_lexicon
from lexivert.evaluation.metrics import wilson_interval
from lexivert.evaluation.robustness import (
    ROWS,
    Cell,
    EvalSet,
    RobustnessSweep,
    by_dimensions,
    default_cells,
    run_robustness,
    scored,
)
from lexivert.priors.base import Prior
from lexivert.priors.selector import Selector
from lexivert.search.faiss_index import UnitIndex, build
from sections import section

INDEX = section("index", search_dims=0, shortlist=16, frequent=100)
UNITS, WIDTH = 300, 256


@pytest.fixture(scope="module")
def decoder():
    generator = torch.Generator().manual_seed(0)
    codes = F.normalize(torch.randn(UNITS, WIDTH, generator=generator), dim=1).half()
    log_prior = torch.log_softmax(-torch.arange(UNITS).float().add(10).log(), dim=0)
    codebook = Codebook(codes, log_prior, RotaryBinding(WIDTH, 60, seed=0), semantic_share=0.4)
    index = UnitIndex(codes.numpy(), build(codes.numpy(), INDEX), INDEX)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        selector = Selector(8, 6, 16, 2, 60).eval()
    prior = Prior.learned(selector, torch.randn(UNITS, 6, generator=generator), log_prior)
    return Cascade(Proposer(prior, index, codebook, 8))


def material(lengths, seed=0):
    generator = torch.Generator().manual_seed(seed)
    units = [torch.randint(1, UNITS, (n,), generator=generator).tolist() for n in lengths]
    return EvalSet(units, F.normalize(torch.randn(len(lengths), 8, generator=generator), dim=1))


# --- what happens to a vector ---


def test_storage_by_hand():
    vectors = torch.tensor([[0.5, -0.25, 0.1, -0.0]])
    assert torch.equal(STORAGE["float32"](vectors), vectors)
    assert STORAGE["float16"](vectors)[0].tolist() == [0.5, -0.25, 0.0999755859375, 0.0]
    assert STORAGE["sign"](vectors)[0].tolist() == [0.5, -0.5, 0.5, 0.5]
    step = 0.5 / 127  # .25 is 63.5 steps, to the even 64; .1 is 25.4
    expected = [127 * step, -64 * step, 25 * step, 0.0]
    assert STORAGE["int8"](vectors)[0].tolist() == pytest.approx(expected, abs=1e-7)
    assert not STORAGE["int8"](torch.zeros(1, 4)).any()


def test_storage_scales_every_vector_by_itself():
    vectors = torch.tensor([[1.0, 0.5], [100.0, 50.0]])
    for keep in STORAGE.values():
        small, large = F.normalize(keep(vectors), dim=1)
        torch.testing.assert_close(small, large)


def test_narrower_codes_are_leading_dimensions_at_unit_length():
    codes = torch.tensor([[3.0, 4.0, 12.0], [0.0, 2.0, 1.0]]).half()
    torch.testing.assert_close(at_width(codes, 2).float(), torch.tensor([[0.6, 0.8], [0.0, 1.0]]), atol=1e-3, rtol=0)
    assert at_width(codes, 3) is codes


def test_a_vector_that_nothing_happens_to_comes_back(decoder):
    texts = material([3, 9])
    order, semantic = send(texts.units, texts.semantic, decoder.codebook, 1.0, "float32", seed=0)
    clean = F.normalize(superpose(texts.units, decoder.codebook.codes, decoder.codebook.binding), dim=1)
    torch.testing.assert_close(order, clean, atol=1e-4, rtol=0)
    torch.testing.assert_close(semantic, texts.semantic, atol=1e-4, rtol=0)


def test_noise_is_of_the_full_vector(decoder):
    """The parts' cosines, weighed by their energies .4 and .6 (and by what is left of those), make the whole's."""
    texts = material([5] * 40)
    order, semantic = send(texts.units, texts.semantic, decoder.codebook, 0.7, "float32", seed=0)
    clean = F.normalize(superpose(texts.units, decoder.codebook.codes, decoder.codebook.binding), dim=1)
    of_order, of_prefix = (order * clean).sum(dim=1), (semantic * texts.semantic).sum(dim=1)
    noise = 0.51 / (WIDTH + 8)
    whole = 0.49 * 0.6 / (0.49 * 0.6 + WIDTH * noise)
    assert of_order.mean().item() == pytest.approx(math.sqrt(whole), abs=0.02)
    assert of_prefix.mean().item() == pytest.approx(math.sqrt(0.196 / (0.196 + 8 * noise)), abs=0.03)


def test_a_narrower_controller_keeps_what_it_knows_and_reads(decoder):
    narrow = with_codes(decoder, at_width(decoder.codebook.codes, 192), INDEX, seed=3)
    assert narrow.codebook.codes.shape == (UNITS, 192)
    assert narrow.proposer.prior is decoder.proposer.prior
    assert narrow.codebook.semantic_share == 0.4
    assert narrow.codebook.binding.positions == 60
    texts = material([4, 7])
    order, semantic = send(texts.units, texts.semantic, narrow.codebook, 1.0, "float32", seed=0)
    assert narrow.decode(order, semantic).units == texts.units


@pytest.mark.parametrize("units", [100, 300, 450])
def test_a_lexicon_of_another_size_keeps_the_most_used_units(decoder, units):
    other = with_lexicon(decoder, units, INDEX, seed=3)
    count = min(units, UNITS)
    assert other.codebook.codes.shape == (units, WIDTH)
    assert other.proposer.prior.table.shape[0] == len(other.codebook.log_prior) == units
    assert torch.equal(other.codebook.codes[:count], decoder.codebook.codes[:count])
    torch.testing.assert_close(other.codebook.codes.float().norm(dim=1), torch.ones(units), atol=2e-3, rtol=0)
    texts = [[5, 99, 7, 50]]
    order, semantic = send(texts, torch.ones(1, 8), other.codebook, 1.0, "float32", seed=0)
    assert other.decode(order, semantic).units == texts


# --- texts ---


def test_the_first_texts_of_a_length_with_known_units():
    texts = EvalSet([[1], [2, 3], [4, 50], [5, 6], [7, 8, 9], [1, 1]], torch.eye(6))
    chosen = texts.of_length((2, 2), 2, below=50)
    assert chosen.units == [[2, 3], [5, 6]]
    assert torch.equal(chosen.semantic, torch.eye(6)[[1, 3]])
    none = texts.of_length((20, 30), 2, below=50)
    assert none.units == []
    assert none.semantic.shape == (0, 6)


def test_long_texts_are_chains_with_length_weighted_prefixes():
    """Texts of 30, 15, 70, 20, 30 and 10 units for 41 to 60: the third breaks the first chain's successor."""
    lengths = [30, 15, 70, 20, 30, 10]
    texts = EvalSet([[number + 1] * n for number, n in enumerate(lengths)], torch.eye(6))
    chosen = texts.of_length((41, 60), 5, below=300)
    assert chosen.units == [[1] * 30 + [2] * 15, [4] * 20 + [5] * 30]
    expected = torch.zeros(2, 6)
    expected[0, :2], expected[1, 3:5] = torch.tensor([2.0, 1.0]) / 5**0.5, torch.tensor([2.0, 3.0]) / 13**0.5
    torch.testing.assert_close(chosen.semantic, expected)
    assert texts.of_length((41, 60), 1, below=300).units == chosen.units[:1]
    assert texts.of_length((41, 60), 5, below=2).units == []
    assert texts.of_length((41, 60), 5, below=2).semantic.shape == (0, 6)


# --- tables ---


def test_scores_by_hand():
    """One of three texts exactly, and 2 + 1 + 0 of 2 + 3 + 1 positions."""
    row = scored([[1, 2], [3, 4], [5]], [[1, 2], [3, 5, 6], [6]])
    low, high = wilson_interval(1, 3)
    assert row == pytest.approx(
        {
            "texts": 3,
            "exact_match": 1 / 3,
            "exact_match_low": low,
            "exact_match_high": high,
            "unit_accuracy": 3 / 6,
        }
    )


def test_exact_match_by_dimensions_by_hand():
    """5 nats and 400 units: limits at 2 ln 400 = 11.98, 10 and 5 dimensions a unit."""
    matches = [
        *(("a", 8.0, True), ("a", 9.9, False), ("a", 10.0, True), ("a", 3.9, False)),
        *(("b", 8.0, False), ("b", 9.9, False), ("b", 10.0, False), ("b", 3.9, True)),
    ]
    table = by_dimensions(matches, nats=5.0, units=400)
    assert table == [
        {"dimensions_a_unit": 3.0, "a": 0.0, "b": 1.0, "limit_flat": 0.0, "limit_prior": 0.0, "limit_soft": 0.0},
        {"dimensions_a_unit": 9.0, "a": 0.5, "b": 0.0, "limit_flat": 0.0, "limit_prior": 0.0, "limit_soft": 1.0},
        {"dimensions_a_unit": 11.0, "a": 1.0, "b": 0.0, "limit_flat": 0.0, "limit_prior": 1.0, "limit_soft": 1.0},
    ]


def test_names_of_cells():
    assert Cell().name == "width_default-cosine_1-units_1_32-float32"
    assert Cell(192, 0.7, (4, 8), "int8", 1000).name == "width_192-cosine_0.7-units_4_8-int8-lexicon_1000"
    names = [cell.name for cell in default_cells(section("robustness"))]
    assert len(set(names)) == len(names) == 10


# --- a run ---


def test_a_clear_cell_is_read_by_every_soft_decoder_and_noted(decoder):
    frontier = RobustnessSweep(decoder, INDEX, seed=0)
    report = frontier.run(Cell(length=(3, 6)), material([3, 5, 6, 9]), texts=3)
    assert list(report) == list(ROWS)
    for row in ("amp_flat", "amp_unigram", "selector", "selector_placer", "controller"):
        assert report[row]["exact_match"] == 1.0
    assert {row["texts"] for row in report.values()} == {3}
    assert len(frontier.matches) == 3 * len(ROWS)
    assert frontier.matches[-1] == ("controller", WIDTH / 7, True)


def test_cells_at_another_width_lexicon_or_storage(decoder):
    frontier = RobustnessSweep(decoder, INDEX, seed=0)
    rows = ("controller",)
    for cell in (
        Cell(width=128, length=(3, 6), rows=rows),
        Cell(units=200, length=(3, 6), rows=rows),
        Cell(width=192, units=400, length=(3, 6), rows=rows),
        Cell(storage="sign", length=(3, 3), rows=rows),
        Cell(cosine=0.8, length=(3, 3), rows=rows),
    ):
        known = [[unit % 199 + 1 for unit in text] for text in material([3, 4, 6]).units]
        report = frontier.run(cell, EvalSet(known, material([3, 4, 6]).semantic), texts=3)
        assert report["controller"]["exact_match"] >= 2 / 3
    assert frontier.matches == []  # only what every row has tried can be compared
    frontier.run(Cell(width=128, length=(3, 6)), material([3, 4, 6]), texts=3)
    assert [dimensions for _, dimensions, _ in frontier.matches] == [128 / 4, 128 / 5, 128 / 7] * len(ROWS)


def test_a_cell_without_texts_says_so_and_stops_nothing(decoder):
    report = RobustnessSweep(decoder, INDEX, seed=0).run(Cell(length=(30, 32)), material([3]), texts=3)
    assert all(row["texts"] == 0 for row in report.values())


def test_texts_of_a_lexicon_with_units_that_no_text_has_are_read_too(decoder):
    """So narrow that further units are candidates; the Selector's own table has no vectors of them."""
    texts = material([6] * 4)
    other = with_lexicon(with_codes(decoder, at_width(decoder.codebook.codes, 64), INDEX, 0), 3000, INDEX, seed=3)
    order, semantic = send(texts.units, texts.semantic, other.codebook, 0.9, "float32", seed=0)
    assert len(other.decode(order, semantic).units) == 4


def test_the_stage_writes_every_cell_and_the_table(tiny_project, tiny_params, tmp_path):
    shutil.copytree(tiny_project, tmp_path / "project")
    paths = Paths(tmp_path / "project")
    run_robustness(paths, tiny_params)
    report = json.loads(paths.metrics("robustness").read_text(encoding="utf-8"))
    assert list(report) == sorted(cell.name for cell in default_cells(tiny_params.robustness))
    for cell in report.values():
        for row in cell.values():
            assert row["exact_match_low"] - 1e-9 <= row["exact_match"] <= row["exact_match_high"] + 1e-9
            assert 0 < row["texts"] <= 3
    wide = report["width_128-cosine_1-units_1_32-float32"]
    assert set(wide) == set(ROWS)
    assert wide["controller"]["exact_match"] >= wide["one_shot"]["exact_match"]
    with (paths.plots / "robustness.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) >= 1


def test_a_line_by_dimensions_holds_every_row(decoder):
    frontier = RobustnessSweep(decoder, INDEX, seed=0)
    frontier.run(Cell(length=(3, 6)), material([3, 5]), texts=2)
    (first, *_) = by_dimensions(frontier.matches, 5.0, UNITS)
    assert set(first) == {"dimensions_a_unit", *ROWS, "limit_flat", "limit_prior", "limit_soft"}
