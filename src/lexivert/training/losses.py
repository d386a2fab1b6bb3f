"""Losses: pure functions of tensors, each with its paper. Every one returns a scalar to be minimised."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def jittered(codes: Tensor, deviation: float) -> Tensor:
    """Positives for a contrastive loss: the codes with Gaussian noise, at unit length (SimCLR, Chen et al. 2020).

    Args:
        codes: unit length. Shape: (B, O).
        deviation: standard deviation per dimension.
    """
    return F.normalize(codes + deviation * torch.randn_like(codes), dim=-1)


def contrastive(own: Tensor, others: Tensor, excluded: Tensor, times: Tensor, temperature: float) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) of each anchor's positive against one shared set of candidates.

    A candidate that is the anchor's own unit, a unit that the head can't tell from it, or a synonym must be excluded:
    otherwise the loss has a floor that no embedding can lower (log 2 for one such candidate).

    Args:
        own: cosine of each anchor with its positive. Shape: (B,).
        others: cosine of each anchor with each candidate. Shape: (B, M).
        excluded: True where a candidate is no negative of the anchor. Shape: (B, M) bool.
        times: how many negatives a candidate stands for; 0 leaves it out. Shape: (M,).
        temperature: divides cosines, above 0.
    """
    scores = (others / temperature + torch.log(times.float())).masked_fill(excluded, -torch.inf)
    positive = own[:, None] / temperature
    return (torch.logsumexp(torch.cat((positive, scores), dim=1), dim=1) - positive[:, 0]).mean()


def reconstruction(predicted: Tensor, target: Tensor, scale: Tensor | float = 1.0) -> tuple[Tensor, Tensor]:
    """Autoencoder losses: squared error per dimension in units of ``scale``, and one minus the cosine.

    Args:
        predicted: Shape: (B, H).
        target: Shape: (B, H).
        scale: what counts as an error of 1, per dimension or one for all.
    """
    squared = ((predicted - target) / scale).square().mean()
    return squared, (1.0 - F.cosine_similarity(predicted, target, dim=-1)).mean()


def cosine_matrix(rows: Tensor) -> Tensor:
    """Cosine of every row with every row, by one matrix product: (B, B) numbers and not (B, B, D).

    Shape: rows (B, D), result (B, B).
    """
    unit = F.normalize(rows, dim=-1)
    return unit @ unit.T


def semantic_anchor(cosines: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference of two cosine matrices (relational knowledge distillation, Park et al. 2019).

    Args:
        cosines: of every code with every code, the trained side. Shape: (B, B).
        features: fixed side, no gradient. Shape: (B, H).
    """
    with torch.no_grad():
        target = cosine_matrix(features)
    return F.mse_loss(cosines, target)


def synonym_attraction(codes: Tensor, synonyms: Tensor, margin: float) -> Tensor:
    """Hinge on the cosine of a unit with its synonym (Mrkšić et al. 2016, counter-fitting's attraction term).

    Args:
        codes: Shape: (B, O).
        synonyms: row b is a synonym of row b of codes. Shape: (B, O). With B = 0 the loss is 0.
        margin: cosine above which there is nothing left to attract.
    """
    if len(codes) == 0:
        return codes.new_zeros(())
    return F.relu(margin - F.cosine_similarity(codes, synonyms, dim=-1)).mean()


def orthogonality(weight: Tensor) -> Tensor:
    """Mean squared cosine between the output directions of a layer (soft orthogonality, Bansal et al. 2018).

    Args:
        weight: rows are output directions. Shape: (O, hidden).
    """
    gram = cosine_matrix(weight)
    return torch.triu(gram.square(), diagonal=1).sum() * 2 / (len(weight) * (len(weight) - 1))
