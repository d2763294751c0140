"""The asymmetric valley: closed forms against quadrature and simulation."""

import pytest
import torch

from dlopt.landscape.asymmetric_valley import AsymmetricValley

VALLEY = AsymmetricValley(steep=8.0, flat=2.0)
GRID = torch.linspace(-3, 3, 60_001, dtype=torch.float64)


def test_the_gradient_is_autograds():
    x = torch.tensor([-1.5, -0.1, 0.2, 2.0], dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(VALLEY(x).sum(), x)
    torch.testing.assert_close(VALLEY.gradient(x.detach()), gradient)


@pytest.mark.parametrize("shift", [0.1, 0.8])
def test_the_best_place_under_a_random_shift_is_on_the_flat_side(shift):
    best = float(GRID[VALLEY.expected_test_loss(GRID, shift).argmin()])
    assert best == pytest.approx(VALLEY.best_bias(shift), abs=2e-4)
    assert 0 < best < shift


def test_the_noisy_mean_is_that_of_the_stationary_density():
    step_size, noise = 0.01, 3.0
    density = torch.exp(-2 * VALLEY(GRID) / (step_size * noise**2))
    mean = float((GRID * density).sum() / density.sum())
    assert VALLEY.noisy_mean(step_size, noise) == pytest.approx(mean, rel=1e-3)


def test_noisy_descent_has_that_mean():
    iterates = VALLEY.noisy_descent(
        500, steps=2000, step_size=0.01, noise=3.0, seed=1, device=torch.device("cpu")
    )
    assert iterates.shape == (2000, 500)
    assert float(iterates[1000:].mean()) == pytest.approx(VALLEY.noisy_mean(0.01, 3.0), rel=0.1)
