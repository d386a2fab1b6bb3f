"""Stage ``collapse``: does anything that predicts vectors collapse to their mean, and can what it predicts be read?

Three networks predict vectors here. The token head's reconstruction predicts backbone features from codes. The
Selector, given the units around a position and the semantic prefix or one of them, predicts what stands there: its
intention vector is the expected code ``Σ p(u)·c(u)``. Superposed position by position, those intentions make a
predicted sentence vector.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.codes.encoder import Encoder
from lexivert.codes.superposition import superpose
from lexivert.codes.token_head import TokenHead
from lexivert.config import Params
from lexivert.controller import storage
from lexivert.controller.cascade import Cascade
from lexivert.data.unit_split import heldout_units
from lexivert.errors import LexivertError
from lexivert.evaluation import geometry, metrics
from lexivert.evaluation.texts import EvalTexts, choose_texts, hold, texts_of
from lexivert.priors.selector import Context
from lexivert.priors.selector_data import padded
from lexivert.text.lexicon import Lexicon

CONTEXTS = {"prefix": (True, False), "neighbours": (False, True), "prefix_and_neighbours": (True, True)}
"""What the Selector may know: the semantic prefix, and all other units of the text."""
_TEXTS_AT_ONCE = 16
_MOST_UNITS = 2000  # held-out units whose features are reconstructed


@dataclass(frozen=True)
class Predicted:
    """Intentions for every position of some texts.

    Attributes:
        codes: expected codes, all texts' positions in a row. Shape: (M, O).
        likeliest: the likeliest unit at each. Shape: (M,).
    """

    codes: Tensor
    likeliest: Tensor


def run_collapse(paths: Paths, params: Params) -> None:
    """Write metrics/collapse.json."""
    encoder, decoder = storage.load_model(paths)
    limit = encoder.config.code.max_units
    chosen = choose_texts(texts_of(paths, "test"), params.collapse.texts, params.seed)
    chosen = [text for text in chosen if 0 < len(encoder.segmenter.segment(text)) <= limit]
    rows = np.random.default_rng(params.seed).permutation(len(chosen))[: params.collapse.texts]
    fitting = [chosen[row] for row in np.sort(rows).tolist()]
    if not fitting:
        raise LexivertError(
            "no test text of 1 to 40 words fits code.max_units; check corpus.test_share and the corpus"
        )
    held, _ = hold(encoder, fitting)
    report: dict[str, Any] = {"texts": len(held.texts), "reconstruction": _reconstruction(paths, params, encoder)}
    truth = encoder.codes[torch.tensor([unit for units in held.units for unit in units])].float()
    usage = decoder.codebook.log_prior.double().exp()
    mean = expected_codes(usage[None].float() / usage.sum().float(), encoder.codes)[0]
    for name, (prefix, neighbours) in CONTEXTS.items():
        predicted = predict(decoder, held, prefix=prefix, neighbours=neighbours)
        report[name] = intention_report(predicted, truth, mean, held, encoder.codes)
        if name == "prefix_and_neighbours":
            report["reading"] = _reading(encoder, decoder, held, predicted.codes, mean)
    artifacts.write_metrics(paths.metrics("collapse"), report)


def moments_report(predicted: Tensor, true: Tensor) -> dict[str, float]:
    """Moments of predicted against true rows, as they are and with every row at unit length. Shape: (M, D) twice."""
    unit = geometry.moments(F.normalize(predicted, dim=-1), F.normalize(true, dim=-1))
    both = {"raw": geometry.moments(predicted, true), "normalised": unit}
    return {f"{kind}_{name}": value for kind, found in both.items() for name, value in asdict(found).items()}


def against_mean(predicted: Tensor, true: Tensor, mean: Tensor) -> dict[str, float]:
    """Cosine of predictions with the truth beside that of one mean vector, and whether predictions are all alike.

    Args:
        predicted: Shape: (M, D).
        true: Shape: (M, D).
        mean: the best constant guess, from training data. Shape: (D,).

    Returns:
        ``cosine`` and ``cosine_of_mean_vector``; ``cosine_centred``: with the mean taken off both sides;
        ``anisotropy``: the mean cosine of two predictions, 1 if all are alike; ``true_anisotropy``.
    """
    return {
        "cosine": float(F.cosine_similarity(predicted, true, dim=-1).mean()),
        "cosine_of_mean_vector": float(F.cosine_similarity(mean[None], true, dim=-1).mean()),
        "cosine_centred": float(F.cosine_similarity(predicted - mean, true - mean, dim=-1).mean()),
        "anisotropy": geometry.anisotropy(predicted),
        "true_anisotropy": geometry.anisotropy(true),
    }


def _reconstruction(paths: Paths, params: Params, encoder: Encoder) -> dict[str, float]:
    """Features of held-out units restored from their codes."""
    lexicon: Lexicon = encoder.segmenter.lexicon
    held = np.flatnonzero(heldout_units(lexicon, params))
    units = np.sort(np.random.default_rng(params.seed).permutation(held)[:_MOST_UNITS])
    if len(units) < 2:
        return {"units": len(units)}
    head = TokenHead.load(paths.token_head)
    true = torch.from_numpy(artifacts.read_array(paths.unit_features)[units].astype(np.float32))
    with torch.inference_mode():
        predicted = head.reconstruct(encoder.codes[units].float())
    figures = against_mean(predicted, true, head.centre) | moments_report(predicted, true)
    return {"units": len(units), **figures}


def expected_codes(probabilities: Tensor, codes: Tensor, block: int = 16_384) -> Tensor:
    """``Σ p(u)·c(u)``. Shape: probabilities (M, V), codes (V, O), result (M, O)."""
    total = torch.zeros(len(probabilities), codes.shape[1])
    for start in range(0, len(codes), block):
        total += probabilities[:, start : start + block] @ codes[start : start + block].float()
    return total


@torch.inference_mode()
def predict(decoder: Cascade, held: EvalTexts, *, prefix: bool, neighbours: bool) -> Predicted:
    """The Selector's intentions, without any evidence of what stands at the positions themselves."""
    prior = decoder.proposer.prior
    codes, likeliest = [], []
    for rows in tqdm(list(_batches(len(held.texts))), desc="intentions", unit="batch"):
        truth, length = padded([held.units[row] for row in rows])
        known = truth if neighbours else torch.full_like(truth, -1)
        semantic = F.normalize(held.features[rows], dim=-1)
        context = Context.certain(known, length, semantic, torch.full((len(rows),), float(prefix)))
        probabilities = (prior.queries(context)[truth >= 0] @ prior.table.T).softmax(dim=-1)
        codes.append(expected_codes(probabilities, decoder.codebook.codes))
        likeliest.append(probabilities.argmax(dim=-1))
    return Predicted(torch.cat(codes), torch.cat(likeliest))


