"""The ``evaluate`` stage as a function: held-out texts to vectors and back, by five decoders, clean and noisy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.encoder import Encoder
from lexivert.codes.superposition import split_parts
from lexivert.config import Params
from lexivert.controller import baselines, storage
from lexivert.controller.calibration import AT_ONCE, blends, mixed_cosines, right_units
from lexivert.controller.cascade import Cascade
from lexivert.errors import LexivertError
from lexivert.evaluation import metrics
from lexivert.evaluation.tables import Row, write_table
from lexivert.evaluation.texts import EvalTexts, Units, choose_texts, hold, texts_of
from lexivert.generation.mask_predict import HillClimbing
from lexivert.priors.base import Prior

_MIXED_TEXTS = 450
_COPIES = 3  # of each, in as many levels of noise: fewer readings leave a calibration error of .02 to chance alone
_DRAFTED_TEXTS = 96
_UNFOUNDED = 24


class RoundTrip:
    """Decoders under test, and the scores of what they give back.

    Args:
        encoder: text to vector.
        decoder: the learned controller.
        physics: the same decoder with nothing learned: exact evidence and unigram prior alone.
        held: texts of test documents.
        train: training sentences with normalised embeddings, for the retrieval baseline. Shape: (T, S).
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Cascade,
        physics: Cascade,
        held: EvalTexts,
        train: tuple[Sequence[str], npt.NDArray[np.float16]],
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.physics = physics
        self.held = held
        self.train = train

    def nearest(self, vectors: Tensor) -> Units:
        """Give back the training sentence with the nearest semantic prefix."""
        texts, features = self.train
        semantic, _ = self.parts(vectors)
        rows = baselines.nearest_sentence(semantic, features)
        return [self.encoder.segmenter.segment(texts[row]) for row in rows.tolist()]

    def one_shot(self, vectors: Tensor) -> Units:
        """Unbind once."""
        return baselines.one_shot(self.parts(vectors)[1], self.decoder.proposer.index, self.encoder.binding)

    def cancellation(self, vectors: Tensor) -> Units:
        """Cancel interference without prior or learning."""
        return baselines.cancellation(self.parts(vectors)[1], self.decoder.proposer.index, self.encoder.binding)

    def untrained(self, vectors: Tensor) -> Units:
        """Decode by the same loops without anything learned."""
        semantic, order = self.parts(vectors)
        return self.physics.decode(order, semantic).units

    def controller(self, vectors: Tensor) -> Units:
        """Decode with the Selector's prior."""
        semantic, order = self.parts(vectors)
        return self.decoder.decode(order, semantic).units

    def parts(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        """Semantic prefixes and order parts. Shape: (B, D) to (B, S) and (B, O)."""
        return split_parts(vectors, self.encoder.config.semantic_width)

    def decoders(self) -> dict[str, Callable[[Tensor], Units]]:
        """All rows of the table by name."""
        return {
            "nearest": self.nearest,
            "one_shot": self.one_shot,
            "cancellation": self.cancellation,
            "physics": self.untrained,
            "controller": self.controller,
        }

    def run(self, decode: Callable[[Tensor], Units], vectors: Tensor, batch: int, label: str) -> tuple[Units, float]:
        """Decode in batches; return units and texts a second."""
        units: Units = []
        start = time.perf_counter()
        with tqdm(total=len(vectors), desc=label, unit="text", mininterval=1.0) as bar:
            for first in range(0, len(vectors), batch):
                units += decode(vectors[first : first + batch])
                bar.update(min(batch, len(vectors) - first))
        return units, len(vectors) / (time.perf_counter() - start)

    def score(self, units: Units) -> dict[str, Any]:
        """Compare decoded units with the originals, as texts, units and backbone embeddings."""
        held = self.held
        texts = [self.encoder.segmenter.join(ids) for ids in units]
        bleu, chrf = metrics.bleu(held.texts, texts), metrics.chrf(held.texts, texts)
        right = sum(a == b for a, b in zip(held.texts, texts, strict=True))
        low, high = metrics.wilson_interval(right, len(texts))
        rebuilt = torch.from_numpy(self.encoder.backbone.encode(texts))
        scores: dict[str, Any] = {
            "exact_match": metrics.exact_match(held.texts, texts),
            "exact_match_low": low,
            "exact_match_high": high,
            "unit_accuracy": metrics.unit_accuracy(held.units, units),
            "bleu": bleu.score,
            "bleu_signature": bleu.signature,
            "chrf": chrf.score,
            "chrf_signature": chrf.signature,
            "token_f1": metrics.token_f1(held.texts, texts),
            "backbone_cosine": metrics.mean_cosine(held.features, rebuilt),
            **metrics.rouge(held.texts, texts),
        }
        for name, rows in metrics.by_length(held.texts).items():
            if rows:
                scores[name] = _bucket([held.texts[r] for r in rows], [texts[r] for r in rows])
                scores[name]["unit_accuracy"] = metrics.unit_accuracy(
                    [held.units[r] for r in rows], [units[r] for r in rows]
                )
        return scores


def _bucket(references: Sequence[str], hypotheses: Sequence[str]) -> dict[str, float]:
    return {
        "texts": len(references),
        "exact_match": metrics.exact_match(references, hypotheses),
        "bleu": metrics.bleu(references, hypotheses).score,
        "chrf": metrics.chrf(references, hypotheses).score,
        "token_f1": metrics.token_f1(references, hypotheses),
        "rougeL": metrics.rouge(references, hypotheses)["rougeL"],
    }


def run_evaluation(paths: Paths, params: Params) -> None:
    """Write metrics/evaluate.json, metrics/plots/exact_match.csv and metrics/plots/trace.csv."""
    encoder, decoder = storage.load_model(paths)
    chosen = choose_texts(texts_of(paths, "test"), params.evaluate.texts_per_bucket, params.seed)
    fitting = [text for text in chosen if len(encoder.segmenter.segment(text)) <= encoder.config.code.max_units]
    if not fitting:
        raise LexivertError(
            "no test text of 1 to 40 words fits code.max_units; check corpus.test_share and the corpus"
        )
    held, encode_rate = hold(encoder, fitting)
    physics = decoder.changed(prior=Prior.fixed(decoder.codebook.log_prior))
    suite = RoundTrip(encoder, decoder, physics, held, _training_sentences(paths))
    report: dict[str, Any] = {
        "texts": len(fitting),
        "texts_too_long": len(chosen) - len(fitting),
        "rates": {"encode_texts_per_second": encode_rate},
    }
    noise = torch.full((len(held.texts),), params.evaluate.noise_cosine)
    noisy = add_noise(held.vectors, noise, torch.Generator().manual_seed(params.seed))
    matches: dict[str, list[bool]] = {}
    for condition, vectors in (("clean", held.vectors), ("noisy", noisy)):
        for name, decode in suite.decoders().items():
            units, rate = suite.run(decode, vectors, params.evaluate.batch_size, f"{name} {condition}")
            report.setdefault(condition, {})[name] = suite.score(units)
            rebuilt = [encoder.segmenter.join(ids) for ids in units]
            matches[f"{name}_{condition}"] = [a == b for a, b in zip(held.texts, rebuilt, strict=True)]
            if condition == "clean":
                report["rates"][f"{name}_texts_per_second"] = rate
    report["meaning_only"] = _meaning_only(suite, params)
    report["confidence"], bins = _confidence(suite, params)
    rows: list[Row] = [[mean, share, mean, count] for mean, share, count in bins]
    write_table(paths.plots / "reliability.csv", ["confidence", "observed", "perfect", "readings"], rows)
    report["semantic_prefix_cosine"] = metrics.mean_cosine(held.features, held.vectors[:, : held.features.shape[1]])
    artifacts.write_metrics(paths.metrics("evaluate"), report)
    _write_matches(paths, held.texts, matches)
    _write_trace(paths, suite)


def _meaning_only(suite: RoundTrip, params: Params) -> dict[str, Any]:
    """Texts from the semantic prefix alone, beside the nearest training sentence and one guess for all texts."""
    count = len(suite.held.texts)
    held = suite.held.only(np.random.default_rng(params.seed).permutation(count)[:_DRAFTED_TEXTS].tolist())
    suite = RoundTrip(suite.encoder, suite.decoder, suite.physics, held, suite.train)
    prefixes = suite.parts(held.vectors)[0]
    mean = F.normalize(torch.from_numpy(suite.train[1].astype(np.float32)).mean(dim=0, keepdim=True), dim=-1)
    reader = HillClimbing(suite.decoder.proposer.prior, suite.encoder)
    rows = {
        "nearest": suite.nearest(held.vectors),
        "mean_vector": reader.read(mean) * len(held.texts),
        "controller": suite.run(reader.read, prefixes, params.evaluate.batch_size, "meaning only")[0],
    }
    wanted = ("token_f1", "backbone_cosine", "bleu", "exact_match")
    scores = {name: suite.score(units) for name, units in rows.items()}
    report: dict[str, Any] = {name: {key: row[key] for key in wanted} for name, row in scores.items()}
    return report | {"texts": len(held.texts)}


def _confidence(suite: RoundTrip, params: Params) -> tuple[dict[str, float], list[tuple[float, float, int]]]:
    """How well confidences tell right texts from wrong ones, over a mix of noise levels; bins of the plot."""
    count = len(suite.held.texts)
    held = suite.held.only(np.random.default_rng(params.seed).permutation(count)[:_MIXED_TEXTS].tolist())
    noise = torch.Generator().manual_seed(params.seed + 1)
    vectors = held.vectors.repeat_interleave(_COPIES, dim=0)
    truth = [text for text in held.units for _ in range(_COPIES)]
    semantic, order = suite.parts(add_noise(vectors, mixed_cosines(len(vectors)), noise))
    decoded = suite.decoder.decode_all(order, semantic, AT_ONCE, "confidence")
    confidence = decoded.confidence.tolist()
    right = [a == b for a, b in zip(truth, decoded.units, strict=True)]
    pairs = zip(truth, decoded.units, strict=True)
    unit_right = [hit for text, units in pairs for hit in right_units(text, units)]
    unit_confidence = [score for scores in decoded.scores for score in scores]
    report = {
        "texts": len(held.texts),
        "readings": len(right),
        "exact_match": float(np.mean(right)),
        "expected_calibration_error": metrics.expected_calibration_error(confidence, right),
        "expected_calibration_error_of_first_copies": metrics.expected_calibration_error(
            confidence[::_COPIES], right[::_COPIES]
        ),
        "auroc": metrics.auroc(confidence, right),
        "unit_expected_calibration_error": metrics.expected_calibration_error(unit_confidence, unit_right),
        "unit_auroc": metrics.auroc(unit_confidence, unit_right),
    }
    report |= _unfounded(suite, held.vectors, noise)
    return report, metrics.reliability(confidence, right)


def _unfounded(suite: RoundTrip, vectors: Tensor, noise: torch.Generator) -> dict[str, float]:
    """Mean confidence for vectors that no text made: two texts blended, as in calibration; three; and noise alone."""
    thirds = F.normalize(vectors[:-2] + vectors[1:-1] + vectors[2:], dim=1)
    kinds = {
        "blends_of_two": blends(vectors, noise),
        "blends_of_three": thirds,
        "random_vectors": F.normalize(torch.randn(vectors.shape, generator=noise), dim=1),
    }
    report = {}
    for name, made in kinds.items():
        semantic, order = suite.parts(made[:_UNFOUNDED])
        if len(order):
            confidence = suite.decoder.decode_all(order, semantic, AT_ONCE, name.replace("_", " ")).confidence
            report[f"mean_confidence_of_{name}"] = float(confidence.mean())
    return report


def _training_sentences(paths: Paths) -> tuple[list[str], npt.NDArray[np.float16]]:
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    splits, texts = corpus["split"].to_pylist(), corpus["text"].to_pylist()
    rows = artifacts.read_array(paths.sentence_rows)
    chosen = np.flatnonzero([splits[row] == "train" for row in rows.tolist()])
    features = torch.from_numpy(artifacts.read_array(paths.sentence_features)[chosen].astype(np.float32))
    normalised: npt.NDArray[np.float16] = F.normalize(features, dim=-1).half().numpy()
    return [texts[int(rows[place])] for place in chosen], normalised


def _write_matches(paths: Paths, texts: Sequence[str], matches: dict[str, list[bool]], span: int = 5) -> None:
    """Exact match by length, one row for every ``span`` words, for ``dvc plots``."""
    lengths = np.array([len(text.split()) for text in texts])
    rows: list[Row] = []
    for low in range(1, int(lengths.max()) + 1, span):
        inside = (lengths >= low) & (lengths < low + span)
        if inside.any():
            means = [float(np.mean(np.array(found)[inside])) for found in matches.values()]
            rows.append([low + span - 1, int(inside.sum()), *means])
    write_table(paths.plots / "exact_match.csv", ["words", "texts", *matches], rows)


def _write_trace(paths: Paths, suite: RoundTrip) -> None:
    """Write the rebuild of the first text of about 15 words, step by step, for ``dvc plots``."""
    row = min(range(len(suite.held.texts)), key=lambda r: (abs(len(suite.held.texts[r].split()) - 15), r))
    semantic, order = suite.parts(suite.held.vectors[row : row + 1])
    steps = suite.decoder.decode(order, semantic, trace=True).steps[0]
    surfaces = suite.encoder.segmenter.surface([step.unit for step in steps])
    rows: list[Row] = [
        [number, step.position, surface, step.score, step.residual]
        for number, (step, surface) in enumerate(zip(steps, surfaces, strict=True), start=1)
    ]
    write_table(paths.plots / "trace.csv", ["step", "position", "unit", "score", "residual"], rows)
