"""Stage ``vocab``: training sentences and word lists to the lexicon, and the corpus written in its units."""

from __future__ import annotations

import numpy as np

from lexivert.artifacts import Paths, read_parquet, write_metrics
from lexivert.config import Params
from lexivert.data.sources import SPLITS
from lexivert.data.word_lists import read_word_lists
from lexivert.errors import LexivertError
from lexivert.text.segmenting import segment_texts
from lexivert.text.vocabulary import build_lexicon, lexicon_metrics


def run(paths: Paths, params: Params) -> None:
    """Write data/vocab.parquet, data/segments.parquet and metrics/vocab.json."""
    from lexivert.data.segments import write_segments

    table = read_parquet(paths.corpus, ["split", "text"])
    split_of, sentences = np.asarray(table["split"].to_pylist()), table["text"].to_pylist()
    rows = {split: np.flatnonzero(split_of == split) for split in SPLITS}
    texts = {split: [sentences[row] for row in rows[split].tolist()] for split in SPLITS}
    if not texts["train"]:
        raise LexivertError(f"{paths.corpus} holds no training sentence; check section corpus of the params")
    lists = read_word_lists(paths, params.vocab.languages)
    lexicon, train = build_lexicon(texts["train"], params.vocab, lists)
    segments = {"train": train}
    for split in SPLITS[1:]:
        segments[split] = segment_texts(lexicon, texts[split], f"segmenting {split}")
    lexicon.save(paths.vocab)
    write_segments(paths.segments, rows, segments)
    write_metrics(paths.metrics("vocab"), lexicon_metrics(lexicon, texts, segments))
