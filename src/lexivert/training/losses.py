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


def contrastive(
    anchors: Tensor, positives: Tensor, negatives: Tensor, excluded: Tensor, temperature: float
) -> Tensor:
    """InfoNCE (van den Oord et al. 2018) of each anchor's positive against one shared set of negatives.

    A candidate that is the anchor's own unit, a unit that the head can't tell from it, or a synonym must be excluded:
    otherwise the loss has a floor that no embedding can lower (log 2 for one such candidate).

    Args:
        anchors: unit length. Shape: (B, O).
        positives: row b belongs to anchor b. Shape: (B, O).
        negatives: Shape: (M, O).
        excluded: True where a candidate is no negative of the anchor. Shape: (B, M) bool.
        temperature: divides cosines, above 0.
    """
    own = (anchors * positives).sum(-1, keepdim=True) / temperature
    others = (anchors @ negatives.T / temperature).masked_fill(excluded, -torch.inf)
    return (torch.logsumexp(torch.cat((own, others), dim=-1), dim=-1) - own[:, 0]).mean()


def candidate_infonce(
    query: Tensor, candidates: Tensor, target_index: Tensor, bias: Tensor | None = None, temperature: float = 1.0
) -> Tensor:
    """InfoNCE of each query over its own candidates (van den Oord et al. 2018).

    Args:
        query: Shape: (M, O).
        candidates: Shape: (M, K, O).
        target_index: the right candidate. Shape: (M,) int64.
        bias: added to the scores after the division, such as a log prior; -inf takes a candidate out. Shape: (M, K).
        temperature: divides inner products, above 0.
    """
    scores = torch.einsum("mo,mko->mk", query, candidates) / temperature
    return F.cross_entropy(scores if bias is None else scores + bias, target_index)


def symmetric_infonce(left: Tensor, right: Tensor, temperature: float) -> Tensor:
    """InfoNCE of row against row in both directions, the other rows being negatives (CLIP, Radford et al. 2021).

    Shape: left and right (B, O), unit length.
    """
    scores = left @ right.T / temperature
    target = torch.arange(len(left), device=left.device)
    return (F.cross_entropy(scores, target) + F.cross_entropy(scores.T, target)) / 2


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


def semantic_anchor(codes: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference of two cosine matrices (relational knowledge distillation, Park et al. 2019).

    Args:
        codes: trained side. Shape: (B, O).
        features: fixed side, no gradient. Shape: (B, H).
    """
    with torch.no_grad():
        target = cosine_matrix(features)
    return F.mse_loss(cosine_matrix(codes), target)


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


def moment_matching(raw: Tensor, target: Tensor) -> Tensor:
    """Squared difference of means and of standard deviations, per dimension over rows (Li, Swersky & Zemel 2015).

    Shape: raw and target (M, O) with M of at least 2.
    """
    mean = (raw.mean(0) - target.mean(0)).square().mean()
    deviation = (raw.std(0) - target.std(0)).square().mean()
    return mean + deviation


def variance_floor(rows: Tensor, floor: float) -> Tensor:
    """Hinge on the standard deviation per dimension, against collapse (VICReg, Bardes, Ponce & LeCun 2022).

    Shape: rows (M, O) with M of at least 2.
    """
    return F.relu(floor - (rows.var(0) + 1e-8).sqrt()).mean()
