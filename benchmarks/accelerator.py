"""Rates on a GPU beside the CPU of the same machine, and beside the decoding loop of vec2text on the same card.

    python benchmarks/accelerator.py models/lexivert texts.txt --device cuda --out metrics/benchmarks/accelerator.json

Encodes and decodes the file's lines on the CPU and on the device, clean and with noise: texts a second, and in how
many texts the device reads what the CPU reads from the same vectors. Then vec2text's loop at its published size with
untrained weights (``vec2text_loop``), on the device in bfloat16 where that is a GPU. Every figure is the median of
some rounds after one that warms up; the loop, which takes long, runs once after a single warm step.
"""

from __future__ import annotations

import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import typer

from common import run_command
from lexivert import artifacts
from lexivert.codes.corruption import add_noise
from lexivert.devices import choose_device
from lexivert.errors import LexivertError
from lexivert.io import read_texts
from lexivert.model import Lexivert
from lexivert.text.tokenizer import normalize
from vec2text_loop import Vec2TextLoop, Vec2TextSizes

NOISE_COSINE = 0.8
ROUNDS = 3

log = logging.getLogger(__name__)


def seconds(run: Callable[[], object], device: torch.device) -> float:
    """Time that one run takes, the device's queue included."""
    start = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def rates(
    model: Lexivert, texts: Sequence[str], device: torch.device, rounds: int = ROUNDS
) -> tuple[dict[str, float], Any]:
    """Texts a second in encoding and in reading, clean and noisy, and the vectors of the texts."""
    figures = {}
    vectors = model.encode(texts)
    clean = torch.from_numpy(vectors)
    cosines = torch.full((len(texts),), NOISE_COSINE)
    noisy = add_noise(clean, cosines, torch.Generator().manual_seed(0)).numpy()
    jobs: dict[str, Callable[[], object]] = {
        "encode": lambda: model.encode(texts),
        "decode": lambda: model.decode(vectors),
        "decode_noisy": lambda: model.decode(noisy),
    }
    for name, job in jobs.items():
        job()
        took = median(seconds(job, device) for _ in range(rounds))
        figures[f"{name}_texts_per_second"] = len(texts) / took
        log.info("%s on %s: %.0f texts/s", name, device.type, len(texts) / took)
    return figures, (vectors, noisy)


def vec2text_rate(device: torch.device, texts: int, sizes: Vec2TextSizes, timed: int) -> float:
    """Texts a second of vec2text's loop, untrained; from so many timed corrections, which all take the same time."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    torch.manual_seed(0)
    with device:
        loop = Vec2TextLoop(sizes).to(dtype).eval()
    target = torch.nn.functional.normalize(torch.randn(texts, sizes.width), dim=1).to(device, dtype)
    loop(target, steps=2)
    return texts / seconds(lambda: loop(target, steps=timed), device) * timed / sizes.steps


def hardware(device: torch.device) -> dict[str, Any]:
    """What the figures were taken on."""
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    return {"card": card, "cpu_threads": torch.get_num_threads(), "torch": torch.__version__}


def measure(folder: Path, texts: Sequence[str], device: torch.device) -> dict[str, Any]:
    """Rates on both, and how alike they are.

    Args:
        folder: of the model.
        texts: that fit it.
        device: beside the CPU.
    """
    texts = [normalize(text) for text in texts]
    there, here = (Lexivert.from_pretrained(folder, device=name) for name in (device.type, "cpu"))
    on_cpu, (vectors, noisy) = rates(here, texts, torch.device("cpu"))
    on_device, (again, _) = rates(there, texts, device)
    figures: dict[str, Any] = {"hardware": hardware(device), "texts": len(texts), "cpu": on_cpu, "device": on_device}
    for name, given in (("clean", vectors), ("noisy", noisy)):
        one, other = there.decode(given), here.decode(given)
        figures[f"same_as_cpu_{name}"] = sum(map(str.__eq__, one, other)) / len(texts)
        figures[f"exact_{name}"] = sum(map(str.__eq__, one, texts)) / len(texts)
    figures["cosine_of_vectors_min"] = float((vectors * again).sum(axis=1).min())
    return figures


def main(
    model: Annotated[Path, typer.Argument(help="Model folder (stage export).")],
    texts: Annotated[Path, typer.Argument(help="Text file, one text a line.")],
    device: Annotated[str, typer.Option(help="Beside the CPU: cuda, mps, or cpu once more.")] = "cuda",
    batch: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Texts that vec2text's loop reads at once, 16 if not given; repeat it."),
    ] = None,
    timed: Annotated[int, typer.Option(min=1, help="Corrections of vec2text's loop that are timed, of 50.")] = 50,
    out: Annotated[Path | None, typer.Option(help="JSON file for the results.")] = None,
) -> None:
    """Measure and show."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lines = [line.text for line in read_texts(texts) if line.text.strip()]
    if not lines:
        raise LexivertError(f"{texts} has no text; give one text a line")
    chosen, sizes = choose_device(device), Vec2TextSizes()
    figures = measure(model, lines, chosen)
    figures["vec2text"] = {
        f"batch_{count}": {"timed_steps": timed, "texts_per_second": vec2text_rate(chosen, count, sizes, timed)}
        for count in batch or [16]
    }
    if out is not None:
        artifacts.write_metrics(out, figures)
    typer.echo(json.dumps(figures, indent=2))


if __name__ == "__main__":
    run_command(lambda: typer.run(main))
