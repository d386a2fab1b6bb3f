"""Figures of a handful of units whose vectors lie in a plane; the reserved units point away from all of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params, load_params
from lexivert.data.relations import SCHEMA
from lexivert.errors import MissingArtifactError
from lexivert.evaluation import geometry
from lexivert.evaluation.neighbours import Tagger
from lexivert.evaluation.token_space import (
    Units,
    _candidates,
    _common,
    _draw,
    _examples,
    _histograms,
    _sampled_pairs,
    _space_report,
    phrase_report,
    read_units,
    statistics,
)
from lexivert.text.lexicon import RESERVED, Lexicon
from lexivert.training.collapse import anisotropy

FIRST = len(RESERVED)
WORDS = ["dog", "dogs", "hound", "cat", "Dog", "hot", "hot dog", "hot cat", "big hot dog", "rare"]
KINDS = ["word", "word", "word", "word", "cased", "word", "ngram", "ngram", "ngram", "word"]
ID = {surface: FIRST + place for place, surface in enumerate(WORDS)}
SIZE = FIRST + len(WORDS)


def coded(*named):
    return np.sort([ID[a] * SIZE + ID[b] for x, y in named for a, b in ((x, y), (y, x))]).astype(np.int64)


@pytest.fixture
def units():
    reserved = ["control"] * 6 + ["byte"] * 256
    usage = np.array([0] * FIRST + [9, 3, 2, 4, 1, 8, 5, 1, 1, 0], dtype=np.int64)
    lexicon = Lexicon((*RESERVED, *WORDS), (*reserved, *KINDS), usage, usage)
    heldout = np.ones(SIZE, dtype=bool)
    heldout[[ID["cat"], ID["hot cat"]]] = False
    pairs = {
        "inflection": coded(("dog", "dogs")),
        "synonym": coded(("dog", "hound")),
        "antonym": coded(("dog", "cat")),
    }
    return Units(lexicon, torch.zeros(SIZE, 2), heldout, pairs)


DEGREES = {
    "dog": 0, "dogs": 20, "hound": 35, "cat": 95, "Dog": -5, "hot": -90, "hot dog": -50, "hot cat": -70,
    "big hot dog": 120, "rare": 180,
}  # fmt: skip


def cos(degrees):
    return math.cos(math.radians(degrees))


@pytest.fixture
def vectors():
    """Words and phrases in a plane, of several lengths; every reserved unit is at right angles to all of these."""
    rows = torch.zeros(SIZE, 3)
    rows[:FIRST, 2] = 1.0
    angles = torch.deg2rad(torch.tensor([float(DEGREES[word]) for word in WORDS]))
    rows[FIRST:, :2] = torch.stack((angles.cos(), angles.sin()), dim=1) * torch.linspace(1, 3, len(WORDS))[:, None]
    return rows


def ids(*surfaces):
    return torch.tensor([ID[surface] for surface in surfaces])


class TestChoosing:
    def test_candidates_are_held_out_of_the_kinds_and_related(self, units):
        def chosen(*kinds, related):
            return [units.lexicon.surfaces[unit] for unit in _candidates(units, kinds, related=related)]

        assert chosen("word", "cased", related=True) == ["dog", "dogs", "hound"]
        assert chosen("word", "cased", related=False) == ["dog", "dogs", "hound", "Dog", "hot", "rare"]
        assert chosen("ngram", related=False) == ["hot dog", "big hot dog"]

    def test_draws_are_distinct_sorted_and_no_more_than_there_are(self):
        drawn = _draw(np.arange(100, 200), 30, np.random.default_rng(0)).tolist()
        assert len(set(drawn)) == 30
        assert drawn == sorted(drawn)
        assert set(drawn) <= set(range(100, 200))
        assert _draw(np.arange(5), 30, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]

    def test_common_words_are_the_hundred_most_used(self):
        surfaces = [f"Word{place}" for place in range(150)]
        usage = np.array([0] * FIRST + list(range(1, 151)), dtype=np.int64)
        lexicon = Lexicon((*RESERVED, *surfaces), ("byte",) * FIRST + ("cased",) * 150, usage, usage)
        assert _common(lexicon) == {f"word{place}" for place in range(50, 150)}

    def test_sampled_pairs_begin_with_held_out_units(self, units):
        sampled = _sampled_pairs(units, np.random.default_rng(0))
        assert set(sampled) == {"inflection", "synonym", "antonym", "random"}  # there are no siblings
        pairs = {name: set(zip(a.tolist(), b.tolist(), strict=True)) for name, (a, b) in sampled.items()}
        assert pairs["synonym"] == {(ID["dog"], ID["hound"]), (ID["hound"], ID["dog"])}
        assert pairs["antonym"] == {(ID["dog"], ID["cat"])}  # the cat is in training
        left, right = sampled["random"]
        assert len(left) > 19_000
        assert not {ID["cat"], ID["hot cat"]} & set(left.tolist())
        assert ID["cat"] in right.tolist()
        assert (left != right).all()


class TestSpaceReport:
    @pytest.fixture
    def make(self, units, vectors, tiny_params: Params):
        def report_of(count):
            chosen = tiny_params.token_space.model_copy(update={"neighbours": count})
            params = tiny_params.model_copy(update={"token_space": chosen})
            sampled = {"synonym": (ids("dog", "hound"), ids("hound", "dog")), "antonym": (ids("dog"), ids("cat"))}
            tagger = Tagger(units.lexicon.surfaces, units.pairs)
            return _space_report(vectors, ids("dog", "dogs"), ids("hot dog"), sampled, tagger, units, params)

        return report_of

    @pytest.fixture
    def report(self, make):
        return make(4)

    @pytest.fixture
    def report_of_two(self, make):
        return make(2)[0]

    def test_neighbours_of_words_by_hand(self, report):
        near = {name: [WORDS[other - FIRST] for other, _, _ in report[1][ID[name]]] for name in ("dog", "dogs")}
        assert near == {"dog": ["Dog", "dogs", "hound", "hot dog"], "dogs": ["hound", "dog", "Dog", "hot dog"]}
        tags = {name: [tag for _, tag, _ in report[1][ID[name]]] for name in near}
        assert tags["dog"] == ["same lemma", "same lemma", "synonym", "phrase with it"]
        assert tags["dogs"] == ["unrelated", "same lemma", "unrelated", "unrelated"]
        figures = report[0]["neighbours_of_words"]
        assert figures["same_lemma"] == pytest.approx(3 / 8)
        assert figures["purity"] == pytest.approx(5 / 8)
        assert figures["purity_by_maps"] == pytest.approx(4 / 8)
        # Of four places, Dog, dogs and hound could fill three of dog's, and dog one of dogs'.
        assert figures["most_purity_by_maps"] == pytest.approx((3 / 4 + 1 / 4) / 2)
        assert report[0]["margin_of_words"]["mean"] == pytest.approx(1 - (cos(5) + cos(15)) / 2, abs=1e-6)
        assert report[0]["margin_of_words"]["max"] == pytest.approx(1 - cos(15), abs=1e-6)

    def test_neighbours_of_phrases_by_hand(self, report):
        near = report[1][ID["hot dog"]]
        assert [WORDS[other - FIRST] for other, _, _ in near] == ["hot cat", "hot", "Dog", "dog"]
        assert [tag for _, tag, _ in near] == ["shares a word"] * 4
        assert [cosine for _, _, cosine in near] == pytest.approx([cos(20), cos(40), cos(45), cos(50)], abs=1e-6)
        assert report[0]["neighbours_of_phrases"]["shares_a_word"] == 1.0
        assert report[0]["neighbours_of_phrases"]["most_purity_by_maps"] == 0.0
        assert report[0]["margin_of_phrases"]["max"] == pytest.approx(1 - cos(20), abs=1e-6)

    def test_no_more_related_units_count_than_are_looked_at(self, report_of_two):
        assert report_of_two["neighbours_of_words"]["most_purity_by_maps"] == pytest.approx((2 / 2 + 1 / 2) / 2)

    def test_pairs_by_hand(self, report):
        assert report[0]["pairs"]["synonym"]["mean"] == pytest.approx(cos(35))
        assert report[0]["pairs"]["antonym"]["mean"] == pytest.approx(cos(95))
        assert report[0]["alignment_of_synonyms"] == pytest.approx(2 - 2 * cos(35))

    def test_rows_of_the_tables(self, units, vectors, report):
        rows = _examples("features", report[1], units.lexicon)
        assert list(rows.columns) == ["space", "unit", "rank", "neighbour", "tag", "cosine"]
        assert rows.iloc[:2, :5].values.tolist() == [
            ["features", "dog", 1, "Dog", "same lemma"],
            ["features", "dog", 2, "dogs", "same lemma"],
        ]
        assert rows["cosine"][:2].tolist() == pytest.approx([cos(5), cos(20)])
        assert rows["rank"].tolist() == [1, 2, 3, 4] * 3

        sampled = {"synonym": (ids("dog", "dog", "dog", "dog"), ids("cat", "hound", "hound", "Dog"))}
        histogram = _histograms("features", vectors, sampled)
        # 80 bins of width .025 from -1; cosines -.087, twice .819, and .996.
        assert histogram[["space", "relation"]].values.tolist() == [["features", "synonym"]] * 3
        assert histogram["share"].tolist() == [0.25, 0.5, 0.25]
        assert histogram["cosine"].tolist() == pytest.approx([-0.0875, 0.8125, 0.9875])


def test_statistics_are_those_of_geometry_at_unit_length():
    vectors = torch.randn(50, 6, generator=torch.Generator().manual_seed(0)) + 0.5
    unit = F.normalize(vectors, dim=-1)
    expected = {
        "anisotropy": float(anisotropy(unit)),
        "effective_rank": geometry.effective_rank(unit),
        "isotropy": geometry.isotropy(unit),
        "uniformity": geometry.uniformity(unit),
        **geometry.per_dimension(unit),
    }
    assert statistics(vectors, seed=3) == pytest.approx(expected, rel=1e-4)
    lengths = torch.linspace(0.1, 9.0, 50)[:, None]
    assert statistics(vectors * lengths, seed=3) == pytest.approx(expected, rel=1e-4)


@pytest.fixture
def phrases(vectors):
    """Hot dog and hot cat, whose words' means point to (1, -1) and (-1, -1); of the third one word is no unit."""
    places = {"dog": (1, 0), "cat": (-1, 0), "hot": (0, -1), "hot dog": (3, -4), "hot cat": (4, -3)}
    for surface, place in places.items():
        vectors[ID[surface]] = torch.tensor([*place, 0.0])
    return ids("hot dog", "hot cat", "big hot dog")


