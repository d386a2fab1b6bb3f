"""What the search with the language model reads more than the decoding loops, where reading is hard; its errors.

Every misread text is told apart: a search error, where the truth has a higher total score than what was read, or a
model error, where it has not. The confidence of searched texts is measured, and its weights are fitted anew.

    python benchmarks/language_search.py --wikitext wikitext2.valid.txt --out metrics/benchmarks/language_search.json

A bar that is missed is an exit status other than 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import torch
import typer

from common import given_file, run_command
from lexivert import artifacts
from lexivert.controller.base import Parts
from lexivert.controller.calibration import AT_ONCE, fit_logistic
from lexivert.controller.controller import Controller, Effort
from lexivert.controller.language_search import LanguageSearch
from lexivert.controller.observation import Observation
from lexivert.controller.results import DecodeResult
from lexivert.controller.total_score import TotalScore
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import at_width, send, with_codes
from lexivert.evaluation.texts import draw_texts, encode_texts
from lexivert.model import Lexivert
from speed import wikitext_sentences

log = logging.getLogger("language_search")
MOST_SECONDS, MOST_ERROR, LEAST_AUROC = 10.0, 0.03, 0.97
"""Bars of a searched text's time and of the confidences of all readings."""
_DRAWS = 2000


@dataclass(frozen=True)
class Condition:
    """What vectors go through, and the bar of what is read then.

    Attributes:
        share: energy of the semantic prefix.
        cosine: of the noisy full vector with the clean one.
        width: order dimensions; 0: all the model has.
        bar: least exact match.
    """

    share: float
    cosine: float
    width: int
    bar: float

    @property
    def name(self) -> str:
        """Key in the metrics."""
        return f"width_{self.width}" if self.width else f"share_{self.share:g}-cosine_{self.cosine:g}"

    def parts(self, model: Lexivert) -> Parts:
        """The model's parts for such vectors."""
        parts = model.decoder.parts
        if self.width:
            parts = with_codes(parts, at_width(parts.codebook.codes, self.width), model.encoder.config)
        return replace(parts, codebook=replace(parts.codebook, semantic_share=self.share))


CONDITIONS = (
    Condition(0.4, 0.6, 0, 0.88),
    Condition(0.4, 0.55, 0, 0.75),
    Condition(0.4, 0.5, 0, 0.58),
    Condition(0.8, 0.8, 0, 0.80),
    Condition(0.8, 1.0, 128, 0.80),
    Condition(0.8, 1.0, 192, 0.97),
)


@dataclass
class Searched:
    """What the search made of some texts.

    Attributes:
        seconds: of each search.
        features: log odds, prefix noise and what is unexplained of each best text.
        right: whether it is the truth.
        search_errors: wrong texts of a lower total score than the truth.
        model_errors: other wrong texts.
    """

    seconds: list[float] = field(default_factory=list)
    features: list[tuple[float, float, float]] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)
    search_errors: int = 0
    model_errors: int = 0


