"""The gradient quotient against exact Hessians and closed forms, and the descent on the norms."""

from __future__ import annotations

import pytest
import torch

from dlopt import data
from dlopt.initialization import scaled_gaussian
from dlopt.models import FullyConnected
from dlopt.training import squared_error
from dlopt.tricks.metainit import gradient_quotient, metainit

EXACT = {"dtype": torch.float64, "device": "cpu"}
X, Y = data.gaussian(20, 4, **EXACT), data.gaussian(20, 2, seed=1, **EXACT)


def test_on_a_quadratic_it_is_the_relative_change_of_the_gradient():
    curvatures = torch.tensor([0.5, 2.0, -3.0], **EXACT)
    w = torch.tensor([1.0, -2.0, 0.3], **EXACT).requires_grad_()
    quotient = gradient_quotient((curvatures * w**2).sum() / 2, [w], epsilon=0.0)
    assert quotient.item() == pytest.approx(curvatures.abs().mean().item())


def test_it_is_the_formula_with_the_exact_hessian():
    net = FullyConnected([4, 5, 2], "tanh", seed=3, **EXACT)
    flat = torch.cat([weight.detach().flatten() for weight in net.weights])

    def loss(theta):
        first, second = theta[:20].view(5, 4), theta[20:].view(2, 5)
        return squared_error(torch.tanh(X @ first.T) @ second.T, Y)

    g, hessian = torch.func.grad(loss)(flat), torch.func.hessian(loss)(flat)
    expected = ((g - hessian @ g) / (g + 1e-2 * torch.sign(g)) - 1).abs().mean()
    ours = gradient_quotient(squared_error(net(X), Y), list(net.parameters()), epsilon=1e-2)
    assert ours.item() == pytest.approx(expected.item(), rel=1e-10)


def test_it_is_zero_for_a_linear_loss_and_one_where_epsilon_dwarfs_the_gradient():
    w = torch.tensor([1.0, 2.0], **EXACT).requires_grad_()
    curved = (w**2).sum() * 0
    assert gradient_quotient((3 * w).sum() + curved, [w], epsilon=0.0).item() == pytest.approx(0)
    assert gradient_quotient((1e-9 * w).sum() + curved, [w]).item() == pytest.approx(1, rel=1e-3)


def repeated():
    return X, Y


def test_one_step_moves_each_norm_by_the_step_size_against_the_slope():
    net, before = (FullyConnected([4, 6, 2], "tanh", seed=1, **EXACT) for _ in range(2))
    metainit(net, repeated, squared_error, steps=1, step_size=1e-2)
    for index, (new, old) in enumerate(zip(net.weights, before.weights, strict=True)):
        change = (new.norm() - old.norm()).item()
        assert abs(change) == pytest.approx(1e-2)
        assert torch.allclose(new / new.norm(), old / old.norm())
        quotients = []
        for nudge in (-1e-5, 1e-5):
            nudged = FullyConnected([4, 6, 2], "tanh", seed=1, **EXACT)
            with torch.no_grad():
                nudged.weights[index].mul_(1 + nudge)
            quotients.append(gradient_quotient(squared_error(nudged(X), Y), nudged.parameters()).item())
        assert (quotients[1] - quotients[0]) * change < 0


def test_momentum_adds_up():
    net = FullyConnected([4, 2], "linear", initialization=scaled_gaussian(30.0), **EXACT)
    norm = net.weights[0].norm().item()
    first_slope = []
    for _ in range(3):
        metainit(net, repeated, squared_error, steps=1, step_size=0.1)
        first_slope.append(net.weights[0].norm().item() - norm)
        norm = net.weights[0].norm().item()
    if len({change > 0 for change in first_slope}) > 1:
        pytest.skip("the slope changes sign")
    again = FullyConnected([4, 2], "linear", initialization=scaled_gaussian(30.0), **EXACT)
    start = again.weights[0].norm().item()
    metainit(again, repeated, squared_error, steps=3, step_size=0.1, momentum=0.5)
    assert abs(again.weights[0].norm().item() - start) == pytest.approx(0.1 + 0.15 + 0.175, rel=1e-6)


def test_the_quotient_of_a_network_that_starts_too_large_falls():
    net = FullyConnected([4] + [16] * 4 + [2], "relu", initialization=scaled_gaussian(4.0), seed=2, **EXACT)
    quotients = metainit(net, repeated, squared_error, steps=100, step_size=0.02)
    assert quotients.shape == (100,)
    assert quotients[-5:].mean() < quotients[:5].mean() / 5


def test_it_stops_at_the_given_level_and_takes_iterators_and_leaves_biases():
    net = FullyConnected([4, 8, 2], "relu", bias=True, **EXACT)
    quotients = metainit(net, iter([(X, Y)] * 50), squared_error, steps=50, until=1e9)
    assert len(quotients) == 5
    assert all((bias == 0).all() for bias in net.biases)


def test_no_step_more_than_halves_a_norm():
    net, before = (FullyConnected([4, 8, 2], "relu", **EXACT) for _ in range(2))
    metainit(net, repeated, squared_error, steps=1, step_size=1e3)
    assert all((v.norm() >= 0.49 * w.norm()) for v, w in zip(net.weights, before.weights, strict=True))


@pytest.mark.cuda
def test_on_the_gpu_the_quotient_is_the_same():
    values = []
    for device in ("cpu", "cuda"):
        net = FullyConnected([4, 6, 2], "tanh", dtype=torch.float64, device=device)
        loss = squared_error(net(X.to(device)), Y.to(device))
        values.append(gradient_quotient(loss, net.parameters()).item())
    assert values[0] == pytest.approx(values[1], rel=1e-8)
