"""The adaptive methods: step by step torch's, and what torch has no name for by its equation."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlopt.algorithms import adaptive

PEERS = {
    "SGD": (
        lambda p, lr, b, c, e: adaptive.SGD(p, lr, momentum=b),
        lambda p, lr, b, c, e: torch.optim.SGD(p, lr, momentum=b),
    ),
    "AdaGrad": (
        lambda p, lr, b, c, e: adaptive.AdaGrad(p, lr, epsilon=e),
        lambda p, lr, b, c, e: torch.optim.Adagrad(p, lr, eps=e),
    ),
    "RMSProp": (
        lambda p, lr, b, c, e: adaptive.RMSProp(p, lr, beta=c, epsilon=e),
        lambda p, lr, b, c, e: torch.optim.RMSprop(p, lr, alpha=c, eps=e),
    ),
    "AdaDelta": (
        lambda p, lr, b, c, e: adaptive.AdaDelta(p, lr, beta=c, epsilon=e),
        lambda p, lr, b, c, e: torch.optim.Adadelta(p, lr, rho=c, eps=e),
    ),
    "Adam": (
        lambda p, lr, b, c, e: adaptive.Adam(p, lr, b, c, e),
        lambda p, lr, b, c, e: torch.optim.Adam(p, lr, (b, c), e),
    ),
    "NAdam": (
        lambda p, lr, b, c, e: adaptive.NAdam(p, lr, b, c, e),
        lambda p, lr, b, c, e: torch.optim.NAdam(p, lr, (b, c), e),
    ),
    "AMSGrad": (
        lambda p, lr, b, c, e: adaptive.AMSGrad(p, lr, b, c, e, bias_correction=True),
        lambda p, lr, b, c, e: torch.optim.Adam(p, lr, (b, c), e, amsgrad=True),
    ),
}
peers = pytest.mark.parametrize("name", PEERS)
OURS = {
    **{
        name: (lambda p, lr=0.01, make=make: make(p, lr, 0.9, 0.99, 1e-8))
        for name, (make, _) in PEERS.items()
    },
    "AdaFom": adaptive.AdaFom,
}
ours = pytest.mark.parametrize("name", OURS)


@pytest.fixture(autouse=True)
def numbers_of_torch_in_double_precision():
    """Torch keeps some of its counters in the default precision."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def leaf(value: torch.Tensor) -> torch.Tensor:
    return value.clone().requires_grad_()


def steps(optimizer: torch.optim.Optimizer, theta: torch.Tensor, gradients: torch.Tensor) -> torch.Tensor:
    """θ after every step along given gradients."""
    visited = []
    for g in gradients:
        theta.grad = g.clone()
        optimizer.step()
        visited.append(theta.detach().clone())
    return torch.stack(visited)


