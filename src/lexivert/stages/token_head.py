"""Stage ``token_head``: trains unit codes on the frozen features; resumes from ``.checkpoints/`` after a kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lexivert.artifacts import Paths, write_metrics
from lexivert.config import Params

if TYPE_CHECKING:
    from lexivert.codes.token_head_data import TokenHeadData
    from lexivert.training.checkpoint import Checkpoint


def run(paths: Paths, params: Params) -> None:
    """Write models/token_head/, metrics/token_head.json and metrics/plots/token_head.csv."""
    from lexivert.codes.token_head_data import read_token_head_data
    from lexivert.codes.token_head_training import train_token_head
    from lexivert.devices import choose_device
    from lexivert.evaluation.token_head_report import heldout_report
    from lexivert.training.curves import by_epoch, write_curves

    data = read_token_head_data(paths, params)
    checkpoint = checkpoint_of(paths, params, data)
    device = choose_device(params.backbone.device)
    head, history = train_token_head(data.units, data.config, params.token_head, params.seed, checkpoint, device)
    report = heldout_report(head, data.features, data.surfaces, data.heldout, data.pairs, params.seed)
    head.save(paths.token_head)
    write_curves(paths.plots / "token_head.csv", history)
    write_metrics(
        paths.metrics("token_head"),
        {"final": history[-1], "epochs": by_epoch(history), "heldout": report, "units": len(data.surfaces)},
    )
    checkpoint.clear()


def checkpoint_of(paths: Paths, params: Params, data: TokenHeadData) -> Checkpoint:
    """Where a run's resumable state goes, valid for these params and inputs and for this code only."""
    from lexivert.training.checkpoint import Checkpoint, fingerprint

    relations = (data.units.synonyms, data.units.never_negative, data.units.antonyms)
    others = [relation.others.numpy() for relation in relations]
    inputs = (params.seed, params.token_head, data.config, data.surfaces, data.features)
    return Checkpoint(paths.checkpoints / "token_head", fingerprint(__name__, *inputs, *others), every=50)
