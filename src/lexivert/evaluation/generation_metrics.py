"""Measures of generated texts beside their references: words, meaning, fluency, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from lexivert.encoders.base import FloatArray
from lexivert.evaluation import metrics
from lexivert.evaluation.independent import independent_embeddings
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.text.words import repeated_share, words_of

BUCKETS = ((4, 12), (13, 25), (26, 40))
"""Bounds of the length buckets, in whitespace words, both included."""
BARRED = "words_04_25"
"""The first two buckets together, which the bars are of."""
_DRAWS = 200  # of a bootstrap

Embed = Callable[[Sequence[str]], FloatArray | Tensor]


@dataclass(frozen=True)
class Judges:
    """What texts are judged by.

    Attributes:
        backbone: embeddings of texts, any length; what searches look at.
        language_model: None where a model has none; nats are then left out.
        function_words: words that are no content words, in lower case.
        independent: embeddings by an encoder that no search uses.
    """

    backbone: Embed
    language_model: CausalLanguageModel | None
    function_words: frozenset[str]
    independent: Embed = independent_embeddings


def word_f1(reference: str, hypothesis: str) -> float:
    """F1 of the two bags of words without case and punctuation, as Rajpurkar et al. (2016) count them."""
    return metrics.token_f1([" ".join(words_of(reference))], [" ".join(words_of(hypothesis))])


def content_f1(reference: str, hypothesis: str, function_words: frozenset[str]) -> float:
    """F1 of the two bags of words, function words left out; that of all words where the reference has no others."""
    kept = [[word for word in words_of(text) if word not in function_words] for text in (reference, hypothesis)]
    if not kept[0]:
        kept = [words_of(reference), words_of(hypothesis)]
    return metrics.token_f1([" ".join(kept[0])], [" ".join(kept[1])])


def text_scores(
    references: Sequence[str], targets: Tensor, hypotheses: Sequence[str], judges: Judges
) -> dict[str, list[float]]:
    """Scores of each text.

    Args:
        references: B texts.
        targets: the embeddings that were given. Shape: (B, S).
        hypotheses: what was written for them.
        judges: what texts are judged by.

    Returns:
        Name to B values.
    """
    pairs = list(zip(references, hypotheses, strict=True))
    scores = {
        "exact_match": [float(a == b) for a, b in pairs],
        "token_f1": [metrics.token_f1([a], [b]) for a, b in pairs],
        "word_f1": [word_f1(a, b) for a, b in pairs],
        "content_f1": [content_f1(a, b, judges.function_words) for a, b in pairs],
        "rougeL": [metrics.rouge([a], [b])["rougeL"] for a, b in pairs],
        "independent_cosine": _cosines(judges.independent(references), judges.independent(hypotheses)),
    }
    return scores | alone_scores(targets, hypotheses, judges)


def alone_scores(targets: Tensor, hypotheses: Sequence[str], judges: Judges) -> dict[str, list[float]]:
    """Scores of texts that have no reference: nearness to the given vectors, fluency, repetition."""
    scores = {
        "backbone_cosine": _cosines(targets, judges.backbone(hypotheses)),
        "repeated_share": list(map(repeated_share, hypotheses)),
        "words": [float(len(text.split())) for text in hypotheses],
    }
    if judges.language_model is not None:
        scores["nats_a_token"] = judges.language_model.nats_a_token(hypotheses).tolist()
    return scores


def _cosines(first: FloatArray | Tensor, second: FloatArray | Tensor) -> list[float]:
    a, b = (torch.as_tensor(one).float().cpu() for one in (first, second))
    values: list[float] = torch.cosine_similarity(a, b, dim=1).tolist()
    return values


def summary(
    references: Sequence[str], hypotheses: Sequence[str], scores: Mapping[str, Sequence[float]], seed: int
) -> dict[str, float]:
    """Means of the scores, BLEU and chrF, each with a 95 % interval by the bootstrap over texts (Koehn 2004).

    Returns:
        Each measure, and under ``NAME_low`` and ``NAME_high`` its interval.
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(references), size=(_DRAWS, len(references)))
    found: dict[str, float] = {"texts": len(references)}
    for name, own in scores.items():
        found |= _interval(name, fmean(own), np.asarray(own)[draws].mean(axis=1).tolist())
    for name, measure in (("bleu", metrics.bleu), ("chrf", metrics.chrf)):
        drawn = [
            measure([references[row] for row in rows], [hypotheses[row] for row in rows]).score for rows in draws
        ]
        found |= _interval(name, measure(references, hypotheses).score, drawn)
    return found


def mean_scores(scores: Mapping[str, Sequence[float]], seed: int) -> dict[str, float]:
    """Means of scores alone, with intervals; see ``summary``."""
    count = len(next(iter(scores.values())))
    draws = np.random.default_rng(seed).integers(count, size=(_DRAWS, count))
    found: dict[str, float] = {"texts": count}
    for name, own in scores.items():
        found |= _interval(name, fmean(own), np.asarray(own)[draws].mean(axis=1).tolist())
    return found


def _interval(name: str, value: float, drawn: Sequence[float]) -> dict[str, float]:
    low, high = np.quantile(drawn, (0.025, 0.975))
    return {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}


def buckets_of(references: Sequence[str]) -> dict[str, list[int]]:
    """Rows of each length bucket that has any, and of ``BARRED``."""
    found = {name: rows for name, rows in metrics.by_length(references, BUCKETS).items() if rows}
    barred = metrics.by_length(references, [(BUCKETS[0][0], BUCKETS[1][1])])
    return found | {name: rows for name, rows in barred.items() if rows}
