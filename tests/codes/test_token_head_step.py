from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.token_head import TokenHead, TokenHeadConfig
from lexivert.codes.token_head_step import TokenHeadStep, TrainingUnits, feature_duplicates
from lexivert.data.relations import Relations
from lexivert.training.loop import Progress
from lexivert.training.negatives import CodeQueue
from sections import section
from token_head_cases import CONFIG, PARAMS, START, units


def made_step(data, params=PARAMS):
    torch.manual_seed(0)
    head = TokenHead(CONFIG)
    head.fit_statistics(data.features.float())
    return TokenHeadStep(head, CodeQueue(params.queue_size, CONFIG.code_width), data, params)


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


def test_duplicates_share_case_folded_surface_and_features():
    features = np.array([[1, 0], [1, 0], [0, 1], [1, 0], [1, 0.001]], dtype=np.float16)
    assert feature_duplicates(["the", "The", "THE", "a", "tHe"], features).tolist() == [0, 0, 2, 3, 0]


class OrthogonalHead(TokenHead):
    """Gives unit u, whose features are the u-th axis, that axis as its code: no embedding could be better."""

    def forward(self, features):
        return F.pad(features, (0, self.config.code_width - features.shape[1]))


class OwnNegatives(TokenHeadStep):
    """Takes every candidate for a negative, a unit's own code among them."""

    def excluded(self, batch, candidates):
        return torch.zeros(len(batch), len(candidates), dtype=torch.bool)


class TestFloorOfTheContrastiveLoss:
    """A unit among its own negatives leaves a loss that no embedding can lower.

    The script that the project grew from took everyone's hard negatives as candidates of every row, so that a row's
    own code came back as another row's hard negative. A row is chosen k times, k about Poisson(2), and its loss is
    then log(1 + k): .978 on average for perfect embeddings, with a standard deviation of .02 over draws of 512 rows.
    """

    COUNT, WIDTH = 512, 2048

    def turns(self, step_of, count):
        """Loss of training steps on all units: from the second on the queue holds every unit's code of the first."""
        ids = torch.arange(self.COUNT)
        none = Relations.from_pairs(np.empty(0), np.empty(0), self.COUNT)
        head = OrthogonalHead(TokenHeadConfig(self.COUNT, 8, self.WIDTH, identity_share=0.6, identity_seed=0))
        params = section("token_head", queue_size=self.COUNT, temperature={"start": 0.04, "end": 0.04})
        data = TrainingUnits(torch.eye(self.COUNT).half(), ids, ids, none, none, none)
        step = step_of(head, CodeQueue(params.queue_size, self.WIDTH), data, params)
        torch.manual_seed(0)
        return [step(ids, START) for _ in range(count)]

    def test_there_is_none(self):
        assert max(parts["contrastive"].item() for parts in self.turns(TokenHeadStep, 2)) < 1e-4

    def test_there_would_be_one_if_a_unit_were_its_own_negative(self):
        once, twice = (parts["contrastive"].item() for parts in self.turns(OwnNegatives, 2))
        assert once > math.log(2) - 1e-3
        assert twice > math.log(3) - 1e-3  # the queue repels it once more

    def test_the_script_had_one(self):
        """Its loss line by line, for units without antonyms; ties of ``topk`` broken at random."""
        torch.manual_seed(0)
        codes, rows = torch.eye(self.COUNT, self.WIDTH), torch.arange(self.COUNT)
        draws = []
        for _ in range(4):
            sim = codes @ codes.T + 1e-6 * torch.rand(self.COUNT, self.COUNT)
            sim[rows, rows] = -1e4
            hard = sim.topk(k=2, dim=-1).indices
            positives = F.normalize(codes + 1e-3 * torch.randn_like(codes), dim=-1)
            candidates = torch.stack((positives, codes[hard[:, 0]], codes[hard[:, 1]]), dim=1).flatten(0, 1)
            draws.append(F.cross_entropy(codes @ candidates.T / 0.04, rows * 3).item())
        assert draws == pytest.approx([0.995] * 4, abs=0.06)
        poisson = sum(math.log(1 + k) * math.exp(-2) * 2**k / math.factorial(k) for k in range(30))
        assert sum(draws) / 4 == pytest.approx(poisson, abs=0.03)


def test_features_come_from_the_cache_and_of_the_batch_alone():
    """The script ran the frozen backbone again at every step."""
    asked = []

    class Asked(TokenHeadStep):
        def features(self, ids):
            asked.append(ids.tolist())
            return super().features(ids)

    data = units(synonyms=[(4, 9)])
    step = Asked(made_step(data).head, CodeQueue(0, CONFIG.code_width), data, PARAMS)
    step(torch.tensor([4, 1, 7]), START)
    assert asked == [[4, 1, 7], [9], []]  # the batch, its synonyms, its antonyms
    assert torch.equal(step.features(torch.tensor([4, 1])), data.features[[4, 1]].float())
