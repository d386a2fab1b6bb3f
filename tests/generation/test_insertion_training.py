from __future__ import annotations

import math

import pytest
import torch

from generation import insertion_cases as cases
from lexivert.generation.insertion_data import InsertionBatch, InsertionBatches
from lexivert.generation.insertion_orders import PartialText, Placed
from lexivert.generation.insertion_training import InsertionStep, cross_entropy
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.sampled_softmax import ImportanceSample


def drawn(seed):
    given = (cases.sentences(), cases.prior(), cases.log_prior(), cases.POSITIONS, cases.PARAMS)
    return InsertionBatches(*given, seed)


@pytest.fixture(scope="module")
def batch():
    """The first batch in which something is missing and something is wrong."""
    batches = drawn(seed=0)
    found = (batches(0, number) for number in range(50))
    return next(one for one in found if len(one.rows) and one.wrong.any() and one.units.shape[1] > 3)


def test_batches_are_of_partial_sentences(batch):
    """What is right in a buffer and what is missing are the sentence together; weights sum to 1."""
    known = sorted(sorted(units) for units in cases.sentences().units)
    rebuilt = []
    for row in range(len(batch.length)):
        mine = batch.rows == row
        there = batch.units[row, : batch.length[row]]
        rebuilt.append(sorted(there[~batch.wrong[row, : batch.length[row]]].tolist() + batch.missing[mine].tolist()))
        assert not mine.any() or float(batch.weights[mine].sum()) == pytest.approx(1.0)
        assert (batch.slots[mine] <= batch.length[row]).all()
    assert sorted(rebuilt) == known
    torch.testing.assert_close(batch.prefix.norm(dim=1), torch.ones(cases.SENTENCES))


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    one, again, other = drawn(0)(1, 2), drawn(0)(1, 2), drawn(1)(1, 2)
    assert one.units.equal(again.units)
    assert one.prefix.equal(again.prefix)
    assert not one.prefix.equal(other.prefix)


def test_cross_entropy_is_that_of_all_pairs(batch):
    """Against a softmax over all units in all slots, written out, for both losses; every unit is a negative."""
    layer = cases.prior().output
    generator = torch.Generator().manual_seed(0)
    slots = batch.units.shape[1] + 1
    queries = torch.randn(cases.SENTENCES, slots, cases.EMBEDDING_DIM, generator=generator)
    weights = torch.randn(cases.SENTENCES, slots, generator=generator)
    weights[torch.arange(slots) > batch.length[:, None]] = -1e6
    sample = ImportanceSample(cases.log_prior(), always=cases.UNITS, drawn=1).draw()
    found = cross_entropy(layer, sample, (queries, weights), (batch, batch.slots), torch.float32)
    total, texts = 0.0, set()
    logits = queries @ layer.weight.T + layer.bias + weights[:, :, None]
    for row, unit, slot, weight in zip(
        *(t.tolist() for t in (batch.rows, batch.missing, batch.slots, batch.weights)), strict=True
    ):
        total -= weight * float(logits[row].flatten().log_softmax(dim=0).view(logits[row].shape)[slot, unit])
        texts.add(row)
    assert float(found) == pytest.approx(total / len(texts), rel=1e-4)


def test_more_constant_negatives_than_units_are_all_units():
    prior = cases.log_prior()
    negatives, times = ImportanceSample(prior, always=len(prior) + 1000, drawn=5).draw()
    assert sorted(negatives.tolist()) == list(range(len(prior)))
    assert times.tolist() == [1.0] * len(prior)


def test_negatives_that_are_missing_units_count_once():
    """With two draws in place of all other units, right ones are in the partition function exactly."""
    text = PartialText.of([10, 11], [Placed(10, 0)], [1])
    batch = InsertionBatch.of([text], cases.sentences().prefixes[:1])
    layer = cases.prior().output
    queries = torch.zeros(1, 2, cases.EMBEDDING_DIM)
    sample = (torch.tensor([11, 20]), torch.tensor([1.0, 5.0]))
    found = cross_entropy(layer, sample, (queries, torch.zeros(1, 2)), (batch, batch.slots), torch.float32)
    right, other = (math.exp(float(layer.bias[unit])) for unit in (11, 20))
    assert float(found) == pytest.approx(-math.log(right / (2 * right + 2 * 5 * other)), rel=1e-5)


def test_complete_texts_have_no_next_unit_but_closed_slots():
    texts = [PartialText.of([10, 11], [Placed(10, 0), Placed(11, 1)], [])] * 2
    batch = InsertionBatch.of(texts, cases.sentences().prefixes[:2])
    step = InsertionStep(cases.sizes().new(seed=0), cases.prior(), cases.log_prior(), cases.PARAMS)
    parts = step(batch, None)
    assert (parts["selection"].item(), parts["placement"].item()) == (0.0, 0.0)
    assert parts["open"].item() == pytest.approx(math.log(2.0))
    parts["loss"].backward()


def test_training_learns_and_is_resumed_to_the_same_bytes(tmp_path):
    full, history = cases.trained(steps=40)
    assert history[-1]["loss"] < history[0]["loss"]
    assert set(history[0]) == {"loss", "selection", "placement", "open", "wrong"}
    checkpoint = Checkpoint(tmp_path, "mine", every=7)

    class KilledError(Exception):
        pass

    written = Checkpoint.write
    count = 0

    def write(self, state):
        nonlocal count
        written(self, state)
        count += 1
        if count == 3:
            raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoint, "write", write)
        with pytest.raises(KilledError):
            cases.trained(steps=40, checkpoint=checkpoint)
    resumed, again = cases.trained(steps=40, checkpoint=checkpoint)
    assert again == history
    assert all(torch.equal(value, full.state_dict()[name]) for name, value in resumed.state_dict().items())
