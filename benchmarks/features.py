"""Rate of the feature stage against the research script's loop, and how close both features are.

The naive loop does what the script did with frozen features: batches of a fixed size in corpus order (512, as in the
script), tokenised inside the loop, padded to the longest text, in float32. It is spared the script's dropout and gets
inference mode and the same pooling, so only the way of running differs. All loops read the same sentences, drawn at
random from ``data/corpus.parquet``, and take turns in one process; the best round of each counts.

Two naive loops are run, for the script's is not the best that a naive loop can do: batches of 32 are padded less, and
on a CPU they are the stronger baseline. The bar, 2.5 times "the float32 naive loop", is meant of the script's own
loop, batches of 512 in corpus order (``ratio``). The ratio to whichever naive loop is faster stands beside it
(``ratio_to_faster``), and the stage must not be slower than that one. A missed bar means exit code 1.

    python benchmarks/features.py --sentences 1536 --rounds 2 --out metrics/benchmarks/features.json
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from common import run_command
from lexivert import artifacts
from lexivert.artifacts import Paths
from lexivert.config import Params, load_params
from lexivert.encoders.base import FloatArray
from lexivert.encoders.huggingface import HuggingFaceEncoder

BAR_RATIO = 2.5
"""Least rate against the script's own loop, batches of 512 in corpus order."""
BAR_RATIO_TO_FASTER = 1.0
"""Least rate against the faster of the two naive loops."""
BAR_COSINE = 0.999
SCRIPT_BATCH = 512
SMALL_BATCH = 32


def naive(backbone: HuggingFaceEncoder, texts: Sequence[str], batch_size: int) -> FloatArray:
    """Mean-pooled features by the script's loop. Shape: (B, H)."""
    parts = []
    for start in range(0, len(texts), batch_size):
        batch = backbone.tokenizer(
            list(texts[start : start + batch_size]),
            padding=True,
            truncation=True,
            max_length=backbone.params.max_tokens,
            return_tensors="pt",
        )
        with torch.inference_mode():
            hidden = backbone.model(**batch.to(backbone.device)).last_hidden_state
            weight = batch["attention_mask"].unsqueeze(-1).to(hidden.dtype)
            parts.append(((hidden * weight).sum(1) / weight.sum(1)).float().cpu().numpy())
    return np.concatenate(parts)


def timed(run: Callable[[], FloatArray]) -> tuple[FloatArray, float]:
    """A run's features and its seconds."""
    start = time.perf_counter()
    features = run()
    return features, time.perf_counter() - start


def cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    """Row-wise cosine. Shape: (B,)."""
    norms = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / norms, dtype=np.float32)


def sample(root: Path, count: int, seed: int) -> list[str]:
    """Random sentences of the corpus, in corpus order."""
    text = artifacts.read_parquet(Paths(root).corpus, ["text"])["text"]
    rows = np.random.default_rng(seed).choice(len(text), size=min(count, len(text)), replace=False)
    return [str(sentence) for sentence in text.take(np.sort(rows)).to_pylist()]


def compare(params: Params, texts: list[str], rounds: int) -> dict[str, float]:
    """Run all loops ``rounds`` times in turn and report their best rates and the cosine between features."""
    slow = HuggingFaceEncoder.load(params.backbone.model_copy(update={"dtype": "float32"}))
    fast = HuggingFaceEncoder.load(params.backbone)
    budget = params.features.tokens_per_batch
    loops: dict[str, Callable[[], FloatArray]] = {
        "ours": lambda: fast.encode(texts, tokens_per_batch=budget),
        "naive": lambda: naive(slow, texts, SCRIPT_BATCH),
        "naive_small_batch": lambda: naive(slow, texts, SMALL_BATCH),
    }
    for loop in (lambda: fast.encode(texts[:64]), lambda: naive(slow, texts[:64], SMALL_BATCH)):
        loop()  # the first call of anything is slow
    features: dict[str, FloatArray] = {}
    seconds = dict.fromkeys(loops, float("inf"))
    for number in range(rounds):
        for name, loop in loops.items():
            features[name], took = timed(loop)
            seconds[name] = min(seconds[name], took)
            logging.info("round %d, %s: %.1f sentences/s", number + 1, name, len(texts) / took)
    tokens = int(fast.tokenize(texts).lengths.sum())
    cosine = cosines(features["ours"].astype(np.float16).astype(np.float32), features["naive"])
    return {
        "sentences": len(texts),
        "tokens": tokens,
        "threads": torch.get_num_threads(),
        **{f"{name}_sentences_per_second": len(texts) / took for name, took in seconds.items()},
        "ours_tokens_per_second": tokens / seconds["ours"],
        "ratio": seconds["naive"] / seconds["ours"],
        "ratio_small_batch": seconds["naive_small_batch"] / seconds["ours"],
        "ratio_to_faster": min(seconds["naive"], seconds["naive_small_batch"]) / seconds["ours"],
        "cosine_min": float(cosine.min()),
        "cosine_mean": float(cosine.mean()),
    }


def verdicts(report: Mapping[str, float]) -> list[tuple[bool, str]]:
    """Each bar: whether it is kept, and a line that says so."""
    small_is_faster = report["ratio_small_batch"] <= report["ratio"]
    faster = f"batches of {SMALL_BATCH if small_is_faster else SCRIPT_BATCH}"
    rows = (
        ("ratio", BAR_RATIO, f"the bar: times the script's float32 loop, batches of {SCRIPT_BATCH} in corpus order"),
        ("ratio_to_faster", BAR_RATIO_TO_FASTER, f"times the faster naive loop, {faster}, the stronger baseline"),
        ("cosine_min", BAR_COSINE, "least cosine between features of both"),
    )
    kept = [report[name] >= bar for name, bar, _ in rows]
    return [
        (good, f"{'kept' if good else 'missed'}: {report[name]:.4g}, at least {bar} wanted ({what})")
        for good, (name, bar, what) in zip(kept, rows, strict=True)
    ]


def main() -> None:
    """Print the figures, and fail if a bar is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--sentences", type=int, default=3072)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    params = load_params(options.root / "params.yaml")
    report = compare(params, sample(options.root, options.sentences, options.seed), options.rounds)
    for name, value in report.items():
        print(f"{name:36} {value:.6g}")
    if options.out:
        artifacts.write_metrics(options.out, report)
    judged = verdicts(report)
    print(*(line for _, line in judged), sep="\n")
    if not all(good for good, _ in judged):
        raise SystemExit(1)


if __name__ == "__main__":
    run_command(main)
