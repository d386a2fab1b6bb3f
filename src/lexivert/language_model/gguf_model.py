"""Reads a Llama from a GGUF file: weights dequantised once, since packed ones compute slowly, and the tokeniser.

llama.cpp turns pairs of neighbouring dimensions, transformers those half a head apart: the rows of the query and key
projections stand in another order there and are put back.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

_BLOCK = re.compile(r"blk\.(\d+)\.(\w+)\.weight")
_IN_BLOCK = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_OUTSIDE = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_CONTROL = 3  # kind of a token that no text spells
_START = "<|endoftext|>"
"""What SmolLM2's training texts stand behind; the file's own start token begins a turn of a chat."""


def read_gguf(path: Path) -> tuple[Any, Any]:
    """A ``LlamaForCausalLM`` in float32 and its tokeniser.

    Raises:
        KeyError, ValueError: the file is no Llama with a tokeniser of byte pairs that splits digits.
    """
    from gguf import GGUFReader
    from transformers import LlamaForCausalLM

    reader = GGUFReader(path)
    if _field(reader, "general.architecture") != "llama" or _field(reader, "tokenizer.ggml.pre") != "smollm":
        raise ValueError("a Llama with SmolLM's tokeniser is needed")
    weights = dict(_weight(reader, tensor) for tensor in reader.tensors)
    model = LlamaForCausalLM(_config(reader, tied="lm_head.weight" not in weights))
    if model.config.tie_word_embeddings:
        weights["lm_head.weight"] = weights["model.embed_tokens.weight"]
    model.load_state_dict(weights)
    return model, _tokenizer(reader)


def _field(reader: Any, key: str) -> Any:
    """Content of a field.

    Raises:
        KeyError: there is none.
    """
    return reader.fields[key].contents()


def _config(reader: Any, *, tied: bool) -> Any:
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=len(_field(reader, "tokenizer.ggml.tokens")),
        hidden_size=_field(reader, "llama.embedding_length"),
        intermediate_size=_field(reader, "llama.feed_forward_length"),
        num_hidden_layers=_field(reader, "llama.block_count"),
        num_attention_heads=_field(reader, "llama.attention.head_count"),
        num_key_value_heads=_field(reader, "llama.attention.head_count_kv"),
        max_position_embeddings=_field(reader, "llama.context_length"),
        rms_norm_eps=_field(reader, "llama.attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": _field(reader, "llama.rope.freq_base")},
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=_field(reader, "tokenizer.ggml.eos_token_id"),
    )


def _weight(reader: Any, tensor: Any) -> tuple[str, Tensor]:
    """Name and values of a weight as transformers has them."""
    from gguf.quants import dequantize

    values = np.array(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)
    inside = _BLOCK.fullmatch(tensor.name)
    if inside is None:
        return _OUTSIDE[tensor.name], torch.from_numpy(values)
    if inside[2] in {"attn_q", "attn_k"}:
        count = "llama.attention.head_count" + ("_kv" if inside[2] == "attn_k" else "")
        values = _by_halves(values, _field(reader, count))
    return f"model.layers.{inside[1]}.{_IN_BLOCK[inside[2]]}.weight", torch.from_numpy(values)


def _by_halves(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """Rows in the order that pairs dimensions half a head apart. Shape: (heads · width, H)."""
    pairs = values.reshape(heads, -1, 2, values.shape[1])
    return np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(values.shape)


def _tokenizer(reader: Any) -> Any:
    """Byte pairs, digits one by one."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    surfaces = _field(reader, "tokenizer.ggml.tokens")
    merges = [tuple(pair.split(" ")) for pair in _field(reader, "tokenizer.ggml.merges")]
    backend = Tokenizer(models.BPE({surface: place for place, surface in enumerate(surfaces)}, merges))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.decoder = decoders.ByteLevel()
    kinds = _field(reader, "tokenizer.ggml.token_type")
    control = [surface for surface, kind in zip(surfaces, kinds, strict=True) if kind == _CONTROL]
    backend.add_special_tokens([AddedToken(surface, special=True, normalized=False) for surface in control])
    end = surfaces[_field(reader, "tokenizer.ggml.eos_token_id")]
    start = _START if _START in surfaces else end
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=start, eos_token=end)
