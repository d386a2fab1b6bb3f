"""Stage ``sentence_space``: what the parts of a sentence vector are good for."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths
from lexivert.config import load_params
from lexivert.evaluation.sentence_space import run_sentence_space


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write metrics/sentence_space.json and its table for ``dvc plots``."""
    run_sentence_space(Paths(root), load_params(params))


if __name__ == "__main__":
    run(main)
