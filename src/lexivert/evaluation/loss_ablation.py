"""Ablation of the token head's losses: recipes with one part left out, one added, or one alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lexivert.artifacts import Paths
from lexivert.codes.bindings import BINDINGS
from lexivert.codes.codebook import Codebook
from lexivert.codes.token_head import TokenHead, unit_codes
from lexivert.codes.token_head_data import TokenHeadData, read_token_head_data
from lexivert.codes.token_head_training import train_token_head
from lexivert.config import Params, TokenHeadWeights
from lexivert.controller.base import Parts
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.relations import Relations, decode_pairs
from lexivert.data.segments import read_encoded_texts
from lexivert.errors import LexivertError
from lexivert.evaluation import geometry, neighbours
from lexivert.evaluation.corruptions import at_width, flat_index, send
from lexivert.evaluation.decoders import decoder_named, in_batches
from lexivert.evaluation.nearest import nearest_others
from lexivert.evaluation.neighbours import TAGS, Tagger
from lexivert.evaluation.pair_statistics import pair_cosines
from lexivert.evaluation.robustness import Condition
from lexivert.evaluation.token_space import read_units
from lexivert.priors.unigram import unigram
from lexivert.training.collapse import CollapseRules

LOSSES = ("contrastive", "reconstruction", "anchor", "synonym", "orthogonality")
RECIPES = (
    "default",
    "without_contrastive",
    "without_reconstruction",
    "without_synonym",
    "without_antonym",
    "without_queue",
    "without_identity",
    "with_anchor",
    "with_orthogonality",
    *(f"only_{loss}" for loss in LOSSES),
    "only_identity",
)
"""The default weights; one part left out; a loss that the default lacks added; one loss alone."""
_LACKING = {"anchor": 0.2, "orthogonality": 0.1}  # weights in the research script
_NEIGHBOURS = 10
_QUERIES = 500
_DRAWN = 30  # texts drawn for each that is wanted: many are too long
_PAIRS = 5000
_AT_ONCE = 24
_NEVER = CollapseRules(patience=2**31)  # a recipe that collapses is a result, not a mistake


CONDITIONS = {
    "noisy": Condition(cosine=0.6, length=(1, 40)),
    "narrow": Condition(width=192),
}
"""Where decoding is tried."""


def with_recipe(params: Params, name: str) -> Params:
    """Params of a recipe.

    Raises:
        LexivertError: there is no such recipe.
    """
    if name not in RECIPES:
        raise LexivertError(f"recipe is {name!r}; give one of {', '.join(RECIPES)}")
    kind, _, part = name.partition("_")
    weight = params.token_head.weight
    if kind == "only":
        own = weights_of(weight).get(part, 0.0)
        weight = weighted({part: own or _LACKING.get(part, 0.0)})
    elif kind == "without" and part in LOSSES:
        weight = weight.model_copy(update=_weight_fields(part, 0.0))
    elif kind == "with":
        weight = weight.model_copy(update=_weight_fields(part, _LACKING[part]))
    head = params.token_head.model_copy(update={"weight": weight})
    if name == "without_queue":
        head = head.model_copy(update={"queue_size": 0})
    share = {"without_identity": 0.0, "only_identity": 1.0}.get(name, params.code.identity_share)
    return params.model_copy(
        update={"token_head": head, "code": params.code.model_copy(update={"identity_share": share})}
    )


def weights_of(weight: TokenHeadWeights) -> dict[str, float]:
    """One weight a loss; the anchor's is where it starts."""
    return {loss: getattr(weight, "anchor_start" if loss == "anchor" else loss) for loss in LOSSES}


def weighted(weights: Mapping[str, float]) -> TokenHeadWeights:
    """Weights by loss, all others 0; the anchor's falls to a quarter."""
    fields: dict[str, float] = {}
    for loss in LOSSES:
        fields |= _weight_fields(loss, weights.get(loss, 0.0))
    return TokenHeadWeights(**fields)


def _weight_fields(loss: str, weight: float) -> dict[str, float]:
    """What sets one loss's weight; the anchor's falls to a quarter."""
    return {"anchor_start": weight, "anchor_end": weight / 4} if loss == "anchor" else {loss: weight}


@dataclass(frozen=True)
class Trial:
    """What every head is measured on.

    Attributes:
        texts: to be read back.
        count: of them in each condition.
        log_prior: log unigram probability. Shape: (V,).
        tagger: of neighbours.
        queries: held-out words whose neighbours are looked at. Shape: (B,).
    """

    texts: EncodedTexts
    count: int
    log_prior: Tensor
    tagger: Tagger
    queries: Tensor


def draw_test_texts(paths: Paths, seed: int, count: int) -> EncodedTexts:
    """Draw sentences of the test split, in corpus order."""
    texts = read_encoded_texts(paths, "test")
    return texts.only(np.sort(np.random.default_rng(seed).permutation(len(texts))[:count]).tolist())


