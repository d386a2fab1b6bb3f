"""Stage ``selector``: trains the Selector, the learned prior over units, and measures it on held-out text."""

from __future__ import annotations

from typing import Any

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params


def run(paths: Paths, params: Params) -> None:
    """Write models/selector/, metrics/selector.json and metrics/plots/selector.csv; resumes after a kill."""
    import numpy as np
    import torch

    from lexivert.data.segments import read_encoded_texts
    from lexivert.devices import choose_device
    from lexivert.priors.perplexity import cross_entropies
    from lexivert.priors.selector import UnitEmbeddings
    from lexivert.priors.selector_data import SelectorTexts
    from lexivert.priors.selector_storage import SelectorSizes, save_selector
    from lexivert.priors.selector_training import STEPS_A_POINT, train_selector
    from lexivert.text.augmentation import SubwordRegularizer
    from lexivert.text.lexicon import Lexicon
    from lexivert.training.checkpoint import Checkpoint, fingerprint
    from lexivert.training.curves import write_curves

    lexicon = Lexicon.load(paths.vocab)
    config = ModelConfig.load(artifacts.require(paths.index))
    log_prior = torch.from_numpy(lexicon.log_prior())
    features = torch.from_numpy(artifacts.read_array(paths.unit_features).astype(np.float32))
    sizes, seed = SelectorSizes.of(config, len(lexicon), params.selector), params.seed
    longest = min(params.selector.max_train_units, config.code.max_units)
    written = read_encoded_texts(paths, "train", longest)
    train = SelectorTexts.of(written, SubwordRegularizer(lexicon, seed), longest)
    device = choose_device(params.backbone.device)
    spellings, prefixes = (written.units, train.regularized.units), written.prefixes.numpy()
    mark = fingerprint(
        __name__, params.selector, seed, sizes, features.numpy(), log_prior.numpy(), *spellings, prefixes
    )
    folder = paths.checkpoints
    checkpoints = (Checkpoint(folder / "bag_of_words", mark), Checkpoint(folder / "selector", mark))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        space = UnitEmbeddings(features, log_prior, params.selector.embedding_dim, params.selector.free_embeddings)
    prior, curves = train_selector(
        sizes.new(seed).to(device), space.to(device), train, log_prior, params.selector, seed, checkpoints
    )
    metrics: dict[str, Any] = {"train_sentences": len(train), "last": curves[-1]}
    metrics["valid_nats_a_unit"] = cross_entropies(prior, log_prior, read_encoded_texts(paths, "valid", longest))
    save_selector(prior, sizes, paths.selector)
    artifacts.write_metrics(paths.metrics("selector"), metrics)
    write_curves(paths.plots / "selector.csv", curves, "step", STEPS_A_POINT)
    for checkpoint in checkpoints:
        checkpoint.clear()
