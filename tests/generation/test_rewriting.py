from __future__ import annotations

import torch
import torch.nn.functional as F

from lexivert.generation.rewriting import Rewriter

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill.", "", "moon"]


def test_some_units_are_written_anew_and_what_is_known_stays(tiny_model):
    segmenter = tiny_model.encoder.segmenter
    rewriter = Rewriter(tiny_model.encoder, tiny_model.decoder.parts.prior)
    told = F.normalize(torch.randn(4, 32, generator=torch.Generator().manual_seed(0)), dim=1)
    found = {seed: rewriter.rewritten(told, TEXTS, 2, [seed] * 4) for seed in range(12)}
    assert found[3] == rewriter.rewritten(told, TEXTS, 2, [3] * 4)
    assert found[3][0] == rewriter.rewritten(told[:1], TEXTS[:1], 2, [3])[0]
    assert rewriter.rewritten(told, TEXTS, 2, [3, 5, 3, 3])[:2] == [found[3][0], found[5][1]]
    assert rewriter.rewritten(told[:0], [], 2, []) == []
    for texts in found.values():
        assert texts[2:] == ["", "moon"]  # nothing of these is free
        for text, original in zip(texts[:2], TEXTS[:2], strict=True):
            start = segmenter.join(segmenter.segment(original)[:2])
            assert text.startswith(start)
    assert len({texts[0] for texts in found.values()}) > 1
    assert len({texts[1] for texts in found.values()}) > 1
