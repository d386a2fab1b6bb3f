"""Stage ``selector``: trains the learned prior over units; resumes from ``.checkpoints/`` after a kill."""

from __future__ import annotations

import numpy as np
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params
from lexivert.controller import storage
from lexivert.data.segments import read_encoded_texts
from lexivert.priors.perplexity import cross_entropies
from lexivert.priors.selector import UnitEmbeddings
from lexivert.priors.selector_data import SelectorTexts
from lexivert.priors.selector_training import STEPS_A_POINT, train_selector
from lexivert.text.augmentation import SubwordRegularizer
from lexivert.text.lexicon import Lexicon
from lexivert.training.checkpoint import Checkpoint, fingerprint
from lexivert.training.curves import write_curves


def run(paths: Paths, params: Params) -> None:
    """Train on the training split, measure on the validation split.

    Writes models/selector/, metrics/selector.json and metrics/plots/selector.csv.
    """
    lexicon, settings, seed = Lexicon.load(paths.vocab), params.selector, params.seed
    config = ModelConfig.load(artifacts.require(paths.index))
    features = torch.from_numpy(artifacts.read_array(paths.unit_features).astype(np.float32))
    longest = min(settings.max_train_units, config.code.max_units)
    train = SelectorTexts.of(read_encoded_texts(paths, "train", longest), SubwordRegularizer(lexicon, seed), longest)
    valid = read_encoded_texts(paths, "valid", longest)
    log_prior = torch.from_numpy(lexicon.log_prior())
    shape = storage.SelectorShape.of(config, len(lexicon), settings)

    spellings, prefixes = (train.written.units, train.regularized.units), train.written.prefixes.numpy()
    state = fingerprint(__name__, settings, seed, shape, features.numpy(), log_prior.numpy(), *spellings, prefixes)
    checkpoints = (Checkpoint(paths.checkpoints / "topic", state), Checkpoint(paths.checkpoints / "selector", state))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        embeddings = UnitEmbeddings(features, log_prior, settings.embedding_dim, settings.free_embeddings)
    selector = storage.new_selector(shape, seed)
    prior, curves = train_selector(selector, embeddings, train, log_prior, settings, seed, checkpoints)

    storage.save_selector(prior, shape, paths.selector)
    write_curves(paths.plots / "selector.csv", curves, "step", STEPS_A_POINT)
    nats = cross_entropies(prior, log_prior, valid)
    metrics = {"train_sentences": len(train), "last": curves[-1], "valid_nats_a_unit": nats}
    artifacts.write_metrics(paths.metrics("selector"), metrics)
    for checkpoint in checkpoints:
        checkpoint.clear()