class TestTorch:
    @peers
    @settings(max_examples=5)
    @given(
        seed=st.integers(0, 10_000),
        lr=st.floats(1e-4, 0.3),
        beta1=st.floats(0.0, 0.99),
        beta2=st.floats(0.0, 0.9999),
        epsilon=st.sampled_from([1e-8, 1e-3]),
    )
    def test_two_hundred_steps_are_torchs(self, name, seed, lr, beta1, beta2, epsilon):
        """Along random gradients of sizes between 0.001 and 1000: on a problem, chaos would amplify the rounding."""
        sizes = 10 ** (6 * torch.rand(200, 7, 3, generator=torch.Generator().manual_seed(seed)) - 3)
        gradients = sizes * normal(200, 7, 3, seed=seed)
        visited = []
        for make in PEERS[name]:
            weights, bias = leaf(torch.zeros(7, 2)), leaf(torch.ones(7))
            optimizer, path = make([weights, bias], lr, beta1, beta2, epsilon), []
            for g in gradients:
                weights.grad, bias.grad = g[:, :2].clone(), g[:, 2].clone()
                optimizer.step()
                path.append(torch.cat([weights.detach().flatten(), bias.detach()]))
            visited.append(torch.stack(path))
        assert (visited[0] - visited[1]).abs().max() <= 1e-10 * visited[1].abs().max().clamp(min=1)

    @peers
    def test_tensors_larger_than_a_piece_are_torchs_too(self, name, monkeypatch):
        monkeypatch.setattr(adaptive, "PIECE", 64)
        gradients = [normal(20, 3, 50), normal(20, 5, 3), normal(20, 90)]
        ends = []
        for make in PEERS[name]:
            thetas = [leaf(normal(3, 50)), leaf(normal(3, 5).mT), leaf(normal(90))]
            optimizer = make(thetas, 0.01, 0.9, 0.99, 1e-8)
            for t in range(20):
                for theta, g in zip(thetas, gradients, strict=True):
                    theta.grad = g[t].clone()
                optimizer.step()
            ends.append(torch.cat([theta.detach().flatten() for theta in thetas]))
        torch.testing.assert_close(*ends, rtol=0, atol=1e-12)

    @peers
    def test_a_schedule_changes_the_step_as_in_torch(self, name):
        ends = []
        for make in PEERS[name]:
            theta = leaf(normal(4))
            optimizer = make([theta], 0.1, 0.9, 0.99, 1e-8)
            schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: (t + 1) ** -0.5)
            for g in normal(30, 4, seed=1):
                theta.grad = g
                optimizer.step()
                schedule.step()
            ends.append(theta.detach())
        torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


class TestEveryMethod:
    @ours
    def test_a_run_goes_on_from_its_saved_state(self, name):
        gradients = normal(20, 5, seed=1)
        whole = leaf(normal(5))
        expected = steps(OURS[name]([whole]), whole, gradients)[-1]
        first = leaf(normal(5))
        optimizer = OURS[name]([first])
        steps(optimizer, first, gradients[:9])
        second = leaf(first.detach())
        resumed = OURS[name]([second])
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        torch.testing.assert_close(steps(resumed, second, gradients[9:])[-1], expected, rtol=0, atol=0)

    @ours
    def test_groups_have_options_of_their_own(self, name):
        slow, fast, alone = leaf(normal(5)), leaf(normal(5)), leaf(normal(5))
        optimizer = OURS[name]([{"params": [slow]}, {"params": [fast], "lr": 0.05}])
        single = OURS[name]([alone], lr=0.05)
        for g in normal(10, 5, seed=1):
            slow.grad, fast.grad, alone.grad = g.clone(), g.clone(), g.clone()
            optimizer.step()
            single.step()
        torch.testing.assert_close(fast, alone, rtol=0, atol=0)
        assert (slow - fast).abs().max() > 1e-4

    @ours
    def test_members_may_have_step_sizes_of_their_own(self, name):
        rates = torch.tensor([0.01, 0.1, 0.0])
        gradients = normal(10, 3, 4, 2, seed=1)
        together = leaf(normal(3, 4, 2))
        found = steps(OURS[name]([together], lr=rates), together, gradients)
        for member, rate in enumerate(rates.tolist()):
            alone = leaf(normal(3, 4, 2)[member])
            expected = steps(OURS[name]([alone], lr=rate), alone, gradients[:, member])
            torch.testing.assert_close(found[:, member], expected, rtol=1e-7, atol=1e-9)

    @ours
    def test_a_parameter_without_a_gradient_stays_and_counts_no_step(self, name):
        idle, busy = leaf(normal(3)), leaf(normal(3))
        optimizer = OURS[name]([idle, busy])
        steps(optimizer, busy, normal(5, 3, seed=1))
        torch.testing.assert_close(idle.detach(), normal(3), rtol=0, atol=0)
        late = leaf(normal(3))
        expected = steps(OURS[name]([late]), late, normal(4, 3, seed=2))[-1]
        for g in normal(4, 3, seed=2):
            idle.grad, busy.grad = g, g.clone()
            optimizer.step()
        torch.testing.assert_close(idle.detach(), expected, rtol=0, atol=0)

    @ours
    def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned(self, name):
        theta = leaf(torch.ones(2).double())
        optimizer = OURS[name]([theta])

        def closure():
            optimizer.zero_grad()
            loss = theta.square().sum()
            loss.backward()
            return loss

        assert optimizer.step(closure).item() == 2.0
        assert optimizer.step(closure).item() < 2.0

    def test_what_cannot_be_a_method_is_refused(self):
        theta = leaf(normal(3))
        with pytest.raises(ValueError, match="must not be negative"):
            adaptive.AdaGrad([theta], lr=-1.0)
        with pytest.raises(ValueError, match="beta2 must lie in"):
            adaptive.Adam([theta], beta2=1.0)
        theta.grad = torch.zeros(3).double().to_sparse()
        with pytest.raises(ValueError, match="sparse"):
            adaptive.Adam([theta]).step()

    @pytest.mark.cuda
    @ours
    def test_a_gpu_takes_the_steps_of_the_cpu(self, name):
        gradients, ends = normal(50, 40, 7, seed=1), []
        for device in ("cpu", "cuda"):
            theta = normal(40, 7).to(device).requires_grad_()
            ends.append(steps(OURS[name]([theta]), theta, gradients.to(device))[-1].cpu())
        torch.testing.assert_close(*ends, rtol=0, atol=1e-12)


