"""Stage ``robustness``: exact match of every decoder where reading gets hard: narrow, noisy, long, in few bits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import ModelConfig, Params, RobustnessParams
from lexivert.controller.base import Parts
from lexivert.data.encoded_texts import EncodedTexts
from lexivert.data.segments import read_encoded_texts
from lexivert.errors import LexivertError
from lexivert.evaluation import metrics
from lexivert.evaluation.corruptions import at_width, send, with_codes, with_lexicon
from lexivert.evaluation.decoders import decoder_named, in_batches
from lexivert.evaluation.texts import draw_texts, sources_of, with_texts
from lexivert.model import Lexivert

if TYPE_CHECKING:
    import pandas as pd

OWN_DECODER = "cascade"
"""The one that the others are compared with."""
ALL_DECODERS = ("one_shot", "cancellation", "amp_flat", "amp_unigram", "amp_selector", "easy_first", OWN_DECODER)
"""Compared at every order width."""
FEW_DECODERS = ("one_shot", "amp_unigram", OWN_DECODER)
"""Compared in all other conditions."""
LIMITS = {
    "limit_flat": "limit, flat prior",
    "limit_prior": "limit, unigram prior",
    "limit_soft": "limit of soft decoding",
}
"""What theory asks for, with labels; see ``by_dimensions``."""
_AT_ONCE = 32
_LONGEST_SENTENCE = 40  # words; texts of more units than that are chains of sentences
LENGTH_SPAN = 8
"""Units by which texts of a condition's length may be longer."""
_DRAWN = 40  # texts drawn for each that is wanted: few have the length, and a chain takes several
_DRAWN_SHORT = 4  # where any sentence will do
_EDGES = (2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 20.0, 24.0, 32.0, 48.0, 64.0, 128.0)


@dataclass(frozen=True)
class Condition:
    """What vectors go through between writing and reading.

    Attributes:
        width: order dimensions; 0: all the model has.
        cosine: of the noisy full vector with the clean one.
        length: least and most units of a text.
        storage: how the vector is stored, see ``corruptions.STORAGE``.
        units: size of the lexicon; 0: the model's own.
        decoders: which to compare.
    """

    width: int = 0
    cosine: float = 1.0
    length: tuple[int, int] = (1, 32)
    storage: str = "float32"
    units: int = 0
    decoders: tuple[str, ...] = ALL_DECODERS

    @property
    def name(self) -> str:
        """Key in the metrics: what is special about it, such as ``width_192`` or ``cosine_0.7-storage_int8``."""
        parts = [
            f"width_{self.width}" if self.width else "",
            f"cosine_{self.cosine:g}" if self.cosine != 1.0 else "",
            f"length_{self.length[0]}" if self.length[0] > 1 else "",
            f"storage_{self.storage}" if self.storage != "float32" else "",
            f"lexicon_{self.units}" if self.units else "",
        ]
        return "-".join(filter(None, parts)) or "default"

    @property
    def noiseless(self) -> bool:
        """Whether vectors come back as they were written, and units are the model's own."""
        return self.cosine == 1.0 and self.storage == "float32" and not self.units

    @property
    def chained(self) -> bool:
        """Whether its texts are chains of sentences: no single one is as long."""
        return self.length[0] > _LONGEST_SENTENCE

    def texts(self, texts: EncodedTexts, count: int, below: int) -> EncodedTexts:
        """The first ``count`` texts of its length with unit ids below a bound."""
        find = texts.chained if self.chained else texts.of_length
        return find(*self.length, count, below)


@dataclass
class RobustnessSweep:
    """Conditions tried on one model.

    Args:
        parts: the model's codebook, index, prior and rules.
        config: its config, whose seed is the noise's, too.
    """

    parts: Parts
    config: ModelConfig
    matches: list[tuple[str, float, bool]] = field(default_factory=list)
    """Decoder, order dimensions a unit (EOS included) and exact match of every text that was read without noise by
    all of ``ALL_DECODERS``."""
    _built: tuple[tuple[int, int], Parts] | None = None

    def run(
        self, condition: Condition, texts: EncodedTexts, count: int, compared: int | None = None
    ) -> dict[str, dict[str, float]]:
        """Decode one condition's texts with each of its decoders.

        Args:
            condition: of which the texts are chosen.
            texts: to choose from.
            count: texts that the cascade decodes.
            compared: texts at most, the first of them, that the other decoders decode; all if None.

        Returns:
            For every decoder: ``texts``, ``exact_match`` with its 95 % interval (``exact_match_low``,
            ``exact_match_high``; Wilson 1927), and ``unit_accuracy``.
        """
        parts = self._parts(condition)
        chosen = condition.texts(texts, count, len(parts.codebook))
        order, prefixes = send(
            chosen.units, chosen.prefixes, parts.codebook, condition.cosine, condition.storage, self.config.seed
        )
        report: dict[str, dict[str, float]] = {}
        for name in condition.decoders:
            decode = decoder_named(name, parts)
            most = len(order) if name == OWN_DECODER or compared is None else compared
            found = in_batches(decode, (order[:most], prefixes[:most]), _AT_ONCE, f"{condition.name} {name}")
            truths = chosen.units[:most]
            report[name] = scored(truths, found)
            if condition.noiseless and condition.decoders == ALL_DECODERS:
                self.matches += [
                    (name, order.shape[1] / (len(truth) + 1), truth == read)
                    for truth, read in list(zip(truths, found, strict=True))[:compared]
                ]
        return report

    def _parts(self, condition: Condition) -> Parts:
        width = condition.width or self.parts.codebook.width
        key = (width, condition.units)
        if self._built is None or self._built[0] != key:
            self._built = None  # a lexicon's codes are hundreds of megabytes
            built = self.parts
            if width != built.codebook.width:
                built = with_codes(built, at_width(built.codebook.codes, width), self.config)
            if condition.units and condition.units != len(built.codebook):
                built = with_lexicon(built, condition.units, self.config)
            self._built = (key, built)
        return self._built[1]


