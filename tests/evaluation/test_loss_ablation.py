"""Recipes of the token head's losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.artifacts import Paths
from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.superposition import superpose
from lexivert.codes.token_head import unit_codes
from lexivert.codes.token_head_data import read_token_head_data
from lexivert.codes.token_head_training import train_token_head
from lexivert.config import Params
from lexivert.controller.amp import AmpDecoder
from lexivert.controller.observation import Observation
from lexivert.errors import LexivertError
from lexivert.evaluation import loss_ablation
from lexivert.evaluation.corruptions import flat_index
from lexivert.priors.unigram import unigram
from lexivert.text.lexicon import Lexicon
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
    with pytest.raises(LexivertError, match="seeds is 1; an interval needs at least 2"):
        loss_ablation.run_recipe(Paths(tiny_project), tiny_params, "default", seeds=1, texts=3)


def test_a_recipe_is_trained_and_measured(tiny_project, tiny_params):
    """Every seed's head trained and measured once more, neighbours and texts one by one."""
    paths = Paths(tiny_project)
    report = loss_ablation.run_recipe(paths, tiny_params, "without_identity", seeds=2, texts=4)
    params = loss_ablation.with_recipe(tiny_params, "without_identity")
    found = [_measured(paths, params, seed) for seed in (params.seed, params.seed + 1)]
    assert report["seeds"] == 2
    for name in found[0]:
        values = [figures[name] for figures in found]
        assert report[name] == pytest.approx(np.mean(values), abs=1e-5), name
        # Student's t for one degree of freedom at 97.5 %, times the deviation of two values over √2.
        half_width = 12.7062 * abs(values[0] - values[1]) / 2
        assert report[f"{name}_half_width"] == pytest.approx(half_width, rel=1e-4, abs=1e-5), name
    # Without identity, "The" and "the" have one code: the nearest other unit is no further than rounding.
    default = loss_ablation.run_recipe(paths, tiny_params, "default", seeds=2, texts=4)
    assert default["margin"] > report["margin"]


def _measured(paths: Paths, params: Params, seed: int) -> dict[str, float]:
    data = read_token_head_data(paths, params)
    head, history = train_token_head(data.units, data.config, params.token_head, seed)
    codes = torch.from_numpy(unit_codes(head, data.features, data.surfaces))
    lexicon = Lexicon.load(paths.vocab)
    words = [u for u in np.flatnonzero(data.heldout).tolist() if lexicon.kinds[u] in {"word", "cased"}]
    unit = F.normalize(codes.float(), dim=1)
    margins = [1.0 - float(torch.cat((unit[:u], unit[u + 1 :])).mv(unit[u]).max()) for u in words]
    log_prior = torch.from_numpy(lexicon.log_prior())
    return {
        "margin": float(np.mean(margins)),
        "anisotropy": history[-1]["anisotropy"],
        "exact_match_narrow": _read_one_by_one(paths, params, codes, log_prior, width=192),
    }


def _read_one_by_one(paths: Paths, params: Params, codes: torch.Tensor, log_prior: torch.Tensor, width: int) -> float:
    codes = F.normalize(codes[:, :width].float(), dim=1).half()
    binding = RotaryBinding(width, params.code.max_units + 1, params.seed)
    codebook = Codebook(codes, log_prior, binding, params.code.identity_share, params.code.semantic_share)
    decoder = AmpDecoder(flat_index(codes, params.index), codebook, unigram(log_prior), params.controller.amp)
    texts = loss_ablation.draw_test_texts(paths, params.seed, 30 * 4)
    short = [row for row, units in enumerate(texts.units) if len(units) <= 32][:4]
    right = []
    for row in short:
        order = superpose([texts.units[row]], codes, binding)
        found = decoder.decode(Observation.of(order, texts.prefixes[row : row + 1]))
        right.append(found.units == [texts.units[row]])
    return float(np.mean(right))
