"""Fingerprints of Hugging Face encoders: of one that is loaded, or of its files, without ``transformers``.

Importing that library and building a transformer takes seconds, hashing its files a fraction of one. Both ways give
the same digest where files hold the tensors under the names that the library gives them, as it writes them itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from tokenizers import Tokenizer
from torch import Tensor

from lexivert.config import BackboneParams

PROBE = "The naïve Café isn't far: №7, 3,000.5 km (北京) — “ok”! 🙂 unbelievably\tRe-Run\n x"
"""Cut by a tokeniser, it shows its rules: case, accents, marks, digits, scripts, white space and unknown signs."""
WEIGHTS, TOKENIZER, CONFIG = "model.safetensors", "tokenizer.json", "config.json"
_FORMULA = ("model_type", "hidden_act", "num_attention_heads", "layer_norm_eps")
"""What decides a feature beside the weights, and is called the same in every release of transformers."""
_POOLER = "pooler"  # not used
_POSITION_IDS = "position_ids"  # the numbers from 0 on, which older releases wrote and newer ones ignore


def fingerprint_of(
    params: BackboneParams,
    formula: Callable[[str], Any],
    vocabulary: Mapping[str, int],
    pieces: Sequence[int],
    weights: Iterable[tuple[str, Tensor]],
) -> str:
    """Hash of all that makes it this encoder and no other: weights, tokeniser, pooling, prompt, limit.

    How a tokeniser cuts a text is told by its vocabulary, and by what it makes of ``PROBE``. Its own files don't
    serve: each release of the library words the same rules in another way.

    Args:
        params: section ``backbone``.
        formula: gives an entry of the transformer's config, None where it has none.
        vocabulary: piece ids by piece.
        pieces: ids of ``PROBE``, special pieces included.
        weights: names and tensors, in float32 where they are numbers with fractions; in the order of their names.
    """
    rules = [params.pooling, params.prompt, params.max_tokens, *map(formula, _FORMULA)]
    digest = hashlib.sha256(json.dumps(rules).encode())
    digest.update(json.dumps([dict(vocabulary), list(pieces)], sort_keys=True).encode())
    for name, weight in weights:
        if _POOLER not in name:
            digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
            digest.update(weight.cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def fingerprint_of_files(params: BackboneParams, folder: Path) -> str | None:
    """The same of a folder's files, or None where they don't tell: in other formats, damaged, or not there.

    It may differ from that of the loaded encoder, where files name tensors in another way; if it is what is expected,
    all that is hashed is as it should be.
    """
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        vocabulary, pieces = _rules(folder / TOKENIZER)
        with safe_open(folder / WEIGHTS, framework="pt") as stored:
            names = [name for name in sorted(stored.keys()) if _POSITION_IDS not in name]
            weights = ((name, _as_run(stored.get_tensor(name))) for name in names)
            return fingerprint_of(params, config.get, vocabulary, pieces, weights)
    except (AttributeError, OSError, SafetensorError, ValueError, RecursionError):
        return None


def _as_run(weight: Tensor) -> Tensor:
    return weight.float() if weight.is_floating_point() else weight


def _rules(path: Path) -> tuple[dict[str, int], list[int]]:
    """Vocabulary of a tokeniser that cuts off and pads nothing, whatever its file says, and the pieces of ``PROBE``.

    Raises:
        OSError, ValueError: there is no such file, it holds something else, or can't cut the text.
    """
    content = path.read_text(encoding="utf-8")
    try:
        tokenizer = Tokenizer.from_str(content)
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer.get_vocab(), tokenizer.encode(PROBE).ids
    except Exception as error:  # the library has no class of its own for what it can't read or cut
        raise ValueError(str(error)) from error
