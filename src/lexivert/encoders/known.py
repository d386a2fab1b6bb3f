"""What is known of an encoder before it is loaded: where it lies, its width, and whether it can be the backbone."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from lexivert.config import BackboneParams
from lexivert.encoders import huggingface
from lexivert.encoders.base import ENCODERS, HUGGING_FACE, split_name
from lexivert.encoders.fingerprint import WEIGHTS
from lexivert.errors import LexivertError

_WIDTHS = ("hidden_size", "d_model", "dim", "n_embd")
"""What families of transformers call their width."""


def known_width(params: BackboneParams) -> int | None:
    """Width of the encoder that ``backbone.model`` names, S, by its ``config.json``; None where that doesn't tell.

    Raises:
        LexivertError: there is no such encoder or model, it is none that can be the backbone, or ``max_tokens`` is
            more than it reads.
    """
    name, argument = split_name(params.model)
    ENCODERS.make(name)
    if name != HUGGING_FACE:
        return None
    source = huggingface.find(argument)
    config = _json(source, "config.json", params.model)
    tokenizer = _json(source, "tokenizer_config.json", params.model, optional=True)
    limits = [config.get("max_position_embeddings"), tokenizer.get("model_max_length")]
    numbers = [limit for limit in limits if isinstance(limit, int | float) and math.isfinite(limit)]
    reads = min(map(int, numbers), default=params.max_tokens)
    huggingface.check_limits(params, reads, is_encoder_decoder=bool(config.get("is_encoder_decoder")))
    return next((int(config[key]) for key in _WIDTHS if isinstance(config.get(key), int)), None)


def known_folder(params: BackboneParams) -> Path | None:
    """Folder with the weights of the transformer that ``backbone.model`` names; None where they lie elsewhere.

    Raises:
        LexivertError: there is no such encoder, or its folder holds no transformer.
    """
    name, argument = split_name(params.model)
    ENCODERS.make(name)
    if name != HUGGING_FACE:
        return None
    source = huggingface.find(argument)
    weights: Path | None = Path(source) / WEIGHTS
    if not Path(source).is_dir():
        with huggingface.explained(params.model):
            weights = huggingface.cached_path(source, WEIGHTS)
    return weights.parent if weights is not None and weights.is_file() else None


def _json(source: str, file: str, model: str, *, optional: bool = False) -> dict[str, Any]:
    """A small file of a model's folder, or of the hub through its cache; empty if optional and absent."""
    path: Path | None = Path(source) / file
    if not Path(source).is_dir():
        with huggingface.explained(model):
            path = huggingface.hub_path(source, file, optional=optional)
    if path is None or (optional and not path.is_file()):
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise LexivertError(f"backbone.model {model!r} can't be loaded ({path} is not valid JSON)") from error
    return content if isinstance(content, dict) else {}
