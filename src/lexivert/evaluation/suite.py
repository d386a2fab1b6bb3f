"""The ``evaluate`` stage as a function: held-out texts to vectors and back, by five decoders, clean and noisy."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.controller import store
from lexivert.controller.decoder import Decoder
from lexivert.controller.incremental import Incremental
from lexivert.controller.meaning import MeaningReader
from lexivert.controller.placer import Placer
from lexivert.controller.prior import Prior
from lexivert.controller.proposal import Proposer
from lexivert.controller.sampling import add_noise
from lexivert.encoder.composition import split_parts
from lexivert.encoder.encoder import Encoder
from lexivert.errors import LexivertError
from lexivert.evaluation import baselines, metrics
from lexivert.index.faiss_index import UnitIndex
from lexivert.lexicon.tokenizing import normalize
from lexivert.params import Params

Units = list[list[int]]
_NOISE_MIX = (1.0, 0.8, 0.7, 0.65, 0.6, 0.55, 0.5)
_NOISY_AT_ONCE = 32
_MIXED_TEXTS = 96
_DRAFTED_TEXTS = 48


@dataclass(frozen=True)
class Held:
    """Test texts with their vectors.

    Attributes:
        texts: B normalised texts.
        units: their units.
        vectors: clean vectors, unit length. Shape: (B, D).
        features: backbone embeddings. Shape: (B, S).
    """

    texts: list[str]
    units: Units
    vectors: Tensor
    features: Tensor


class Suite:
    """Decoders under test, and the scores of what they give back.

    Args:
        encoder: text to vector.
        decoder: the learned controller.
        physics: the same loop with an untrained Selector and Placer: exact evidence and unigram prior alone.
        index: nearest units.
        held: texts of test documents.
        train: training sentences with normalised embeddings, for the retrieval baseline. Shape: (T, S).
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: Decoder,
        physics: Incremental,
        index: UnitIndex,
        held: Held,
        train: tuple[Sequence[str], npt.NDArray[np.float16]],
    ) -> None:
        self.encoder = encoder
        self.decoder = decoder
        self.physics = physics
        self.index = index
        self.held = held
        self.train = train

    def nearest(self, vectors: Tensor) -> Units:
        """Give back the training sentence with the nearest semantic prefix."""
        texts, features = self.train
        semantic, _ = self._parts(vectors)
        rows = baselines.nearest_sentence(semantic, features)
        return [self.encoder.segmenter.segment(texts[row]) for row in rows.tolist()]

    def one_shot(self, vectors: Tensor) -> Units:
        """Unbind once."""
        return baselines.one_shot(self._parts(vectors)[1], self.index, self.encoder.binding)

    def cancellation(self, vectors: Tensor) -> Units:
        """Cancel interference without prior or learning."""
        return baselines.cancellation(self._parts(vectors)[1], self.index, self.encoder.binding)

    def untrained(self, vectors: Tensor) -> Units:
        """Decode by the same loop without anything learned."""
        semantic, order = self._parts(vectors)
        return self.physics.decode(order, semantic).units

    def controller(self, vectors: Tensor) -> Units:
        """Decode with Selector and Placer."""
        semantic, order = self._parts(vectors)
        return self.decoder.decode(order, semantic).units

    def _parts(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        return split_parts(vectors, self.encoder.layout.semantic_width)

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


def choose_texts(texts: Sequence[str], per_bucket: int, seed: int) -> list[str]:
    """Draw at most ``per_bucket`` distinct texts of every length bucket, shortest bucket first."""
    rng = np.random.default_rng(seed)
    distinct = sorted({normalize(text) for text in texts})
    chosen: list[str] = []
    for rows in metrics.by_length(distinct).values():
        picked = rng.permutation(len(rows))[:per_bucket]
        chosen += [distinct[rows[i]] for i in sorted(picked.tolist())]
    return chosen


def hold(encoder: Encoder, texts: Sequence[str]) -> tuple[Held, float]:
    """Encode texts; return them with vectors, and texts a second."""
    start = time.perf_counter()
    vectors = torch.from_numpy(encoder.encode(texts, progress="encoding"))
    rate = len(texts) / (time.perf_counter() - start)
    features = torch.from_numpy(encoder.backbone.encode(texts))
    return Held(list(texts), encoder.segment(texts), vectors, features), rate


def run_evaluation(paths: Paths, params: Params) -> None:
    """Write metrics/evaluate.json, metrics/plots/exact_match.csv and metrics/plots/trace.csv."""
    encoder = Encoder.load(paths.root)
    index = UnitIndex.load(paths.index, encoder.layout.index)
    decoder = store.load(paths.controller, encoder.layout, encoder.segmenter.lexicon, index)
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    splits, texts = corpus["split"].to_pylist(), corpus["text"].to_pylist()
    test = [text for text, split in zip(texts, splits, strict=True) if split == "test"]
    chosen = choose_texts(test, params.evaluate.texts_per_bucket, params.seed)
    fitting = [text for text in chosen if len(encoder.segmenter.segment(text)) <= encoder.layout.code.max_units]
    if not fitting:
        raise LexivertError(
            "no test text of 1 to 40 words fits code.max_units; check corpus.test_share and the corpus"
        )
    held, encode_rate = hold(encoder, fitting)
    train = _training_sentences(paths, texts, splits)
    suite = Suite(encoder, decoder, Incremental(untrained(decoder, params)), index, held, train)
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
    report["meaning_only"] = _meaning_only(suite, params.evaluate.batch_size)
    report["confidence"], bins = _confidence(suite, params)
    _write_table(paths.plots / "reliability.csv", ["confidence", "observed", "perfect", "texts"], bins)
    report["semantic_prefix_cosine"] = metrics.mean_cosine(held.features, held.vectors[:, : held.features.shape[1]])
    artifacts.write_metrics(paths.metrics("evaluate"), report)
    _write_matches(paths, held.texts, matches)
    _write_trace(paths, suite)


def untrained(decoder: Decoder, params: Params) -> Proposer:
    """The same index and language with the unigram prior and a Placer that changes nothing."""
    known = decoder.proposer
    placer = Placer(params.controller.placer_width, params.controller.placer_layers, params.controller.heads).eval()
    return Proposer(Prior.fixed(known.language.log_prior), placer, known.index, known.language, known.candidates)


def _meaning_only(suite: Suite, batch: int) -> dict[str, Any]:
    """Texts from the semantic prefix alone, beside the nearest training sentence and one guess for all texts."""
    whole = suite.held
    drawn = np.random.default_rng(0).permutation(len(whole.texts))[:_DRAFTED_TEXTS].tolist()
    texts, units = [whole.texts[row] for row in drawn], [whole.units[row] for row in drawn]
    held, semantic_width = (
        Held(texts, units, whole.vectors[drawn], whole.features[drawn]),
        whole.features.shape[1],
    )
    suite = Suite(suite.encoder, suite.decoder, suite.physics, suite.index, held, suite.train)
    prefixes = held.vectors[:, :semantic_width].clone()
    mean = F.normalize(torch.from_numpy(suite.train[1].astype(np.float32)).mean(dim=0, keepdim=True), dim=-1)
    reader = MeaningReader(suite.decoder.proposer.prior, suite.encoder)
    rows = {
        "nearest": suite.nearest(held.vectors),
        "mean_vector": reader.read(mean) * len(held.texts),
        "controller": suite.run(reader.read, prefixes, batch, "meaning only")[0],
    }
    wanted = ("token_f1", "backbone_cosine", "bleu", "exact_match")
    scores = {name: suite.score(units) for name, units in rows.items()}
    report: dict[str, Any] = {name: {key: row[key] for key in wanted} for name, row in scores.items()}
    return report | {"texts": len(held.texts)}


def _confidence(suite: Suite, params: Params) -> tuple[dict[str, float], list[list[object]]]:
    """How well confidences tell right texts from wrong ones, over a mix of noise levels; bins of the plot."""
    held = suite.held
    rows = np.random.default_rng(params.seed).permutation(len(held.texts))[:_MIXED_TEXTS].tolist()
    truths = [held.units[row] for row in rows]
    cosine = torch.tensor([_NOISE_MIX[place % len(_NOISE_MIX)] for place in range(len(rows))])
    noisy = add_noise(held.vectors[rows], cosine, torch.Generator().manual_seed(params.seed + 1))
    confidence, right, unit_confidence, unit_right = [], [], [], []
    for start in tqdm(range(0, len(noisy), _NOISY_AT_ONCE), desc="confidence", unit="batch", mininterval=1.0):
        semantic, order = suite._parts(noisy[start : start + _NOISY_AT_ONCE])
        decoded = suite.decoder.decode(order, semantic)
        confidence += decoded.confidence.tolist()
        for truth, units, scores in zip(truths[start:], decoded.units, decoded.scores, strict=False):
            right.append(truth == units)
            unit_confidence += scores
            unit_right += [at < len(truth) and truth[at] == unit for at, unit in enumerate(units)]
    report = {
        "texts": len(right),
        "exact_match": float(np.mean(right)),
        "expected_calibration_error": metrics.expected_calibration_error(confidence, right),
        "auroc": metrics.auroc(confidence, right),
        "unit_expected_calibration_error": metrics.expected_calibration_error(unit_confidence, unit_right),
        "unit_auroc": metrics.auroc(unit_confidence, unit_right),
    }
    bins = metrics.reliability(confidence, right)
    table: list[list[object]] = [[*map(_four_places, (mean, share, mean)), count] for mean, share, count in bins]
    return report, table


def _training_sentences(
    paths: Paths, texts: Sequence[str], splits: Sequence[str]
) -> tuple[list[str], npt.NDArray[np.float16]]:
    rows = artifacts.read_array(paths.sentence_rows)
    chosen = np.flatnonzero([splits[row] == "train" for row in rows.tolist()])
    features = torch.from_numpy(artifacts.read_array(paths.sentence_features)[chosen].astype(np.float32))
    normalised: npt.NDArray[np.float16] = F.normalize(features, dim=-1).half().numpy()
    return [texts[int(rows[place])] for place in chosen], normalised


def _write_matches(paths: Paths, texts: Sequence[str], matches: dict[str, list[bool]], span: int = 5) -> None:
    """Exact match by length, one row for every ``span`` words, for ``dvc plots``."""
    lengths = np.array([len(text.split()) for text in texts])
    rows: list[list[object]] = []
    for low in range(1, int(lengths.max()) + 1, span):
        inside = (lengths >= low) & (lengths < low + span)
        if inside.any():
            means = [_four_places(np.mean(np.array(found)[inside])) for found in matches.values()]
            rows.append([low + span - 1, int(inside.sum()), *means])
    _write_table(paths.plots / "exact_match.csv", ["words", "texts", *matches], rows)


def _write_trace(paths: Paths, suite: Suite) -> None:
    """Write the rebuild of the first text of about 15 words, step by step, for ``dvc plots``."""
    row = min(range(len(suite.held.texts)), key=lambda r: (abs(len(suite.held.texts[r].split()) - 15), r))
    semantic, order = split_parts(suite.held.vectors[row : row + 1], suite.encoder.layout.semantic_width)
    steps = suite.decoder.decode(order, semantic, trace=True).steps[0]
    surfaces = suite.encoder.segmenter.surface([step.unit for step in steps])
    rows = [
        [number, step.position, surface, _four_places(step.score), _four_places(step.residual)]
        for number, (step, surface) in enumerate(zip(steps, surfaces, strict=True), start=1)
    ]
    _write_table(paths.plots / "trace.csv", ["step", "position", "unit", "score", "residual"], rows)


def _four_places(value: float) -> Decimal:
    """A number that csv writes with four decimal places and, unlike a formatted string, without quotes."""
    return Decimal(f"{value:.4f}")


def _write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Write a CSV file: every string below the header in quotes, so that a unit such as ``12`` stays a string."""
    with artifacts.atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerow(header)
        csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
