"""Stage ``losses`` of the experiments: one recipe of the token head's losses, with several seeds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

from pydantic import Field

from lexivert import commands
from lexivert.artifacts import Paths, write_metrics
from lexivert.config import MOST, PositiveInt, Section, load_params
from lexivert.evaluation.loss_ablation import run_recipe
from lexivert.yaml_reader import read_yaml, validated

HERE = Path(__file__).resolve().parent


class RecipeParams(Section):
    """Content of ``experiments/params.yaml``."""

    recipe: str
    """A key of ``loss_ablation.RECIPES``."""
    seeds: Annotated[int, Field(ge=2, le=MOST)]
    """Runs, over which means and intervals are taken."""
    epochs: PositiveInt
    """In place of ``token_head.epochs``."""
    texts: PositiveInt
    """Decoded in each condition with each seed."""


def measure(folder: Path) -> None:
    """Write ``losses.json`` into the folder, which holds ``params.yaml`` and lies in a project.

    Raises:
        LexivertError: params are wrong, or what they need has not been made.
    """
    path = folder / "params.yaml"
    own = validated(RecipeParams, read_yaml(path), path)
    params = load_params(folder.parent / "params.yaml")
    head = params.token_head.model_copy(update={"epochs": own.epochs})
    params = params.model_copy(update={"token_head": head})
    write_metrics(folder / "losses.json", run_recipe(Paths(folder.parent), params, own.recipe, own.seeds, own.texts))


def main() -> None:
    """Write experiments/losses.json."""
    logging.basicConfig(level=logging.WARNING)
    measure(HERE)


if __name__ == "__main__":
    raise SystemExit(commands.run(main, HERE))
