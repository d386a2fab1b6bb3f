"""Conditions made of a trained model: fewer order dimensions, another lexicon, vectors sent through a corruption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert.codes.bindings import BINDINGS
from lexivert.codes.codebook import Codebook
from lexivert.codes.corruption import STORAGE, add_noise
from lexivert.codes.superposition import join_parts, parts_of
from lexivert.config import IndexParams, ModelConfig
from lexivert.controller.base import Parts
from lexivert.priors.base import Prior
from lexivert.search.output_layer import OutputLayer
from lexivert.search.unit_index import UnitIndex


def at_width(codes: Tensor, width: int) -> Tensor:
    """Unit codes of a narrower order part: leading dimensions, as long as before. Shape: (V, O) to (V, width)."""
    if width == codes.shape[1]:
        return codes
    lengths = codes.float().norm(dim=-1, keepdim=True)
    narrow: Tensor = (F.normalize(codes[:, :width].float(), dim=-1) * lengths).half()
    return narrow


def with_codes(parts: Parts, codes: Tensor, config: ModelConfig) -> Parts:
    """The same parts for other unit codes, of any width; EOS keeps its energies.

    Args:
        parts: prior and rules are taken over.
        codes: Shape: (V, width) float16.
        config: kind and seed of the binding, and widths of the index, which is a Flat one.
    """
    positions = parts.codebook.binding.positions
    binding = BINDINGS.make(config.code.binding)(codes.shape[1], positions, config.seed)
    eos_nats = parts.codebook.eos_nats * codes.shape[1] / parts.codebook.width
    codebook = replace(parts.codebook, codes=codes, binding=binding, eos_nats=eos_nats)
    return replace(parts, index=flat_index(codes, config.index), codebook=codebook)


def with_lexicon(parts: Parts, units: int, config: ModelConfig) -> Parts:
    """The same parts for a lexicon of another size: the most used units, or all and units that no text has.

    The further units have random codes and the prior of a unit that was never met.
    """
    known, output = parts.codebook, parts.prior.output
    count = len(known)
    more = max(units - count, 0)
    generator = torch.Generator().manual_seed(config.seed)
    rarest = known.codes[known.log_prior.argmin()].float().norm().cpu()
    random = (F.normalize(torch.randn(more, known.width, generator=generator), dim=-1) * rarest).half()
    codes = torch.cat((known.codes[:units], random.to(known.device)))
    log_prior = torch.cat((known.log_prior[:units], known.log_prior.min().expand(more)))
    weight = torch.cat((output.weight[:units], output.weight.new_zeros(more, output.weight.shape[1])))
    bias = torch.cat((output.bias[:units], output.bias.quantile(0.05).expand(more)))
    return replace(
        parts,
        codebook=replace(known, codes=codes, log_prior=log_prior),
        index=flat_index(codes, config.index),
        prior=_with_output(parts.prior, OutputLayer(weight, bias)),
    )


def _with_output(prior: Prior, output: OutputLayer) -> Prior:
    """The same prior, a dataclass, over other units."""
    changed: Prior = replace(cast("Any", prior), output=output)
    return changed


def flat_index(codes: Tensor, params: IndexParams) -> UnitIndex:
    """An exact index over other codes. Shape: (V, O) float16."""
    dims = min(params.search_dims or codes.shape[1], codes.shape[1])
    return UnitIndex.build(codes, params.model_copy(update={"factory": "Flat", "search_dims": dims}))


def send(
    units: Sequence[Sequence[int]], prefixes: Tensor, codebook: Codebook, cosine: float, storage: str, seed: int
) -> tuple[Tensor, Tensor]:
    """Write texts as full vectors, add noise, store them, and split what comes back.

    Args:
        units: B texts.
        prefixes: clean ones. Shape: (B, S).
        codebook: codes and binding.
        cosine: of the noisy full vector with the clean one.
        storage: a key of ``STORAGE``.
        seed: of the noise.

    Shape: order parts (B, O) and prefixes (B, S), as long as in the vectors.
    """
    order = codebook.superpose(units)
    clean = join_parts(prefixes.to(order.device), order, codebook.semantic_share)
    level = torch.full((len(clean),), cosine, device=clean.device)
    noisy = add_noise(clean, level, torch.Generator().manual_seed(seed))
    prefix, order = parts_of(STORAGE[storage](noisy), prefixes.shape[1])
    return order, prefix
