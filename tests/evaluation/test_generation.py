from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import read_json
from lexivert.errors import MissingArtifactError
from lexivert.evaluation import generation
from lexivert.evaluation.generation import Bench, Targets
from lexivert.evaluation.generation_metrics import BARRED, Judges
from lexivert.generation.base import GENERATORS
from lexivert.generation.params import Budget, SearchBudgets, load_generation_params
from sections import REPOSITORY

SMALL = Budget(
    drafts=3,
    fluent_drafts=1,
    pool=2,
    rounds=1,
    patience=1,
    edits=1,
    cuts=1,
    spellings=1,
    drops=1,
    moves=1,
    rewritings=1,
    shortlist=2,
)


@dataclass(frozen=True)
class Measured:
    """One run of the stage: what it wrote, and every generator's texts by source."""

    report: dict[str, Any]
    examples: pd.DataFrame
    written: Mapping[str, Mapping[str, Sequence[str]]]


@pytest.fixture(scope="module")
def params():
    given = load_generation_params(REPOSITORY / "generation" / "params.yaml")
    changes = {"texts": 3, "ablation_texts": 2, "vectors": 2, "examples": 2, "batch_size": 4}
    search = given.search.model_copy(update={"budgets": SearchBudgets(draft=SMALL, normal=SMALL, high=SMALL)})
    return given.model_copy(update={"evaluation": given.evaluation.model_copy(update=changes), "search": search})


@pytest.fixture(scope="module")
def bench(generation_project, params) -> Bench:
    made = generation.make_bench(generation_project, params, None)
    judges = replace(made.judges, independent=lambda texts: torch.from_numpy(made.judges.backbone(list(texts))))
    return replace(made, judges=judges, parts=replace(made.parts, search=params.search))


@pytest.fixture(scope="module")
def measured(bench, generation_project) -> Measured:
    """Searching takes long, so the stage runs once, small; the tests look at what it wrote."""
    texts = {}

    def measuring(bench, report=generation.generators_report):
        found, written = report(bench)
        texts.update(written)
        return found, written

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generation, "make_bench", lambda *_: bench)
        patch.setattr(generation, "generators_report", measuring)
        generation.run_generation(generation_project)
    file = generation_project.metrics("generation/generate")
    return Measured(read_json(file), pd.read_csv(file.with_suffix(".csv"), keep_default_na=False), texts)


def test_the_bench_has_texts_of_every_length_and_their_embeddings(bench, tiny_model):
    (targets,) = bench.sources.values()
    assert 3 <= len(targets.texts) <= 9
    assert len(set(targets.texts)) == len(targets.texts)
    expected = F.normalize(torch.from_numpy(tiny_model.encoder.backbone.encode(targets.texts)), dim=1)
    torch.testing.assert_close(targets.embeddings, expected)


def test_every_generator_that_has_its_parts_is_measured_on_the_same_embeddings(bench, measured):
    report, written = measured.report["generators"], measured.written
    names = {"nearest_sentence", "bag_of_words", "language_model", "hill_climbing", "language_model_search"}
    assert set(report["own"]) == {*names, "language_model_search_draft", "reference"}
    assert set(written["own"]) == {*names, "language_model_search_draft"}
    reference = report["own"]["reference"][BARRED]
    assert (reference["token_f1"], reference["exact_match"]) == (1.0, 1.0)
    assert reference["backbone_cosine"] == pytest.approx(1.0, abs=1e-5)
    for name in names:
        scores = report["own"][name]
        assert scores["seconds_a_text"] > 0
        assert scores[BARRED]["nats_a_token"] > 0
        assert scores[BARRED]["token_f1_low"] <= scores[BARRED]["token_f1"] <= scores[BARRED]["token_f1_high"]
    table = measured.examples
    assert list(table.columns)[:2] == ["source", "reference"]
    assert len(table) == 2
    for _, row in table.iterrows():
        place = bench.sources["own"].texts.index(row["reference"])
        assert row["hill_climbing"] == written["own"]["hill_climbing"][place]


def test_an_untrained_generator_is_left_out_but_not_the_search(bench, caplog, tmp_path):
    assert "selector_placer" in GENERATORS
    assert "selector_placer" not in generation.makeable(bench.parts)
    assert "selector_placer is left out" in caplog.text
    with pytest.raises(MissingArtifactError, match="needs its conditional model"):
        generation.makeable(replace(bench.parts, folder=tmp_path / "generation"))


def test_each_ablation_changes_what_its_name_says(params):
    made = generation.ablations(params.search)
    changed = {name: own for name, own in made.items() if name != "full"}
    assert made["full"] == params.search
    assert all(own != made["full"] for own in changed.values())
    assert changed["without_revision"].budgets.normal.rounds == 0
    assert changed["without_language_model"].weights.fluency == 0.0
    assert changed["without_language_model"].budgets.normal.fluent_drafts == 0
    assert changed["without_conditional_proposals"].proposals.conditional == 0.0
    assert changed["without_conditional_proposals"].budgets.normal.drafts == 0
    assert changed["without_length_posterior"].weights.length == 0.0
    assert changed["with_placer_drafts"].placer_drafts
    assert changed["without_selector"].budgets.normal.rewritings == 0


def test_the_ablation_and_strange_vectors_are_measured(bench, measured):
    report = measured.report["ablation"]["own"]
    assert set(report) == set(generation.ablations(bench.parts.search))
    assert {scores["texts"] for scores in report.values()} == {2}
    report = measured.report["vectors"]
    assert set(report) == {"midpoint", "blend_70_30", "cosine_0.9", "cosine_0.8"}
    assert all(-1 <= scores["backbone_cosine"] <= 1 for scores in report.values())


def test_strange_vectors_by_hand():
    embeddings = torch.eye(6)
    found = generation.strange_vectors(embeddings, 4, seed=3)
    for name, (vectors, rows) in found.items():
        assert vectors.norm(dim=1).tolist() == pytest.approx([1.0] * 4)
        own = vectors[torch.arange(4), torch.tensor(rows)].tolist()
        expected = {"midpoint": 0.5**0.5, "blend_70_30": 0.7 / 0.58**0.5, "cosine_0.9": 0.9, "cosine_0.8": 0.8}[name]
        assert own == pytest.approx([expected] * 4, abs=1e-5)
    vectors, rows = found["midpoint"]
    others = vectors.clone()
    others[torch.arange(4), torch.tensor(rows)] = 0.0  # the other half is another text
    assert others.max(dim=1).values.tolist() == pytest.approx([0.5**0.5] * 4, abs=1e-5)


def test_sentences_of_a_wikitext_file_are_plain(tiny_model, tmp_path):
    file = tmp_path / "wiki.txt"
    file.write_text(
        " = Owls = \n\n The red @-@ tipped owl didn 't see 1 @,@ 234 lamps . It was old , and pale . \n"
        " The <unk> saw it . \n",
        encoding="utf-8",
    )
    assert generation.plain_sentences(tiny_model, file) == [
        "The red-tipped owl didn't see 1,234 lamps.",
        "It was old, and pale.",
    ]


def test_targets_and_judges():
    targets = Targets(["a", "b", "c"], torch.eye(3)).only([2, 0])
    assert (targets.texts, targets.embeddings.tolist()) == (["c", "a"], torch.eye(3)[[2, 0]].tolist())
    assert Judges(len, None, frozenset()).independent is not None


def test_the_stage_writes_all_measures(measured):
    assert set(measured.report) == {"generators", "ablation", "vectors"}
