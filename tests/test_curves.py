"""Bézier curves and chains: partitions of unity, SciPy's polynomials, and training that bends around a hill."""

import pytest
import torch
from scipy.interpolate import BPoly
from torch import nn

from dlopt.landscape import curves, paths

T = torch.linspace(0, 1, 33, dtype=torch.float64)
KNOTS = torch.randn(4, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("weights", [curves.bernstein, curves.hat])
def test_weights_sum_to_one_and_the_curve_begins_and_ends_at_its_outer_knots(weights):
    matrix = weights(T, 3)
    torch.testing.assert_close(matrix.sum(dim=1), torch.ones_like(T))
    torch.testing.assert_close(matrix[[0, -1]] @ KNOTS, KNOTS[[0, -1]])
    assert (matrix >= 0).all()


def test_bernstein_is_scipys_polynomial():
    reference = BPoly(KNOTS.numpy()[:, None], [0, 1])(T.numpy())
    torch.testing.assert_close(curves.bernstein(T, 3) @ KNOTS, torch.from_numpy(reference))


def test_hat_is_the_polygon_through_the_knots():
    t = torch.linspace(0, 1, 31, dtype=torch.float64)
    torch.testing.assert_close(curves.hat(t, 3) @ KNOTS, paths.polygon(KNOTS, 10))


class Plane(nn.Module):
    """Two parameters, handed through to the loss."""

    def __init__(self):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(2, dtype=torch.float64))

    def forward(self, x):
        return self.place.expand(len(x), -1)


def hill(outputs, _):
    """A ridge of height 1 at x = 0 with a gap far from y = 0."""
    x, y = outputs.mean(dim=-2).unbind(-1)
    return torch.exp(-4 * x**2 - 0.5 * y**2)


@pytest.mark.parametrize("weights", [curves.bernstein, curves.hat])
def test_training_bends_every_curve_around_the_hill_and_keeps_its_ends(weights):
    ends = torch.tensor([[[-3.0, 0.1], [3.0, 0.1]], [[-2.0, -0.1], [2.0, -0.2]]], dtype=torch.float64)
    inputs = torch.zeros(4, 1, dtype=torch.float64)
    knots = curves.train_curve(
        Plane(), ends, inputs, inputs, hill, weights=weights, bends=1, steps=400, batch_size=2, seed=0,
        optimizer=lambda tensors: torch.optim.Adam(tensors, lr=0.05),
    )  # fmt: skip
    assert torch.equal(knots[:, [0, -1]], ends)
    heights = hill((weights(T, 2) @ knots)[:, :, None], None)
    assert hill(torch.lerp(ends[:, :1], ends[:, 1:], T[:, None])[:, :, None], None).amax() > 0.9
    assert heights.amax() < 0.1


def test_a_step_is_the_gradient_of_the_loss_at_a_uniform_t():
    """Without bends to train along the loss, one step of descent on a quadratic can be written down."""

    def quadratic(outputs, _):
        return outputs.square().sum(dim=-1).mean(dim=-1)

    ends = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]], dtype=torch.float64)
    inputs = torch.zeros(4, 1, dtype=torch.float64)
    knots = curves.train_curve(
        Plane(), ends, inputs, inputs, quadratic, bends=1, steps=1, batch_size=4, seed=3,
        optimizer=lambda tensors: torch.optim.SGD(tensors, lr=1.0),
    )  # fmt: skip
    t = torch.rand(1, generator=curves.runtime.generator(3)).double()
    weights = curves.bernstein(t, 2)[0]
    middle = ends[0].mean(dim=0)
    point = weights @ torch.stack([ends[0, 0], middle, ends[0, 1]])
    torch.testing.assert_close(knots[0, 1], middle - 2 * weights[1] * point)


@pytest.mark.cuda
def test_curves_train_on_a_gpu_as_on_the_cpu():
    ends = torch.tensor([[[-3.0, 0.1], [3.0, 0.1]]], dtype=torch.float64)
    knots = [
        curves.train_curve(
            Plane().to(device), ends.to(device), torch.zeros(4, 1).to(device), torch.zeros(4, 1).to(device), hill,
            steps=20, batch_size=2, seed=0, optimizer=lambda tensors: torch.optim.Adam(tensors, lr=0.05),
        ).cpu()
        for device in ("cpu", "cuda")
    ]  # fmt: skip
    torch.testing.assert_close(*knots)
