"""Recipes of the token head's losses."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lexivert.errors import LexivertError
from lexivert.evaluation import loss_ablation
from sections import section


@pytest.mark.parametrize("recipe", loss_ablation.RECIPES)
def test_a_recipe_changes_one_thing(tiny_params, recipe):
    changed = loss_ablation.with_recipe(tiny_params, recipe)
    own, new = (loss_ablation.weights_of(params.token_head.weight) for params in (tiny_params, changed))
    kind, _, part = recipe.partition("_")
    if kind == "only":
        assert [loss for loss, weight in new.items() if weight > 0] == (
            [part] if part in loss_ablation.LOSSES else []
        )
    else:
        differing = [loss for loss in loss_ablation.LOSSES if own[loss] != new[loss]]
        assert differing == ([part] if part in loss_ablation.LOSSES else [])
    assert (changed.token_head.queue_size == 0) == (recipe == "without_queue")
    shares = {"without_identity": 0.0, "only_identity": 1.0}
    assert changed.code.identity_share == shares.get(recipe, tiny_params.code.identity_share)


def test_an_unknown_recipe_is_named(tiny_params):
    with pytest.raises(LexivertError, match="recipe is 'without_everything'; give one of default, "):
        loss_ablation.with_recipe(tiny_params, "without_everything")


def test_the_anchor_falls_to_a_quarter(tiny_params):
    weight = loss_ablation.weighted({"anchor": 0.2})
    added = loss_ablation.with_recipe(tiny_params, "with_anchor").token_head.weight
    assert (added.anchor_start, added.anchor_end) == (0.2, 0.05)
    assert weight == section(
        "token_head.weight",
        contrastive=0,
        reconstruction=0,
        anchor_start=0.2,
        anchor_end=0.05,
        synonym=0,
        orthogonality=0,
    )


def test_summary_by_hand():
    # Values 1 and 3: mean 2, deviation sqrt(2); t for one degree of freedom at 97.5 % is 12.7062.
    report = loss_ablation.summary([{"a": 1.0}, {"a": 3.0}])
    assert report["a"] == 2.0
    assert report["a_half_width"] == pytest.approx(12.7062 * math.sqrt(2) / math.sqrt(2), rel=1e-4)


def test_one_seed_has_no_interval(tiny_project, tiny_params, tmp_path):
    from lexivert.artifacts import Paths

    with pytest.raises(LexivertError, match="seeds is 1; an interval needs at least 2"):
        loss_ablation.run_recipe(Paths(tiny_project), tiny_params, "default", seeds=1, texts=3)


def test_a_recipe_is_trained_and_measured(tiny_project, tiny_params):
    from lexivert.artifacts import Paths

    report = loss_ablation.run_recipe(Paths(tiny_project), tiny_params, "without_identity", seeds=2, texts=4)
    assert report["seeds"] == 2
    for name in ("margin", "purity_by_maps", "exact_match_noisy", "exact_match_narrow", "anisotropy", "spread"):
        assert np.isfinite(report[name])
        assert report[f"{name}_half_width"] >= 0.0
    assert 0.0 <= report["exact_match_narrow"] <= 1.0
    # Without identity, "The" and "the" have one code: the nearest other unit is no further than rounding.
    default = loss_ablation.run_recipe(Paths(tiny_project), tiny_params, "default", seeds=2, texts=4)
    assert default["margin"] > report["margin"]
