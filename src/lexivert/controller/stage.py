"""The ``controller`` stage as a function: texts in, trained controller, curves and held-out losses out."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.controller import store
from lexivert.controller.sampling import Texts
from lexivert.controller.training import STEPS_A_POINT, train_controller, validate
from lexivert.encoder.layout import Layout
from lexivert.errors import LexivertError
from lexivert.index.faiss_index import UnitIndex
from lexivert.lexicon.segmentation import Segmenter
from lexivert.lexicon.units import Lexicon
from lexivert.params import Params
from lexivert.training.checkpoint import Checkpoint, fingerprint
from lexivert.training.curves import write_curves


def read_texts(paths: Paths, segmenter: Segmenter, split: str, max_units: int) -> Texts:
    """Sentences of a split that have features, in units; those longer than ``max_units`` are left out.

    Raises:
        LexivertError: none is left.
    """
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    rows = artifacts.read_array(paths.sentence_rows)
    features = artifacts.read_array(paths.sentence_features, mmap=True)
    splits, texts = corpus["split"].to_numpy(zero_copy_only=False), corpus["text"]
    chosen = np.flatnonzero(splits[rows] == split)
    units, kept = [], []
    for place in tqdm(chosen, desc=f"segmenting {split}", unit="sentence", mininterval=1.0):
        ids = segmenter.segment(texts[int(rows[place])].as_py())
        if 0 < len(ids) <= max_units:
            units.append(ids)
            kept.append(place)
    if not units:
        raise LexivertError(
            f"no {split} sentence of at most {max_units} units has features; run `dvc repro features`"
        )
    semantic = features[kept].astype(np.float32)
    semantic /= np.linalg.norm(semantic, axis=1, keepdims=True)
    return Texts(units, semantic.astype(np.float16))


def run_controller(paths: Paths, params: Params) -> None:
    """Train on the training split, measure on the validation split, write model, metrics and curves."""
    lexicon = Lexicon.load(paths.vocab)
    layout = Layout.load(artifacts.require(paths.index))
    index = UnitIndex.load(paths.index, layout.index)
    shape = store.ControllerShape.of(layout, params.controller)
    proposer = store.new_proposer(shape, layout, lexicon, index, params.seed)
    segmenter = Segmenter(lexicon)
    longest = min(params.controller.max_train_units, layout.code.max_units)
    train = read_texts(paths, segmenter, "train", longest)
    valid = read_texts(paths, segmenter, "valid", longest)
    before = validate(proposer, valid, params.controller, params.seed)
    prior = lexicon.log_prior()
    mark = fingerprint(params.controller, params.seed, layout, index.codes, prior, train.units, train.semantic)
    checkpoint = Checkpoint(paths.checkpoints / "controller", mark)
    history = train_controller(proposer, train, params.controller, params.seed, checkpoint)
    after = validate(proposer, valid, params.controller, params.seed)
    store.save(proposer, shape, paths.controller)
    metrics = {"train_sentences": len(train), "last": history[-1], "valid_physics": before, "valid": after}
    artifacts.write_metrics(paths.metrics("controller"), metrics)
    write_curves(paths.plots / "controller.csv", history, "step", STEPS_A_POINT)
    checkpoint.clear()
