from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from lexivert.errors import LexivertError
from lexivert.training.checkpoint import Checkpoint, fingerprint, reproducible
from lexivert.training.loop import LoopConfig, Progress, train
from lexivert.training.negatives import CodeQueue
from lexivert.training.schedules import learning_rate_factor


class KilledError(Exception):
    pass


def model(seed=0):
    with reproducible(seed):
        return nn.Sequential(nn.Linear(3, 5), nn.GELU(), nn.Linear(5, 3))


def batch_at(epoch, index):
    return torch.randn(4, 3, generator=torch.Generator().manual_seed(100 * epoch + index))


def noisy_step(net, queue, kill_at=None):
    """Depends on the generator, on the queue and on progress: everything that a checkpoint must bring back."""
    calls = 0

    def step(batch, progress):
        nonlocal calls
        calls += 1
        if calls == kill_at:
            raise KilledError
        output = net(batch + 0.1 * torch.randn_like(batch))
        past, _ = queue.entries()
        distance = (output - batch).square().mean() + (output.mean(0) * past.sum(0)).mean() * 0.01
        queue.push(output, torch.arange(4))
        return {"loss": distance * (1 + progress.share), "distance": distance}

    return step


CONFIG = LoopConfig(
    epochs=3, batches=5, accumulation=2, learning_rate=0.01, weight_decay=0.1, warmup_share=0.2, seed=3
)


def run(checkpoint=None, kill_at=None, config=CONFIG):
    net, queue = model(), CodeQueue(6, 3)
    history = train(noisy_step(net, queue, kill_at), {"net": net, "queue": queue}, batch_at, config, checkpoint)
    return save(net.state_dict()), history


@pytest.mark.parametrize("every", [0, 1, 2])
@pytest.mark.parametrize("kill_at", [1, 4, 6, 9, 15])
def test_killed_run_resumes_to_the_same_bytes(tmp_path: Path, every, kill_at):
    expected, expected_history = run()
    checkpoint = Checkpoint(tmp_path / "state", "same run", every)
    with pytest.raises(KilledError):
        run(checkpoint, kill_at)
    resumed, history = run(checkpoint)
    assert resumed == expected
    assert history == expected_history


def test_resumed_run_does_not_start_again(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path, "same run", every=1)
    with pytest.raises(KilledError):
        run(checkpoint, kill_at=15)
    with pytest.raises(KilledError):
        run(checkpoint, kill_at=1)
    run(checkpoint, kill_at=2)  # one micro-batch was left: a second call would be killed


def test_finished_run_is_not_trained_further(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path, "same run")
    first = run(checkpoint)
    assert run(checkpoint, kill_at=1) == first


def test_state_of_other_inputs_is_not_resumed(tmp_path: Path):
    with pytest.raises(KilledError):
        run(Checkpoint(tmp_path, "other params", every=1), kill_at=9)
    assert run(Checkpoint(tmp_path, "these params")) == run()


def test_damaged_checkpoint_starts_afresh(tmp_path: Path, caplog):
    checkpoint = Checkpoint(tmp_path, "same run", every=1)
    with pytest.raises(KilledError):
        run(checkpoint, kill_at=9)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:500])
    assert run(checkpoint) == run()
    assert "damaged" in caplog.text


def test_clear_removes_the_checkpoint(tmp_path: Path):
    checkpoint = Checkpoint(tmp_path / "stage", "run")
    run(checkpoint)
    checkpoint.clear()
    assert not checkpoint.folder.exists()
    assert checkpoint.read() is None


def test_accumulation_equals_one_large_batch():
    rows = torch.randn(8, 3, generator=torch.Generator().manual_seed(1))

    def trained(batches, accumulation):
        net = model()
        parts = rows.chunk(batches)
        config = LoopConfig(epochs=2, batches=batches, accumulation=accumulation, learning_rate=0.05)
        train(lambda part, _: {"loss": net(part).square().mean()}, {"net": net}, lambda _, i: parts[i], config)
        return net[0].weight

    torch.testing.assert_close(trained(4, 4), trained(1, 1))


