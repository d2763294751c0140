"""Wells, sharp and wide, and what a difference between training and test loss costs in each."""

import pytest
import torch

from dlopt.landscape.wells import Wells, price, regression_prices

GRID = torch.linspace(-2, 2, 40_001, dtype=torch.float64)


def test_each_well_has_its_center_curvature_and_value():
    wells = Wells(centers=(-1.0, 1.0), curvatures=(2.0, 50.0), values=(0.1, 0.0))
    x = torch.tensor([-1.0, 1.0, -1.1, 1.1], dtype=torch.float64)
    torch.testing.assert_close(wells(x), torch.tensor([0.1, 0.0, 0.11, 0.25], dtype=torch.float64))


@pytest.mark.parametrize("k", [1.0, 30.0])
def test_a_shift_costs_in_proportion_to_the_curvature_and_a_tilt_inversely(k):
    well = k * GRID**2 / 2
    assert float(price(well, k * (GRID - 0.2) ** 2 / 2)) == pytest.approx(k * 0.02, rel=1e-6)
    assert float(price(well, well + 0.3 * GRID)) == pytest.approx(0.09 / (2 * k), rel=1e-3)


def test_the_price_of_a_regression_does_not_depend_on_units_and_is_noise_over_samples():
    prices = regression_prices(
        torch.tensor([0.1, 1.0, 40.0], dtype=torch.float64), 50, noise=0.5, draws=4000, seed=1
    )
    assert prices.shape == (4000, 3)
    torch.testing.assert_close(prices[:, 0], prices[:, 2])
    # E ½(θ̂ − θ)² = ½ σ² E 1/Σu² = σ²/(2(n − 2)) for standard normal u
    assert float(prices.mean()) == pytest.approx(0.25 / 96, rel=0.08)
