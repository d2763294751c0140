"""Spectral normalization against torch's parametrization and the singular value decomposition."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from dlopt.models import FullyConnected
from dlopt.tricks.spectral_normalization import (
    SpectrallyNormalized,
    lipschitz_bound,
    power_iteration,
    spectral_norm,
)

X = torch.randn(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
OPTIONS = {"dtype": torch.float64, "device": "cpu"}


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("leading", [(), (3,)])
def test_power_iteration_finds_the_first_singular_vectors(leading):
    weight = drawn(*leading, 4, 6)
    u, v = power_iteration(weight, drawn(*leading, 4), steps=500)
    assert torch.allclose(spectral_norm(weight, u, v), torch.linalg.matrix_norm(weight, ord=2), rtol=1e-8)
    assert torch.allclose(u.norm(dim=-1), torch.ones(leading).double())
    assert torch.allclose(v.norm(dim=-1), torch.ones(leading).double())


def test_at_rest_value_and_gradient_are_those_of_torchs_parametrization():
    """On the way there they differ: torch takes the half step of u first, Miyato et al. and we that of v."""
    linear = parametrizations.spectral_norm(nn.Linear(5, 3, bias=False, dtype=torch.float64))
    part = linear.parametrizations.weight
    ours = SpectrallyNormalized([5, 3], **OPTIONS)
    with torch.no_grad():
        part.original.copy_(drawn(3, 5))
        ours.weights[0].copy_(part.original)
    for _ in range(500):
        expected, result = linear(X), ours(X)
    assert torch.allclose(result, expected, atol=1e-12)
    (theirs,) = torch.autograd.grad(expected.pow(3).sum(), part.original)
    (gradient,) = torch.autograd.grad(result.pow(3).sum(), ours.weights[0])
    assert torch.allclose(gradient, theirs, atol=1e-10)


def test_a_training_pass_advances_the_iteration_by_one_step_and_evaluation_does_not():
    network = SpectrallyNormalized([5, 6, 2], **OPTIONS)
    network.eval()
    assert torch.equal(network(X), network(X))
    u, v = power_iteration(network.weights[0], network.u1.clone())
    network.train()(X)
    assert torch.equal(network.u1, u)
    assert torch.equal(network.v1, v)


def test_a_network_at_rest_becomes_lipschitz_with_constant_one():
    network = SpectrallyNormalized([5, 6, 6, 2], "relu", members=2, **OPTIONS)
    for _ in range(400):
        network(X)
    network.eval()
    for layer in (1, 2, 3):
        norms = torch.linalg.matrix_norm(network.weight(layer), ord=2)
        assert torch.allclose(norms, torch.ones(2).double(), atol=1e-6)
    assert torch.allclose(lipschitz_bound(network), torch.ones(2).double(), atol=1e-5)
    distances = torch.cdist(X, X)
    stretched = torch.cdist(network(X), network(X))
    assert (stretched <= distances * (1 + 1e-5)).all()


def test_the_bound_is_the_product_of_the_layers_norms():
    network = FullyConnected([5, 6, 2], **OPTIONS)
    expected = 1.0
    for weight in network.weights:
        expected *= torch.linalg.svdvals(weight.detach())[0].item()
    assert lipschitz_bound(network).item() == pytest.approx(expected)
