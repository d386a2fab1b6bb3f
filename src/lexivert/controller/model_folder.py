"""A model folder: a trained model as a few files that can be copied, sent, or put on the Hugging Face hub.

``config.json`` holds layout, decoding rules, calibration and the backbone's fingerprint; ``lexicon.parquet`` the
units; ``unit_codes.safetensors`` their codes; ``prior/`` the trained Selector; ``backbone/`` weights and tokeniser in
Hugging Face format, unless they are left to the hub or package that ``config.json`` names; ``language_model/`` the
causal language model or its name, and ``generation/`` what generators have trained, unless they are left out. A Flat
FAISS index is built anew from the codes, when it is first needed; other kinds are kept in FAISS's own format,
``units.faiss``.
Nothing is pickled, and nothing refers to the place where the model was made.

A prior or an encoder of one's own travels if it has a method ``save(folder)`` that writes what its factory reads.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.codes.encoder import Encoder
from lexivert.config import BackboneParams, ModelConfig
from lexivert.controller import storage
from lexivert.controller.controller import Controller
from lexivert.damage import damage
from lexivert.encoders.base import HUGGING_FACE, SentenceEncoder, load_encoder, split_name
from lexivert.encoders.huggingface import is_local
from lexivert.encoders.lazy import lazy_encoder
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.language_model import storage as language_model_storage
from lexivert.language_model.storage import Source
from lexivert.priors.base import Prior
from lexivert.priors.selector import SelectorPrior
from lexivert.priors.selector_storage import SelectorSizes, save_selector
from lexivert.priors.unigram import FixedPrior
from lexivert.search.faiss_index import FlatOverCodes
from lexivert.search.unit_index import INDEX_FILE, UnitIndex
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter

FORMAT, VERSION = "lexivert", 3
CONFIG, LEXICON, CODES = "config.json", "lexicon.parquet", "unit_codes.safetensors"
PRIOR, BACKBONE, LANGUAGE_MODEL, GENERATION, CARD = "prior", "backbone", "language_model", "generation", "README.md"
SEARCH = "search.json"
"""Params of a generator's search, in the folder of generators' trained parts."""
FOLDERS = (PRIOR, BACKBONE, LANGUAGE_MODEL, GENERATION)
FILES = frozenset({CONFIG, LEXICON, CODES, PRIOR, INDEX_FILE, BACKBONE, LANGUAGE_MODEL, GENERATION, CARD})
"""All that a model folder may contain, ``.gitattributes`` of a hub's copy aside."""
_ADVICE = "save or download the model again"


