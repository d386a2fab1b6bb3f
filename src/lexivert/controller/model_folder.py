"""A model folder: a trained model as a few files that can be copied, sent, or put on the Hugging Face hub.

``config.json`` holds layout, shapes, decoding rules, calibration and the backbone's fingerprint; ``lexicon.parquet``
the units; ``unit_codes.safetensors`` their codes; ``selector.safetensors`` the prior; ``backbone/`` weights and
tokeniser in Hugging Face format, unless they are left to the hub or package that ``config.json`` names. A Flat FAISS
index is built anew from the codes when it is loaded; other kinds are kept in FAISS's own format, ``units.faiss``.
Nothing in it is pickled, and nothing refers to the place where it was made.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from lexivert import artifacts
from lexivert.codes.encoder import Encoder
from lexivert.codes.model_config import ModelConfig
from lexivert.controller import storage
from lexivert.controller.cascade import Cascade
from lexivert.encoders.huggingface import HuggingFaceEncoder, is_local
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError
from lexivert.search import faiss_index
from lexivert.search.faiss_index import INDEX_FILE, UnitIndex
from lexivert.text.lexicon import Lexicon
from lexivert.text.segmentation import Segmenter

FORMAT, VERSION = "lexivert", 1
CONFIG, LEXICON, CODES, PRIOR = "config.json", "lexicon.parquet", "unit_codes.safetensors", "selector.safetensors"
BACKBONE, CARD = "backbone", "README.md"
FILES = frozenset({CONFIG, LEXICON, CODES, PRIOR, INDEX_FILE, BACKBONE, CARD})
"""All that a model folder may hold, ``.gitattributes`` of a hub's copy aside."""
_ADVICE = "save or download the model again"


