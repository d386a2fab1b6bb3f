"""The ``controller`` stage as a function: texts in; trained controller, curves and held-out figures out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params
from lexivert.controller import storage
from lexivert.controller.calibration import calibrate
from lexivert.controller.cascade import Cascade
from lexivert.controller.posterior import Proposer
from lexivert.errors import LexivertError
from lexivert.priors.perplexity import cross_entropies
from lexivert.priors.selector import UnitEmbeddings
from lexivert.priors.selector_data import Texts
from lexivert.priors.selector_training import STEPS_A_POINT, train_selector
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.augmentation import SubwordRegularizer
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter
from lexivert.training.checkpoint import Checkpoint, fingerprint
from lexivert.training.curves import write_curves


def read_texts(
    paths: Paths, lexicon: Lexicon, split: str, max_units: int, regularizer: SubwordRegularizer | None = None
) -> Texts:
    """Sentences of a split that have features, in units; those longer than ``max_units`` are left out.

    Without a regularizer they are as written twice over.

    Raises:
        LexivertError: none is left.
    """
    corpus = artifacts.read_parquet(paths.corpus, ["split", "text"])
    rows = artifacts.read_array(paths.sentence_rows)
    features = artifacts.read_array(paths.sentence_features, mmap=True)
    splits, texts = corpus["split"].to_numpy(zero_copy_only=False), corpus["text"]
    segmenter = Segmenter(lexicon)
    units, regularized, kept = [], [], []
    for place in tqdm(
        np.flatnonzero(splits[rows] == split), desc=f"segmenting {split}", unit="sentence", mininterval=1.0
    ):
        text = texts[int(rows[place])].as_py()
        ids = segmenter.segment(text)
        if 0 < len(ids) <= max_units:
            other = regularizer.segment(text) if regularizer is not None else ids
            units.append(ids)
            regularized.append(other if len(other) <= max_units else ids)
            kept.append(place)
    if not units:
        raise LexivertError(
            f"no {split} sentence of at most {max_units} units has features; run `dvc repro features`"
        )
    semantic = features[kept].astype(np.float32)
    semantic /= np.linalg.norm(semantic, axis=1, keepdims=True)
    return Texts(units, regularized, semantic.astype(np.float16))


def run_controller(paths: Paths, params: Params) -> None:
    """Train on the training split, calibrate and measure on the validation split; write model, metrics and curves."""
    lexicon = Lexicon.load(paths.vocab)
    config = ModelConfig.load(artifacts.require(paths.index))
    index = UnitIndex.load(paths.index, config.index)
    features = torch.from_numpy(artifacts.read_array(paths.unit_features).astype(np.float32))
    shape, seed = storage.ControllerShape.of(config, len(lexicon), params), params.seed
    codebook = storage.codebook_of(config, lexicon, index)
    longest = min(params.selector.max_train_units, config.code.max_units)
    train = read_texts(paths, lexicon, "train", longest, SubwordRegularizer(lexicon, seed))
    valid = read_texts(paths, lexicon, "valid", longest)
    unigram = codebook.log_prior.numpy()
    mark = fingerprint(
        params.selector, seed, shape, features.numpy(), unigram, train.units, train.regularized, train.semantic
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        trained = params.selector
        space = UnitEmbeddings(features, codebook.log_prior, trained.embedding_dim, trained.free_embeddings)
    metrics: dict[str, Any] = {"train_sentences": len(train)}
    checkpoints = (Checkpoint(paths.checkpoints / "topic", mark), Checkpoint(paths.checkpoints / "selector", mark))
    selector = storage.new_selector(shape, seed)
    prior, curves = train_selector(selector, space, train, codebook.log_prior, params.selector, seed, checkpoints)
    metrics["last"] = curves[-1]
    metrics["valid_nats_a_unit"] = cross_entropies(prior, codebook.log_prior, valid)
    decoder = Cascade(Proposer(prior, index, codebook, params.controller.easy_first.candidates))
    calibration, metrics["calibration"] = calibrate(decoder, valid, params.controller.calibration_texts, seed)
    storage.save(prior, calibration, shape, paths.controller)
    artifacts.write_metrics(paths.metrics("controller"), metrics)
    write_curves(paths.plots / "controller.csv", curves, "step", STEPS_A_POINT)
    for checkpoint in checkpoints:
        checkpoint.clear()
