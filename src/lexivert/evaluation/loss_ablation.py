"""What each of the token head's losses is worth: recipes with one part left out, one added, or one alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.token_head import TokenHead, unit_codes
from lexivert.codes.token_head_data import TokenHeadData, read_token_head_data
from lexivert.codes.token_head_training import train_token_head
from lexivert.config import Params, TokenHeadWeights
from lexivert.controller.amp import AmpDecoder
from lexivert.data.relations import Relations, decode_pairs
from lexivert.errors import LexivertError
from lexivert.evaluation import geometry, metrics, neighbours
from lexivert.evaluation.corruptions import at_width, flat_index, send
from lexivert.evaluation.neighbours import TAGS, Tagger
from lexivert.evaluation.pair_statistics import pair_cosines
from lexivert.evaluation.token_space import read_units
from lexivert.priors.base import Prior
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter
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

Units = list[list[int]]


@dataclass(frozen=True)
class Cell:
    """Where decoding is tried.

    Attributes:
        width: order dimensions; 0 for all.
        cosine: of the noisy full vector with the clean one.
        longest: most units of a text.
    """

    width: int
    cosine: float
    longest: int


CELLS = {"noisy": Cell(width=0, cosine=0.6, longest=40), "narrow": Cell(width=192, cosine=1.0, longest=32)}


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
class Texts:
    """Held-out texts with the backbone's embeddings.

    Attributes:
        units: T texts in units.
        semantic: unit length. Shape: (T, S).
    """

    units: Units
    semantic: Tensor


@dataclass(frozen=True)
class Trial:
    """What every head is measured on.

    Attributes:
        texts: to be read back.
        count: of them in each cell.
        log_prior: log unigram probability. Shape: (V,).
        tagger: of neighbours.
        queries: held-out words whose neighbours are looked at. Shape: (Q,).
    """

    texts: Texts
    count: int
    log_prior: Tensor
    tagger: Tagger
    queries: Tensor


def read_texts(paths: Paths, seed: int, count: int) -> Texts:
    """Draw test texts among those whose features stage ``features`` has computed."""
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    splits, texts = corpus["split"].to_pylist(), corpus["text"].to_pylist()
    rows = artifacts.read_array(paths.sentence_rows)
    test = np.flatnonzero([splits[row] == "test" for row in rows.tolist()])
    drawn = np.sort(np.random.default_rng(seed).permutation(test)[:count])
    segmenter = Segmenter(Lexicon.load(paths.vocab))
    units = [segmenter.segment(texts[int(rows[place])]) for place in drawn]
    features = torch.from_numpy(artifacts.read_array(paths.sentence_features)[drawn].astype(np.float32))
    kept = [row for row, text in enumerate(units) if text]
    return Texts([units[row] for row in kept], F.normalize(features[kept], dim=-1))


def run_recipe(paths: Paths, params: Params, recipe: str, seeds: int, texts: int) -> dict[str, Any]:
    """Train a recipe with several seeds and measure each; one mean and one half-width (95 %) a figure.

    Args:
        paths: after ``dvc repro features lexical_maps``.
        params: of the run that the recipe departs from.
        recipe: one of ``RECIPES``.
        seeds: how many, 2 at least.
        texts: tried in each cell.

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
    candidates = np.flatnonzero(units.held_out & words & (related if related.any() else True))
    drawn = np.sort(np.random.default_rng(params.seed).permutation(candidates)[:_QUERIES])
    tagger = Tagger(units.lexicon.surfaces, units.pairs)
    log_prior = torch.from_numpy(units.lexicon.log_prior())
    texts = read_texts(paths, params.seed, _DRAWN * count)
    return Trial(texts, count, log_prior, tagger, torch.from_numpy(drawn))


def measure(head: TokenHead, data: TokenHeadData, trial: Trial, params: Params, seed: int) -> dict[str, float]:
    """Margin, purity, gaps and exact match of one trained head.

    Decoding is by message passing with the unigram prior: nothing learned but the codes.
    """
    codes = torch.from_numpy(unit_codes(head, data.features, data.surfaces))
    scores, found = neighbours.nearest(codes, trial.queries, _NEIGHBOURS)
    pairs = zip(trial.queries.tolist(), found.tolist(), strict=True)
    tags = [trial.tagger.tags(unit, near) for unit, near in pairs]
    figures = {
        "margin": float((1.0 - scores[:, 0]).mean()),
        "purity_by_maps": neighbours.purity(tags, TAGS)["purity_by_maps"],
        "effective_rank": geometry.effective_rank(codes[:: max(len(codes) // 10_000, 1)]),
    }
    held = torch.from_numpy(np.flatnonzero(data.heldout))
    for relation in ("synonym", "antonym"):
        left, right = data.pairs[relation].pairs(held)
        if len(left):
            figures[f"{relation}_cosine"] = float(pair_cosines(codes, left[:_PAIRS], right[:_PAIRS]).mean())
    for name, cell in CELLS.items():
        figures[f"exact_match_{name}"] = exact_match(codes, trial, cell, params, seed)
    return figures


def exact_match(codes: Tensor, trial: Trial, cell: Cell, params: Params, seed: int) -> float:
    """Share of a cell's texts that are read back exactly."""
    width = min(cell.width or codes.shape[1], codes.shape[1])
    narrow = at_width(codes, width)
    binding = RotaryBinding(width, params.code.max_units + 1, params.seed)
    share = params.code.semantic_share
    codebook = Codebook(narrow, trial.log_prior, binding, params.code.identity_share, share)
    loop = AmpDecoder(flat_index(narrow, params.index), codebook, Prior.fixed(trial.log_prior))
    rows = [row for row, text in enumerate(trial.texts.units) if len(text) <= cell.longest][: trial.count]
    truth = [trial.texts.units[row] for row in rows]
    if not truth:
        raise LexivertError(f"no test text has at most {cell.longest} units; check corpus.test_share and the corpus")
    order, semantic = send(truth, trial.texts.semantic[rows], codebook, cell.cosine, "float32", seed)
    found: Units = []
    for start in range(0, len(truth), _AT_ONCE):
        found += loop.decode(order[start : start + _AT_ONCE], semantic[start : start + _AT_ONCE]).units
    return metrics.exact_match(list(map(str, truth)), list(map(str, found)))


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