def is_model_folder(folder: Path) -> bool:
    """Whether a folder's ``config.json`` says that this is a model."""
    try:
        content = artifacts.read_json(folder / CONFIG)
    except (LexivertError, OSError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def write(folder: Path, encoder: Encoder, decoder: Cascade, *, include_backbone: bool = True) -> None:
    """Write a model folder, all of it or nothing.

    Args:
        folder: made, or replaced if it holds a model and nothing else.
        encoder: of the model.
        decoder: of the model.
        include_backbone: with the backbone's weights and tokeniser; without, its package or hub id is named.

    Raises:
        LexivertError: the folder holds something else, or a backbone without package and hub id is to be left out.
    """
    folder = folder.resolve()
    _check_target(folder)
    content = _content(encoder, decoder)
    if not include_backbone and is_local(content["model"]["backbone"]["model"]):
        raise LexivertError(
            f"the backbone {encoder.config.backbone.model} is a folder of this machine; include it in the model"
        )
    with artifacts.atomic_path(folder) as temporary:
        temporary.mkdir()
        encoder.segmenter.lexicon.save(temporary / LEXICON)
        save_file({"codes": encoder.codes.cpu().contiguous()}, temporary / CODES)
        storage.write_prior(decoder.proposer.prior, temporary / PRIOR)
        if encoder.config.index.factory != "Flat":
            decoder.proposer.index.save_index(temporary / INDEX_FILE)
        if include_backbone:
            encoder.backbone.save(temporary / BACKBONE)
        artifacts.write_json(temporary / CONFIG, content)
        (temporary / CARD).write_text(_card(content), encoding="utf-8")


def read(folder: Path, device: str = "auto") -> tuple[Encoder, Cascade]:
    """Encoder and decoder of a model folder.

    Args:
        folder: that ``write`` wrote.
        device: auto, cpu, cuda or mps.

    Raises:
        LexivertError: a file is missing or damaged, of another format version, or the backbone is another one.
    """
    content = _read_config(folder)
    encoder = _encoder(folder, content, device)
    lexicon = encoder.segmenter.lexicon
    with storage.damage(folder / CONFIG, _ADVICE):
        shape = storage.ControllerShape(**content["shape"])
    if not shape.fits(encoder.config, len(lexicon)):
        raise DamagedArtifactError(f"{folder} holds files of different models; {_ADVICE}")
    prior = storage.read_prior(_require(folder / PRIOR), shape, _ADVICE)
    index = _index(folder, encoder)
    with storage.damage(folder / CONFIG, _ADVICE):
        codebook = storage.codebook_of(encoder.config, lexicon, index)
        return encoder, storage.assemble(codebook, index, prior, shape, content["decoding"])


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


def _content(encoder: Encoder, decoder: Cascade) -> dict[str, Any]:
    """What ``config.json`` says. Device and local folders are this machine's affair and mean nothing elsewhere."""
    model = encoder.config.model_dump(mode="json")
    model["backbone"]["device"] = "auto"
    if is_local(encoder.config.backbone.model):
        model["backbone"]["model"] = f"./{BACKBONE}"
    return {
        "format": FORMAT,
        "format_version": VERSION,
        "library_name": "lexivert",
        "fingerprint": encoder.fingerprint,
        "backbone_fingerprint": encoder.backbone.fingerprint(),
        "model": model,
        "shape": asdict(storage.shape_of(encoder, decoder)),
        "decoding": storage.decoding_of(decoder),
    }


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise MissingArtifactError(f"{folder} is no folder; give a model folder or a hub id")
    path = _require(folder / CONFIG)
    with storage.damage(path, _ADVICE):
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
    with storage.damage(folder / CONFIG, _ADVICE):
        config, expected = ModelConfig.model_validate(content["model"]), content["backbone_fingerprint"]
    lexicon = _lexicon(_require(folder / LEXICON))
    with storage.damage(_require(folder / CODES), _ADVICE):
        codes = load_file(folder / CODES)["codes"]
        if codes.shape != (len(lexicon), config.order_width) or codes.dtype != torch.float16:
            raise ValueError(f"codes of shape {tuple(codes.shape)} and type {codes.dtype} for {len(lexicon)} units")
    within = folder / BACKBONE
    backbone = HuggingFaceEncoder.load(
        config.backbone.model_copy(update={"device": device}), within if within.is_dir() else None
    )
    if backbone.fingerprint() != expected:
        where = within if within.is_dir() else config.backbone.model
        raise LexivertError(
            f"{where} is another backbone than {folder} was made with (fingerprint {backbone.fingerprint()[:12]}, "
            f"not {str(expected)[:12]}); save the model with its backbone included"
        )
    return Encoder(config, backbone, Segmenter(lexicon), codes)


def _lexicon(path: Path) -> Lexicon:
    try:
        return Lexicon.load(path)
    except LexivertError as error:
        raise DamagedArtifactError(f"{path} is damaged ({str(error).split('; ')[0]}); {_ADVICE}") from error


def _index(folder: Path, encoder: Encoder) -> UnitIndex:
    codes, params = encoder.codes.numpy(), encoder.config.index
    if params.factory == "Flat":
        return UnitIndex(codes, faiss_index.build(codes, params), params)
    try:
        return UnitIndex.load(folder, params, codes)
    except LexivertError as error:
        raise DamagedArtifactError(f"{folder / INDEX_FILE} is missing or damaged; {_ADVICE}") from error


def _require(path: Path) -> Path:
    if not path.is_file():
        raise MissingArtifactError(f"{path} is missing; {_ADVICE}")
    return path


def _card(content: dict[str, Any]) -> str:
    """The page that the hub shows for the model."""
    model, shape = content["model"], content["shape"]
    code, backbone = model["code"], model["backbone"]
    prompt = f", prompt `{backbone['prompt']}`" if backbone["prompt"] else ""
    widths = f"semantic prefix {model['semantic_width']}, order part {shape['order_width']}"
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
scaled; the others hold the words and their order, from which the text is rebuilt.

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
| lexicon | {shape["units"]} units |
| longest text | {code["max_units"]} units |
| backbone | `{backbone["model"]}`, {backbone["pooling"]} pooling{prompt} |
| fingerprint | `{content["fingerprint"]}` |

Vectors of a model can only be read by a model with the same fingerprint. A text of more units than the longest is
refused, never cut. A vector that holds a semantic prefix alone is given a text of like meaning, of which nothing is
certain.
"""