def run_recipe(paths: Paths, params: Params, recipe: str, seeds: int, texts: int) -> dict[str, Any]:
    """Train a recipe with several seeds and measure each; one mean and one half-width (95 %) a figure.

    Args:
        paths: after ``dvc repro features lexical_maps``.
        params: of the run that the recipe departs from.
        recipe: one of ``RECIPES``.
        seeds: how many, 2 at least.
        texts: tried in each condition.

    Raises:
        LexivertError: there is no such recipe, or fewer than two seeds.
    """
    if seeds < 2:
        raise LexivertError(f"seeds is {seeds}; an interval needs at least 2")
    changed = with_recipe(params, recipe)
    data = read_token_head_data(paths, changed)
    if recipe == "without_antonym":
        nobody = Relations.from_pairs(np.empty(0, np.int64), np.empty(0, np.int64), len(data.surfaces))
        data = replace(data, units=replace(data.units, antonyms=nobody))
    trial = _trial(paths, params, texts)
    found: list[dict[str, float]] = []
    for seed in range(params.seed, params.seed + seeds):
        head, history = train_token_head(data.units, data.config, changed.token_head, seed, rules=_NEVER)
        figures = {"anisotropy": history[-1]["anisotropy"], "spread": history[-1]["spread"]}
        found.append(figures | measure(head, data, trial, changed, seed))
    return {"seeds": seeds, **summary(found)}


def _trial(paths: Paths, params: Params, count: int) -> Trial:
    units = read_units(paths, params)
    related = np.zeros(len(units.lexicon), dtype=bool)
    for codes in units.pairs.values():
        related[decode_pairs(codes, len(units.lexicon))[0]] = True
    words = np.asarray([kind in {"word", "cased"} for kind in units.lexicon.kinds])
    candidates = np.flatnonzero(units.heldout & words & (related if related.any() else True))
    drawn = np.sort(np.random.default_rng(params.seed).permutation(candidates)[:_QUERIES])
    tagger = Tagger(units.lexicon.surfaces, units.pairs)
    log_prior = torch.from_numpy(units.lexicon.log_prior())
    texts = draw_test_texts(paths, params.seed, _DRAWN * count)
    return Trial(texts, count, log_prior, tagger, torch.from_numpy(drawn))


def measure(head: TokenHead, data: TokenHeadData, trial: Trial, params: Params, seed: int) -> dict[str, float]:
    """Margin, purity, gaps and exact match of one trained head.

    Decoding is by message passing with the unigram prior: nothing learned but the codes.
    """
    codes = torch.from_numpy(unit_codes(head, data.features, data.surfaces))
    scores, found = nearest_others(codes, trial.queries, _NEIGHBOURS)
    pairs = zip(trial.queries.tolist(), found.tolist(), strict=True)
    tags = [trial.tagger.tags(unit, near) for unit, near in pairs]
    figures = {
        "margin": float((1.0 - scores[:, 0]).mean()),
        "purity_by_maps": neighbours.purity(tags, TAGS)["purity_by_maps"],
        "effective_rank": geometry.effective_rank(codes[:: max(len(codes) // 10_000, 1)]),
    }
    heldout = torch.from_numpy(np.flatnonzero(data.heldout))
    for relation in ("synonym", "antonym"):
        left, right = data.pairs[relation].pairs(heldout)
        if len(left):
            figures[f"{relation}_cosine"] = float(pair_cosines(codes, left[:_PAIRS], right[:_PAIRS]).mean())
    for name, condition in CONDITIONS.items():
        figures[f"exact_match_{name}"] = exact_match(codes, trial, condition, params, seed)
    return figures


def exact_match(codes: Tensor, trial: Trial, condition: Condition, params: Params, seed: int) -> float:
    """Share of a condition's texts that are read back exactly."""
    width = min(condition.width or codes.shape[1], codes.shape[1])
    narrow = at_width(codes, width)
    binding = BINDINGS.make(params.code.binding)(width, params.code.max_units + 1, params.seed)
    codebook = Codebook(narrow, trial.log_prior, binding, params.code.identity_share, params.code.semantic_share)
    parts = Parts(codebook, flat_index(narrow, params.index), unigram(trial.log_prior), params.controller)
    chosen = condition.texts(trial.texts, trial.count, len(codes))
    if not len(chosen):
        most = condition.length[1]
        raise LexivertError(f"no test text has at most {most} units; check corpus.test_share and the corpus")
    sent = send(chosen.units, chosen.prefixes, codebook, condition.cosine, condition.storage, seed)
    found = in_batches(decoder_named("amp_unigram", parts), sent, _AT_ONCE, "reading back")
    return fmean(truth == read for truth, read in zip(chosen.units, found, strict=True))


def summary(found: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean over seeds of every figure, and as ``…_half_width`` half its 95 % interval (Student's t)."""
    from scipy.stats import t as student  # type: ignore[import-untyped]

    factor = float(student.ppf(0.975, len(found) - 1)) / len(found) ** 0.5
    report = {}
    for name in found[0]:
        values = [figures[name] for figures in found]
        report[name] = fmean(values)
        report[f"{name}_half_width"] = factor * stdev(values)
    return report