def bootstrap(values: Sequence[float]) -> tuple[float, float]:
    """95 % interval of a mean by the bootstrap over texts (Efron 1979)."""
    drawn = np.random.default_rng(0).integers(len(values), size=(_DRAWS, len(values)))
    low, high = np.quantile(np.asarray(values, dtype=np.float64)[drawn].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def searched(
    search: LanguageSearch, texts: EncodedTexts, observed: Observation, draft: DecodeResult, effort: Effort
) -> tuple[list[list[int]], list[float], Searched]:
    """Units and confidence of every text after the search, and what is known of it."""
    assert draft.confidence is not None
    units, confidence, result = list(draft.units), draft.confidence.tolist(), Searched()
    for row in search.unsure(draft):
        one, truth = observed[slice(row, row + 1)], tuple(texts.units[row])
        start = time.perf_counter()
        found = search.search(draft.units[row], one, search.effort(effort))
        result.seconds.append(time.perf_counter() - start)
        score = TotalScore(one, search.parts.codebook, search.encoder, search.language_model, search.params)
        right = tuple(found.units) == truth
        higher = float(score([truth])[0]) > found.total + 1e-3
        result.search_errors += higher and not right
        result.model_errors += not higher and not right
        result.features.append((found.log_odds, found.prefix_noise, float(found.unexplained)))
        result.right.append(right)
        units[row], confidence[row] = found.units, search.confidence(found)
        log.info("%s %s", "read   " if right else "misread", score.text(truth))
        if not right:
            log.info("     as %s", score.text(found.units))
    return units, confidence, result


def measure(
    model: Lexivert, condition: Condition, texts: EncodedTexts, effort: Effort
) -> tuple[dict[str, float], Searched, list[tuple[float, bool]]]:
    """Figures of a condition, what the search did, and every reading's confidence beside whether it is right."""
    parts = condition.parts(model)
    assert model.decoder.search is not None
    search = model.decoder.search.with_parts(parts)
    sent = send(texts.units, texts.prefixes, parts.codebook, condition.cosine, "float32", model.encoder.config.seed)
    observed = Observation.of(*sent)
    draft = Controller(parts, model.decoder.calibration).decode_all(observed, AT_ONCE, condition.name)
    units, confidence, result = searched(search, texts, observed, draft, effort)
    before, after = ([float(a == b) for a, b in zip(texts.units, read, strict=True)] for read in (draft.units, units))
    gain = [b - a for a, b in zip(before, after, strict=True)]
    low, high = bootstrap(after)
    gain_low, gain_high = bootstrap(gain)
    figures = {
        "texts": len(texts),
        "exact_match_loops": float(np.mean(before)),
        "exact_match": float(np.mean(after)),
        "exact_match_low": low,
        "exact_match_high": high,
        "gain_low": gain_low,
        "gain_high": gain_high,
        "lost": sum(change < 0 for change in gain),
        "searched": len(result.seconds),
        "search_errors": result.search_errors,
        "model_errors": result.model_errors,
        "seconds_mean": float(np.mean(result.seconds)) if result.seconds else 0.0,
        "seconds_most": max(result.seconds, default=0.0),
    }
    return figures, result, list(zip(confidence, [value > 0 for value in after], strict=True))


def confidences(pairs: Sequence[tuple[float, bool]], results: Sequence[Searched]) -> dict[str, float]:
    """Calibration of all readings of all conditions, and the weights that searched texts of now would give."""
    values, right = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    found = {
        "calibration_error": metrics.expected_calibration_error(values, right),
        "auroc": metrics.auroc(values, right),
    }
    features: npt.NDArray[np.float64] = np.array([row for own in results for row in own.features])
    hits = np.array([hit for own in results for hit in own.right])
    if len(hits) and 0 < hits.sum() < len(hits):
        names = ("log_odds", "prefix_noise", "unexplained", "constant")
        found |= dict(zip((f"fitted_{name}" for name in names), fit_logistic(features, hits), strict=True))
    return found


def below_bars(report: dict[str, dict[str, float]]) -> list[str]:
    """What misses its bar, or nothing."""
    missed = []
    for condition in CONDITIONS:
        if (own := report.get(condition.name)) is not None:
            missed += [f"{condition.name} exact_match"] if own["exact_match"] < condition.bar else []
            missed += [f"{condition.name} lost"] if own["lost"] else []
            missed += [f"{condition.name} seconds_most"] if own["seconds_most"] > MOST_SECONDS else []
    confidence = report["confidence"]
    missed += ["calibration_error"] if confidence["calibration_error"] > MOST_ERROR else []
    return missed + (["auroc"] if confidence["auroc"] < LEAST_AUROC else [])


def main(
    wikitext: Annotated[str, typer.Option(help="File in WikiText's convention.")],
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro`.")] = Path(),
    texts: Annotated[int, typer.Option(min=1, help="Texts in each condition.")] = 96,
    skipped: Annotated[
        int, typer.Option(min=0, help="Texts passed over first, to fit on others than to measure.")
    ] = 0,
    effort: Annotated[str, typer.Option(help="normal or high.")] = "normal",
    only: Annotated[str, typer.Option(help="Only conditions whose name has this in it.")] = "",
    out: Annotated[Path | None, typer.Option(help="JSON file for the figures.")] = None,
) -> None:
    """Try conditions, and fail where a bar is missed."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    report: dict[str, dict[str, float]] = {}
    if (file := given_file(wikitext)) is None:
        if out is not None:
            artifacts.write_metrics(out, report)
        return
    model = Lexivert.load(root)
    drawn = draw_texts(list(wikitext_sentences(file)), skipped + texts, 0)[skipped:]
    encoded = encode_texts(model.encoder, drawn)
    pairs: list[tuple[float, bool]] = []
    results = []
    with torch.inference_mode():
        for condition in CONDITIONS:
            if only in condition.name:
                wanted: Effort = "high" if effort == "high" else "normal"
                report[condition.name], result, own = measure(model, condition, encoded, wanted)
                log.info("%s %s", condition.name, report[condition.name])
                pairs += own
                results.append(result)
    report["confidence"] = confidences(pairs, results)
    log.info("confidence %s", report["confidence"])
    if out is not None:
        artifacts.write_metrics(out, report)
    if missed := below_bars(report):
        log.error("below its bar: %s", ", ".join(missed))
        raise typer.Exit(1)


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
