"""The flow of residuals for a constant kernel, against an integrator and against regression."""

import numpy as np
import pytest
import torch
from scipy import integrate

from dlopt.data import gaussian
from dlopt.kernels.kernel_flow import KernelFlow

FEATURES = gaussian(5, 7, dtype=torch.float64)
KERNEL = FEATURES @ FEATURES.T
RESIDUALS = gaussian(5, 2, seed=1, dtype=torch.float64)


def test_the_residuals_follow_the_differential_equation():
    solution = integrate.solve_ivp(
        lambda _, r: -KERNEL.numpy() @ r, (0, 0.3), RESIDUALS[:, 0].numpy(), rtol=1e-11, atol=1e-13
    )
    np.testing.assert_allclose(
        KernelFlow(KERNEL, RESIDUALS[:, 0]).residuals(0.3).numpy(), solution.y[:, -1], rtol=1e-8
    )


def test_at_the_training_inputs_the_change_is_that_of_the_residuals():
    flow = KernelFlow(KERNEL, RESIDUALS)
    torch.testing.assert_close(flow.change(KERNEL, 0.3), flow.residuals(0.3) - RESIDUALS)


def test_it_ends_at_kernel_regression():
    cross = gaussian(3, 7, seed=2, dtype=torch.float64) @ FEATURES.T
    expected = -cross @ torch.linalg.solve(KERNEL, RESIDUALS)
    torch.testing.assert_close(KernelFlow(KERNEL, RESIDUALS).change(cross, float("inf")), expected)


def test_what_a_singular_kernel_does_not_see_stays():
    narrow = FEATURES[:, :3]
    flow = KernelFlow(narrow @ narrow.T, RESIDUALS)
    projection = torch.eye(5, dtype=torch.float64) - narrow @ torch.linalg.pinv(narrow)
    torch.testing.assert_close(flow.residuals(1e4), projection @ RESIDUALS)
    assert torch.isfinite(flow.change(narrow @ narrow.T, float("inf"))).all()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="does not fit"):
        KernelFlow(KERNEL, RESIDUALS[:4])
