"""Stage ``evaluate``: held-out texts to vectors and back, clean and noisy, by the model and four other decoders."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import parts_of, split_parts
from lexivert.config import Params
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.segments import read_encoded_texts
from lexivert.evaluation import metrics, nearest
from lexivert.evaluation.confidence import confidence_report
from lexivert.evaluation.decoders import NEAREST_SENTENCE, Units, decoder_named, in_batches, unit_ids
from lexivert.evaluation.texts import choose_texts, fitting, sources_of, with_texts
from lexivert.model import Lexivert

if TYPE_CHECKING:
    import pandas as pd

DECODERS_TRIED = (NEAREST_SENTENCE, "one_shot", "cancellation", "cascade_unigram", "cascade")
"""Decoders in the table; the model's own algorithm is added if it is another, and is measured through the API."""
_TRACED_WORDS = 15

Decode = Callable[[Tensor], Units]


@dataclass(frozen=True)
class Readout:
    """What a decoder has read back from B vectors.

    Attributes:
        units: unit ids of each text.
        texts: the texts.
        rate: texts a second.
    """

    units: Units
    texts: list[str]
    rate: float


@dataclass(frozen=True)
class RoundTrip:
    """A model, the texts that it has to read back, and what else is tried on them.

    Attributes:
        model: writes and reads vectors.
        heldout: texts of test documents.
        vectors: theirs. Shape: (B, D).
        train: training sentences, for retrieval.
        sources: where each text comes from.
    """

    model: Lexivert
    heldout: EncodedTexts
    vectors: Tensor
    train: EncodedTexts
    sources: Mapping[str, str]

    def only(self, rows: Sequence[int]) -> RoundTrip:
        """Some of the texts."""
        chosen = list(rows)
        return replace(self, heldout=self.heldout.only(chosen), vectors=self.vectors[chosen])

    def drawn(self, count: int, seed: int) -> RoundTrip:
        """At most so many of the texts, drawn at random."""
        return self.only(np.random.default_rng(seed).permutation(len(self.heldout))[:count].tolist())

    def decoders(self) -> dict[str, Decode]:
        """``DECODERS_TRIED`` and the model's own algorithm, each from full vectors to units."""
        names = dict.fromkeys((*DECODERS_TRIED, self.model.decoder.parts.params.algorithm))
        return {name: self._decoder(name) for name in names}

    def _decoder(self, name: str) -> Decode:
        if name == NEAREST_SENTENCE:
            return self.nearest_sentence
        if name == self.model.decoder.parts.params.algorithm:
            return lambda vectors: unit_ids(self.model, self.model.read(vectors.numpy()))
        decode = decoder_named(name, self.model.decoder.parts)

        def from_vectors(vectors: Tensor) -> Units:
            prefixes, order = parts_of(vectors, self.model.semantic_width)
            return decode(order, prefixes)

        return from_vectors

    def nearest_sentence(self, vectors: Tensor) -> Units:
        """Retrieval: the training sentence with the nearest semantic prefix."""
        prefixes, _ = split_parts(vectors, self.model.semantic_width)
        rows = nearest.search(prefixes, self.train.prefixes, 1)[1][:, 0]
        return [self.train.units[row] for row in rows.tolist()]

    def read_back(self, decode: Decode, vectors: Tensor, batch: int, label: str) -> Readout:
        """Decode vectors and time it. Shape: vectors (B, D)."""
        start = time.perf_counter()
        units = in_batches(decode, [vectors], batch, label)
        rate = len(vectors) / (time.perf_counter() - start)
        return Readout(units, [self.model.encoder.segmenter.join(ids) for ids in units], rate)

    def score(self, found: Readout) -> dict[str, Any]:
        """Compare texts that were read back with the originals, as texts, units and backbone embeddings."""
        scores = self.score_texts(found.texts)
        scores["unit_accuracy"] = metrics.unit_accuracy(self.heldout.units, found.units)
        for name, rows in metrics.by_length(self.heldout.texts).items():
            if rows:
                originals = self.heldout.only(rows)
                scores[name] = _bucket(originals.texts, [found.texts[row] for row in rows])
                units = [found.units[row] for row in rows]
                scores[name]["unit_accuracy"] = metrics.unit_accuracy(originals.units, units)
        scores["source"] = exact_by_source(self.heldout.texts, found.texts, self.sources)
        return scores

    def score_texts(self, texts: Sequence[str]) -> dict[str, Any]:
        """Compare texts, whatever wrote them, with the originals."""
        originals = self.heldout.texts
        bleu, chrf = metrics.bleu(originals, texts), metrics.chrf(originals, texts)
        exact = metrics.exact_match_report(originals, texts)
        return {key: share for key, share in exact.items() if key != "texts"} | {
            "bleu": bleu.score,
            "bleu_signature": bleu.signature,
            "chrf": chrf.score,
            "chrf_signature": chrf.signature,
            "token_f1": metrics.token_f1(originals, texts),
            "backbone_cosine": metrics.mean_cosine(self.heldout.prefixes, self._embedded(texts)),
            **metrics.rouge(originals, texts),
        }

    def _embedded(self, texts: Sequence[str]) -> Tensor:
        """Backbone embeddings of rebuilt texts; those that are their originals have been embedded. Shape: (B, S)."""
        embedded = self.heldout.prefixes.clone()
        wrong = [row for row, text in enumerate(texts) if text != self.heldout.texts[row]]
        if wrong:
            embedded[wrong] = torch.from_numpy(self.model.encoder.backbone.encode([texts[row] for row in wrong]))
        return embedded


