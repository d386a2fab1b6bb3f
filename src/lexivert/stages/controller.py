"""Stage ``controller``: the rules of the decoding loops, and the calibration of their confidences."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params


def run(paths: Paths, params: Params) -> None:
    """Write models/controller/ and metrics/controller.json."""
    from lexivert.controller import storage
    from lexivert.controller.base import Parts
    from lexivert.controller.calibration import calibrate
    from lexivert.controller.controller import Controller
    from lexivert.data.segments import read_encoded_texts
    from lexivert.devices import choose_device
    from lexivert.priors.base import load_prior
    from lexivert.search.unit_index import UnitIndex
    from lexivert.text.lexicon import Lexicon

    lexicon = Lexicon.load(paths.vocab)
    config = ModelConfig.load(artifacts.require(paths.index))
    index = UnitIndex.load(paths.index, config.index)
    codebook = storage.codebook_of(config, lexicon, index.codes)
    prior = load_prior(params.controller.prior, lexicon, config, paths.selector)
    parts = Parts(codebook, index, prior, params.controller).to(choose_device(params.backbone.device))
    texts = read_encoded_texts(paths, "valid", min(params.selector.max_train_units, config.code.max_units))
    calibration, metrics = calibrate(Controller(parts), texts, params.controller.calibration_texts, params.seed)
    storage.save(params.controller, calibration, paths.controller)
    artifacts.write_metrics(paths.metrics("controller"), {"calibration": metrics})
