from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from generation import insertion_cases as cases
from lexivert.errors import DamagedArtifactError, MissingArtifactError
from lexivert.generation import insertion_networks
from lexivert.generation.expectations import Seen, Targets
from lexivert.priors.base import Belief
from lexivert.text.lexicon import NEVER

BUFFERS = [[], [7], [7, 9, 12], [12, 9, 7], [9, 7, 12, 30, 31]]


def judged(networks, buffers, width=None):
    """What the networks say of buffers, all with the same target."""
    n = width or max(map(len, buffers))
    units = torch.tensor([own + [-1] * (n - len(own)) for own in buffers]).view(len(buffers), n)
    prefix = cases.sentences().prefixes[:1].expand(len(buffers), -1)
    with torch.no_grad():
        targets = Targets.of(cases.prior(), prefix, cases.POSITIONS)
        return networks(Seen.of(cases.prior(), targets, units, torch.tensor([len(own) for own in buffers])))


def test_untrained_networks_want_what_the_prior_expects_anywhere():
    intention, placed = judged(cases.sizes().new(seed=3), BUFFERS)
    belief = Belief.empty(16, torch.tensor([16]), cases.sentences().prefixes[:1])
    torch.testing.assert_close(intention, cases.prior().queries(belief).mean(dim=1).expand(5, -1))
    gaps = torch.tensor([[-1, 7, -1, 9, -1, 12, -1]])  # one unit missing in each slot of the third buffer
    belief = Belief.certain(gaps, torch.tensor([7]), cases.sentences().prefixes[:1], torch.ones(1))
    torch.testing.assert_close(
        placed.queries[2, :4], cases.prior().queries(belief)[0, [0, 2, 4, 6]], rtol=1e-4, atol=1e-4
    )
    for row, own in enumerate(BUFFERS):
        assert placed.slots[row].tolist() == [0.0] * (len(own) + 1) + [NEVER] * (5 - len(own))
        assert placed.open[row].tolist() == placed.slots[row].tolist()
        assert placed.wrong[row].tolist() == [0.0] * len(own) + [NEVER] * (5 - len(own))


def test_a_buffer_is_judged_alike_whatever_stands_beside_it():
    networks = cases.begun()
    intention, placed = judged(networks, BUFFERS, width=9)
    for row, own in enumerate(BUFFERS):
        alone, said = judged(networks, [own], width=max(len(own), 1))
        torch.testing.assert_close(intention[row], alone[0], rtol=1e-4, atol=1e-4)
        for name in ("queries", "slots", "open"):
            mine, other = getattr(placed, name)[row, : len(own) + 1], getattr(said, name)[0, : len(own) + 1]
            torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(placed.wrong[row, : len(own)], said.wrong[0, : len(own)], rtol=1e-4, atol=1e-4)


def test_all_levels_of_the_summary_count():
    """Buffers that differ in a unit, or in the order within a window, have different summaries."""
    summary = cases.sizes().new(seed=0).selector.summary
    vectors = cases.prior().output.weight
    target = torch.randn(1, cases.PARAMS.hidden_dim, generator=torch.Generator().manual_seed(0))

    def of(units):
        with torch.no_grad():
            return summary(target, vectors[torch.tensor([units])], torch.tensor([len(units)]))

    base = of([7, 9, 12, 30, 31])
    assert not torch.allclose(base, of([7, 9, 12, 30, 32]), atol=1e-3)
    assert not torch.allclose(base, of([9, 7, 12, 30, 31]), atol=1e-3)
    with torch.no_grad():
        for weight in (summary.unit.weight, summary.phrase.weight, summary.phrase.bias):
            weight.zero_()
    assert torch.allclose(of([7, 9, 12]), of([9, 7, 12]), atol=1e-5)  # the sum has no order
    assert not torch.allclose(of([7, 9, 12]), of([7, 9, 13]), atol=1e-3)


def test_saved_and_read(tmp_path):
    networks = cases.begun()
    insertion_networks.save(networks, tmp_path / "networks")
    again = insertion_networks.load(tmp_path / "networks", cases.prior())
    assert again.sizes == networks.sizes
    assert all(torch.equal(value, networks.state_dict()[name]) for name, value in again.state_dict().items())


def test_files_that_are_damaged_or_of_another_prior(tmp_path):
    networks = cases.sizes().new(seed=0)
    with pytest.raises(MissingArtifactError):
        insertion_networks.load(tmp_path / "networks", cases.prior())
    insertion_networks.save(networks, tmp_path / "networks")
    output = cases.prior().output
    other = dataclasses.replace(cases.prior(), output=dataclasses.replace(output, weight=F.normalize(output.weight)))
    with pytest.raises(DamagedArtifactError, match="was trained on another prior"):
        insertion_networks.load(tmp_path / "networks", other)
    (tmp_path / "networks" / insertion_networks.WEIGHTS).write_bytes(b"\0" * 20)
    with pytest.raises(DamagedArtifactError, match="is damaged"):
        insertion_networks.load(tmp_path / "networks", cases.prior())
