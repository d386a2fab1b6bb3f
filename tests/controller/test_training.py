from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from lexivert.controller.proposal import see
from lexivert.controller.sampling import Texts
from lexivert.controller.training import ControllerStep, ExampleBatches, train_controller, validate
from lexivert.params import ControllerParams
from lexivert.training.loop import Progress

NOW = Progress(0, 0, 0.0, 0.0)


def params(**changes):
    small = {"max_train_units": 12, "batch_size": 6, "steps": 50, "warmup_share": 0.1, "min_noise_cosine": 0.6}
    return ControllerParams(**(small | changes))


def texts_of(world, count=60):
    """Sentences that repeat one of twelve successions of units, so that there is something to learn."""
    rng = np.random.default_rng(0)
    chains = [rng.integers(1, len(world.language.codes), size=6).tolist() for _ in range(12)]
    chosen = rng.integers(12, size=count)
    return Texts([chains[i] for i in chosen], np.eye(12, 8, dtype=np.float16)[chosen] + np.float16(0.1))


@pytest.fixture
def small(make_world):
    """A new world for every test: training changes it."""
    return make_world(120, 32, positions=16, candidates=120)


def test_batches_are_the_same_whenever_asked_for(small):
    batches = ExampleBatches(texts_of(small), small.proposer, params(), seed=3)
    one, again, other = batches(1, 2), batches(1, 2), batches(1, 3)
    assert torch.equal(one.target, again.target)
    assert torch.equal(one.buffer.units, again.buffer.units)
    assert one.target.shape == (6, 32)
    assert not torch.equal(one.target, other.target)


def test_infonce_over_all_units_is_the_full_cross_entropy(small):
    example = ExampleBatches(texts_of(small), small.proposer, params(), seed=0)(0, 0)
    losses = ControllerStep(small.proposer, params())(example, NOW)
    asked = example.buffer.open()[:, : int(example.buffer.length.max())]
    slots = see(example.buffer, torch.arange(6), example.channel, example.semantic, asked, small.language)
    raw = small.proposer.selector(slots).raw
    logits = raw @ small.language.codes.float().T + small.language.log_prior
    expected = torch.nn.functional.cross_entropy(logits, example.truth[asked.nonzero(as_tuple=True)])
    assert losses["infonce"].item() == pytest.approx(expected.item(), rel=1e-4)


def test_infonce_over_a_few_candidates_is_near_the_full_one(make_world):
    world = make_world(600, 64, positions=16, candidates=8)
    rng = np.random.default_rng(0)
    prior = world.language.log_prior.exp().numpy()[1:]
    units = [(1 + rng.choice(599, size=8, p=prior / prior.sum())).tolist() for _ in range(100)]
    texts = Texts(units, np.ones((100, 8), dtype=np.float16))
    numbers = params(batch_size=48, max_train_units=8)
    example = ExampleBatches(texts, world.proposer, numbers, seed=0)(0, 0)
    torch.manual_seed(0)
    estimate = ControllerStep(world.proposer, numbers)(example, NOW)["infonce"].item()
    asked = example.buffer.open()[:, :8]
    slots = see(example.buffer, torch.arange(48), example.channel, example.semantic, asked, world.language)
    logits = world.proposer.selector(slots).raw @ world.language.codes.float().T + world.language.log_prior
    exact = torch.nn.functional.cross_entropy(logits, example.truth[asked.nonzero(as_tuple=True)]).item()
    assert estimate == pytest.approx(exact, rel=0.15)


def test_the_loss_is_the_weighted_sum_of_finite_parts(small):
    weight = {"infonce": 1.0, "placer": 2.0, "moment": 0.5, "variance": 0.25}
    numbers = params(weight=weight)
    example = ExampleBatches(texts_of(small), small.proposer, numbers, seed=0)(0, 0)
    losses = {name: loss.item() for name, loss in ControllerStep(small.proposer, numbers)(example, NOW).items()}
    assert all(math.isfinite(loss) for loss in losses.values())
    assert losses["loss"] == pytest.approx(sum(share * losses[name] for name, share in weight.items()), rel=1e-5)


def test_training_learns_and_is_the_same_twice(make_world):
    states, histories = [], []
    for _ in range(2):
        world = make_world(120, 32, positions=16, candidates=16)
        before = validate(world.proposer, texts_of(world), params(), seed=9)
        history = train_controller(world.proposer, texts_of(world), params(learning_rate=1e-2), seed=1)
        after = validate(world.proposer, texts_of(world), params(), seed=9)
        assert after == validate(world.proposer, texts_of(world), params(), seed=9)
        assert after["infonce"] < 0.95 * before["infonce"]
        assert not world.proposer.selector.training
        assert not world.proposer.placer.training
        modules = (world.proposer.selector, world.proposer.placer)
        states.append([weight.clone() for module in modules for weight in module.state_dict().values()])
        histories.append(history)
    assert len(histories[0]) == 5  # 50 steps, 10 a point
    assert histories[0] == histories[1]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
