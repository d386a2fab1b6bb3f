"""What may happen to a vector between writing and reading: a narrower order part, noise, storage in few bits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.bindings import RotaryBinding
from lexivert.codes.codebook import Codebook
from lexivert.codes.corruption import add_noise
from lexivert.codes.superposition import join_parts, split_parts, superpose
from lexivert.config import IndexParams
from lexivert.controller.cascade import Cascade
from lexivert.priors.base import Prior
from lexivert.search import faiss_index
from lexivert.search.faiss_index import UnitIndex


def sign_bits(vectors: Tensor) -> Tensor:
    """One bit a dimension: the sign alone. Shape: (B, D)."""
    signs: Tensor = torch.where(vectors >= 0, 1.0, -1.0) / vectors.shape[1] ** 0.5
    return signs


def int8(vectors: Tensor) -> Tensor:
    """Eight bits a dimension, scaled by each vector's largest entry. Shape: (B, D)."""
    step = vectors.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127.0
    rounded: Tensor = (vectors / step).round().clamp(-127, 127) * step
    return rounded


STORAGE: dict[str, Callable[[Tensor], Tensor]] = {
    "float32": lambda vectors: vectors,
    "float16": lambda vectors: vectors.half().float(),
    "int8": int8,
    "sign": sign_bits,
}
"""Ways to keep a vector, and what is left of it."""


def at_width(codes: Tensor, width: int) -> Tensor:
    """Unit codes of a narrower order part: leading dimensions, at unit length again. Shape: (V, O) to (V, width)."""
    return codes if width == codes.shape[1] else F.normalize(codes[:, :width].float(), dim=-1).half()


def with_codes(decoder: Cascade, codes: Tensor, params: IndexParams, seed: int) -> Cascade:
    """The same controller for other unit codes, of any width.

    Args:
        decoder: Selector, unigram prior and rules are taken over.
        codes: Shape: (V, width) float16.
        params: of the index; a Flat one is built.
        seed: of the rotations.
    """
    binding = RotaryBinding(codes.shape[1], decoder.codebook.binding.positions, seed)
    return decoder.changed(
        index=flat_index(codes, params), codebook=replace(decoder.codebook, codes=codes, binding=binding)
    )


def with_lexicon(decoder: Cascade, units: int, params: IndexParams, seed: int) -> Cascade:
    """The same controller for a lexicon of another size: the most used units, or all and units that no text has.

    The further units have random codes and the prior of a unit that was never met.
    """
    known, prior = decoder.codebook, decoder.proposer.prior
    count = len(known.codes)
    more = max(units - count, 0)
    generator = torch.Generator().manual_seed(seed)
    random = F.normalize(torch.randn(more, known.codes.shape[1], generator=generator), dim=-1).half()
    codes = torch.cat((known.codes[:units], random))
    log_prior = torch.cat((known.log_prior[:units], known.log_prior.min().expand(more)))
    table = torch.cat((prior.table[:units], torch.zeros(more, prior.table.shape[1])))
    table[count:, -1] = prior.table[:, -1].quantile(0.05)
    codebook = replace(known, codes=codes, log_prior=log_prior)
    return decoder.changed(prior=Prior(table, prior.selector), index=flat_index(codes, params), codebook=codebook)


def flat_index(codes: Tensor, params: IndexParams) -> UnitIndex:
    """An exact index over other codes. Shape: (V, O) float16."""
    dims = min(params.search_dims or codes.shape[1], codes.shape[1])
    flat = params.model_copy(update={"factory": "Flat", "search_dims": dims})
    return UnitIndex(codes.numpy(), faiss_index.build(codes.numpy(), flat), flat)


def send(
    units: Sequence[Sequence[int]], semantic: Tensor, codebook: Codebook, cosine: float, storage: str, seed: int
) -> tuple[Tensor, Tensor]:
    """Write texts as full vectors, add noise, store them, and split what comes back.

    Args:
        units: B texts.
        semantic: clean prefixes. Shape: (B, S).
        codebook: codes and rotations.
        cosine: of the noisy full vector with the clean one.
        storage: a key of ``STORAGE``.
        seed: of the noise.

    Shape: order parts (B, O) and prefixes (B, S), unit length.
    """
    clean = join_parts(semantic, superpose(units, codebook.codes, codebook.binding), codebook.semantic_share)
    noisy = add_noise(clean, torch.full((len(clean),), cosine), torch.Generator().manual_seed(seed))
    stored = STORAGE[storage](noisy)
    prefix, order = split_parts(stored, semantic.shape[1])
    return F.normalize(order, dim=-1), F.normalize(prefix, dim=-1)
