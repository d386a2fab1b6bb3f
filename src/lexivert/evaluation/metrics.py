"""Exact match, BLEU, chrF, ROUGE, F1, cosine, and calibration of confidences: published measures as pure functions.

Those of texts take references (originals) first and hypotheses (rebuilt) second, in the same order and number, and
give shares in 0..1, except BLEU and chrF, which keep their usual 0..100. Libraries are loaded by what needs them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    import pandas as pd

LENGTH_BUCKETS = ((1, 10), (11, 20), (21, 40))
"""Bounds of the length buckets, in whitespace words, both included."""

ROUGE_KINDS = ("rouge1", "rouge2", "rougeL")

_BINS = 10  # of confidences
_DRAWS = 400  # of a bootstrap

T = TypeVar("T")


@dataclass(frozen=True)
class Scored:
    """A corpus score and what must be stated with it to be comparable.

    Attributes:
        score: 0..100.
        signature: sacrebleu's signature: tokeniser, smoothing, case, version.
    """

    score: float
    signature: str


def _pairs(references: Sequence[T], hypotheses: Sequence[T]) -> list[tuple[T, T]]:
    if len(references) != len(hypotheses):
        raise ValueError(f"{len(references)} references, but {len(hypotheses)} hypotheses; they must be as many")
    if not references:
        raise ValueError("no texts to compare")
    return list(zip(references, hypotheses, strict=True))


def exact_match(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Share of texts that are the same string, every character counted (Rajpurkar et al. 2016, nothing folded).

    Raises:
        ValueError: the sequences differ in length or are empty; the same for all measures below.
    """
    return fmean(reference == hypothesis for reference, hypothesis in _pairs(references, hypotheses))


def unit_accuracy(references: Sequence[Sequence[int]], hypotheses: Sequence[Sequence[int]]) -> float:
    """Share of positions with the right unit, over all texts together.

    Positions are compared from the start. A text counts max(len(reference), len(hypothesis)) positions, so that units
    too many and too few are both wrong; two empty texts count one right position (EOS).
    """
    right = total = 0
    for reference, hypothesis in _pairs(references, hypotheses):
        right += sum(a == b for a, b in zip(reference, hypothesis, strict=False))
        total += max(len(reference), len(hypothesis))
        if not reference and not hypothesis:
            right, total = right + 1, total + 1
    return right / total


def bleu(references: Sequence[str], hypotheses: Sequence[str]) -> Scored:
    """Corpus BLEU (Papineni et al. 2002) as sacrebleu computes it (Post 2018), with its signature."""
    from sacrebleu.metrics import BLEU

    _pairs(references, hypotheses)
    metric = BLEU()
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Scored(float(score), str(metric.get_signature()))


def chrf(references: Sequence[str], hypotheses: Sequence[str]) -> Scored:
    """Corpus chrF2, character 6-gram F-score (Popović 2015), as sacrebleu computes it, with its signature."""
    from sacrebleu.metrics import CHRF

    _pairs(references, hypotheses)
    metric = CHRF()
    score = metric.corpus_score(list(hypotheses), [list(references)]).score
    return Scored(float(score), str(metric.get_signature()))


def rouge(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    """Mean F-measure of ROUGE-1, ROUGE-2 and ROUGE-L (Lin 2004), unstemmed, by the ``rouge_score`` package.

    Its tokeniser keeps only lowercased letters a-z and digits: a text without any scores 0 even against itself.

    Returns:
        ``rouge1``, ``rouge2`` and ``rougeL``.
    """
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE_KINDS), use_stemmer=False)
    scores = [scorer.score(reference, hypothesis) for reference, hypothesis in _pairs(references, hypotheses)]
    return {kind: fmean(score[kind].fmeasure for score in scores) for kind in ROUGE_KINDS}


