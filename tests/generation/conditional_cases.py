"""A tiny conditional model over the tokens of the tiny language model, for tests of what is made of both."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from lexivert.generation.conditional_model import ConditionalModel, ConditionalSizes


def sizes(tokens: int, end: int, width: int = 32) -> ConditionalSizes:
    return ConditionalSizes(
        tokens=tokens, semantic_width=width, hidden_dim=16, feature_dim=8, layers=2, heads=2, positions=12, end=end
    )


def conditional(tokens: int = 40, end: int = 3, width: int = 32, seed: int = 0) -> ConditionalModel:
    """Untrained, its logits far from uniform."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vectors, log_prior = torch.randn(tokens, 16), torch.randn(tokens).log_softmax(dim=0)
        features, directions = torch.randn(tokens, 8) / 4, torch.randn(8, width) / 4
        model = ConditionalModel(sizes(tokens, end, width), vectors, features, directions, log_prior)
    return model.eval().requires_grad_(requires_grad=False)


def embeddings(count: int, width: int = 32, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=1)
