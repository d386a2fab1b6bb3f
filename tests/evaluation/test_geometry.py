from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lexivert.evaluation.geometry import (
    alignment,
    covariance_spectrum,
    effective_rank,
    isotropy,
    moments,
    per_dimension,
    uniformity,
)


def axes(count, width, length=1.0):
    """Rows ``±length`` along each of the first ``count`` axes."""
    return length * torch.cat((torch.eye(width)[:count], -torch.eye(width)[:count]))


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


class TestSpectrum:
    def test_by_hand_whatever_the_mean(self):
        # Along x: (9 + 9) / 4 = 4.5; along y: (1 + 1) / 4 = 0.5.
        rows = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        for shift in (0.0, 20.0):
            assert covariance_spectrum(rows + shift).tolist() == pytest.approx([4.5, 0.5], abs=1e-4)

    @pytest.mark.parametrize("block", [1, 7, 8192])
    def test_equals_numpy_for_any_block(self, block):
        rows = drawn(50, 6) @ drawn(6, 6, seed=1) + 2.0
        expected = np.linalg.eigvalsh(np.cov(rows.double().numpy().T, bias=True))[::-1]
        assert covariance_spectrum(rows, block).tolist() == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-4)


class TestEffectiveRank:
    @pytest.mark.parametrize("count", [1, 2, 3, 6])
    def test_is_k_where_rows_spread_equally_along_k_axes(self, count):
        assert effective_rank(axes(count, 6)) == pytest.approx(count, rel=1e-5)
        assert effective_rank(axes(count, 6, length=0.01)) == pytest.approx(count, rel=1e-5)

    def test_a_common_mean_hides_nothing(self):
        assert effective_rank(axes(3, 6) + 5.0) == pytest.approx(3, rel=1e-4)

    def test_of_unequal_axes_by_hand(self):
        # Shares 4.5 / 5 and 0.5 / 5: exp(-(0.9 ln 0.9 + 0.1 ln 0.1)) = exp(0.09482 + 0.23026)
        rows = torch.tensor([[3.0, 0.0], [-3.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        assert effective_rank(rows) == pytest.approx(math.exp(0.32508), rel=1e-4)

    def test_of_rows_that_are_all_one_is_one(self):
        assert effective_rank(drawn(1, 64).expand(500, 64)) == pytest.approx(1.0)

    @pytest.mark.parametrize("width_of_line", [1e-2, 1e-3, 1e-4])
    def test_of_a_short_line_far_from_the_origin_is_one(self, width_of_line):
        """Nearly collapsed vectors: all that is left of their spread is one direction."""
        rows = F.normalize(drawn(1, 64), dim=-1) + width_of_line * drawn(500, 1, seed=1) * drawn(1, 64, seed=2) / 8
        assert effective_rank(rows) == pytest.approx(1.0, abs=0.01)


class TestIsotropy:
    @pytest.mark.parametrize(
        ("rows", "value"),
        [
            (axes(2, 2), 1.0),
            (axes(5, 5, length=3.0), 1.0),
            (torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), 1 / math.cosh(1)),  # 2 across, e + 1/e = 2 cosh 1 along
            (torch.tensor([[0.6, 0.8]] * 4), math.exp(-2)),  # 4/e against, 4e along
        ],
    )
    def test_by_hand(self, rows, value):
        assert isotropy(rows) == pytest.approx(value, rel=1e-5)

    def test_equals_loop_over_principal_directions_and_their_opposites(self):
        rows = drawn(40, 4) * torch.tensor([3.0, 1.0, 0.5, 0.2]) + 0.5
        unit = F.normalize(rows, dim=-1).numpy()
        directions = np.linalg.svd(unit)[2]
        sums = [sum(math.exp(sign * a @ v) for v in unit) for a in directions for sign in (1, -1)]
        assert isotropy(rows) == pytest.approx(min(sums) / max(sums), rel=1e-4)


class TestAlignment:
    @pytest.mark.parametrize(
        ("left", "right", "value"),
        [
            ([[1.0, 0.0], [0.0, 2.0]], [[0.0, 3.0], [-1.0, 0.0]], 2.0),  # orthogonal pairs
            ([[1.0, 2.0]], [[2.0, 4.0]], 0.0),  # one direction
            ([[1.0, 0.0]], [[-5.0, 0.0]], 4.0),  # opposite
            ([[1.0, 0.0], [1.0, 0.0]], [[0.6, 0.8], [1.0, 0.0]], 0.4),  # (.16 + .64) / 2
        ],
    )
    def test_by_hand(self, left, right, value):
        assert alignment(torch.tensor(left), torch.tensor(right)) == pytest.approx(value, abs=1e-6)


class TestUniformity:
    @pytest.mark.parametrize(
        ("rows", "value"),
        [
            ([[1.0, 0.0], [0.0, 1.0]], -4.0),  # one pair, squared distance 2
            ([[1.0, 1.0], [2.0, 2.0], [5.0, 5.0]], 0.0),
            # One pair alike, two opposite (squared distance 4).
            ([[1.0, 0.0], [2.0, 0.0], [-1.0, 0.0]], math.log((1 + 2 * math.exp(-8)) / 3)),
        ],
    )
    def test_by_hand(self, rows, value):
        assert uniformity(torch.tensor(rows)) == pytest.approx(value, abs=1e-5)

    @pytest.mark.parametrize("scale", [1.0, 2.0])
    def test_equals_loop_over_pairs(self, scale):
        rows = drawn(15, 6) + 0.3
        unit = F.normalize(rows, dim=-1).double()
        naive = [math.exp(-scale * float((unit[a] - unit[b]).square().sum())) for a in range(15) for b in range(a)]
        assert uniformity(rows, scale) == pytest.approx(math.log(np.mean(naive)), abs=1e-5)


class TestMoments:
    def test_of_the_same_vectors(self):
        rows = drawn(30, 4) * torch.tensor([1.0, 2.0, 3.0, 4.0])
        found = moments(rows, rows)
        assert (found.mean_error, found.deviation_ratio) == pytest.approx((0.0, 1.0))
        assert found.deviation_correlation == pytest.approx(1.0)

    def test_of_a_shift_of_three_deviations_and_halved_deviations(self):
        true = torch.tensor([[1.0, 12.0], [-1.0, 8.0]])  # means 0 and 10, deviations 1 and 2
        predicted = torch.tensor([[3.5, 17.0], [2.5, 15.0]])  # means 3 and 16, deviations 1/2 and 1
        found = moments(predicted, true)
        assert found.mean_error == pytest.approx(3.0)
        assert found.deviation_ratio == pytest.approx(0.5)
        assert found.deviation_correlation == pytest.approx(1.0)

    def test_mean_error_is_a_root_mean_square_over_dimensions(self):
        true = torch.tensor([[1.0, 2.0], [-1.0, -2.0]])
        shift = torch.tensor([3.0, 8.0])  # 3 and 4 deviations
        assert moments(true + shift, true).mean_error == pytest.approx(math.sqrt((9 + 16) / 2))

    def test_deviation_correlation_and_ratio_by_hand(self):
        signs = torch.tensor([[1.0], [-1.0]])
        found = moments(signs * torch.tensor([1.0, 3.0, 2.0]), signs * torch.tensor([1.0, 2.0, 3.0]))
        assert found.deviation_correlation == pytest.approx(0.5)  # of (-1, 1, 0) and (-1, 0, 1)
        assert found.deviation_ratio == pytest.approx((1 + 3 / 2 + 2 / 3) / 3)
        turned = moments(signs * torch.tensor([2.0, 1.0]), signs * torch.tensor([1.0, 2.0]))
        assert turned.deviation_correlation == pytest.approx(-1.0)

    def test_collapse_to_the_mean(self):
        true = drawn(20, 3) * torch.tensor([1.0, 2.0, 3.0]) + 4.0
        found = moments(true.mean(0).expand(20, 3), true)
        assert found.mean_error == pytest.approx(0.0, abs=1e-5)
        assert found.deviation_ratio == pytest.approx(0.0, abs=1e-5)

    def test_deviations_that_do_not_vary_have_no_correlation(self):
        signs = torch.tensor([[1.0], [-1.0]])
        found = moments(signs * torch.tensor([2.0, 2.0]), signs * torch.tensor([1.0, 3.0]))
        assert found.deviation_correlation == 0.0

    def test_dimensions_in_which_the_truth_does_not_vary_are_left_out(self):
        true, predicted = drawn(20, 4), 2.0 * drawn(20, 4) + 1.0
        still, wild = torch.full((20, 1), 7.0), 100.0 * drawn(20, 1, seed=3)
        expected = moments(predicted, true)
        assert moments(torch.cat((wild, predicted), 1), torch.cat((still, true), 1)) == expected


class TestPerDimension:
    def test_of_an_even_spread_is_one(self):
        # Over (±1, 0) and (0, ±1) every dimension has variance 2 / 4; times √2 that is a deviation of 1.
        assert per_dimension(axes(2, 2)) == pytest.approx(
            {"mean_rms": 0.0, "deviation_mean": 1.0, "deviation_min": 1.0, "deviation_max": 1.0}
        )
        found = per_dimension(F.normalize(drawn(20_000, 10), dim=-1))
        assert found["mean_rms"] < 0.02
        assert 0.98 < found["deviation_min"] < found["deviation_mean"] < found["deviation_max"] < 1.02

    def test_of_an_uneven_one_by_hand(self):
        # Means (0, 3) and deviations (1, 0), all times √2.
        assert per_dimension(torch.tensor([[1.0, 3.0], [-1.0, 3.0]])) == pytest.approx(
            {"mean_rms": 3.0, "deviation_mean": 0.5 * 2**0.5, "deviation_min": 0.0, "deviation_max": 2**0.5}
        )
