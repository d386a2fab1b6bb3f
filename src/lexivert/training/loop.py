"""The one optimiser loop: AdamW, accumulation, clipping, schedules, curves, checkpoints that resume to the byte."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from lexivert.errors import LexivertError
from lexivert.training.checkpoint import Checkpoint, random_state, reproducible, restore_random_state
from lexivert.training.schedules import learning_rate_factor, optimiser_steps

logger = logging.getLogger(__name__)
Batch = TypeVar("Batch")
History = list[dict[str, float]]


class Stateful(Protocol):
    """What training changes and a checkpoint keeps: modules, queues."""

    def state_dict(self) -> dict[str, Any]: ...  # noqa: D102

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...  # noqa: D102


class StepParams(Protocol):
    """Params of a training that counts steps, not passes over its data; see ``LoopConfig``."""

    @property
    def steps(self) -> int: ...  # noqa: D102

    @property
    def learning_rate(self) -> float: ...  # noqa: D102

    @property
    def weight_decay(self) -> float: ...  # noqa: D102

    @property
    def warmup_share(self) -> float: ...  # noqa: D102

    @property
    def clip_norm(self) -> float: ...  # noqa: D102


@dataclass(frozen=True)
class LoopConfig:
    """Numbers of a training run.

    Attributes:
        epochs: passes over the batches.
        batches: batches an epoch.
        accumulation: batches summed into one optimiser step; the leftover ones of an epoch make a smaller step.
        learning_rate: peak.
        weight_decay: of AdamW (Loshchilov & Hutter 2019).
        warmup_share: share of the optimiser steps in warm-up.
        clip_norm: largest norm of the gradient.
        seed: of everything random inside the steps.
    """

    epochs: int
    batches: int
    learning_rate: float
    accumulation: int = 1
    weight_decay: float = 0.0
    warmup_share: float = 0.0
    clip_norm: float = 1.0
    seed: int = 42

    @classmethod
    def of_steps(cls, params: StepParams, steps_a_point: int, seed: int) -> LoopConfig:
        """Of a training whose curves have a point for each so many steps."""
        return cls(
            epochs=params.steps // steps_a_point,
            batches=steps_a_point,
            learning_rate=params.learning_rate,
            weight_decay=params.weight_decay,
            warmup_share=params.warmup_share,
            clip_norm=params.clip_norm,
            seed=seed,
        )

    @property
    def windows(self) -> int:
        """Optimiser steps an epoch."""
        return optimiser_steps(self.batches, self.accumulation, 1)

    def window(self, number: int) -> range:
        """Batches of one optimiser step of an epoch."""
        start = number * self.accumulation
        return range(start, min(start + self.accumulation, self.batches))


@dataclass(frozen=True)
class Progress:
    """Where training is, for schedules.

    Attributes:
        epoch: from 0.
        batch: within the epoch, from 0.
        epochs_done: with the part of the current one.
        share: of the full run, 0 to below 1.
    """

    epoch: int
    batch: int
    epochs_done: float
    share: float


@dataclass
class _State:
    epoch: int = 0
    window: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=list)

    def close_epoch(self, batches: int) -> None:
        self.history.append({name: total / batches for name, total in self.sums.items()})
        self.epoch, self.window, self.sums = self.epoch + 1, 0, {}


def train(
    step: Callable[[Batch, Progress], Mapping[str, Tensor]],
    modules: Mapping[str, Stateful],
    batch_at: Callable[[int, int], Batch],
    config: LoopConfig,
    checkpoint: Checkpoint | None = None,
    label: str = "training",
) -> History:
    """Minimise ``loss`` over the parameters of ``modules``.

    Args:
        step: batch and progress to scalar components; ``loss`` is the one that is minimised. Whatever is random in it
            draws from torch's global generator, which the loop seeds and checkpoints.
        modules: everything that training changes, by name; the parameters are those of the ``nn.Module`` among them.
        batch_at: batch of an epoch and a number; a function of nothing else, so that a resumed run needs no replay.
        config: numbers of the run.
        checkpoint: where to keep resumable state; a killed run then ends with the same bytes as one that was not.
        label: shown beside the progress bar.

    Returns:
        Mean of every component over each epoch.

    Raises:
        LexivertError: the loss is not finite.
    """
    parameters = [
        parameter
        for module in modules.values()
        if isinstance(module, nn.Module)
        for parameter in module.parameters()
        if parameter.requires_grad
    ]
    optimiser = torch.optim.AdamW(parameters, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True)
    total = optimiser_steps(config.batches, config.accumulation, config.epochs)
    with reproducible(config.seed):
        state = _restored(checkpoint, modules, optimiser)
        done = state.epoch * config.windows + state.window
        with tqdm(total=total, initial=done, desc=label, unit="step", mininterval=1.0) as bar:
            for number in range(done, total):
                factor = learning_rate_factor(number, total, config.warmup_share)
                for group in optimiser.param_groups:
                    group["lr"] = config.learning_rate * factor
                last = _optimiser_step(step, batch_at, config, state)
                torch.nn.utils.clip_grad_norm_(parameters, config.clip_norm)
                optimiser.step()
                optimiser.zero_grad(set_to_none=True)
                state.window += 1
                if state.window == config.windows:
                    state.close_epoch(config.batches)
                if checkpoint is not None and (state.window == 0 or checkpoint.due(number + 1)):
                    checkpoint.write(_snapshot(state, modules, optimiser))
                bar.set_postfix(loss=f"{last:.4f}", refresh=False)
                bar.update()
    return state.history


def _optimiser_step(
    step: Callable[[Batch, Progress], Mapping[str, Tensor]],
    batch_at: Callable[[int, int], Batch],
    config: LoopConfig,
    state: _State,
) -> float:
    """Add up the gradient of one window's mean loss and its components."""
    window = config.window(state.window)
    last = 0.0
    for batch in window:
        done = state.epoch + batch / config.batches
        progress = Progress(state.epoch, batch, done, done / config.epochs)
        components = step(batch_at(state.epoch, batch), progress)
        values = {name: float(value.detach()) for name, value in components.items()}
        last = values["loss"]
        if not torch.isfinite(components["loss"]):
            raise LexivertError(f"the loss is {last} in epoch {state.epoch + 1}; lower the stage's learning_rate")
        (components["loss"] / len(window)).backward()  # type: ignore[no-untyped-call]
        for name, value in values.items():
            state.sums[name] = state.sums.get(name, 0.0) + value
    return last


def _snapshot(state: _State, modules: Mapping[str, Stateful], optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    return {
        "epoch": state.epoch,
        "window": state.window,
        "sums": state.sums,
        "history": state.history,
        "modules": {name: module.state_dict() for name, module in modules.items()},
        "optimiser": optimiser.state_dict(),
        "random": random_state(),
    }


def _restored(
    checkpoint: Checkpoint | None, modules: Mapping[str, Stateful], optimiser: torch.optim.Optimizer
) -> _State:
    saved = checkpoint.read() if checkpoint is not None else None
    if saved is None:
        return _State()
    for name, module in modules.items():
        module.load_state_dict(saved["modules"][name])
    optimiser.load_state_dict(saved["optimiser"])
    restore_random_state(saved["random"])
    logger.info("resuming in epoch %d at step %d", saved["epoch"] + 1, saved["window"])
    return _State(saved["epoch"], saved["window"], saved["sums"], saved["history"])
