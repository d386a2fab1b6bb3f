from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from lexivert.codes.power import eos_energies, unit_energies, with_energies


def test_energies_by_hand():
    """Beside EOS of ½: surprisals of 2, 3 and 3 bits, of mean 2.5, so that half of the energy is .4, .6 and .6."""
    log_prior = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()
    assert unit_energies(log_prior, 0.5, 1.5).tolist() == pytest.approx([1.5, 0.9, 1.1, 1.1])
    assert unit_energies(log_prior, 1.0, 1.5).tolist() == pytest.approx([1.5, 0.8, 1.2, 1.2])
    assert unit_energies(log_prior, 0.0, 1.0).tolist() == [1.0] * 4


def test_codes_keep_their_directions_and_texts_their_mean_energy():
    generator = torch.Generator().manual_seed(0)
    codes = F.normalize(torch.randn(9000, 16, generator=generator), dim=1).half()
    log_prior = torch.randn(9000, generator=generator).log_softmax(dim=0)
    log_prior[0] = -40.0
    log_prior = log_prior.log_softmax(dim=0)
    energies = unit_energies(log_prior, 0.7, 1.5)
    scaled = with_energies(codes, energies)
    assert scaled.dtype == torch.float16
    torch.testing.assert_close(scaled.float().square().sum(dim=1), energies, rtol=3e-3, atol=0)
    assert F.cosine_similarity(scaled.float(), codes.float()).min() > 0.9999
    assert (log_prior.exp() * energies)[1:].sum().item() == pytest.approx(1.0, abs=1e-4)


def test_the_energy_of_eos_is_the_least_one_until_its_evidence_falls_below_the_wanted_nats():
    """At 4 nats in 16 dimensions, g = n / 2: with a least energy of 1.5 from the fourth unit on."""
    found = eos_energies(torch.tensor(1.5), 4.0, 16, 7)
    assert found.tolist() == [1.5, 1.5, 1.5, 1.5, 2.0, 2.5, 3.0]
    assert (found * 16 / (2 * torch.arange(7)))[3:].tolist() == [4.0] * 4
    assert eos_energies(torch.tensor(1.5), 0.0, 16, 7).tolist() == [1.5] * 7
