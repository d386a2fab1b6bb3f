"""Stage ``fetch``: source texts and WordNet into ``data/raw``."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import load_params
from lexivert.data.fetch import fetch


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Bring the chosen source's texts, and WordNet, into data/raw."""
    paths = Paths(root)
    write_metrics(paths.metrics("fetch"), fetch(paths, load_params(params).corpus))


if __name__ == "__main__":
    run(main)