def condition_label(name: str) -> str:
    """A condition's key in the metrics as words: "width 192", "cosine 0.7, stored as int8"."""
    return name.replace("-", ", ").replace("storage_", "stored as ").replace("_", " ")


def scored(truth: Sequence[Sequence[int]], found: Sequence[Sequence[int]]) -> dict[str, float]:
    """Exact match with its interval, and unit accuracy; without texts only their number."""
    if not truth:
        return {"texts": 0}
    return metrics.exact_match_report(truth, found) | {"unit_accuracy": metrics.unit_accuracy(truth, found)}


def by_dimensions(matches: Sequence[tuple[str, float, bool]], nats: float, units: int) -> pd.DataFrame:
    """Exact match by order dimensions a unit, one column a decoder, with what theory asks for.

    The limits are steps from 0 to 1. ``limit_flat``: a unit's evidence beats all V others at once, ``2 ln V``
    dimensions (Frady, Kleyko & Sommer 2018). ``limit_prior``: it beats what the prior makes likely, ``2 H`` with H
    nats a unit. ``limit_soft``: half of that, where the interference of soft decoding is on average half gone.

    Args:
        matches: see ``RobustnessSweep.matches``.
        nats: H, the prior's surprise at a unit.
        units: V.
    """
    import pandas as pd

    table = pd.DataFrame(matches, columns=["decoder", "dimensions_a_unit", "right"])
    middles = [(low + high) / 2 for low, high in itertools.pairwise(_EDGES)]
    bins = pd.cut(table["dimensions_a_unit"], list(_EDGES), right=False, labels=middles).astype(float)
    shares = table.assign(dimensions_a_unit=bins, right=table["right"].astype(float)).pivot_table(
        index="dimensions_a_unit", columns="decoder", values="right", sort=False
    )
    shares = shares.sort_index()[list(dict.fromkeys(table["decoder"]))].rename_axis(columns=None).reset_index()
    for name, limit in zip(LIMITS, (2.0 * math.log(units), 2.0 * nats, nats), strict=True):
        shares[name] = (shares["dimensions_a_unit"] >= limit).astype(float)
    return shares


def conditions_of(params: RobustnessParams) -> list[Condition]:
    """The sweep of the stage, one thing made hard at a time.

    Raises:
        LexivertError: ``robustness.decisive`` names a condition that is none of the sweep's.
    """
    few = Condition(decoders=FEW_DECODERS)
    found = [
        *(Condition(width=width) for width in params.widths),
        *(replace(few, cosine=cosine, length=(1, 40)) for cosine in params.cosines),
        *(replace(few, length=(length, length + LENGTH_SPAN)) for length in params.lengths),
        *(replace(few, storage=storage) for storage in params.storages),
    ]
    names = [condition.name for condition in found]
    for name in params.decisive:
        if name not in names:
            raise LexivertError(f"robustness.decisive: {name!r} is none of {', '.join(names)}")
    return found


def _wanted(condition: Condition, settings: RobustnessParams) -> int:
    return settings.decisive_texts if condition.name in settings.decisive else settings.texts


def _to_draw(conditions: Sequence[Condition], settings: RobustnessParams) -> int:
    factors = [(_DRAWN if c.chained else _DRAWN_SHORT, _wanted(c, settings)) for c in conditions]
    return max(_DRAWN * settings.texts, *(factor * count for factor, count in factors))


def run_robustness(paths: Paths, params: Params) -> None:
    """Write metrics/robustness.json and metrics/plots/robustness.csv."""
    settings = params.robustness
    conditions = conditions_of(settings)
    model = Lexivert.load(paths.root)
    test = read_encoded_texts(paths, "test")
    short = [text for text in test.texts if len(text.split()) <= _LONGEST_SENTENCE]
    drawn = draw_texts(short, _to_draw(conditions, settings), params.seed, sources_of(paths, "test"))
    texts = with_texts(test, drawn)
    sweep = RobustnessSweep(model.decoder.parts, model.encoder.config)
    report: dict[str, Any] = {}
    for condition in conditions:
        compared = settings.compared_texts if condition.name in settings.decisive else None
        report[condition.name] = sweep.run(condition, texts, _wanted(condition, settings), compared)
    artifacts.write_metrics(paths.metrics("robustness"), report)
    units = torch.from_numpy(np.concatenate(texts.units))
    codebook = model.decoder.codebook
    table = by_dimensions(sweep.matches, -float(codebook.log_prior[units].mean()), len(codebook))
    artifacts.write_csv(paths.plots / "robustness.csv", table)
