from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.data.encoded_texts import EncodedTexts
from lexivert.errors import LexivertError
from lexivert.priors import selector_training
from lexivert.priors.perplexity import cross_entropies
from lexivert.priors.selector import Selector, UnitEmbeddings
from lexivert.priors.selector_data import SelectorTexts
from lexivert.priors.selector_training import (
    BagOfWordsStep,
    SelectorBatches,
    SelectorStep,
    begin_with_similarity,
    train_selector,
)
from lexivert.training.loop import Progress
from sections import section

NOW = Progress(0, 0, 0.0, 0.0)


def params(**changes):
    small = {
        "max_train_units": 12,
        "batch_size": 6,
        "steps": 50,
        "bag_of_words": {"batch_size": 6, "steps": 50, "learning_rate": 3e-3},
        "warmup_share": 0.1,
        "min_prefix_cosine": 0.6,
    }
    return section("selector", **(small | changes))


def texts_of(world, count=60):
    """Sentences that repeat one of twelve successions of units, so that there is something to learn."""
    rng = np.random.default_rng(0)
    chains = [rng.integers(1, len(world.codebook), size=6).tolist() for _ in range(12)]
    chosen = rng.integers(12, size=count)
    units = [chains[i] for i in chosen]
    semantic = np.eye(12, 8, dtype=np.float16)[chosen] + np.float16(0.1)
    prefixes = (semantic / np.linalg.norm(semantic, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    texts = EncodedTexts([], units, torch.from_numpy(prefixes))
    return SelectorTexts(texts, texts)


@pytest.fixture
def small(make_world):
    """A new world for every test: training changes it."""
    return make_world(120, 32, positions=16, candidates=16)


def learner(world, *, trained=True):
    """Selector and unit vectors, as if in the midst of training."""
    units = len(world.codebook)
    torch.manual_seed(0)
    selector = Selector(8, 6, 16, 2, 16)
    space = UnitEmbeddings(torch.randn(units, 10), world.codebook.log_prior, embedding_dim=6, free=50)
    if trained:
        torch.nn.init.normal_(space.free, std=0.5)
        torch.nn.init.normal_(selector.query[-1].weight, std=0.3)
        torch.nn.init.normal_(selector.bag_of_words[-1].weight, std=0.3)
    return selector, space


def batches_of(world, **changes):
    numbers = params(**changes)
    return SelectorBatches.of(texts_of(world), world.codebook.log_prior, numbers, numbers.batch_size, seed=3)


def test_batches_are_the_same_whenever_asked_for(small):
    drawn = batches_of(small)
    one, again, other = drawn(1, 2), drawn(1, 2), drawn(1, 3)
    assert torch.equal(one.truth, again.truth)
    for field in dataclasses.fields(one.belief):
        assert torch.equal(getattr(one.belief, field.name), getattr(again.belief, field.name))
    assert not torch.equal(one.belief.prefix, other.belief.prefix)


def dense_logits(selector, space, belief):
    table = space(torch.arange(len(space.bias)))
    queries = selector(belief, table[belief.units.clamp_min(0)])
    return queries @ table.T + space.bias


def test_the_selectors_loss_over_all_units_is_the_full_cross_entropy(small):
    """120 units are all negatives of every step."""
    selector, space = learner(small)
    batch = batches_of(small)(0, 0)
    losses = SelectorStep(selector, space, small.codebook.log_prior, params())(batch, NOW)
    inside = batch.truth >= 0
    logits = dense_logits(selector, space, batch.belief)[inside]
    expected = F.cross_entropy(logits, batch.truth[inside])
    assert losses["infonce"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert losses["partition"].item() == pytest.approx(logits.logsumexp(dim=1).square().mean().item(), rel=1e-4)
    length = F.cross_entropy(selector.length_logits(batch.belief), batch.belief.length)
    assert losses["length"].item() == pytest.approx(length.item(), rel=1e-5)


def test_the_selectors_loss_over_few_negatives_is_near_the_full_one(small):
    """Ten units always and forty draws of the others, which stand for them all, over many steps."""
    selector, space = learner(small)
    with torch.no_grad():
        for weight in (space.free, selector.query[-1].weight, selector.bag_of_words[-1].weight):
            weight.mul_(0.3)
    batch = batches_of(small)(0, 0)
    inside = batch.truth >= 0
    with torch.no_grad():
        exact = F.cross_entropy(dense_logits(selector, space, batch.belief)[inside], batch.truth[inside]).item()
        torch.manual_seed(0)
        step = SelectorStep(selector, space, small.codebook.log_prior, params(), always=10, drawn=40)
        drawn = [step(batch, NOW)["infonce"].item() for _ in range(100)]
    assert len({round(value, 6) for value in drawn}) > 50
    assert np.mean(drawn) == pytest.approx(exact, rel=0.03)


def test_the_bag_of_words_loss_is_the_cross_entropy_given_the_prefix_alone(small):
    selector, space = learner(small)
    batch = batches_of(small)(0, 0)
    losses = BagOfWordsStep(selector, space, params())(batch, NOW)
    inside = batch.truth >= 0
    logits = selector.bag_of_words_query(batch.belief) @ space(torch.arange(120)).T + space.bias
    each = logits[:, None, :].expand(-1, batch.truth.shape[1], -1)[inside]
    assert losses["infonce"].item() == pytest.approx(F.cross_entropy(each, batch.truth[inside]).item(), rel=1e-4)


@pytest.mark.parametrize("kind", ["bag of words", "selector"])
def test_in_half_precision_a_step_costs_and_learns_nearly_the_same(small, kind):
    gradients, costs = [], []
    for dtype in (torch.float32, torch.bfloat16):
        selector, space = learner(small)
        bags = BagOfWordsStep(selector, space, params(), dtype)
        contexts = SelectorStep(selector, space, small.codebook.log_prior, params(), dtype)
        loss = (bags if kind == "bag of words" else contexts)(batches_of(small)(0, 0), NOW)["loss"]
        loss.backward()
        costs.append(loss.item())
        network = selector.bag_of_words if kind == "bag of words" else selector.query[2:]
        gradients.append([space.project.weight.grad, space.free.grad, space.bias.grad, network[0].weight.grad])
    assert costs[1] == pytest.approx(costs[0], rel=1e-2)
    assert costs[1] != costs[0]
    for exact, rough in zip(*gradients, strict=True):
        assert F.cosine_similarity(exact.flatten(), rough.flatten(), dim=0) > 0.99


def test_training_begins_where_units_like_the_prefix_are_likelier(small):
    """Query and unit vectors are projected alike, so logits rank units as cosines of the projections do."""
    torch.manual_seed(0)
    selector, space = Selector(8, 6, 16, 2, 16), UnitEmbeddings(torch.randn(120, 8), torch.zeros(120), 6, 10)
    begin_with_similarity(selector, space)
    belief = batches_of(small)(0, 0).belief
    with torch.no_grad():
        query = selector.bag_of_words_query(belief)
        projected = space.project(8.0 * belief.prefix * belief.cosine[:, None])
        torch.testing.assert_close(query, projected, atol=1e-5, rtol=1e-4)


def test_a_network_that_is_narrow_begins_with_a_part_of_the_projection(small):
    torch.manual_seed(0)
    selector, space = Selector(8, 6, 4, 2, 16), UnitEmbeddings(torch.randn(120, 8), torch.zeros(120), 6, 10)
    begin_with_similarity(selector, space)
    belief = batches_of(small)(0, 0).belief
    with torch.no_grad():
        query = selector.bag_of_words_query(belief)
        projected = space.project(8.0 * belief.prefix * belief.cosine[:, None])
    torch.testing.assert_close(query[:, :4], projected[:, :4], atol=1e-5, rtol=1e-4)
    assert not query[:, 4:].any()


def test_bags_of_words_that_are_all_one_end_the_run(small):
    """A bag-of-words network that sees nothing of the prefix gives every text the same query."""
    selector, space = learner(small)
    torch.nn.init.zeros_(selector.bag_of_words[0].weight)
    torch.nn.init.ones_(selector.bag_of_words[0].bias)
    step, drawn = BagOfWordsStep(selector, space, params()), batches_of(small)
    assert step(drawn(0, 0), NOW)["anisotropy"].item() == pytest.approx(1.0)
    for number in range(98):
        step(drawn(0, number), NOW)
    with pytest.raises(
        LexivertError, match=r"bag-of-words network's queries have collapsed: for 100 steps .*bag_of_words.learning"
    ):
        step(drawn(0, 98), NOW)


@pytest.mark.parametrize("kind", ["bag of words", "selector"])
def test_the_loss_is_the_weighted_sum_of_finite_parts(small, kind):
    weight = {"infonce": 1.0, "length": 2.0, "partition": 0.5}
    numbers = params(weight=weight)
    selector, space = learner(small)
    step = (
        BagOfWordsStep(selector, space, numbers)
        if kind == "bag of words"
        else SelectorStep(selector, space, small.codebook.log_prior, numbers)
    )
    losses = {name: loss.item() for name, loss in step(batches_of(small)(0, 0), NOW).items()}
    assert all(math.isfinite(loss) for loss in losses.values())
    assert losses["loss"] == pytest.approx(sum(share * losses[name] for name, share in weight.items()), rel=1e-5)


def test_each_phase_has_its_own_rate_and_the_machines_number_format(small, monkeypatch):
    seen = []

    def spy(step, modules, batches, config, checkpoint, label):
        seen.append((label, config.learning_rate, getattr(step, "dtype", None)))
        return []

    monkeypatch.setattr(selector_training, "train", spy)
    monkeypatch.setattr(selector_training, "choose_dtype", lambda name, device: torch.bfloat16)
    selector, space = learner(small)
    numbers = params(learning_rate=1e-3, bag_of_words={"batch_size": 6, "steps": 50, "learning_rate": 2e-3})
    train_selector(selector, space, texts_of(small), small.codebook.log_prior, numbers, 0)
    assert seen == [("bag of words", 2e-3, torch.bfloat16), ("selector", 1e-3, torch.bfloat16)]


def test_the_selector_learns_and_is_the_same_twice(make_world):
    states, histories = [], []
    for _ in range(2):
        world = make_world(120, 32, positions=16)
        texts, log_prior = texts_of(world), world.codebook.log_prior
        selector, space = learner(world, trained=False)
        prior, history = train_selector(selector, space, texts, log_prior, params(learning_rate=1e-2), seed=1)
        cost = cross_entropies(prior, log_prior, texts.written)
        assert cost["prefix"] < 0.8 * cost["unigram"]
        assert cost["neighbours"] < 0.95 * cost["unigram"]
        assert cost["prefix_and_neighbours"] < 0.9 * cost["neighbours"]
        assert not selector.training
        with torch.no_grad():
            assert prior.selector is selector
            assert torch.equal(prior.output.weight, space(torch.arange(120)))
            assert torch.equal(prior.output.bias[1:], space.bias[1:])
        states.append([weight.clone() for weight in selector.state_dict().values()])
        histories.append(history)
    assert len(histories[0]) == 10  # 50 + 50 steps, 10 a point
    assert histories[0] == histories[1]
    assert all(torch.equal(one, other) for one, other in zip(*states, strict=True))
