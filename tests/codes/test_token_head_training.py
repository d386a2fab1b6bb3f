from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save

from lexivert.codes import token_head_training
from lexivert.codes.hashing import identity_codes
from lexivert.codes.token_head import TokenHeadConfig
from lexivert.codes.token_head_training import (
    TokenHeadStep,
    TrainingUnits,
    UnitBatches,
    feature_duplicates,
    train_token_head,
)
from lexivert.data.relations import Relations
from lexivert.errors import LexivertError
from lexivert.training import losses
from lexivert.training.checkpoint import Checkpoint
from lexivert.training.loop import Progress
from lexivert.training.negatives import CodeQueue
from sections import section

CONFIG = TokenHeadConfig(feature_width=12, hidden=32, code_width=48, identity_share=0.6, identity_seed=42)
PARAMS = section(
    "token_head",
    hidden=32,
    batch_size=32,
    epochs=2,
    queue_size=40,
    learning_rate=3e-3,
    accumulation=2,
    temperature={"start": 0.075, "end": 0.04},
    reconstruction_warmup_epochs=2.0,
    weight={"anchor_start": 0.2, "anchor_end": 0.05},
)


def units(count=120, synonyms=(), antonyms=()):
    """Random features, of which each synonym's is near its unit's."""
    rows = torch.randn(count, 12, generator=torch.Generator().manual_seed(0))
    pairs = np.array([*synonyms, *[(b, a) for a, b in synonyms]]).reshape(-1, 2)
    opposite = np.array([*antonyms, *[(b, a) for a, b in antonyms]]).reshape(-1, 2)
    related = Relations.from_pairs(pairs[:, 0], pairs[:, 1], count)
    return TrainingUnits(
        features=rows.half(),
        duplicates=torch.arange(count),
        kept=torch.arange(count),
        synonyms=related,
        never_negative=related,
        antonyms=Relations.from_pairs(opposite[:, 0], opposite[:, 1], count),
    )


def made_step(data, params=PARAMS):
    torch.manual_seed(0)
    head = token_head_training.TokenHead(CONFIG)
    head.fit_statistics(data.features.float())
    return TokenHeadStep(head, CodeQueue(params.queue_size, CONFIG.code_width), data, params)


START = Progress(epoch=0, batch=0, epochs_done=0.0, share=0.0)


def test_every_component_falls():
    data = units(synonyms=[(0, 1), (2, 3), (4, 5)])
    head, history = train_token_head(data, CONFIG, PARAMS.model_copy(update={"epochs": 12}), seed=1)
    first, last = history[0], history[-1]
    assert last["reconstruction"] < 0.8 * first["reconstruction"]
    assert last["contrastive"] < first["contrastive"]
    assert last["synonym"] < 0.8 * first["synonym"]
    assert last["reconstruction_cosine"] > first["reconstruction_cosine"] + 0.1
    assert not head.training


def test_same_seed_same_bytes_and_another_seed_others():
    data = units(synonyms=[(0, 1)], antonyms=[(2, 3)])
    one, two, other = (save(train_token_head(data, CONFIG, PARAMS, seed)[0].state_dict()) for seed in (1, 1, 2))
    assert one == two != other


@pytest.mark.parametrize("kill_at", [1, 3, 6])
def test_killed_training_resumes_to_the_same_bytes(tmp_path: Path, monkeypatch, kill_at):
    data = units(synonyms=[(0, 1), (1, 2)], antonyms=[(3, 4)])
    expected = train_token_head(data, CONFIG, PARAMS, 7)
    checkpoint = Checkpoint(tmp_path, "run", every=1)
    original, calls = TokenHeadStep.__call__, []

    def killed(self, batch, progress):
        calls.append(progress)
        if len(calls) == kill_at:
            raise KeyboardInterrupt
        return original(self, batch, progress)

    with monkeypatch.context() as patch:
        patch.setattr(TokenHeadStep, "__call__", killed)
        with pytest.raises(KeyboardInterrupt):
            train_token_head(data, CONFIG, PARAMS, 7, checkpoint)
    head, history = train_token_head(data, CONFIG, PARAMS, 7, checkpoint)
    assert save(head.state_dict()) == save(expected[0].state_dict())
    assert history == expected[1]


