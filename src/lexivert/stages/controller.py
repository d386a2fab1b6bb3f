"""Stage ``controller``: rules of the decoding loops, and the calibration of their confidences."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params
from lexivert.controller import storage
from lexivert.controller.calibration import calibrate
from lexivert.data.segments import read_encoded_texts
from lexivert.search.faiss_index import UnitIndex
from lexivert.text.lexicon import Lexicon


def run(paths: Paths, params: Params) -> None:
    """Calibrate on the validation split; write models/controller/ and metrics/controller.json."""
    lexicon = Lexicon.load(paths.vocab)
    config = ModelConfig.load(artifacts.require(paths.index))
    index = UnitIndex.load(paths.index, config.index)
    prior = storage.load_selector(paths.selector, config, len(lexicon))
    decoder = storage.decoder_of(prior, index, storage.codebook_of(config, lexicon, index), params.controller)
    valid = read_encoded_texts(paths, "valid", min(params.selector.max_train_units, config.code.max_units))
    calibration, figures = calibrate(decoder, valid, params.controller.calibration_texts, params.seed)
    storage.save(params.controller, calibration, paths.controller)
    artifacts.write_metrics(paths.metrics("controller"), {"calibration": figures})