def _batches(count: int) -> Iterator[list[int]]:
    for start in range(0, count, _TEXTS_AT_ONCE):
        yield list(range(start, min(start + _TEXTS_AT_ONCE, count)))


def intention_report(
    predicted: Predicted, truth: Tensor, mean: Tensor, held: EvalTexts, codes: Tensor
) -> dict[str, float]:
    """Figures of one kind of prediction; ``likeliest_is_right``: share of positions whose likeliest unit is right."""
    right = torch.tensor([unit for units in held.units for unit in units]) == predicted.likeliest
    commonest = metrics.unit_accuracy([[unit] for units in held.units for unit in units], _commonest(held, codes))
    return {
        **against_mean(predicted.codes, truth, mean),
        **moments_report(predicted.codes, truth),
        "likeliest_is_right": float(right.float().mean()),
        "commonest_is_right": commonest,
    }


def _commonest(held: EvalTexts, codes: Tensor) -> list[list[int]]:
    """One guess for all positions: the unit that is most frequent in these very texts."""
    units = torch.tensor([unit for units in held.units for unit in units])
    guess = int(torch.bincount(units, minlength=len(codes)).argmax())
    return [[guess]] * len(units)


def superpose_intentions(codes: Tensor, units: Sequence[Sequence[int]], encoder: Encoder) -> Tensor:
    """Order parts made of intentions in place of unit codes, EOS included, not normalised.

    Shape: codes (Σ n_b, O), result (B, O).
    """
    ends = superpose([[] for _ in units], encoder.codes, encoder.binding)[:1]
    total = torch.zeros(len(units), codes.shape[1])
    start = 0
    for row, text in enumerate(units):
        places = torch.arange(len(text) + 1)
        part = torch.cat((codes[start : start + len(text)], ends))
        total[row] = encoder.binding.bind(part, places).sum(0)
        start += len(text)
    return total


def _reading(encoder: Encoder, decoder: Cascade, held: EvalTexts, codes: Tensor, mean: Tensor) -> dict[str, Any]:
    """What is read from a vector as it is summed, at unit length, and as it is predicted, raw and at unit length.

    A decoder trained on raw encoder output reads nothing from normalised vectors; for this one the first two rows
    must be alike. What the predicted ones lose is what the Selector's guesses lack. Beside them the mean code at
    every place. Both are given the text's length and its EOS, whose code is far longer than a guess.
    """
    raw = superpose(held.units, encoder.codes, encoder.binding)
    predicted = superpose_intentions(codes, held.units, encoder)
    constant = superpose_intentions(mean.expand(len(codes), -1), held.units, encoder)
    semantic = F.normalize(held.features, dim=-1)
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
        units = decoder.decode_all(order, semantic, _TEXTS_AT_ONCE, name.replace("_", " ")).units
        texts = [encoder.segmenter.join(ids) for ids in units]
        report[name] = {
            "exact_match": metrics.exact_match(held.texts, texts),
            "unit_accuracy": metrics.unit_accuracy(held.units, units),
            "token_f1": metrics.token_f1(held.texts, texts),
        }
    return report
