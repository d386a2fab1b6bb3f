"""Stage ``soft_prompt``: fine-tunes the language model behind a soft prompt; meant for a GPU of 80 GB."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params
from lexivert.errors import LexivertError


def run(paths: Paths, params: Params) -> None:
    """Write models/generation/soft_prompt/, which holds nothing after 0 steps, and its metrics; resumes after a kill.

    Raises:
        LexivertError: there is no language model.
    """
    import copy

    import torch

    from lexivert.data.segments import read_encoded_texts
    from lexivert.devices import choose_device
    from lexivert.encoders.base import load_encoder
    from lexivert.generation import prompted_generator, soft_prompt
    from lexivert.generation.params import load_generation_params
    from lexivert.generation.soft_prompt import PromptedModel, SoftPromptSizes
    from lexivert.generation.soft_prompt_training import train_soft_prompt
    from lexivert.language_model import storage
    from lexivert.training.checkpoint import Checkpoint, fingerprint

    own = load_generation_params(paths.root / "generation" / "params.yaml")
    rules, seed, device = own.soft_prompt, own.seed, choose_device(params.backbone.device)
    folder = paths.generation / prompted_generator.FOLDER
    if not rules.steps:
        soft_prompt.save_nothing(folder)
        artifacts.write_metrics(paths.metrics("generation/soft_prompt"), {"train_sentences": 0})
        return
    language_model = storage.load(paths.language_model, params.backbone.device)
    if language_model is None:
        raise LexivertError("stage soft_prompt needs a language model, but language_model.model is none")
    width = ModelConfig.load(artifacts.require(paths.index)).semantic_width
    texts = read_encoded_texts(paths, "train")
    end = language_model.tokenizer.eos_token_id
    tokens = [[*listed, end] for listed in language_model.tokens(texts.texts)]
    rows = [row for row, listed in enumerate(tokens) if len(listed) <= rules.max_train_tokens]
    tokens, prefixes = [tokens[row] for row in rows], texts.prefixes[rows]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = copy.deepcopy(language_model.model).float()  # the other one is shared
        sizes = SoftPromptSizes(width, model.get_input_embeddings().weight.shape[1], rules.prompt_tokens)
        prompted = PromptedModel(sizes, model).to(device)
    mark = fingerprint(__name__, rules, seed, sizes, params.language_model, tokens, prefixes.numpy())
    checkpoint = Checkpoint(paths.checkpoints / "soft_prompt", mark, every=200)
    curves = train_soft_prompt(prompted, tokens, prefixes, rules, seed, checkpoint)
    prompted.model.to(language_model.dtype)
    soft_prompt.save(prompted, language_model.tokenizer, load_encoder(params.backbone).fingerprint(), folder)
    artifacts.write_metrics(
        paths.metrics("generation/soft_prompt"), {"train_sentences": len(tokens), "last": curves[-1]}
    )
    checkpoint.clear()
