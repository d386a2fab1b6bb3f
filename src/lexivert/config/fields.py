"""Types of params: numbers within their ranges, lists, and the section that all params are of."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic
from pydantic import Field

MOST = 2**31 - 1
"""Largest number of anything: what the number libraries count with 32 bits."""
MOST_WIDTH = 2**17
"""Widest vector: the codes of a lexicon must fit into memory."""
MOST_POSITIONS = 2**13
"""Most units of a text: bindings keep a row of angles for each position."""
MOST_SEED = 2**32 - 1
"""Largest seed that all of torch, NumPy and scikit-learn take."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Cosine = Annotated[float, Field(gt=0.0, le=1.0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]
NonNegativeFloat = Annotated[float, Field(ge=0.0)]
PositiveInt = Annotated[int, Field(ge=1, le=MOST)]
NonNegativeInt = Annotated[int, Field(ge=0, le=MOST)]
Seed = Annotated[int, Field(ge=0, le=MOST_SEED)]
STEP_UNIT = 10
"""Optimiser steps of the Selector that are averaged into one point of its curves."""
TensOfSteps = Annotated[int, Field(ge=STEP_UNIT, le=MOST, multiple_of=STEP_UNIT)]


def _listed(value: Any) -> Any:
    if not isinstance(value, list | tuple):
        raise ValueError("a list is needed")  # noqa: TRY004 pydantic takes no other
    return tuple(value)


LIST = pydantic.BeforeValidator(_listed)
"""YAML and JSON have lists where these sections have tuples; the items are checked as strictly as the rest."""


class Section(pydantic.BaseModel):
    """A section of a params file: every key known and there, every value of exactly its type, every number finite."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)