def token_f1(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """Mean F1 of the two bags of whitespace tokens, case and punctuation kept.

    Rajpurkar et al. (2016), whose measure it is, drop both first; ``generation_metrics.word_f1`` does.

    Two empty texts score 1, an empty text against any other 0.
    """
    return fmean(_bag_f1(a.split(), b.split()) for a, b in _pairs(references, hypotheses))


def _bag_f1(reference: list[str], hypothesis: list[str]) -> float:
    if not reference or not hypothesis:
        return float(reference == hypothesis)
    shared = (Counter(reference) & Counter(hypothesis)).total()
    return 2 * shared / (len(reference) + len(hypothesis))


def mean_cosine(references: Tensor, hypotheses: Tensor) -> float:
    """Mean cosine between rows, -1..1; a zero row has cosine 0 with everything.

    Shape: references (B, D), hypotheses (B, D).

    Raises:
        ValueError: the shapes differ, or there are no rows.
    """
    if references.shape != hypotheses.shape or references.ndim != 2 or not len(references):
        raise ValueError(f"shapes {tuple(references.shape)} and {tuple(hypotheses.shape)} must be the same (B, D)")
    return float(torch.cosine_similarity(references.double(), hypotheses.double(), dim=1).mean())


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95 % score interval of a proportion (Wilson 1927); sound at 0 and 1, unlike the normal one.

    Raises:
        ValueError: not 0 <= successes <= trials, or no trials.
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    if trials < 1 or not 0 <= successes <= trials:
        raise ValueError(f"{successes} successes in {trials} trials is no proportion")
    interval = binomtest(successes, trials).proportion_ci(confidence_level=0.95, method="wilson")
    return float(interval.low), float(interval.high)


def exact_match_report(
    references: Sequence[Sequence[int] | str], hypotheses: Sequence[Sequence[int] | str]
) -> dict[str, float]:
    """Share of texts, in units or letters, that are all the same, with its 95 % interval, and how many there are."""
    right = sum(list(a) == list(b) for a, b in _pairs(references, hypotheses))
    low, high = wilson_interval(right, len(references))
    share = right / len(references)
    return {"texts": len(references), "exact_match": share, "exact_match_low": low, "exact_match_high": high}


def bucket_name(bounds: tuple[int, int]) -> str:
    """Name of a length bucket in metrics files, e.g. ``words_01_10``; zero-padded, so that names sort by length."""
    return f"words_{bounds[0]:02d}_{bounds[1]:02d}"


def by_length(texts: Sequence[str], buckets: Iterable[tuple[int, int]] = LENGTH_BUCKETS) -> dict[str, list[int]]:
    """Row numbers of the texts in each length bucket; a text outside all buckets is in none.

    Args:
        texts: the originals.
        buckets: bounds in whitespace words, both included.

    Returns:
        Bucket name to ascending row numbers, in the order of ``buckets``, empty ones included.
    """
    lengths = [len(text.split()) for text in texts]
    return {
        bucket_name((low, high)): [row for row, length in enumerate(lengths) if low <= length <= high]
        for low, high in buckets
    }


def reliability(
    confidence: Sequence[float], right: Sequence[bool], weights: Sequence[float] | None = None, bins: int = _BINS
) -> pd.DataFrame:
    """Reliability diagram (Guo et al. 2017): confidences in bins of equal width, and the share that is right in each.

    By pandas, since ``sklearn.calibration.calibration_curve`` leaves out how many fall into a bin, which the
    calibration error weighs by.

    Args:
        confidence: of B readings.
        right: whether each is.
        weights: of each; all the same if None.
        bins: of equal width.

    Returns:
        For each bin that is not empty ``confidence`` (mean), ``observed`` (share that is right) and ``readings``,
        their summed weight.
    """
    import pandas as pd

    values, weight = np.asarray(confidence, dtype=np.float64), _weights(weights, len(confidence))
    place = np.minimum((values * bins).astype(int), bins - 1)
    sums = pd.DataFrame(
        {"confidence": values * weight, "observed": np.asarray(right, dtype=np.float64) * weight, "readings": weight}
    )
    table = sums.groupby(place).sum().reset_index(drop=True)
    for column in ("confidence", "observed"):
        table[column] /= table["readings"]
    return table


def _weights(weights: Sequence[float] | None, count: int) -> npt.NDArray[np.float64]:
    return np.ones(count) if weights is None else np.asarray(weights, dtype=np.float64)


def expected_calibration_error(
    confidence: Sequence[float], right: Sequence[bool], weights: Sequence[float] | None = None, bins: int = _BINS
) -> float:
    """Mean distance of confidence and share of right ones over bins of equal width (Guo et al. 2017).

    Args: see ``reliability``.
    """
    table = reliability(confidence, right, weights, bins)
    distance = (table["confidence"] - table["observed"]).abs()
    return float((distance * table["readings"]).sum() / max(table["readings"].sum(), 1e-12))


def calibration_error_interval(
    confidence: Sequence[float], right: Sequence[bool], weights: Sequence[float], groups: Sequence[int]
) -> tuple[float, float]:
    """95 % interval of the expected calibration error, by the basic bootstrap over groups of readings (Efron 1979).

    Args:
        confidence: of B readings.
        right: whether each is.
        weights: of each.
        groups: number of each reading's text; its readings are drawn together.

    Returns:
        Least and most; chance alone makes some error, and more in a draw, which is taken off.
    """
    values, group = np.asarray(confidence, dtype=np.float64), np.asarray(groups)
    excess, weight = values - np.asarray(right), np.asarray(weights, dtype=np.float64)
    place = np.minimum((values * _BINS).astype(int), _BINS - 1)
    rng, count, errors = np.random.default_rng(0), int(group.max()) + 1, []
    for drawn in [np.arange(count), *rng.integers(count, size=(_DRAWS, count))]:
        own = weight * np.bincount(drawn, minlength=count)[group]
        errors.append(np.abs(np.bincount(place, excess * own, _BINS)).sum() / max(own.sum(), 1e-12))
    low, high = np.quantile(errors[1:], (0.025, 0.975))
    return max(2 * errors[0] - float(high), 0.0), max(2 * errors[0] - float(low), 0.0)


def auroc(confidence: Sequence[float], right: Sequence[bool], weights: Sequence[float] | None = None) -> float:
    """Area under the ROC curve of confidence as a test for being right; 0.5 where all came out alike."""
    if all(right) or not any(right):
        return 0.5
    from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

    return float(roc_auc_score(right, confidence, sample_weight=weights))
