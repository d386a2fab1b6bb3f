from __future__ import annotations

import copy
import json

import gguf
import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from lexivert.language_model.gguf_model import read_gguf

WIDTH, HEADS, KEY_HEADS = 32, 4, 2
NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def neighbouring(values, heads):
    """Row by row: dimension d of a head's first half goes to place 2d, that of its second half to 2d + 1."""
    half = len(values) // heads // 2
    found = np.empty_like(values)
    for head in range(heads):
        for place in range(half):
            found[(head * half + place) * 2] = values[head * half * 2 + place]
            found[(head * half + place) * 2 + 1] = values[head * half * 2 + half + place]
    return found


def write(path, model, tokenizer, architecture="llama"):
    """A GGUF file in four bits, as llama.cpp's converter writes one."""
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_embedding_length(WIDTH)
    writer.add_feed_forward_length(64)
    writer.add_block_count(2)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KEY_HEADS)
    writer.add_context_length(512)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10000.0)
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list([surface for surface, _ in vocabulary])
    writer.add_token_types([3 if surface in {"<s>", "</s>"} else 1 for surface, _ in vocabulary])
    merges = json.loads(tokenizer.backend_tokenizer.to_str())["model"]["merges"]
    writer.add_token_merges([" ".join(pair) for pair in merges])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    for name, values in model.state_dict().items():
        own = values.numpy().astype(np.float32)
        short = name.removeprefix("model.")
        if short.startswith("layers."):
            _, layer, inside = short.removesuffix(".weight").split(".", 2)
            own = neighbouring(own, HEADS) if "q_proj" in name else own
            own = neighbouring(own, KEY_HEADS) if "k_proj" in name else own
            target = f"blk.{layer}.{NAMES[inside]}.weight"
        else:
            target = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}[
                short.removesuffix(".weight")
            ] + ".weight"
        if own.ndim == 1:
            writer.add_tensor(target, own)
        else:
            four_bits = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(target, gguf.quants.quantize(own, four_bits), raw_dtype=four_bits)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def original(tiny_language_model):
    return (
        AutoModelForCausalLM.from_pretrained(tiny_language_model, dtype=torch.float32),
        AutoTokenizer.from_pretrained(tiny_language_model),
    )


def in_four_bits(values):
    four_bits = gguf.GGMLQuantizationType.Q4_1
    own = values.numpy().astype(np.float32)
    return torch.from_numpy(gguf.quants.dequantize(gguf.quants.quantize(own, four_bits), four_bits))


def test_a_llama_is_read_as_it_was_but_for_four_bits(original, tmp_path):
    model, tokenizer = original
    write(tmp_path / "tiny.gguf", model, tokenizer)
    read, own = read_gguf(tmp_path / "tiny.gguf")
    expected = {name: in_four_bits(own) if own.ndim > 1 else own for name, own in model.state_dict().items()}
    for name, values in read.state_dict().items():
        torch.testing.assert_close(values, expected[name], msg=lambda found, name=name: f"{name}: {found}")
    coarse = copy.deepcopy(model)
    coarse.load_state_dict(expected)
    ids = torch.tensor([own("The silent owl watched 15 mills.")["input_ids"]])
    with torch.no_grad():
        torch.testing.assert_close(read(ids).logits, coarse(ids).logits, atol=1e-4, rtol=1e-4)


def test_its_tokeniser_cuts_as_the_original_but_for_digits(original, tmp_path):
    model, tokenizer = original
    write(tmp_path / "tiny.gguf", model, tokenizer)
    _, own = read_gguf(tmp_path / "tiny.gguf")
    for text in ("The silent owl, isn't it? 漢字 🙂", " rose", ""):
        assert own(text)["input_ids"] == tokenizer(text, add_special_tokens=False)["input_ids"]
    digits = own.convert_ids_to_tokens(own("1999")["input_ids"])
    assert digits == ["1", "9", "9", "9"]
    assert own.eos_token == own.bos_token == "</s>"  # the file has no <|endoftext|>
    assert own.decode(own("The owl 🙂")["input_ids"]) == "The owl 🙂"


def test_another_architecture_is_refused(original, tmp_path):
    write(tmp_path / "tiny.gguf", *original, architecture="gpt2")
    with pytest.raises(ValueError, match="a Llama with SmolLM's tokeniser is needed"):
        read_gguf(tmp_path / "tiny.gguf")
