"""Noise as the split of a vector's energy tells it, against draws of noise."""

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.corruption import add_noise
from lexivert.controller.energy_split import EnergySplit
from lexivert.controller.observation import Observation


@pytest.mark.parametrize("share", [0.4, 0.8])
def test_the_proportion_of_the_parts_tells_the_noise(share):
    """Of isotropic noise in 200 + 800 dimensions."""
    clean = torch.tensor([(share / 200) ** 0.5] * 200 + [((1 - share) / 800) ** 0.5] * 800).expand(50, -1)
    for cosine in (1.0, 0.95, 0.8):
        noisy = add_noise(clean, torch.full((50,), cosine), torch.Generator().manual_seed(0))
        true = F.cosine_similarity(noisy[:, 200:], clean[:, 200:])
        observed = Observation.of(noisy[:, 200:], noisy[:, :200])
        split = EnergySplit.of(observed, share)
        assert split.cosine.mean().item() == pytest.approx(true.mean().item(), abs=0.03)
        assert split.explains(true).mean() > 0.9
        assert split.explains(true - 0.4).mean() < 0.1


@pytest.mark.parametrize("share", [0.4, 0.8])
@pytest.mark.parametrize("cosine", [0.95, 0.8, 0.7])
def test_the_deviation_of_a_right_texts_fit_is_that_of_many_draws(share, cosine):
    clean = torch.tensor([(share / 200) ** 0.5] * 200 + [((1 - share) / 800) ** 0.5] * 800).expand(1000, -1)
    noisy = add_noise(clean, torch.full((1000,), cosine), torch.Generator().manual_seed(0))
    observed = Observation.of(noisy[:, 200:], noisy[:, :200])
    split = EnergySplit.of(observed, share)
    errors = (F.cosine_similarity(noisy[:, 200:], clean[:, 200:]) - split.cosine)[~split.cosine.isnan()]
    assert split.deviation.nanmean().item() == pytest.approx(errors.std().item(), rel=0.2)


def test_where_no_noise_is_told_nothing_is_explained():
    """No prefix, parts at unit length, one bit a dimension, a proportion below the clean one, shares alike."""
    order, prefix = torch.ones(1, 800), torch.ones(1, 200)
    unit = F.normalize(order, dim=1), F.normalize(prefix, dim=1)
    for parts in ((order, 0.0 * prefix), unit, (order, prefix), (0.1 * order, prefix)):
        split = EnergySplit.of(Observation.of(*parts), 0.5)
        assert split.cosine.isnan().all()
        assert split.explains(torch.ones(1)).isnan().all()
    assert EnergySplit.of(Observation.of(order, prefix), 0.2).cosine.isnan().all()
    assert EnergySplit.of(Observation(*unit), 0.5).deviation.isnan().all()
