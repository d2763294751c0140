"""Parities, their transform, and what gradients know of them, against direct sums."""

import itertools

import pytest
import torch

from dlopt.landscape import parity
from dlopt.models import FullyConnected


def test_the_hypercube_has_every_point_once():
    points = parity.hypercube(4)
    assert points.shape == (16, 4)
    assert {tuple(row) for row in points.tolist()} == set(itertools.product([-1.0, 1.0], repeat=4))


def test_parities_are_products_and_orthonormal():
    points = parity.hypercube(4)
    subsets = [
        torch.tensor(s, dtype=torch.long) for k in range(5) for s in itertools.combinations(range(4), k)
    ]
    values = torch.stack([parity.parity(points, subset) for subset in subsets])
    torch.testing.assert_close(values @ values.T / 16, torch.eye(16, dtype=torch.float64))
    assert float(parity.parity(points, torch.tensor([0, 2]))[0]) == float(points[0, 0] * points[0, 2])


def test_the_transform_gives_the_correlation_with_every_parity():
    d = 5
    points = parity.hypercube(d)
    values = torch.sin(points @ torch.arange(1.0, d + 1, dtype=torch.float64) + 0.3).unsqueeze(1)
    coefficients = parity.walsh_hadamard(values)
    for row in range(2**d):
        subset = torch.tensor([i for i in range(d) if row >> i & 1], dtype=torch.long)
        direct = (parity.parity(points, subset) * values[:, 0]).mean()
        torch.testing.assert_close(coefficients[row, 0], direct)
    assert float(coefficients.square().sum()) == pytest.approx(float(values.square().mean()))


def test_the_spread_is_that_of_the_gradients_one_target_at_a_time():
    d = 3
    model = FullyConnected((d, 4, 1), "tanh", bias=True, seed=1, dtype=torch.float64)
    points = parity.hypercube(d)
    gradients = []
    for row in range(2**d):
        subset = torch.tensor([i for i in range(d) if row >> i & 1], dtype=torch.long)
        loss = (model(points)[:, 0] - parity.parity(points, subset)).square().mean()
        gradients.append(
            torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(model.parameters()))])
        )
    gradients = torch.stack(gradients)
    found = parity.gradient_spread(model, d)
    assert found.variance == pytest.approx(
        float((gradients - gradients.mean(dim=0)).square().sum(dim=1).mean())
    )
    assert found.mean_square == pytest.approx(float(gradients.square().sum(dim=1).mean()))
    assert found.variance <= found.bound


def test_random_bits_are_signs_and_follow_the_seed():
    draw = parity.random_bits(4000, 3, seed=2)
    assert set(draw.unique().tolist()) == {-1.0, 1.0}
    assert float(draw.mean().abs()) < 0.05
    torch.testing.assert_close(draw, parity.random_bits(4000, 3, seed=2))
