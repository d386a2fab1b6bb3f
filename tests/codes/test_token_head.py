from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.hashing import identity_codes
from lexivert.codes.token_head import TokenHead, TokenHeadConfig, head_codes, unit_codes
from lexivert.errors import DamagedArtifactError, LexivertError, MissingArtifactError

CONFIG = TokenHeadConfig(feature_width=6, hidden=16, code_width=64, identity_share=0.6, identity_seed=42)
SURFACES = ("a", "b", "the", "The", "end of the day")


@pytest.fixture
def features():
    return np.random.default_rng(0).normal(size=(5, 6)).astype(np.float16)


@pytest.fixture
def head(features):
    torch.manual_seed(0)
    made = TokenHead(CONFIG)
    made.fit_statistics(torch.from_numpy(features).float())
    return made.eval()


def test_statistics_by_hand():
    made = TokenHead(TokenHeadConfig(2, 4, 4, 0.5, 0))
    made.fit_statistics(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))
    assert made.centre.tolist() == [2.0, 4.0]
    assert made.scale.item() == pytest.approx(math.sqrt((1 + 4 + 1 + 4) / 4))


def test_statistics_of_equal_features_stay_finite():
    made = TokenHead(TokenHeadConfig(2, 4, 4, 0.5, 0))
    made.fit_statistics(torch.ones(3, 2))
    assert torch.isfinite(made(torch.ones(3, 2))).all()


def test_head_codes_have_unit_length(head, features):
    codes = head_codes(head, features, batch_size=2)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1.0, rtol=1e-5)
    assert np.allclose(codes, head(torch.from_numpy(features).float()).detach().numpy(), atol=1e-6)


def test_unit_codes_follow_the_formula(head, features):
    codes = unit_codes(head, features, SURFACES, batch_size=2)
    learned = head(torch.from_numpy(features).float()).detach()
    fixed = torch.from_numpy(identity_codes(SURFACES, 64, 42))
    expected = F.normalize(math.sqrt(0.4) * learned + math.sqrt(0.6) * fixed, dim=-1)
    assert codes.dtype == np.float16
    np.testing.assert_allclose(codes.astype(np.float32), expected.numpy(), atol=1e-3)


def test_identity_keeps_units_of_equal_features_apart(head, features):
    features[3] = features[2]  # "The" and "the" under an uncased backbone
    codes = unit_codes(head, features, SURFACES).astype(np.float32)
    assert codes[2] @ codes[3] == pytest.approx(0.4, abs=0.3)
    alike = head_codes(head, features)
    assert alike[2] @ alike[3] == pytest.approx(1.0)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_extreme_identity_shares(features, share):
    torch.manual_seed(0)
    made = TokenHead(TokenHeadConfig(6, 16, 64, share, 42)).eval()
    codes = unit_codes(made, features, SURFACES).astype(np.float32)
    expected = identity_codes(SURFACES, 64, 42) if share == 1.0 else head_codes(made, features)
    np.testing.assert_allclose(codes, expected, atol=1e-3)
    assert torch.isfinite(made.reconstruct(torch.from_numpy(codes))).all()


def test_first_estimate_is_the_posterior_mean(head):
    """x = h ± a with h normal: minus a times the sign's mean, weighed by the two normal densities."""
    x, a, variance = 0.07, math.sqrt(0.6 / 64), 0.4 / 64
    plus, minus = (math.exp(-((x - sign * a) ** 2) / (2 * variance)) for sign in (1, -1))
    expected = (x - a * (plus - minus) / (plus + minus)) * math.sqrt(64 / 0.4)
    assert head.first_estimate(torch.full((1, 64), x))[0, 0].item() == pytest.approx(expected, rel=1e-5)


def test_refinement_recovers_the_head_code_from_the_right_features(head, features):
    rows = torch.from_numpy(features).float()
    learned = head(rows).detach()
    codes = head.mix(learned, torch.from_numpy(identity_codes(SURFACES, 64, 42)))

    def agreement(estimate):
        return F.cosine_similarity(estimate, learned).mean().item()

    with torch.no_grad():
        first, refined = agreement(head.first_estimate(codes)), agreement(head.refined_estimate(codes, rows))
    assert agreement(codes) < first < refined
    assert refined > 0.95


def test_save_and_load(tmp_path: Path, head, features):
    head.save(tmp_path / "token_head")
    loaded = TokenHead.load(tmp_path / "token_head")
    assert loaded.config == CONFIG
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert np.array_equal(unit_codes(loaded, features, SURFACES), unit_codes(head, features, SURFACES))
    codes = torch.randn(3, 64)
    assert torch.equal(loaded.reconstruct(codes), head.reconstruct(codes).detach())


def test_saving_twice_gives_the_same_bytes(tmp_path: Path, head):
    head.save(tmp_path / "one")
    head.save(tmp_path / "two")
    for name in ("head.safetensors", "config.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_missing_and_damaged_files_are_named(tmp_path: Path, head):
    folder = tmp_path / "token_head"
    with pytest.raises(MissingArtifactError, match="dvc repro token_head"):
        TokenHead.load(folder)
    head.save(folder)
    weights = (folder / "head.safetensors").read_bytes()
    (folder / "head.safetensors").write_bytes(weights[:-7])
    with pytest.raises(DamagedArtifactError, match=r"head\.safetensors is damaged"):
        TokenHead.load(folder)
    (folder / "head.safetensors").write_bytes(weights)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"hidden": 8}))
    with pytest.raises(DamagedArtifactError, match=r"head\.safetensors is damaged"):
        TokenHead.load(folder)
    (folder / "config.json").write_text(json.dumps({"hidden": 8}))
    with pytest.raises(DamagedArtifactError, match=r"config\.json"):
        TokenHead.load(folder)
    (folder / "head.safetensors").unlink()
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(MissingArtifactError, match=r"head\.safetensors"):
        TokenHead.load(folder)


def test_features_of_another_width_or_number_are_refused(head, features):
    with pytest.raises(LexivertError, match=r"\(5, 4\).*\(5, 6\)"):
        unit_codes(head, features[:, :4], SURFACES)
    with pytest.raises(LexivertError, match=r"\(4, 6\)"):
        unit_codes(head, features[:4], SURFACES)
