"""Trains the conditional model of language-model search on the project's training sentences.

    python generation/train.py --root . --params generation/params.yaml

Writes models/generation/, metrics/conditional.json and metrics/plots/conditional.csv; resumes after a kill.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from lexivert import artifacts, commands
from lexivert.artifacts import Paths
from lexivert.config import STEP_UNIT, load_params
from lexivert.data.segments import read_encoded_texts
from lexivert.devices import choose_device
from lexivert.encoders.base import load_encoder
from lexivert.errors import LexivertError
from lexivert.generation import conditional_storage
from lexivert.generation.conditional_model import ConditionalSizes
from lexivert.generation.conditional_training import TokenTexts, nats_a_token, new_model, train_conditional
from lexivert.generation.params import load_generation_params
from lexivert.language_model import storage
from lexivert.language_model.causal import CausalLanguageModel
from lexivert.training.checkpoint import Checkpoint, fingerprint
from lexivert.training.curves import write_curves

VALID_TEXTS = 2000


def token_texts(language_model: CausalLanguageModel, paths: Paths, split: str) -> TokenTexts:
    """Sentences of a split in tokens, with their embeddings."""
    texts = read_encoded_texts(paths, split)
    return TokenTexts(language_model.tokens(texts.texts), texts.prefixes)


def main(
    root: Annotated[Path, typer.Option(help="Project folder after `dvc repro`.")] = Path(),
    params: Annotated[Path, typer.Option(help="The numbers of the run.")] = Path("params.yaml"),
) -> None:
    """Train, measure on validation sentences, and write."""
    numbers, paths = load_generation_params(params), Paths(root)
    backbone = load_params(root / "params.yaml").backbone
    device = choose_device(backbone.device)
    language_model = storage.load(paths.language_model, str(device))
    if language_model is None:
        raise LexivertError("language_model.model is none; language-model search needs one")
    texts = token_texts(language_model, paths, "train")
    own, end = numbers.conditional, language_model.start_id
    vectors = language_model.model.get_input_embeddings().weight.detach().float().cpu()
    sizes = ConditionalSizes(
        tokens=len(vectors),
        semantic_width=texts.embeddings.shape[1],
        hidden_dim=own.hidden_dim,
        layers=own.layers,
        heads=own.heads,
        positions=own.max_tokens + 1,
        end=end,
    )
    log_prior = texts.log_prior(len(vectors), end)
    model = new_model(vectors, log_prior, sizes, numbers.seed).to(device)
    mark = fingerprint(train_conditional.__module__, own, sizes, log_prior.numpy(), texts.embeddings.numpy())
    checkpoint = Checkpoint(paths.checkpoints / "conditional", mark)
    history = train_conditional(model, texts, log_prior, own, numbers.seed, checkpoint)
    valid = token_texts(language_model, paths, "valid")
    valid = TokenTexts(valid.tokens[:VALID_TEXTS], valid.embeddings[:VALID_TEXTS])
    conditional_storage.save(model, load_encoder(backbone).fingerprint(), paths.generation)
    with torch.inference_mode():
        total = -float(language_model.log_probability(list(map(language_model.text, valid.tokens))).sum())
    report = {
        "train_sentences": len(texts.tokens),
        "last": history[-1],
        "valid_nats_a_token": nats_a_token(model, valid),
        "valid_nats_a_token_language_model": total / sum(map(len, valid.tokens)),
        "weights": sum(weight.numel() for weight in model.parameters()),
    }
    artifacts.write_metrics(paths.metrics("conditional"), report)
    write_curves(paths.plots / "conditional.csv", history, "step", STEP_UNIT)
    checkpoint.clear()


if __name__ == "__main__":
    raise SystemExit(commands.run(lambda: typer.run(main), Path(__file__)))
