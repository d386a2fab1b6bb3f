"""Stage ``index``: the codes of all units, and FAISS over them."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.token_head import TokenHead, unit_codes
from lexivert.config import ModelConfig, load_params
from lexivert.search import faiss_index
from lexivert.text.lexicon import Lexicon


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write models/index/ and metrics/index.json."""
    paths, numbers = Paths(root), load_params(params)
    lexicon = Lexicon.load(paths.vocab)
    features = artifacts.read_array(paths.unit_features)
    layout = ModelConfig.of(numbers, features.shape[1])
    codes = unit_codes(TokenHead.load(paths.token_head), features, lexicon.surfaces)
    index = faiss_index.UnitIndex(codes, faiss_index.build(codes, numbers.index), numbers.index)
    with artifacts.atomic_path(paths.index) as folder:
        folder.mkdir()
        index.save(folder)
        layout.save(folder)
    artifacts.write_metrics(paths.metrics("index"), faiss_index.report(index, numbers.seed))


if __name__ == "__main__":
    run(main)