@pytest.fixture
def optimiser_steps():
    """Learning rate and gradient of the first parameter at every optimiser step, by torch's own hook."""
    seen = []
    removed = register_optimizer_step_pre_hook(
        lambda optimiser, *_: seen.append(
            (optimiser.param_groups[0]["lr"], optimiser.param_groups[0]["params"][0].grad.clone())
        )
    )
    yield seen
    removed.remove()


def test_learning_rate_warms_up_and_ends_within_the_run(optimiser_steps):
    config = LoopConfig(epochs=2, batches=9, accumulation=3, learning_rate=1.0, warmup_share=1 / 3)
    net = model()
    train(lambda batch, _: {"loss": net(batch).square().mean()}, {"net": net}, batch_at, config)
    expected = [0.5, 1.0, *(0.5 + 0.5 * math.cos(math.pi * share) for share in (0, 0.25, 0.5, 0.75))]
    assert [rate for rate, _ in optimiser_steps] == pytest.approx(expected)


def test_the_schedule_counts_optimiser_steps_not_batches(optimiser_steps):
    """The script counted batches and advanced once in 8 of them: it stopped after an eighth of its cosine."""
    config = LoopConfig(epochs=4, batches=20, accumulation=8, learning_rate=1.0, warmup_share=0.05)
    net = model()
    train(lambda batch, _: {"loss": net(batch).square().mean()}, {"net": net}, batch_at, config)
    assert [rate for rate, _ in optimiser_steps] == [learning_rate_factor(step, 12, 0.05) for step in range(12)]
    assert optimiser_steps[-1][0] < 0.05


@pytest.mark.parametrize(
    ("batches", "expected"),
    [(19, [1.0, 1.0, 1.0, 10.0, 10.0, 10.0]), (3, [1.0, 10.0])],
)
def test_leftover_batches_of_an_epoch_stay_in_it(optimiser_steps, batches, expected):
    """A gradient that tells its epoch, 1 or 10: every step is the mean of its own epoch's batches."""
    weight = torch.nn.Parameter(torch.zeros(()))
    config = LoopConfig(epochs=2, batches=batches, accumulation=8, learning_rate=0.1, clip_norm=1e9)
    train(
        lambda batch, _: {"loss": weight * batch},
        {"weight": torch.nn.ParameterList([weight])},
        lambda epoch, _: torch.tensor(10.0**epoch),
        config,
    )
    assert [round(float(gradient), 6) for _, gradient in optimiser_steps] == expected


def test_progress_and_epoch_means():
    seen = []

    def step(batch, progress):
        seen.append(progress)
        return {"loss": net(batch).square().mean(), "number": torch.tensor(float(progress.batch))}

    net = model()
    history = train(step, {"net": net}, batch_at, LoopConfig(epochs=2, batches=3, accumulation=2, learning_rate=0.1))
    assert [(p.epoch, p.batch) for p in seen] == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2)]
    assert seen[4] == Progress(epoch=1, batch=1, epochs_done=1 + 1 / 3, share=(1 + 1 / 3) / 2)
    assert [means["number"] for means in history] == [1.0, 1.0]
    assert history[1]["loss"] < history[0]["loss"]


def test_loss_that_is_not_finite_is_an_error():
    net = model()
    with pytest.raises(LexivertError, match=r"nan in epoch 1; lower .*learning_rate"):
        train(
            lambda batch, _: {"loss": net(batch).sum() * float("nan")},
            {"net": net},
            batch_at,
            LoopConfig(epochs=1, batches=1, learning_rate=0.1),
        )


def test_reproducible_seeds_and_gives_the_caller_back_its_generator():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with reproducible(7):
        first = torch.rand(2)
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.equal(torch.rand(2), expected)
    with reproducible(7):
        assert torch.equal(torch.rand(2), first)


def test_fingerprint_tells_arrays_params_and_code_apart():
    one, two = torch.arange(4).numpy(), torch.arange(4).float().numpy()
    module = "lexivert.training.loop"
    others = [(module, 2, one), (module, 1, two), (module, 1, one.reshape(2, 2)), ("lexivert.errors", 1, one)]
    assert len({fingerprint(module, 1, one), *(fingerprint(*parts) for parts in others)}) == 5
    assert fingerprint(module, 1, one) == fingerprint(module, 1, one.copy())
