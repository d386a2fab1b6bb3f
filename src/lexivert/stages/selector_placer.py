"""Stage ``selector_placer``: trains Selector and Placer of the insertion loop on orders of real sentences."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params


def run(paths: Paths, params: Params) -> None:
    """Write models/generation/selector_placer/, its metrics and curves; resumes after a kill."""
    import torch

    from lexivert.data.segments import read_encoded_texts
    from lexivert.devices import choose_device
    from lexivert.generation import insertion_networks, selector_placer
    from lexivert.generation.insertion_networks import InsertionSizes
    from lexivert.generation.insertion_training import STEPS_A_POINT, train_insertions
    from lexivert.generation.params import load_generation_params
    from lexivert.priors import selector_storage, unigram  # noqa: F401 they register their priors
    from lexivert.priors.base import load_prior
    from lexivert.text.lexicon import Lexicon
    from lexivert.training.checkpoint import Checkpoint, fingerprint
    from lexivert.training.curves import write_curves

    own = load_generation_params(paths.root / "generation" / "params.yaml")
    rules, seed = own.selector_placer, own.seed
    lexicon, config = Lexicon.load(paths.vocab), ModelConfig.load(artifacts.require(paths.index))
    prior = load_prior(params.controller.prior, lexicon, config, paths.selector)
    prior = prior.to(choose_device(params.backbone.device))
    texts = read_encoded_texts(paths, "train", min(rules.max_train_units, config.code.max_units))
    log_prior = torch.from_numpy(lexicon.log_prior())
    sizes = InsertionSizes.of(config, prior, rules)
    mark = fingerprint(__name__, rules, seed, sizes, log_prior.numpy(), texts.units, texts.prefixes.numpy())
    checkpoint = Checkpoint(paths.checkpoints / "selector_placer", mark, every=50)
    networks = sizes.new(seed).to(prior.output.bias.device)
    curves = train_insertions(networks, prior, texts, log_prior, rules, seed, checkpoint)
    insertion_networks.save(networks, paths.generation / selector_placer.FOLDER)
    artifacts.write_metrics(
        paths.metrics("generation/selector_placer"), {"train_sentences": len(texts), "last": curves[-1]}
    )
    write_curves(paths.metrics("generation/selector_placer").with_suffix(".csv"), curves, "step", STEPS_A_POINT)
    checkpoint.clear()
