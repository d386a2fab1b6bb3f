"""Stage ``collapse``: does anything that predicts vectors collapse to their mean, and can what it predicts be read?

Three networks predict vectors here. The token head's reconstruction predicts backbone features from codes. The
Selector, given the units around a position and the semantic prefix or one of them, predicts what stands there: the
expected code ``Σ p(u)·c(u)``. Superposed position by position, those expected codes make a predicted sentence vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.codes.token_head import TokenHead
from lexivert.config import Params
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.segments import read_encoded_texts
from lexivert.data.unit_split import heldout_units
from lexivert.evaluation import geometry, metrics
from lexivert.evaluation.decoders import in_batches, unit_ids
from lexivert.evaluation.texts import choose_texts, embedded, fitting, with_texts
from lexivert.model import Lexivert
from lexivert.priors.base import Belief, Prior
from lexivert.priors.selector_data import padded
from lexivert.text.lexicon import EOS
from lexivert.training.collapse import anisotropy

CONTEXTS = {"prefix": (True, False), "neighbours": (False, True), "prefix_and_neighbours": (True, True)}
"""What the Selector may know: the semantic prefix, and all other units of the text."""
_AT_ONCE = 16
_MOST_UNITS = 2000  # held-out units whose features are reconstructed


@dataclass(frozen=True)
class Predicted:
    """Predictions for every position of some texts, one after the other: B positions in all.

    Attributes:
        codes: expected codes. Shape: (B, O).
        likeliest: the likeliest unit at each. Shape: (B,).
    """

    codes: Tensor
    likeliest: Tensor


def run_collapse(paths: Paths, params: Params) -> None:
    """Write metrics/collapse.json."""
    model = Lexivert.load(paths.root)
    heldout = _heldout(model.encoder, read_encoded_texts(paths, "test"), params.collapse.texts, params.seed)
    report: dict[str, Any] = {
        "texts": len(heldout),
        "reconstruction": _reconstruction(paths, params, model.encoder),
        **selector_report(model, heldout),
    }
    artifacts.write_metrics(paths.metrics("collapse"), report)


def _heldout(encoder: Encoder, test: EncodedTexts, count: int, seed: int) -> EncodedTexts:
    chosen = with_texts(test, choose_texts(test.texts, count, seed))
    chosen = fitting(chosen, encoder.config.code.max_units)
    rows = np.sort(np.random.default_rng(seed).permutation(len(chosen))[:count])
    return embedded(encoder, chosen.only(rows.tolist()))


def selector_report(model: Lexivert, heldout: EncodedTexts) -> dict[str, Any]:
    """Expected codes against true ones, by what the Selector knows, and what is read from the best of them."""
    codes, codebook = model.encoder.codes, model.decoder.codebook
    truth = codes[_flat(heldout)].float()
    usage = codebook.log_prior.double().exp()
    mean = expected_codes(usage[None].float() / usage.sum().float(), codes)[0]
    report: dict[str, Any] = {}
    for name, (prefix, neighbours) in CONTEXTS.items():
        predicted = predict(model.decoder.parts.prior, codes, heldout, prefix=prefix, neighbours=neighbours)
        report[name] = prediction_report(predicted, truth, mean, heldout, codes)
    return report | {"reading": reading_report(model, heldout, predicted.codes, mean)}  # with all that can be known


def moments_report(predicted: Tensor, true: Tensor) -> dict[str, float]:
    """Moments of predicted against true rows, as they are and with every row at unit length. Shape: (B, D) twice."""
    unit = geometry.moments(F.normalize(predicted, dim=-1), F.normalize(true, dim=-1))
    both = {"raw": geometry.moments(predicted, true), "normalised": unit}
    return {f"{kind}_{name}": value for kind, found in both.items() for name, value in asdict(found).items()}


def against_mean(predicted: Tensor, true: Tensor, mean: Tensor) -> dict[str, float]:
    """Cosine of predictions with the truth beside that of one mean vector, and whether predictions are all alike.

    Args:
        predicted: Shape: (B, D).
        true: Shape: (B, D).
        mean: the best constant guess, from training data. Shape: (D,).

    Returns:
        ``cosine`` and ``cosine_of_mean_vector``; ``cosine_centred``: with the mean taken off both sides;
        ``anisotropy``: the mean cosine of two predictions, 1 if all are alike; ``true_anisotropy``.
    """
    return {
        "cosine": float(F.cosine_similarity(predicted, true, dim=-1).mean()),
        "cosine_of_mean_vector": float(F.cosine_similarity(mean[None], true, dim=-1).mean()),
        "cosine_centred": float(F.cosine_similarity(predicted - mean, true - mean, dim=-1).mean()),
        "anisotropy": float(anisotropy(predicted)),
        "true_anisotropy": float(anisotropy(true)),
    }


def _reconstruction(paths: Paths, params: Params, encoder: Encoder) -> dict[str, float]:
    """Features of held-out units restored from their codes."""
    heldout = np.flatnonzero(heldout_units(encoder.segmenter.lexicon, params))
    units = np.sort(np.random.default_rng(params.seed).permutation(heldout)[:_MOST_UNITS])
    if len(units) < 2:
        return {"units": len(units)}
    head = TokenHead.load(paths.token_head)
    true = torch.from_numpy(artifacts.read_array(paths.unit_features, mmap=True)[units].astype(np.float32))
    with torch.inference_mode():
        predicted = head.reconstruct(F.normalize(encoder.codes[units].float(), dim=-1))
    figures = against_mean(predicted, true, head.centre) | moments_report(predicted, true)
    return {"units": len(units), **figures}


def expected_codes(probabilities: Tensor, codes: Tensor, block: int = 16_384) -> Tensor:
    """``Σ p(u)·c(u)``. Shape: probabilities (B, V), codes (V, O), result (B, O)."""
    total = probabilities.new_zeros(len(probabilities), codes.shape[1])
    for start in range(0, len(codes), block):
        total += probabilities[:, start : start + block] @ codes[start : start + block].float()
    return total


@torch.inference_mode()
def predict(prior: Prior, codes: Tensor, heldout: EncodedTexts, *, prefix: bool, neighbours: bool) -> Predicted:
    """What a prior expects, without any evidence of what stands at the positions themselves.

    Args:
        prior: the Selector's, or any other.
        codes: of all units. Shape: (V, O).
        heldout: B texts.
        prefix: whether their prefixes are known.
        neighbours: whether all other units are known.
    """
    device = codes.device

    def of_texts(rows: Tensor) -> list[tuple[Tensor, Tensor]]:
        truth, length = (part.to(device) for part in padded([heldout.units[row] for row in rows.tolist()]))
        known = truth if neighbours else torch.full_like(truth, -1)
        cosine = torch.full((len(rows),), float(prefix), device=device)
        belief = Belief.certain(known, length, heldout.prefixes[rows].to(device), cosine)
        probabilities = prior.output.logits(prior.queries(belief)[truth >= 0]).softmax(dim=-1)
        return [(expected_codes(probabilities, codes), probabilities.argmax(dim=-1))]

    found = in_batches(of_texts, [torch.arange(len(heldout))], _AT_ONCE, "predicting units")
    predicted, likeliest = zip(*found, strict=True)
    return Predicted(torch.cat(predicted), torch.cat(likeliest))


def prediction_report(
    predicted: Predicted, truth: Tensor, mean: Tensor, heldout: EncodedTexts, codes: Tensor
) -> dict[str, float]:
    """Figures of one kind of prediction.

    ``likeliest_is_right``: share of positions whose likeliest unit is right; ``commonest_is_right``: what the unit
    that is most frequent in these very texts gets as a guess for all positions.
    """
    units = _flat(heldout)
    commonest = torch.bincount(units, minlength=len(codes)).max()
    return {
        **against_mean(predicted.codes, truth, mean),
        **moments_report(predicted.codes, truth),
        "likeliest_is_right": float((units == predicted.likeliest).float().mean()),
        "commonest_is_right": float(commonest) / len(units),
    }


def _flat(texts: EncodedTexts) -> Tensor:
    """Units of all texts, one after the other. Shape: (B,)."""
    return torch.tensor([unit for units in texts.units for unit in units])


def superpose_predicted(codes: Tensor, units: Sequence[Sequence[int]], encoder: Encoder) -> Tensor:
    """Order parts made of predicted codes in place of unit codes, EOS included, not normalised.

    Shape: codes (Σ n_b, O), result (B, O).
    """
    eos = encoder.codes[EOS].float()[None]
    total = torch.zeros(len(units), codes.shape[1])
    start = 0
    for row, text in enumerate(units):
        positions = torch.arange(len(text) + 1)
        part = torch.cat((codes[start : start + len(text)], eos * encoder.eos_scale[len(text)]))
        total[row] = encoder.binding.bind(part, positions).sum(0)
        start += len(text)
    return total


def reading_report(model: Lexivert, heldout: EncodedTexts, codes: Tensor, mean: Tensor) -> dict[str, Any]:
    """What is read from a vector as it is summed, at unit length, and as it is predicted, raw and at unit length.

    A decoder trained on raw encoder output reads nothing from normalised vectors; for this one the first two rows
    must be alike. What the predicted ones lose is what the Selector's guesses lack. Beside them the mean code at
    every place. Both are given the text's length and its EOS, whose code is far longer than a guess.

    Args:
        model: reads.
        heldout: B texts.
        codes: predicted for all their positions. Shape: (Σ n_b, O).
        mean: of unit codes. Shape: (O,).
    """
    encoder = model.encoder
    raw = encoder.superpose(heldout.units)
    predicted = superpose_predicted(codes, heldout.units, encoder)
    constant = superpose_predicted(mean.expand(len(codes), -1), heldout.units, encoder)
    given = {
        "encoder_raw": raw,
        "encoder_normalised": F.normalize(raw, dim=-1),
        "predicted_raw": predicted,
        "predicted_normalised": F.normalize(predicted, dim=-1),
        "mean_vector": constant,
    }
    report: dict[str, Any] = {"moments": moments_report(predicted, raw)}
    report["cosine_of_predicted_vectors"] = metrics.mean_cosine(raw, predicted)
    report["cosine_of_mean_vector"] = metrics.mean_cosine(raw, constant)
    for name, order in given.items():
        vectors = torch.cat((heldout.prefixes, order), dim=1)
        label = name.replace("_", " ")
        readings = in_batches(lambda part: model.read(part.numpy()), [vectors], _AT_ONCE, label)
        texts = [reading.text for reading in readings]
        report[name] = {
            "exact_match": metrics.exact_match(heldout.texts, texts),
            "unit_accuracy": metrics.unit_accuracy(heldout.units, unit_ids(model, readings)),
            "token_f1": metrics.token_f1(heldout.texts, texts),
        }
    return report
