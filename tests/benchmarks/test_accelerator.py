from __future__ import annotations

import pytest
import torch

TEXTS = ["The old captain saw the river.", "Emma saw two lamps near the old mill."]


@pytest.fixture
def accelerator(load):
    return load("accelerator")


@pytest.fixture
def tiny(accelerator):
    return accelerator.Vec2TextSizes(
        width=16, layers=1, heads=2, feed_forward=24, vocabulary=40, repeats=2, tokens=5, beam=3, steps=2
    )


def test_the_published_sizes_are_those_of_t5_base(accelerator):
    with torch.device("meta"):
        loop = accelerator.Vec2TextLoop(accelerator.Vec2TextSizes())
    for part, low, high in ((loop.corrector, 220e6, 250e6), (loop.embedder, 108e6, 112e6)):
        assert low < sum(weight.numel() for weight in part.parameters()) < high


def test_the_loop_keeps_the_texts_that_are_nearest_the_target(accelerator, tiny):
    torch.manual_seed(0)
    loop = accelerator.Vec2TextLoop(tiny).eval()
    target = torch.nn.functional.normalize(torch.randn(4, 16), dim=1)
    found = loop(target, steps=1)
    assert found.shape == (4, 5)
    with torch.inference_mode():
        corrections = loop.correct(target, torch.zeros(4, 5, dtype=torch.long), 3).unflatten(0, (4, 3))
        near = [(loop.embed(texts) @ vector).max() for texts, vector in zip(corrections, target, strict=True)]
        torch.testing.assert_close((loop.embed(found) * target).sum(dim=1), torch.stack(near))
    assert loop(target).shape == (4, 5)


def test_figures_of_a_small_model(accelerator, tiny_model, tmp_path):
    tiny_model.save_pretrained(tmp_path / "model")
    figures = accelerator.measure(tmp_path / "model", [*TEXTS, "Emma  saw a lamp."], torch.device("cpu"))
    assert figures["same_as_cpu_clean"] == figures["exact_clean"] == figures["same_as_cpu_noisy"] == 1.0
    assert figures["cosine_of_vectors_min"] > 0.9999
    rates = [figures[name][f"{job}_texts_per_second"] for name in ("cpu", "device") for job in ("encode", "decode")]
    assert min(rates) > 0


def test_the_loops_rate_is_that_of_all_its_steps(accelerator, tiny):
    full, part = (accelerator.vec2text_rate(torch.device("cpu"), 2, tiny, timed) for timed in (2, 1))
    assert 0 < part < 20 * full
    assert 0 < full < 20 * part