def is_model_folder(folder: Path) -> bool:
    """Whether a folder's ``config.json`` says that this is a model."""
    try:
        content = artifacts.read_json(folder / CONFIG)
    except (LexivertError, OSError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def write(
    folder: Path,
    encoder: Encoder,
    decoder: Controller,
    *,
    include_backbone: bool = True,
    include_language_model: bool = False,
    generation: Path | None = None,
    search: Mapping[str, Any] | None = None,
) -> None:
    """Write a model folder, all of it or nothing.

    Args:
        folder: made, or replaced if it holds a model and nothing else.
        encoder: of the model.
        decoder: of the model.
        include_backbone: with the backbone's weights and tokeniser; without, its package or hub id is named.
        include_language_model: with the causal language model, or its name.
        generation: folder of generators' trained parts, which go with the language model; None for none.
        search: params of a generator's search, which go with these; None for none.

    Raises:
        LexivertError: the folder holds something else, or a backbone without package and hub id is to be left out.
    """
    folder = folder.resolve()
    _check_target(folder)
    content = _content(encoder, decoder)
    if not include_backbone and _is_local(encoder.config.backbone.model):
        raise LexivertError(
            f"the backbone {encoder.config.backbone.model} is a folder of this machine; include it in the model"
        )
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        encoder.segmenter.lexicon.save(temporary / LEXICON)
        save_file({"codes": encoder.codes.cpu().contiguous()}, temporary / CODES)
        _save_prior(decoder.parts.prior, temporary / PRIOR)
        if encoder.config.index.factory != "Flat":
            decoder.parts.index.save_faiss(temporary / INDEX_FILE)
        if include_backbone:
            _save_own("backbone", encoder.backbone, temporary / BACKBONE)
        if include_language_model:
            _copy_language_model(decoder, temporary / LANGUAGE_MODEL)
        if include_language_model and generation is not None:
            shutil.copytree(generation, temporary / GENERATION)
            if search is not None:
                artifacts.write_json(temporary / GENERATION / SEARCH, search)
        artifacts.write_json(temporary / CONFIG, content)
        (temporary / CARD).write_text(_card(content), encoding="utf-8")


def read(folder: Path, device: str = "auto") -> tuple[Encoder, Controller]:
    """Encoder and decoder of a model folder.

    Args:
        folder: that ``write`` wrote.
        device: auto, cpu, cuda or mps.

    Raises:
        LexivertError: a file is missing or damaged, of another format version, or the backbone is another one.
    """
    content = _read_config(folder)
    encoder = _encoder(folder, content, device)
    with damage(folder / CONFIG, _ADVICE):
        decoding = storage.parsed(content["decoding"])
    index = _index(folder, encoder)
    with _restated(folder):
        return storage.assemble(encoder, index, decoding, folder / PRIOR, device, _language_model(folder, device))


def read_encoder(folder: Path, device: str = "auto") -> Encoder:
    """The encoder alone, for those who need vectors only; arguments and errors as of ``read``."""
    return _encoder(folder, _read_config(folder), device)


def _check_target(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise LexivertError(f"{folder} is a file; name a folder for the model")
    names = {path.name for path in folder.iterdir()}
    if names and not is_model_folder(folder):
        raise LexivertError(f"{folder} is no model folder, and not empty; name another folder for the model")
    if names - FILES:
        raise LexivertError(f"{folder} holds {min(names - FILES)} beside a model; name another folder for the model")


def _content(encoder: Encoder, decoder: Controller) -> dict[str, Any]:
    """What ``config.json`` says. Device and local folders are this machine's affair and mean nothing elsewhere."""
    params = decoder.parts.params
    params = params.model_copy(update={"prior": params.prior.partition(":")[0]})
    model = encoder.config.model_dump(mode="json")
    model["backbone"]["device"] = "auto"
    if _is_local(encoder.config.backbone.model):
        model["backbone"]["model"] = _with_argument(encoder.config.backbone.model, f"./{BACKBONE}")
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "library_name": "lexivert",
        "fingerprint": encoder.fingerprint,
        "backbone_fingerprint": encoder.backbone.fingerprint(),
        "units": len(encoder.codes),
        "order_width": encoder.config.order_width,
        "model": model,
        "decoding": storage.decoding_of(params, decoder.calibration),
    }


def _is_local(model: str) -> bool:
    return is_local(split_name(model)[1])


def _with_argument(model: str, argument: str) -> str:
    """The same encoder, given something else."""
    name = split_name(model)[0]
    return argument if name == HUGGING_FACE else f"{name}:{argument}"


def _save_prior(prior: Prior, folder: Path) -> None:
    if isinstance(prior, SelectorPrior):
        save_selector(prior, SelectorSizes.of_prior(prior), folder)
    elif not isinstance(prior, FixedPrior):  # those are made of the lexicon
        _save_own("prior", prior, folder)


def _save_own(kind: str, part: Any, folder: Path) -> None:
    if not hasattr(part, "save"):
        raise LexivertError(f"the {kind} {type(part).__name__} has no method save(folder), so it can't travel")
    part.save(folder)


def _language_model(folder: Path, device: str) -> Source:
    missing = (
        f"{folder} was saved without a language model; save it with include_language_model=True, or read as draft"
    )
    return Source(folder / LANGUAGE_MODEL, device, missing)


def _copy_language_model(decoder: Controller, folder: Path) -> None:
    if decoder.search is None:
        raise LexivertError("the model has no language model; leave it out")
    language_model_storage.copy(decoder.search.source.folder, folder)


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise MissingArtifactError(f"{folder} is no folder; give a model folder or a hub id")
    path = _require(folder / CONFIG)
    with damage(path, _ADVICE):
        try:
            content = artifacts.read_json(path)
        except DamagedArtifactError as error:
            raise ValueError("not valid JSON") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise LexivertError(f"{folder} is no Lexivert model: its {CONFIG} does not say so")
        version = content.get("format_version")
    if version != VERSION:
        raise LexivertError(
            f"{folder} is a model of format version {version}; this release reads version {VERSION}: use the release "
            "that wrote it"
        )
    return content


def _encoder(folder: Path, content: dict[str, Any], device: str) -> Encoder:
    with damage(folder / CONFIG, _ADVICE):
        config, expected = ModelConfig.model_validate(content["model"]), content["backbone_fingerprint"]
    with _restated(_require(folder / LEXICON)):
        lexicon = Lexicon.load(folder / LEXICON)
    with damage(_require(folder / CODES), _ADVICE):
        codes = load_file(folder / CODES)["codes"]
        if codes.shape != (len(lexicon), config.order_width) or codes.dtype != torch.float16:
            raise ValueError(f"codes of shape {tuple(codes.shape)} and type {codes.dtype} for {len(lexicon)} units")
    load = partial(_backbone, folder, str(expected))
    params = config.backbone.model_copy(update={"model": _source(folder, config.backbone), "device": device})
    return Encoder(config, lazy_encoder(params, load, str(expected)), Segmenter(lexicon), codes)


def _backbone(folder: Path, expected: str, params: BackboneParams) -> SentenceEncoder:
    """The backbone that a model was made with, refused if it is another one."""
    backbone = load_encoder(params)
    if (found := backbone.fingerprint()) != expected:
        raise LexivertError(
            f"{params.model} is another backbone than {folder} was made with (fingerprint {found[:12]}, not "
            f"{expected[:12]}); save the model with its backbone included"
        )
    return backbone


def _source(folder: Path, params: BackboneParams) -> str:
    """The folder's own backbone, or else what its config names."""
    own = (folder / BACKBONE).resolve()
    return _with_argument(params.model, str(own)) if own.is_dir() else params.model


def _index(folder: Path, encoder: Encoder) -> UnitIndex:
    params = encoder.config.index
    if params.factory == "Flat":
        return UnitIndex(encoder.codes, FlatOverCodes(encoder.codes, params), params)
    with _restated(_require(folder / INDEX_FILE)):
        return UnitIndex.load(folder, params, encoder.codes)


@contextlib.contextmanager
def _restated(path: Path) -> Iterator[None]:
    """Say of a model folder what is said of a project's artifacts, for which DVC would help."""
    try:
        yield
    except (MissingArtifactError, DamagedArtifactError) as error:
        reason = str(error).split("; ")[0]
        raise type(error)(f"{path} is incomplete or damaged ({reason}); {_ADVICE}") from error


def _require(path: Path) -> Path:
    if not path.is_file():
        raise MissingArtifactError(f"{path} is missing; {_ADVICE}")
    return path


def _card(content: dict[str, Any]) -> str:
    """The page that the hub shows for the model."""
    model = content["model"]
    code, backbone = model["code"], model["backbone"]
    prompt = f", prompt `{backbone['prompt']}`" if backbone["prompt"] else ""
    widths = f"semantic prefix {model['semantic_width']}, order part {content['order_width']}"
    return f"""---
library_name: lexivert
pipeline_tag: sentence-similarity
tags:
- lexivert
- sentence-embeddings
- text-reconstruction
---

# A Lexivert model

Sentence vectors that can be read back. The first {model["semantic_width"]} dimensions are the backbone's embedding,
scaled; the others carry the words and their order, from which the text is rebuilt.

```python
from lexivert import Lexivert

model = Lexivert.from_pretrained("path/to/this/folder")  # or its id on the hub
vectors = model.encode(["The old captain saw the river."])
model.decode(vectors)
```

| | |
|---|---|
| width of a vector | {code["embed_dim"]}: {widths} |
| energy of the semantic prefix | {code["semantic_share"]} |
| lexicon | {content["units"]} units |
| longest text | {code["max_units"]} units |
| backbone | `{backbone["model"]}`, {backbone["pooling"]} pooling{prompt} |
| fingerprint | `{content["fingerprint"]}` |

Vectors of a model can only be read by a model with the same fingerprint. A text of more units than the longest is
refused, never cut. For a semantic prefix alone `generate` writes a text of like meaning, of which nothing is certain.
"""