class TestEquations:
    def test_adagrad_divides_by_the_root_of_the_sum_of_squares(self):
        gradients, theta = normal(30, 4), leaf(torch.zeros(4).double())
        moved = steps(adaptive.AdaGrad([theta], lr=0.3, epsilon=0.0), theta, gradients).diff(dim=0)
        expected = -0.3 * gradients / gradients.square().cumsum(dim=0).sqrt()
        torch.testing.assert_close(moved, expected[1:], rtol=1e-12, atol=1e-12)

    def test_adagrad_is_the_average_with_a_decreasing_step(self):
        gradients, summed, averaged = normal(50, 4), leaf(normal(4)), leaf(normal(4))
        fom = adaptive.AdaFom([averaged], lr=0.1, beta1=0.0, epsilon=0.0)
        torch.optim.lr_scheduler.LambdaLR(fom, lambda t: (t + 1) ** -0.5)
        expected = steps(adaptive.AdaGrad([summed], lr=0.1, epsilon=0.0), summed, gradients)[-1]
        for t, g in enumerate(gradients, start=1):
            fom.param_groups[0]["lr"] = 0.1 * t**-0.5
            averaged.grad = g
            fom.step()
        torch.testing.assert_close(averaged.detach(), expected, rtol=1e-12, atol=1e-12)

    def test_adafom_keeps_the_average_of_the_squares_and_adams_momentum(self):
        gradients, theta = normal(30, 4), leaf(torch.zeros(4).double())
        moved = steps(adaptive.AdaFom([theta], lr=0.3, beta1=0.8, epsilon=0.0), theta, gradients)[-1]
        m, expected = torch.zeros(4).double(), torch.zeros(4).double()
        for t in range(30):
            m = 0.8 * m + 0.2 * gradients[t]
            expected = expected - 0.3 * m / gradients[: t + 1].square().mean(dim=0).sqrt()
        torch.testing.assert_close(moved, expected, rtol=1e-12, atol=1e-12)

    def test_without_bias_correction_adam_is_equation_23(self):
        gradients, theta = normal(30, 4), leaf(torch.zeros(4).double())
        found = steps(adaptive.Adam([theta], 0.1, 0.8, 0.95, 0.0, bias_correction=False), theta, gradients)[
            -1
        ]
        m = v = expected = torch.zeros(4).double()
        for g in gradients:
            m, v = 0.8 * m + 0.2 * g, 0.95 * v + 0.05 * g * g
            expected = expected - 0.1 * m / v.sqrt()
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)

    def test_nadam_without_momentum_is_bias_corrected_rmsprop(self):
        gradients, first, second = normal(40, 4), leaf(normal(4)), leaf(normal(4))
        nadam = steps(adaptive.NAdam([first], 0.01, beta1=0.0, beta2=0.9), first, gradients)
        rmsprop = steps(adaptive.Adam([second], 0.01, beta1=0.0, beta2=0.9), second, gradients)
        torch.testing.assert_close(nadam, rmsprop, rtol=1e-12, atol=1e-12)

    def test_amsgrad_has_a_memory_of_the_largest_gradient(self):
        gradients = torch.cat([torch.tensor([100.0]), torch.ones(500)]).double()[:, None]
        moved = {}
        for make in (adaptive.AMSGrad, adaptive.Adam):
            theta = leaf(torch.zeros(1).double())
            optimizer = make([theta], 1.0, 0.0, 0.9, 0.0, bias_correction=False)
            moved[make] = -steps(optimizer, theta, gradients).diff(dim=0)[-1].item()
        assert moved[adaptive.AMSGrad] == pytest.approx(1 / math.sqrt(1000))
        assert moved[adaptive.Adam] == pytest.approx(1.0)

    def test_only_without_bias_correction_the_effective_step_of_amsgrad_never_grows(self):
        gradients = normal(300, 6)
        for bias_correction in (False, True):
            theta = leaf(torch.zeros(6).double())
            optimizer = adaptive.AMSGrad([theta], 1.0, 0.0, 0.99, 0.0, bias_correction)
            effective = -steps(optimizer, theta, gradients).diff(dim=0) / gradients[1:]
            grows = bool((effective.diff(dim=0) > 1e-9).any())
            assert grows is bias_correction

    def test_adadelta_in_other_units_is_adadelta_with_another_epsilon(self):
        """θ = cφ makes gradients c times larger; φ then moves as θ/c does with ε_u c² in place of ε."""
        curvature = torch.tensor([1.0, 3.0]).double()
        ends = []
        for c, epsilon in ((10.0, 1e-12), (1.0, 1e-10)):
            phi = leaf(torch.ones(2).double() / c)
            optimizer = adaptive.AdaDelta([phi], epsilon=epsilon)
            for _ in range(300):
                phi.grad = c * curvature * (c * phi.detach())
                optimizer.step()
            ends.append(c * phi.detach())
        torch.testing.assert_close(*ends, rtol=1e-6, atol=0)


