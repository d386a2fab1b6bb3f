"""Cross-entropy of held-out text under a prior, in nats a unit, by what the prior may know."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.priors.base import Belief, Prior
from lexivert.priors.selector_data import padded
from lexivert.priors.unigram import unigram

_TEXTS = 512
_AT_ONCE = 32


@torch.inference_mode()
def cross_entropies(prior: Prior, log_prior: Tensor, texts: EncodedTexts) -> dict[str, float]:
    """Mean ``-log p`` of the right unit over all units but EOS, exactly.

    Returns:
        ``unigram``; ``prefix``: given the clean semantic prefix; ``neighbours``: given all other units;
        ``prefix_and_neighbours``: both. All but the unigram figure know the text's
        length and thereby every position's place.
    """
    chosen = np.linspace(0, len(texts) - 1, min(_TEXTS, len(texts))).astype(int).tolist()
    sums = dict.fromkeys(("unigram", "prefix", "neighbours", "prefix_and_neighbours"), 0.0)
    count, device = 0, prior.output.bias.device
    log_unigram = unigram(log_prior.to(device)).output.bias.log_softmax(dim=0)
    for start in range(0, len(chosen), _AT_ONCE):
        rows = chosen[start : start + _AT_ONCE]
        truth, length = (part.to(device) for part in padded([texts.units[row] for row in rows]))
        inside = truth >= 0
        prefixes = texts.prefixes[rows].to(device)
        count += int(inside.sum())
        sums["unigram"] -= float(log_unigram[truth[inside]].sum())
        for name, prefix, known in (("prefix", 1, 0), ("neighbours", 0, 1), ("prefix_and_neighbours", 1, 1)):
            seen = truth if known else torch.full_like(truth, -1)
            cosine = prefixes.new_full((len(rows),), float(prefix))
            belief = Belief.certain(seen, length, prefixes, cosine)
            logits = prior.output.logits(prior.queries(belief)[inside])
            sums[name] += float(torch.nn.functional.cross_entropy(logits, truth[inside], reduction="sum"))
    return {name: total / count for name, total in sums.items()}
