"""From unit codes and a semantic prefix to the sentence vector, and back to its two parts.

``z(x) = [ sqrt(a)·p(x) ; sqrt(1-a)·normalise( Σ_i R^i c(u_i) + s_n R^n c(EOS) ) ]``, with ``p(x)`` the normalised
backbone embedding: the prefix is an ordinary sentence embedding (truncate it off as with Matryoshka embeddings,
Kusupati et al. 2022), the rest is a superposition of bound unit codes (Plate 1995; Frady, Kleyko & Sommer 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.bindings import Binding
from lexivert.text.lexicon import EOS


def flatten(texts: Sequence[Sequence[int]], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor, Tensor]:
    """List the units of several texts with EOS behind each: row, position and unit id of every one.

    Shape: three int64 tensors (Σ (n_b + 1),).
    """
    lengths = torch.tensor([len(units) + 1 for units in texts], dtype=torch.int64, device=device)
    units = torch.tensor([unit for text in texts for unit in (*text, EOS)], dtype=torch.int64, device=device)
    rows = torch.repeat_interleave(torch.arange(len(texts), device=device), lengths)
    starts = torch.cumsum(lengths, 0) - lengths
    positions = torch.arange(len(units), device=device) - starts[rows]
    return rows, positions, units


def superpose(
    texts: Sequence[Sequence[int]], codes: Tensor, binding: Binding, eos_scale: Tensor | None = None
) -> Tensor:
    """Sum of bound unit codes of each text, EOS included, not normalised.

    Args:
        texts: B lists of unit ids.
        codes: unit codes, of the lengths that ``power`` gives them. Shape: (V, O), float16 or float32.
        binding: of positions for at least the longest text plus EOS.
        eos_scale: factor s of EOS's code at each position; None for 1 at all. Shape: (P,).

    Shape: (B, O) float32.
    """
    rows, positions, units = flatten(texts, codes.device)
    bound = binding.bind(codes[units].float(), positions)
    if eos_scale is not None:
        ends = units == EOS
        bound[ends] *= eos_scale[positions[ends], None]
    return bound.new_zeros(len(texts), codes.shape[1]).index_add_(0, rows, bound)


def join_parts(semantic: Tensor, order: Tensor, semantic_share: float) -> Tensor:
    """Lay out ``[sqrt(a)·p ; sqrt(1-a)·s/|s|]``.

    Shape: semantic (B, S), order (B, O), result (B, S + O) of unit length.
    """
    prefix = math.sqrt(semantic_share) * F.normalize(semantic, dim=-1)
    rest = math.sqrt(1.0 - semantic_share) * F.normalize(order, dim=-1)
    return torch.cat((prefix, rest), dim=-1)


def split_parts(vectors: Tensor, semantic_width: int) -> tuple[Tensor, Tensor]:
    """Undo ``join_parts``: the semantic and the order part, each scaled to unit length (a zero part stays zero).

    Shape: vectors (B, S + O), result (B, S) and (B, O).
    """
    semantic, order = parts_of(vectors, semantic_width)
    return F.normalize(semantic, dim=-1), F.normalize(order, dim=-1)


def parts_of(vectors: Tensor, semantic_width: int) -> tuple[Tensor, Tensor]:
    """The semantic and the order part as they are, whose lengths tell of noise. Shape: as of ``split_parts``."""
    return vectors[:, :semantic_width], vectors[:, semantic_width:]
