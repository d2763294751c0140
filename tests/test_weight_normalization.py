"""Weight normalization against torch's parametrization and automatic differentiation."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import parametrizations

from dlopt.models import FullyConnected
from dlopt.tricks.weight_normalization import WeightNormalized, backward, weights

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_value_and_gradients_are_those_of_torchs_parametrization():
    linear = parametrizations.weight_norm(nn.Linear(5, 3, bias=False, dtype=torch.float64))
    part = linear.parametrizations.weight
    with torch.no_grad():
        part.original0.mul_(2)
    length, direction = part.original0[:, 0].detach(), part.original1.detach()
    assert torch.allclose(weights(length, direction), linear.weight, atol=1e-14)
    linear(X).pow(2).sum().backward()
    leaf = weights(length, direction).requires_grad_()
    (gradient,) = torch.autograd.grad((X @ leaf.T).pow(2).sum(), leaf)
    ours = backward(gradient, length, direction)
    assert torch.allclose(ours.length, part.original0.grad[:, 0], atol=1e-12)
    assert torch.allclose(ours.direction, part.original1.grad, atol=1e-12)


def test_the_length_of_a_row_is_g_and_its_direction_v():
    length, direction = drawn(4).abs(), drawn(4, 6)
    w = weights(length, direction)
    assert torch.allclose(w.norm(dim=1), length)
    assert torch.allclose(w / length[:, None], direction / direction.norm(dim=1, keepdim=True))


def test_the_gradient_of_a_direction_is_orthogonal_to_it():
    direction = drawn(4, 6)
    assert (backward(drawn(4, 6).flip(0), drawn(4), direction).direction * direction).sum(
        1
    ).abs().max() < 1e-13


def test_the_network_starts_as_the_plain_one_and_ignores_the_length_of_its_directions():
    for members in (None, 3):
        options = {"bias": True, "members": members, "dtype": torch.float64, "device": "cpu"}
        network, plain = (make([5, 6, 2], "tanh", **options) for make in (WeightNormalized, FullyConnected))
        before = network(X)
        assert torch.allclose(before, plain(X), atol=1e-13)
        with torch.no_grad():
            network.weights[0].mul_(9)
        assert torch.allclose(network(X), before, atol=1e-13)
    assert torch.allclose(network.member(1)(X), network(X)[1], atol=1e-13)
