"""The tangent kernel of finite networks: by Jacobians, by layers, and against the limit."""

import math

import pytest
import torch

from dlopt.curvature import jacobian
from dlopt.data import gaussian
from dlopt.kernels.empirical_kernel import layerwise_tangent_kernel, tangent_kernel
from dlopt.kernels.infinite_width import fully_connected
from dlopt.kernels.scaled_residual import ScaledResidual
from dlopt.kernels.tangent_parametrization import TangentParametrized
from dlopt.models import FullyConnected, Residual

X, OTHERS = (gaussian(n, 4, seed=n, dtype=torch.float64) for n in (6, 3))
NETWORKS = {
    "standard": lambda **more: FullyConnected([4, 7, 5, 2], "tanh", bias=True, dtype=torch.float64, **more),
    "without bias": lambda **more: FullyConnected([4, 7, 1], "relu", dtype=torch.float64, **more),
    "residual": lambda **more: Residual([4, 5, 5, 2], dtype=torch.float64, **more),
    "scaled residual": lambda **more: ScaledResidual(5, 4, 4, branch_scale=0.3, dtype=torch.float64, **more),
    "tangent": lambda **more: TangentParametrized([4, 7, 5, 2], sigma_b=0.3, dtype=torch.float64, **more),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("others", [None, OTHERS])
def test_layers_and_jacobians_give_one_kernel(name, others):
    model = NETWORKS[name]()
    torch.testing.assert_close(layerwise_tangent_kernel(model, X, others), tangent_kernel(model, X, others))


@pytest.mark.parametrize("name", NETWORKS)
def test_members_have_the_kernels_of_single_networks(name):
    model = NETWORKS[name](members=3)
    together = layerwise_tangent_kernel(model, X)
    assert together.shape == (3, 6, 6)
    for member in range(3):
        torch.testing.assert_close(layerwise_tangent_kernel(model.member(member), X), together[member])


def test_the_jacobian_is_that_of_every_output():
    model = NETWORKS["standard"]()
    full = jacobian(model, X)
    assert full.shape == (6, 2, 4 * 7 + 7 + 7 * 5 + 5 + 5 * 2 + 2)
    gradients = torch.autograd.grad(model(X)[3, 1], list(model.parameters()))
    torch.testing.assert_close(full[3, 1], torch.cat([gradient.flatten() for gradient in gradients]))


def test_the_tangent_parametrization_starts_as_the_standard_one_with_lecun_weights():
    model = TangentParametrized([4, 9, 1], sigma_w=1.5, sigma_b=0.1, dtype=torch.float64)
    torch.testing.assert_close(model.weight(2), model.weights[1] * 1.5 / 3)
    torch.testing.assert_close(model.bias(1), model.biases[0] * 0.1)
    assert 0.7 < float(model.weights[0].detach().std()) < 1.3


def test_a_wide_network_has_nearly_the_kernel_of_the_limit():
    model = TangentParametrized([4, 4096, 4096, 1], sigma_b=0.3, dtype=torch.float64, members=4)
    limit = fully_connected(X, depth=3, sigma_b=0.3).ntk
    error = (layerwise_tangent_kernel(model, X).mean(dim=0) - limit).norm() / limit.norm()
    assert float(error) < 3 / math.sqrt(4 * 4096)


def test_a_network_without_a_formula_by_layers_is_refused():
    with pytest.raises(ValueError, match="no formula by layers"):
        layerwise_tangent_kernel(Residual([4, 5, 5, 2], normalization="layer", dtype=torch.float64), X)
