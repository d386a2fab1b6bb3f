"""Stage ``features``: the frozen backbone's features of every unit and of a sample of sentences."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import load_params
from lexivert.encoders.features import compute_features


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write data/unit_features.npy, data/sentence_features.npy and data/sentence_rows.npy."""
    paths = Paths(root)
    write_metrics(paths.metrics("features"), compute_features(paths, load_params(params)))


if __name__ == "__main__":
    run(main)
