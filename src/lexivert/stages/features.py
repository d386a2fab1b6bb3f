"""Stage ``features``: every unit and a sample of sentences through the frozen encoder, once; resumes after a kill."""

from __future__ import annotations

import logging
import shutil

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params

log = logging.getLogger(__name__)


def run(paths: Paths, params: Params) -> None:
    """Write unit features, sentence features, the sentences' corpus rows, and metrics/features.json."""
    from lexivert.encoders.base import load_encoder
    from lexivert.encoders.features import choose_sentences, tokens_by_kind, write_features
    from lexivert.text.lexicon import Lexicon, unit_text

    lexicon, budget = Lexicon.load(paths.vocab), params.features.tokens_per_batch
    corpus = artifacts.read_parquet(paths.corpus, ["split", "source", "text"])
    splits, sources = corpus["split"].to_pylist(), corpus["source"].to_pylist()
    rows = choose_sentences(splits, sources, params.features.max_train_sentences, params.seed)
    encoder = load_encoder(params.backbone)
    checkpoints = paths.checkpoints / "features"

    names = [unit_text(surface, kind) for surface, kind in zip(lexicon.surfaces, lexicon.kinds, strict=True)]
    units = write_features(paths.unit_features, encoder, names, checkpoints, budget)
    texts = corpus["text"].take(rows).to_pylist()
    sentences = write_features(paths.sentence_features, encoder, texts, checkpoints, budget)
    artifacts.write_array(paths.sentence_rows, rows)
    shutil.rmtree(checkpoints, ignore_errors=True)

    if units.truncated + sentences.truncated:
        counts = (units.truncated, sentences.truncated, params.backbone.max_tokens)
        log.warning("%d units and %d sentences are cut to backbone.max_tokens = %d", *counts)
    by_kind = tokens_by_kind(lexicon, units.lengths)
    metrics = {
        "units": {**units.metrics(), "tokens_by_kind": by_kind},
        "sentences": sentences.metrics(),
        "width": encoder.width,
    }
    artifacts.write_metrics(paths.metrics("features"), metrics)
