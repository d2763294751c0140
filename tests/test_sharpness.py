"""Curvature in scaled coordinates against dense matrices, and the box sharpness against L-BFGS-B."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from dlopt.curvature import Hessian
from dlopt.landscape import sharpness
from dlopt.models import FullyConnected
from dlopt.training import squared_error


def hessian_and_scales(members=None, device="cpu"):
    model = FullyConnected([3, 4, 2], "tanh", members=members, seed=1, dtype=torch.float64, device=device)
    generator = torch.Generator().manual_seed(2)
    inputs, targets = (
        torch.randn(12, d, generator=generator, dtype=torch.float64).to(device) for d in (3, 2)
    )
    hessian = Hessian.of(model, inputs, targets, squared_error)
    scales = torch.rand(*hessian.leading, hessian.size, generator=generator, dtype=torch.float64)
    return hessian, scales.to(device)


@pytest.mark.parametrize("members", [None, 3])
def test_the_top_eigenvalue_is_that_of_the_scaled_matrix(members):
    hessian, scales = hessian_and_scales(members)
    dense = scales[..., :, None] * hessian.matrix() * scales[..., None, :]
    expected = torch.linalg.eigvalsh(dense)[..., -1]
    torch.testing.assert_close(sharpness.top_eigenvalue(hessian, scales=scales), expected)
    torch.testing.assert_close(
        sharpness.top_eigenvalue(hessian), torch.linalg.eigvalsh(hessian.matrix())[..., -1]
    )


@pytest.mark.parametrize("members", [None, 3])
def test_the_trace_is_estimated_without_bias(members):
    hessian, scales = hessian_and_scales(members)
    diagonal = hessian.matrix().diagonal(dim1=-2, dim2=-1)
    for s, expected in ((None, diagonal.sum(-1)), (scales, (scales**2 * diagonal).sum(-1))):
        estimate = sharpness.trace(hessian, scales=s, probes=400)
        torch.testing.assert_close(estimate, expected, rtol=0.15, atol=0.0)


@pytest.mark.cuda
def test_a_gpu_finds_the_same_curvature():
    there, here = (hessian_and_scales(3, device) for device in ("cuda", "cpu"))
    for measure in (sharpness.top_eigenvalue, sharpness.trace):
        torch.testing.assert_close(measure(there[0], scales=there[1]).cpu(), measure(here[0], scales=here[1]))


def test_a_zero_scale_takes_a_parameter_out():
    hessian, _ = hessian_and_scales()
    scales = torch.zeros(hessian.size, dtype=torch.float64)
    scales[3:5] = 1
    block = hessian.matrix()[3:5, 3:5]
    torch.testing.assert_close(
        sharpness.top_eigenvalue(hessian, scales=scales), torch.linalg.eigvalsh(block)[-1]
    )


def test_box_sharpness_of_a_separable_quadratic_is_its_value_in_a_corner():
    k = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    center = torch.tensor([[0.5, -1.0, 2.0]], dtype=torch.float64)

    def loss(points):
        return 0.3 + (k * (points - center) ** 2).sum(dim=-1) / 2

    start = center + 1e-6
    corner = (k * (0.01 * (start.abs() + 1)) ** 2).sum(dim=-1) / 2
    found = sharpness.box_sharpness(loss, start, 0.01)
    torch.testing.assert_close(found, 100 * corner / 1.3, rtol=1e-2, atol=0.0)


def test_box_sharpness_is_a_lower_bound_not_far_from_the_best_corner_and_from_scipys_search():
    generator = torch.Generator().manual_seed(3)
    matrix = torch.randn(8, 8, generator=generator, dtype=torch.float64)
    matrix = matrix @ matrix.T

    def loss(points):
        return ((points @ matrix) * points).sum(dim=-1).tanh() + 1e-3 * points.sum(dim=-1)

    point = torch.zeros(1, 8, dtype=torch.float64)

    def negative(y):
        at = torch.tensor(y, dtype=torch.float64, requires_grad=True)
        value = -loss(at)
        return value.item(), torch.autograd.grad(value, at)[0].numpy()

    peer = minimize(
        negative,
        np.zeros(8),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-0.01, 0.01)] * 8,
        options={"maxiter": 10},
    )
    corners = 0.01 * torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 8)
    found, best = float(sharpness.box_sharpness(loss, point, 0.01)), 100 * float(loss(corners).max())
    assert 0.75 * best < found <= best
    assert 0.75 * -100 * peer.fun < found


def test_the_box_must_have_a_size():
    with pytest.raises(ValueError, match="positive epsilon"):
        sharpness.box_sharpness(lambda points: points.sum(dim=-1), torch.zeros(1, 2), 0.0)
