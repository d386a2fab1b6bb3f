"""Stage ``losses`` of the experiments: one recipe of the token head's losses, with several seeds."""

from __future__ import annotations

import sys
from pathlib import Path

import pydantic
import yaml
from pydantic import Field

sys.path.append(str(Path(__file__).resolve().parents[1] / "pipeline"))  # stages share _stage

from _stage import run

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import load_params
from lexivert.errors import LexivertError
from lexivert.evaluation.loss_ablation import run_recipe

HERE = Path(__file__).resolve().parent


class RecipeParams(pydantic.BaseModel):
    """Content of ``experiments/params.yaml``."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    recipe: str
    seeds: int = Field(ge=2)
    epochs: int = Field(ge=1)
    texts: int = Field(ge=1)


def main() -> None:
    """Write experiments/losses.json."""
    path = HERE / "params.yaml"
    try:
        own = RecipeParams.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise LexivertError(f"{path.name}: {key}: {first['msg'].lower()}, not {first['input']!r}") from error
    params = load_params(HERE.parent / "params.yaml")
    head = params.token_head.model_copy(update={"epochs": own.epochs})
    params = params.model_copy(update={"token_head": head})
    write_metrics(HERE / "losses.json", run_recipe(Paths(HERE.parent), params, own.recipe, own.seeds, own.texts))


if __name__ == "__main__":
    run(main)
