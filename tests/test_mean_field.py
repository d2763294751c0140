"""Particles and the continuity equation of one hidden layer."""

import pytest
import torch
from scipy.stats import norm

from dlopt.kernels.mean_field import Threshold, continuity_equation, velocity, walk

X = torch.linspace(-2, 2, 9, dtype=torch.float64)
Y = torch.tanh(X)
EDGES = torch.linspace(-4, 4, 401, dtype=torch.float64)
NEURON = Threshold()


def test_the_derivative_is_that_of_automatic_differentiation():
    w = torch.linspace(-1, 1, 5, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(NEURON(X[3], w).sum(), w)
    torch.testing.assert_close(NEURON.derivative(X[3], w).detach(), gradient)


def test_the_velocity_is_minus_the_gradient_times_the_number_of_particles():
    w = torch.randn(7, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    residuals = NEURON(X[:, None], w).mean(dim=1) - Y
    (gradient,) = torch.autograd.grad(residuals.square().mean() / 2, w)
    torch.testing.assert_close(velocity(NEURON, X, residuals.detach(), w.detach()), -7 * gradient)


def test_one_step_of_the_walk_follows_the_velocity():
    w = torch.linspace(-1, 1, 5, dtype=torch.float64)
    residuals = NEURON(X[:, None], w).mean(dim=1) - Y
    stepped = walk(NEURON, X, Y, w[None], step=0.1, time=0.1)[0]
    torch.testing.assert_close(stepped, w + 0.1 * velocity(NEURON, X, residuals, w))


def test_sgd_agrees_with_gradient_descent_on_average():
    start = torch.linspace(-1, 1, 5, dtype=torch.float64).expand(4000, -1)
    stochastic = walk(NEURON, X, Y, start, step=0.1, time=0.1, seed=0).mean(dim=0)
    exact = walk(NEURON, X, Y, start[:1], step=0.1, time=0.1)[0]
    torch.testing.assert_close(stochastic - start[0], exact - start[0], rtol=0.2, atol=2e-3)


def test_mass_is_kept_and_stays_positive():
    masses = continuity_equation(NEURON, X, Y, EDGES, norm(0.5, 0.7).cdf, [0.0, 1.0, 5.0])
    torch.testing.assert_close(masses.sum(dim=1), torch.ones(3, dtype=torch.float64))
    assert masses.min() >= 0


def test_the_density_moves_as_many_ordered_particles_do():
    start = torch.from_numpy(norm(0.5, 0.7).ppf((torch.arange(500).numpy() + 0.5) / 500))
    particles = walk(NEURON, X, Y, start[None], step=0.02, time=3.0)[0]
    mass = continuity_equation(NEURON, X, Y, EDGES, norm(0.5, 0.7).cdf, [3.0])[0]
    centers = (EDGES[1:] + EDGES[:-1]) / 2
    assert (mass @ centers).item() == pytest.approx(particles.mean().item(), abs=0.01)
    assert abs(particles.mean() - start.mean()) > 0.1


def test_a_courant_number_above_one_is_refused():
    with pytest.raises(ValueError, match="Courant"):
        continuity_equation(NEURON, X, Y, EDGES, norm.cdf, [1.0], courant=1.5)