def exact_by_source(
    originals: Sequence[str], texts: Sequence[str], sources: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Exact match of the texts of each source, with its interval.

    Args:
        originals: B texts.
        texts: what was read back.
        sources: source of each original.
    """
    pairs: dict[str, list[tuple[str, str]]] = {}
    for original, text in zip(originals, texts, strict=True):
        pairs.setdefault(sources[original], []).append((original, text))
    return {source: metrics.exact_match_report(*zip(*own, strict=True)) for source, own in sorted(pairs.items())}


def _bucket(originals: Sequence[str], texts: Sequence[str]) -> dict[str, float]:
    return {
        "texts": len(texts),
        "exact_match": metrics.exact_match(originals, texts),
        "bleu": metrics.bleu(originals, texts).score,
        "chrf": metrics.chrf(originals, texts).score,
        "token_f1": metrics.token_f1(originals, texts),
        "rougeL": metrics.rouge(originals, texts)["rougeL"],
    }


def run_evaluation(paths: Paths, params: Params) -> None:
    """Write metrics/evaluate.json and metrics/plots/{exact_match,reliability,trace}.csv."""
    trip, report = prepare(paths, params)
    batch = params.evaluate.batch_size
    texts: dict[str, list[str]] = {}
    for condition, vectors in (("clean", trip.vectors), ("noisy", noisy_vectors(trip, params))):
        report[condition] = {}
        for name, decode in trip.decoders().items():
            found = trip.read_back(decode, vectors, batch, f"{name} {condition}")
            report[condition][name] = trip.score(found)
            texts[f"{name}_{condition}"] = found.texts
            if condition == "clean":
                report["rates"][f"{name}_texts_per_second"] = found.rate
    count = params.evaluate.confidence_texts
    report["confidence"], bins = confidence_report(trip.model, trip.heldout, trip.vectors, count, params.seed)
    artifacts.write_metrics(paths.metrics("evaluate"), report)
    artifacts.write_csv(paths.plots / "exact_match.csv", exact_match_table(trip.heldout.texts, texts))
    artifacts.write_csv(paths.plots / "reliability.csv", bins)
    artifacts.write_csv(paths.plots / "trace.csv", trace_table(trip))


def prepare(paths: Paths, params: Params) -> tuple[RoundTrip, dict[str, Any]]:
    """Draw test texts and encode them; the report's first figures.

    Raises:
        LexivertError: an artifact is missing or damaged, or no test text fits into a vector.
    """
    model = Lexivert.load(paths.root)
    test = read_encoded_texts(paths, "test")
    sources = sources_of(paths, "test")
    chosen = with_texts(test, choose_texts(test.texts, params.evaluate.texts_per_bucket, params.seed, sources))
    heldout = fitting(chosen, model.encoder.config.code.max_units)
    start = time.perf_counter()
    vectors = torch.from_numpy(model.encode(heldout.texts, progress="encoding"))
    rate = len(heldout) / (time.perf_counter() - start)
    prefixes, _ = split_parts(vectors, model.semantic_width)
    report: dict[str, Any] = {
        "texts": len(heldout),
        "texts_too_long": len(chosen) - len(heldout),
        "rates": {"encode_texts_per_second": rate},
        "semantic_prefix_cosine": metrics.mean_cosine(heldout.prefixes, prefixes),
    }
    heldout = replace(heldout, prefixes=prefixes)  # in full precision
    return RoundTrip(model, heldout, vectors, read_encoded_texts(paths, "train"), sources), report


def noisy_vectors(trip: RoundTrip, params: Params) -> Tensor:
    """The vectors, each turned by a random direction to cosine ``evaluate.noise_cosine``. Shape: (B, D)."""
    cosine = torch.full((len(trip.vectors),), params.evaluate.noise_cosine)
    return add_noise(trip.vectors, cosine, torch.Generator().manual_seed(params.seed))


def exact_match_table(originals: Sequence[str], found: Mapping[str, Sequence[str]], span: int = 5) -> pd.DataFrame:
    """Exact match by length, one row for every ``span`` words that any text has.

    Args:
        originals: B texts.
        found: what was read back, by column: B texts each.
        span: words to a row, which is named by the last of them.
    """
    import pandas as pd

    right = {name: [a == b for a, b in zip(originals, texts, strict=True)] for name, texts in found.items()}
    words = np.array([len(text.split()) for text in originals])
    last = pd.Series((words + span - 1) // span * span, name="words")
    rows = pd.DataFrame(right, dtype=float).groupby(last)
    table: pd.DataFrame = rows.mean()
    table.insert(0, "texts", rows.size())
    return table.reset_index()


def trace_table(trip: RoundTrip) -> pd.DataFrame:
    """The rebuild of the first text of about 15 words, step by step."""
    import pandas as pd

    texts = trip.heldout.texts
    row = min(range(len(texts)), key=lambda r: (abs(len(texts[r].split()) - _TRACED_WORDS), r))
    (reading,) = trip.model.read(trip.vectors[row : row + 1].numpy(), trace=True)
    surfaces = trip.model.encoder.segmenter.surface([step.unit for step in reading.steps])
    steps = enumerate(zip(reading.steps, surfaces, strict=True), start=1)
    rows = [(number, step.position, surface, step.score, step.residual) for number, (step, surface) in steps]
    return pd.DataFrame(rows, columns=["step", "position", "unit", "score", "residual"])
