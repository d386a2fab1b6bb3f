"""The trained conditional model on disk: safetensors weights, its sizes, and what it was trained for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.damage import damage
from lexivert.errors import DamagedArtifactError
from lexivert.generation.conditional_model import ConditionalModel, ConditionalSizes

WEIGHTS, CONFIG = "conditional.safetensors", "config.json"
FOLDER = "conditional"
"""Of the trained model, in the folder of all generators' trained parts."""
ADVICE = "run `dvc repro generation/dvc.yaml`"


def save(model: ConditionalModel, backbone: str, folder: Path) -> None:
    """Write weights as half floats, and ``config.json``.

    Args:
        model: trained.
        backbone: fingerprint of the backbone whose embeddings it was told.
        folder: replaced if it is there.
    """
    weights = {name: value.detach().half().cpu().contiguous() for name, value in model.state_dict().items()}
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        save_file(weights, temporary / WEIGHTS)
        artifacts.write_json(temporary / CONFIG, {"sizes": asdict(model.sizes), "backbone": backbone})


def load(folder: Path, backbone: str, tokens: int) -> ConditionalModel:
    """Read what ``save`` wrote, on the CPU.

    Args:
        folder: that was written.
        backbone: fingerprint of the backbone that embeddings are of.
        tokens: size of the language model's vocabulary.

    Raises:
        MissingArtifactError, DamagedArtifactError: a file is missing, damaged, or of another backbone or language
            model.
    """
    content: Any = artifacts.read_json(artifacts.require(folder) / CONFIG)
    path = artifacts.require(folder / WEIGHTS)
    with damage(path, ADVICE):
        sizes = ConditionalSizes(**content["sizes"])
        trained_for = (str(content["backbone"]), sizes.tokens)
        nothing = torch.zeros(sizes.tokens, sizes.hidden_dim)
        features, directions = torch.zeros(sizes.tokens, sizes.feature_dim), torch.zeros(sizes.feature_dim, 1)
        with torch.random.fork_rng(devices=[]):
            model = ConditionalModel(sizes, nothing, features, directions, nothing[:, 0])
        model.load_state_dict({name: value.float() for name, value in load_file(path).items()})
    if trained_for != (backbone, tokens):
        raise DamagedArtifactError(f"{folder} was trained for another backbone or language model; {ADVICE}")
    return model.eval().requires_grad_(requires_grad=False)
