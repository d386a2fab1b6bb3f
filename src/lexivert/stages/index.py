"""Stage ``index``: the codes of all units, and FAISS over them."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params


def run(paths: Paths, params: Params) -> None:
    """Write models/index/ and metrics/index.json."""
    import torch

    from lexivert.codes.power import unit_energies, with_energies
    from lexivert.codes.token_head import TokenHead, unit_codes
    from lexivert.search.unit_index import UnitIndex, report
    from lexivert.text.lexicon import Lexicon

    lexicon = Lexicon.load(paths.vocab)
    features = artifacts.read_array(paths.unit_features)
    config = ModelConfig.of(params, features.shape[1])
    codes = torch.from_numpy(unit_codes(TokenHead.load(paths.token_head), features, lexicon.surfaces))
    log_prior = torch.from_numpy(lexicon.log_prior())
    energies = unit_energies(log_prior, params.code.surprisal_share, params.code.eos_energy)
    index = UnitIndex.build(with_energies(codes, energies), params.index)
    with artifacts.atomic_path(paths.index) as folder:
        folder.mkdir()
        index.save(folder)
        config.save(folder)
    artifacts.write_metrics(paths.metrics("index"), report(index, params.seed))
