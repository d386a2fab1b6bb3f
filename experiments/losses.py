"""Stage ``losses`` of the experiments: one recipe of the token head's losses, with several seeds."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pydantic
from pydantic import Field

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.evaluation.loss_ablation import run_recipe
from lexivert.yaml_reader import read_yaml, validated

HERE = Path(__file__).resolve().parent


class RecipeParams(pydantic.BaseModel):
    """Content of ``experiments/params.yaml``."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    recipe: str
    seeds: int = Field(ge=2)
    epochs: int = Field(ge=1)
    texts: int = Field(ge=1)


def run() -> None:
    """Write experiments/losses.json.

    Raises:
        LexivertError: params are wrong, or an artifact is missing or damaged.
    """
    path = HERE / "params.yaml"
    own = validated(RecipeParams, read_yaml(path), path)
    params = load_params(HERE.parent / "params.yaml")
    head = params.token_head.model_copy(update={"epochs": own.epochs})
    params = params.model_copy(update={"token_head": head})
    write_metrics(HERE / "losses.json", run_recipe(Paths(HERE.parent), params, own.recipe, own.seeds, own.texts))


def main() -> int:
    """Run the stage; a ``LexivertError`` is one line on standard error and exit code 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
    try:
        run()
    except LexivertError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
