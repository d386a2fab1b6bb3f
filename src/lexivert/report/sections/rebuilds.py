"""Some texts rebuilt step by step, from a clean and from a noisy vector."""

from __future__ import annotations

import pandas as pd
import torch

from lexivert.artifacts import Paths
from lexivert.codes.corruption import add_noise
from lexivert.config import Params
from lexivert.console import buffer_text
from lexivert.data.segments import read_encoded_texts
from lexivert.evaluation.texts import choose_texts, fitting, with_texts
from lexivert.model import Lexivert, Reading
from lexivert.report import figures
from lexivert.report.page import Figures, Heading, Part, Section, Table

_TRACES = ((6, 1.0), (12, 0.8), (22, 1.0))
"""Length in words, and cosine of the noisy vector, of the rebuilds that are shown."""
_DRAWN = 200  # texts in each length bucket to choose from


def rebuilds(paths: Paths, model: Lexivert, params: Params) -> Section:
    """The trace of each text as a table, and all residuals in one figure."""
    test = read_encoded_texts(paths, "test")
    chosen = with_texts(test, choose_texts(test.texts, _DRAWN, params.seed))
    candidates = fitting(chosen, model.encoder.config.code.max_units).texts
    parts: list[Part] = []
    curves: dict[str, pd.Series] = {}
    for words, cosine in _TRACES:
        text = min(candidates, key=lambda text: (abs(len(text.split()) - words), text))
        vector = torch.from_numpy(model.encode([text]))
        noisy = add_noise(vector, torch.tensor([cosine]), torch.Generator().manual_seed(params.seed))
        (reading,) = model.read(noisy.numpy(), trace=True)
        kind = "clean" if cosine == 1.0 else f"noisy, cosine {cosine}"
        parts.append(Heading(f"“{text}”", _verdict(reading, text, kind)))
        parts.append(Table(_steps(model, reading), "Every step", opened=not curves))
        curves[f"{len(text.split())} words, {kind}"] = pd.Series([step.residual for step in reading.steps])
    residuals = pd.DataFrame(curves)  # shorter ones end in NaN
    plot = figures.lines(
        (residuals.index + 1).tolist(), residuals.to_dict("list"), "committed units", "norm of the residual"
    )
    parts.append(Figures([(plot, "Residual norm, step by step; noise is what remains of a noisy vector.")]))
    text = (
        "Every step commits the unit that is surest and takes it off the vector; where the residual vanishes, the "
        "text is verified: its own vector is the given one."
    )
    return Section("rebuilds", "Rebuilds, word by word", text, parts)


def _verdict(reading: Reading, text: str, kind: str) -> str:
    same = "exactly" if reading.text == text else f"as “{reading.text}”"
    verified = "verified" if reading.verified else "not verified"
    return f"Vector {kind}: read back {same}, {verified}, confidence {reading.confidence:.3f}, fit {reading.fit:.4f}."


def _steps(model: Lexivert, reading: Reading) -> pd.DataFrame:
    segmenter = model.encoder.segmenter
    rows = [
        {
            "unit": segmenter.surface([step.unit])[0],
            "position": step.position,
            "p": step.score,
            "residual": step.residual,
            "text so far": buffer_text(step.buffer, segmenter.join),
        }
        for step in reading.steps
    ]
    return pd.DataFrame(rows, index=pd.RangeIndex(1, len(rows) + 1, name="step"))
