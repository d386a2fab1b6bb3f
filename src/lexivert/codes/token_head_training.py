"""Training of the token head on cached features: mini-batches of units, and the training run."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from lexivert.codes.token_head import TokenHead, TokenHeadConfig
from lexivert.codes.token_head_step import TokenHeadStep, TrainingUnits
from lexivert.config import TokenHeadParams
from lexivert.errors import LexivertError
from lexivert.training.checkpoint import Checkpoint, reproducible
from lexivert.training.collapse import CollapseRules
from lexivert.training.loop import History, LoopConfig, train
from lexivert.training.negatives import CodeQueue


class UnitBatches:
    """Batches of unit ids: a new order each epoch, fixed by seed and epoch; sizes differ by at most one.

    Args:
        units: ids to go through. Shape: (M,).
        batch_size: largest batch.
        seed: of the orders.
    """

    def __init__(self, units: Tensor, batch_size: int, seed: int) -> None:
        self.units, self.seed = units, seed
        self.count = max(math.ceil(len(units) / batch_size), 1)
        self._order = lru_cache(maxsize=1)(self._shuffled)

    def _shuffled(self, epoch: int) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.units), generator=generator)
        return torch.tensor_split(self.units[order], self.count)

    def __call__(self, epoch: int, batch: int) -> Tensor:
        """Unit ids of a batch. Shape: (B,)."""
        return self._order(epoch)[batch]


def train_token_head(  # noqa: PLR0913, PLR0917 a run is all of these
    units: TrainingUnits,
    config: TokenHeadConfig,
    params: TokenHeadParams,
    seed: int,
    checkpoint: Checkpoint | None = None,
    device: torch.device | str = "cpu",
    rules: CollapseRules | None = None,
    step_of: type[TokenHeadStep] = TokenHeadStep,
) -> tuple[TokenHead, History]:
    """Train a token head.

    Args:
        units: features and relations.
        config: widths and the identity part.
        params: section ``token_head``.
        seed: fixes weights, batches and noise.
        checkpoint: where to keep resumable state.
        device: where to train.
        rules: of the collapse alarm.
        step_of: the loss.

    Returns:
        The head on the CPU in eval mode, and the mean of every component over each epoch.

    Raises:
        LexivertError: fewer than two units are left to train on, the loss is not finite, or the codes collapse.
    """
    if len(units.kept) < 2:
        raise LexivertError(f"token_head.heldout_share leaves {len(units.kept)} units to train on; lower it")
    with reproducible(seed):
        head = TokenHead(config)
    head.fit_statistics(units.features[units.kept].float())
    head.to(device)
    queue = CodeQueue(params.queue_size, config.code_width, device)
    batches = UnitBatches(units.kept, params.batch_size, seed)
    loop = LoopConfig(
        epochs=params.epochs,
        batches=batches.count,
        learning_rate=params.learning_rate,
        accumulation=params.accumulation,
        weight_decay=params.weight_decay,
        warmup_share=params.warmup_share,
        clip_norm=params.clip_norm,
        seed=seed,
    )
    step = step_of(head, queue, units, params, rules)
    history = train(step, {"head": head, "queue": queue}, batches, loop, checkpoint, "token head")
    return head.cpu().eval().requires_grad_(requires_grad=False), history