class TestAdaGradNorm:
    def test_one_scale_serves_all_parameters_of_a_group(self):
        first, second = leaf(normal(3)), leaf(normal(2))
        optimizer = adaptive.AdaGradNorm([first, second], lr=0.7, start=0.5)
        expected = torch.cat([normal(3), normal(2)])
        squares = 0.25
        for g in normal(10, 5, seed=1):
            first.grad, second.grad = g[:3].clone(), g[3:].clone()
            optimizer.step()
            squares += g.square().sum()
            expected = expected - 0.7 * g / squares.sqrt()
        torch.testing.assert_close(torch.cat([first, second]).detach(), expected, rtol=1e-12, atol=1e-12)

    def test_a_run_goes_on_from_its_saved_state(self):
        gradients, whole, first = normal(20, 5, seed=1), leaf(normal(5)), leaf(normal(5))
        expected = steps(adaptive.AdaGradNorm([whole]), whole, gradients)[-1]
        optimizer = adaptive.AdaGradNorm([first])
        steps(optimizer, first, gradients[:9])
        resumed = adaptive.AdaGradNorm([first])
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        torch.testing.assert_close(steps(resumed, first, gradients[9:])[-1], expected, rtol=0, atol=0)

    def test_a_closure_is_evaluated_and_idle_groups_stay(self):
        busy, idle = leaf(normal(3)), leaf(normal(3))
        optimizer = adaptive.AdaGradNorm([{"params": [busy]}, {"params": [idle]}])

        def closure():
            optimizer.zero_grad()
            loss = busy.square().sum()
            loss.backward()
            return loss

        assert optimizer.step(closure) == normal(3).square().sum()
        torch.testing.assert_close(idle.detach(), normal(3), rtol=0, atol=0)
