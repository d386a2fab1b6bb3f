"""Stage ``conditional``: trains the small transformer that proposes tokens in language-model search."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.errors import LexivertError

_VALID_TEXTS = 500


def run(paths: Paths, params: Params) -> None:
    """Write models/generation/conditional/, its metrics and curves; resumes after a kill.

    Raises:
        LexivertError: there is no language model, the tokens' features are wider than the embeddings, or all
            sentences are longer than what is trained on.
    """
    import torch

    from lexivert.data.segments import read_encoded_texts
    from lexivert.devices import choose_device
    from lexivert.encoders.base import load_encoder
    from lexivert.generation import conditional_storage
    from lexivert.generation.conditional_model import ConditionalSizes
    from lexivert.generation.conditional_training import (
        TokenTexts,
        nats_a_token,
        new_model,
        token_embeddings,
        train_conditional,
    )
    from lexivert.generation.params import STEPS_A_POINT, load_generation_params
    from lexivert.language_model import storage
    from lexivert.training.checkpoint import Checkpoint, fingerprint
    from lexivert.training.curves import write_curves

    numbers = load_generation_params(paths.root / "generation" / "params.yaml")
    own, device = numbers.conditional, choose_device(params.backbone.device)
    language_model = storage.load(paths.language_model, str(device))
    if language_model is None:
        raise LexivertError("stage conditional needs a language model, but language_model.model is none")

    sentences = {split: read_encoded_texts(paths, split) for split in ("train", "valid")}
    width = sentences["train"].prefixes.shape[1]
    if own.feature_dim > width:
        raise LexivertError(
            f"generation/params.yaml: conditional.feature_dim is {own.feature_dim}, but the backbone's embeddings "
            f"have {width} dimensions; it may be {width} at most"
        )
    tokens = {split: language_model.tokens(own.texts) for split, own in sentences.items()}
    texts = TokenTexts(tokens["train"], sentences["train"].prefixes)
    if not texts.no_longer_than(own.max_tokens).tokens:
        raise LexivertError(
            f"generation/params.yaml: conditional.max_tokens is {own.max_tokens}, but no training sentence is as "
            f"short; the shortest has {min(map(len, texts.tokens))} tokens"
        )
    rows = range(0, len(tokens["valid"]), max(len(tokens["valid"]) // _VALID_TEXTS, 1))  # of all documents
    valid = TokenTexts([tokens["valid"][row] for row in rows], sentences["valid"].prefixes[list(rows)])
    valid_texts = [sentences["valid"].texts[row] for row in rows]
    vectors = language_model.model.get_input_embeddings().weight.detach().float().cpu()
    sizes = ConditionalSizes(
        tokens=len(vectors),
        semantic_width=width,
        hidden_dim=own.hidden_dim,
        feature_dim=own.feature_dim,
        layers=own.layers,
        heads=own.heads,
        positions=own.max_tokens + 1,
        end=language_model.start_id,
    )
    log_prior = texts.log_prior(sizes.tokens, sizes.end)
    backbone = load_encoder(params.backbone)
    embeddings = token_embeddings(language_model, backbone, sizes.tokens)
    model = new_model(vectors, embeddings, log_prior, sizes, numbers.seed).to(device)
    mark = fingerprint(__name__, own, numbers.seed, sizes, log_prior.numpy(), texts.embeddings.numpy())
    checkpoint = Checkpoint(paths.checkpoints / "conditional", mark)
    history = train_conditional(model, texts, log_prior, own, numbers.seed, checkpoint)
    folder = paths.generation / conditional_storage.FOLDER
    conditional_storage.save(model, backbone.fingerprint(), folder)
    with torch.inference_mode():
        total = -float(language_model.log_probability(valid_texts).sum())
    report = {
        "train_sentences": len(texts.tokens),
        "last": history[-1],
        "valid_nats_a_token": nats_a_token(model, valid),
        "valid_nats_a_token_language_model": total / max(sum(map(len, valid.tokens)), 1),
        "weights": sum(weight.numel() for weight in model.parameters()),
    }
    artifacts.write_metrics(paths.metrics("generation/conditional"), report)
    write_curves(paths.metrics("generation/conditional").with_suffix(".csv"), history, "step", STEPS_A_POINT)
    checkpoint.clear()
