"""Texts to candidates: cosine with the embedding that was asked for, log probability, and what is banned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.encoder import Encoder
from lexivert.generation.base import Candidate, GeneratorParts
from lexivert.language_model.causal import CausalLanguageModel


def embed(encoder: Encoder, texts: Sequence[str]) -> Tensor:
    """Backbone embeddings of texts at unit length; each distinct text is embedded once. Shape: (B, S)."""
    distinct = list(dict.fromkeys(texts))
    place = {text: row for row, text in enumerate(distinct)}
    if not distinct:
        return torch.empty(0, encoder.backbone.width)
    found = np.ascontiguousarray(encoder.backbone.encode(distinct))
    rows = torch.tensor([place[text] for text in texts])
    return F.normalize(torch.from_numpy(found), dim=1)[rows]


def scored(parts: GeneratorParts, embeddings: Tensor, texts: Sequence[Sequence[str]]) -> list[list[Candidate]]:
    """Candidates of texts that were written for embeddings, in the order given.

    Args:
        parts: backbone, and language model if there is one.
        embeddings: unit length. Shape: (B, S).
        texts: any number for each embedding.
    """
    flat = [text for own in texts for text in own]
    owner = torch.tensor([row for row, own in enumerate(texts) for _ in own], dtype=torch.int64)
    cosines = (embed(parts.encoder, flat) * embeddings.cpu()[owner]).sum(dim=1).clamp(-1.0, 1.0).tolist()
    surprise = log_probabilities(parts.language_model, flat)
    found: list[list[Candidate]] = [[] for _ in texts]
    for row, text, cosine, logp in zip(owner.tolist(), flat, cosines, surprise, strict=True):
        found[row].append(Candidate(text, cosine, logp))
    return found


def log_probabilities(language_model: CausalLanguageModel | None, texts: Sequence[str]) -> list[float] | list[None]:
    """Log probability of each text in nats, each distinct one computed once; None without a language model."""
    if language_model is None:
        return [None] * len(texts)
    distinct = list(dict.fromkeys(texts))
    values = language_model.log_probability(distinct).tolist() if distinct else []
    known = dict(zip(distinct, values, strict=True))
    return [float(known[text]) for text in texts]


def ranked(candidates: Sequence[Candidate], count: int) -> list[Candidate]:
    """The nearest ``count`` of some candidates, each text once."""
    distinct = {candidate.text: candidate for candidate in candidates}
    return sorted(distinct.values(), key=lambda one: -one.cosine)[:count]
