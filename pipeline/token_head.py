"""Stage ``token_head``: trains unit codes on the frozen features and reports on units kept out."""

from __future__ import annotations

from _stage import PARAMS, ROOT, ParamsFile, Root, run

from lexivert.artifacts import Paths, write_metrics
from lexivert.codes.token_head_data import checkpoint_for, read_token_head_data
from lexivert.codes.token_head_training import train_token_head
from lexivert.config import load_params
from lexivert.devices import choose_device
from lexivert.evaluation.token_head_report import held_out_report
from lexivert.training.curves import by_epoch, write_curves


def main(root: Root = ROOT, params: ParamsFile = PARAMS) -> None:
    """Write models/token_head/, metrics/token_head.json and metrics/plots/token_head.csv."""
    paths, settings = Paths(root), load_params(params)
    data = read_token_head_data(paths, settings)
    checkpoint = checkpoint_for(paths, settings, data)
    device = choose_device(settings.backbone.device)
    head, history = train_token_head(data.units, data.config, settings.token_head, settings.seed, checkpoint, device)
    report = held_out_report(head, data.features, data.surfaces, data.heldout, data.pairs, settings.seed)
    head.save(paths.token_head)
    write_curves(paths.plots / "token_head.csv", history)
    write_metrics(
        paths.metrics("token_head"),
        {"final": history[-1], "epochs": by_epoch(history), "held_out": report, "units": len(data.surfaces)},
    )
    checkpoint.clear()


if __name__ == "__main__":
    run(main)
