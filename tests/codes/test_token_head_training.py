from __future__ import annotations

import dataclasses
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save

from lexivert.codes.hashing import identity_codes
from lexivert.codes.token_head_step import TokenHeadStep
from lexivert.codes.token_head_training import UnitBatches, train_token_head
from lexivert.errors import LexivertError
from lexivert.training.checkpoint import Checkpoint
from token_head_cases import CONFIG, PARAMS, units


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
def test_killed_training_resumes_to_the_same_bytes(tmp_path: Path, kill_at):
    data = units(synonyms=[(0, 1), (1, 2)], antonyms=[(3, 4)])
    expected = train_token_head(data, CONFIG, PARAMS, 7)
    checkpoint = Checkpoint(tmp_path, "run", every=1)

    class Killed(TokenHeadStep):
        calls = 0

        def __call__(self, batch, progress):
            Killed.calls += 1
            if Killed.calls == kill_at:
                raise KeyboardInterrupt
            return super().__call__(batch, progress)

    with pytest.raises(KeyboardInterrupt):
        train_token_head(data, CONFIG, PARAMS, 7, checkpoint, step_of=Killed)
    head, history = train_token_head(data, CONFIG, PARAMS, 7, checkpoint)
    assert save(head.state_dict()) == save(expected[0].state_dict())
    assert history == expected[1]


IDENTITIES = torch.from_numpy(
    identity_codes([f"unit {number}" for number in range(120)], CONFIG.code_width, CONFIG.identity_seed)
)


class MemorisingStep(TokenHeadStep):
    """Trains the reconstruction with each unit's own identity part, as a step must not."""

    def identities(self, batch, codes):
        return IDENTITIES[batch]


@cache
def trained_head(step_of):
    params = PARAMS.model_copy(update={"epochs": 60, "queue_size": 0})
    return train_token_head(units(), CONFIG, params, seed=1, step_of=step_of)[0]


def identity_gap(refinements, step_of=TokenHeadStep):
    """Cosine of reconstructed with true features: with each unit's own identity, less with that of another unit."""
    features, head = units().features.float(), trained_head(step_of)

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


def test_reconstruction_would_learn_it_by_heart():
    assert identity_gap(refinements=0, step_of=MemorisingStep) > 0.05


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


def test_nothing_left_to_train_on_is_an_error():
    data = units()
    empty = dataclasses.replace(data, kept=data.kept[:1])
    with pytest.raises(LexivertError, match="heldout_share leaves 1 units"):
        train_token_head(empty, CONFIG, PARAMS, 1)