def test_contrastive_loss_of_a_batch_equals_loop_over_candidates():
    """Negatives of a row: the batch, everyone's hard negatives and antonyms, and the queue, known kin left out."""
    data = units(count=10, synonyms=[(0, 1), (0, 8)], antonyms=[(2, 9)])
    params = PARAMS.model_copy(update={"jitter": 0.0})
    step = made_step(data, params)
    step.dtype = torch.float32  # not bfloat16, on machines that have it
    past = F.normalize(torch.randn(4, 48, generator=torch.Generator().manual_seed(2)), dim=-1)
    step.queue.push(past, torch.tensor([8, 2, 7, 0]))
    batch = torch.tensor([0, 1, 2, 3, 4])
    with torch.no_grad():
        codes = step.head(data.features[batch].float())
        antonym = step.head(data.features[9:10].float())[0]
        loss = step(batch, START)["contrastive"]
    kin = {(0, 1), (1, 0), (0, 8), (8, 0)}
    ids = batch.tolist()
    pool = list(zip(ids, codes, strict=True))
    for row, unit in enumerate(ids):
        others = [(ids[c], codes[c]) for c in range(5) if ids[c] != unit and (unit, ids[c]) not in kin]
        others.sort(key=lambda entry: -float(entry[1] @ codes[row]))
        pool += [others[0], (9, antonym) if unit == 2 else others[1]]
    pool += list(zip([8, 2, 7, 0], past, strict=True))
    expected = 0.0
    for row, unit in enumerate(ids):
        scores = [torch.tensor(1.0)]
        scores += [code @ codes[row] for other, code in pool if other != unit and (unit, other) not in kin]
        expected -= float(F.log_softmax(torch.stack(scores) / params.temperature.start, dim=0)[0]) / 5
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_step_fills_the_queue_and_weighs_the_parts():
    step = made_step(units(synonyms=[(0, 1)]))
    parts = step(torch.arange(10), Progress(epoch=1, batch=0, epochs_done=1.0, share=0.5))
    weight = PARAMS.weight
    anchor = (weight.anchor_start + weight.anchor_end) / 2
    warm = 1.0 / PARAMS.reconstruction_warmup_epochs
    expected = (
        weight.contrastive * parts["contrastive"]
        + weight.reconstruction * warm * parts["reconstruction"]
        + anchor * parts["anchor"]
        + weight.synonym * parts["synonym"]
    )
    torch.testing.assert_close(parts["loss"], expected)
    assert step.queue.entries()[1].tolist() == list(range(10))
    assert "orthogonality" not in parts


def test_orthogonality_is_off_until_weighed():
    params = PARAMS.model_copy(update={"weight": PARAMS.weight.model_copy(update={"orthogonality": 1.0})})
    assert made_step(units(), params)(torch.arange(4), START)["orthogonality"] > 0


IDENTITIES = torch.from_numpy(
    identity_codes([f"unit {number}" for number in range(120)], CONFIG.code_width, CONFIG.identity_seed)
)


class MemorisingStep(TokenHeadStep):
    """Trains the reconstruction with each unit's own identity part, as a step of ours must not."""

    def __call__(self, batch, progress):
        self.batch = batch
        return super().__call__(batch, progress)

    def _reconstruction(self, features, codes):
        estimate = self.head.first_estimate(self.head.mix(codes, IDENTITIES[self.batch]))
        return losses.reconstruction(self.head.restored(estimate), features, self.head.scale)


def identity_gap(refinements):
    """Cosine of reconstructed with true features: with each unit's own identity, less with that of another unit."""
    features = units().features.float()
    params = PARAMS.model_copy(update={"epochs": 60, "queue_size": 0})
    head, _ = train_token_head(units(), CONFIG, params, seed=1)

    def cosine(identities):
        restored = head.reconstruct(head.mix(head(features), identities), refinements)
        return F.cosine_similarity(restored, features, dim=-1).mean().item()

    own = cosine(IDENTITIES)
    assert own > 0.8
    return own - sum(cosine(IDENTITIES.roll(shift, 0)) for shift in range(1, 6)) / 5


@pytest.mark.parametrize("refinements", [0, 2])
def test_reconstruction_learns_nothing_from_a_units_own_identity(refinements):
    """Margin of .02: features come back as well from codes with another unit's identity part."""
    assert identity_gap(refinements) == pytest.approx(0.0, abs=0.02)


def test_reconstruction_would_learn_it_by_heart(monkeypatch):
    monkeypatch.setattr(token_head_training, "TokenHeadStep", MemorisingStep)
    assert identity_gap(refinements=0) > 0.1


def test_batches_cover_every_unit_once_an_epoch():
    ids = torch.tensor([3, 5, 8, 9, 11, 14, 20])
    batches = UnitBatches(ids, 3, seed=1)
    assert batches.count == 3
    parts = [batches(0, index).tolist() for index in range(3)]
    assert sorted(len(part) for part in parts) == [2, 2, 3]
    assert sorted(unit for part in parts for unit in part) == ids.tolist()
    again = UnitBatches(ids, 3, seed=1)
    assert again(1, 0).tolist() != parts[0]
    assert again(0, 2).tolist() == parts[2]


def test_duplicates_share_case_folded_surface_and_features():
    features = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [1, 0.001]], dtype=np.float16)
    assert feature_duplicates(["the", "The", "THE", "a", "tHe"], features).tolist() == [0, 0, 2, 3, 0]


def test_nothing_left_to_train_on_is_an_error():
    data = units()
    empty = dataclasses.replace(data, kept=data.kept[:1])
    with pytest.raises(LexivertError, match="heldout_share leaves 1 units"):
        train_token_head(empty, CONFIG, PARAMS, 1)
