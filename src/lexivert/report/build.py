"""Stage ``report``: metrics/report.html out of what all other stages left."""

from __future__ import annotations

from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params
from lexivert.model import Lexivert
from lexivert.report.page import render
from lexivert.report.sections.reading import reading, summary
from lexivert.report.sections.rebuilds import rebuilds
from lexivert.report.sections.sentences import sentences
from lexivert.report.sections.training import collapse, training
from lexivert.report.sections.units import unit_maps, units


def run_report(paths: Paths, params: Params) -> None:
    """Write metrics/report.html.

    Raises:
        LexivertError: metrics, a table or a part of the model is missing or damaged.
    """
    model = Lexivert.load(paths.root)
    sections = [
        summary(paths),
        reading(paths),
        rebuilds(paths, model, params),
        units(paths),
        unit_maps(paths, model, params),
        sentences(paths),
        collapse(paths),
        training(paths),
    ]
    page = render("Lexivert: results of this run", _lead(model, params.seed), sections)
    with artifacts.atomic_path(paths.report) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _lead(model: Lexivert, seed: int) -> str:
    config = model.encoder.config
    return (
        f"{len(model.encoder.segmenter.lexicon):,} units, {config.code.embed_dim} dimensions of which "
        f"{config.order_width} carry words and order, backbone {config.backbone.model}, seed {seed}. "
        "Texts that are read back are from documents that nothing was trained on."
    )