def test_phrase_report_by_hand(units, vectors, phrases):
    # Own words: (.6 + .8) / √2 and (-.8 + .6) / √2; the other's: (-.6 + .8) / √2 and (.8 + .6) / √2.
    assert phrase_report(vectors, phrases, units.lexicon) == pytest.approx(
        {"count": 2, "own_words_cosine": 0.6 / 2**0.5, "other_words_cosine": 0.8 / 2**0.5}
    )


def test_phrase_words_count_alike_whatever_their_length(units, vectors, phrases):
    expected = phrase_report(vectors, phrases, units.lexicon)
    vectors[ID["dog"]] *= 10.0
    assert phrase_report(vectors, phrases, units.lexicon) == pytest.approx(expected)


def test_one_phrase_is_no_report(units, vectors):
    assert phrase_report(vectors, ids("hot dog", "big hot dog"), units.lexicon) == {"count": 1}


class TestReadUnits:
    @pytest.fixture
    def paths(self, units, tmp_path):
        paths = Paths(tmp_path / "project")
        units.lexicon.save(paths.vocab)
        artifacts.write_array(paths.unit_features, np.arange(SIZE * 2, dtype=np.float16).reshape(SIZE, 2))
        for path, names in ((paths.synonyms, ("synonym", "inflection")), (paths.antonyms, ("antonym",))):
            rows = [(*divmod(int(code), SIZE), name) for name in names for code in units.pairs[name][::-1]]
            columns = dict(zip(SCHEMA.names, map(list, zip(*rows, strict=True)), strict=True))
            artifacts.write_parquet(path, columns, SCHEMA)
        return paths

    def test_maps_come_back_coded_and_sorted(self, paths, units, tiny_params):
        found = read_units(paths, tiny_params)
        assert found.lexicon.surfaces == units.lexicon.surfaces
        assert set(found.pairs) == {"synonym", "inflection", "antonym"}
        for name, codes in units.pairs.items():
            assert found.pairs[name].tolist() == codes.tolist()
        assert found.features.dtype == torch.float32
        assert found.features[3].tolist() == [6.0, 7.0]

    def test_units_are_held_out_as_in_training(self, paths, tiny_params_file):
        params = load_params(tiny_params_file)
        for share, count in ((0.0, 0), (1.0, SIZE)):
            head = params.token_head.model_copy(update={"heldout_share": share})
            assert read_units(paths, params.model_copy(update={"token_head": head})).heldout.sum() == count

    def test_missing_maps_are_named(self, paths, tiny_params):
        paths.antonyms.unlink()
        with pytest.raises(MissingArtifactError, match="antonyms"):
            read_units(paths, tiny_params)
