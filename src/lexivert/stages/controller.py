"""The ``controller`` stage as a function: texts in; trained controller, curves and held-out figures out."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.model_config import ModelConfig
from lexivert.config import Params
from lexivert.controller import storage
from lexivert.controller.calibration import calibrate
from lexivert.controller.cascade import Cascade
from lexivert.controller.posterior import Proposer
from lexivert.data.segments import read_encoded_texts
from lexivert.priors.perplexity import cross_entropies
from lexivert.priors.selector import UnitEmbeddings
from lexivert.priors.selector_data import SelectorTexts
from lexivert.priors.selector_training import STEPS_A_POINT, train_selector
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.augmentation import SubwordRegularizer
from lexivert.text.lexicon import Lexicon
from lexivert.training.checkpoint import Checkpoint, fingerprint
from lexivert.training.curves import write_curves


def run_controller(paths: Paths, params: Params) -> None:
    """Train on the training split, calibrate and measure on the validation split; write model, metrics and curves."""
    lexicon = Lexicon.load(paths.vocab)
    config = ModelConfig.load(artifacts.require(paths.index))
    index = UnitIndex.load(paths.index, config.index)
    features = torch.from_numpy(artifacts.read_array(paths.unit_features).astype(np.float32))
    shape, seed = storage.ControllerShape.of(config, len(lexicon), params.controller), params.seed
    codebook = storage.codebook_of(config, lexicon, index)
    longest = min(params.controller.max_train_units, config.code.max_units)
    written = read_encoded_texts(paths, "train", longest)
    train = SelectorTexts.of(written, SubwordRegularizer(lexicon, seed), longest)
    valid = read_encoded_texts(paths, "valid", longest)
    unigram = codebook.log_prior.numpy()
    spellings, prefixes = (written.units, train.regularized.units), written.prefixes.numpy()
    mark = fingerprint(params.controller, seed, shape, features.numpy(), unigram, *spellings, prefixes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        space = UnitEmbeddings(features, codebook.log_prior, params.controller.rank, params.controller.free_units)
    metrics: dict[str, Any] = {"train_sentences": len(train)}
    checkpoints = (Checkpoint(paths.checkpoints / "topic", mark), Checkpoint(paths.checkpoints / "selector", mark))
    selector = storage.new_selector(shape, seed)
    prior, curves = train_selector(selector, space, train, codebook.log_prior, params.controller, seed, checkpoints)
    metrics["last"] = curves[-1]
    metrics["valid_nats_a_unit"] = cross_entropies(prior, codebook.log_prior, valid)
    decoder = Cascade(Proposer(prior, index, codebook, params.controller.candidates))
    calibration, metrics["calibration"] = calibrate(decoder, valid, params.controller.calibration_texts, seed)
    storage.save(prior, calibration, shape, paths.controller)
    artifacts.write_metrics(paths.metrics("controller"), metrics)
    write_curves(paths.plots / "controller.csv", curves, "step", STEPS_A_POINT)
    for checkpoint in checkpoints:
        checkpoint.clear()
