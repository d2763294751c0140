"""Truncated conjugate gradients and the Hessian-free optimizer beside exact solutions."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import nn

from dlopt.algorithms.hessian_free import HessianFree, truncated_cg
from dlopt.curvature import GaussNewton
from dlopt.training import cross_entropy, squared_error


def spd(d=30, kappa=1e3):
    q, _ = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64))
    return q * torch.logspace(0, -torch.tensor(kappa).log10().item(), d, dtype=torch.float64) @ q.mT


class TestTruncatedCG:
    def test_untruncated_it_solves_the_system(self):
        matrix, b = spd(), torch.randn(30, dtype=torch.float64)
        solved = truncated_cg(lambda v: matrix @ v, b, torch.zeros_like(b), most=120, tolerance=0)
        torch.testing.assert_close(solved.iterates[-1], torch.linalg.solve(matrix, b), rtol=1e-6, atol=1e-6)

    def test_the_model_falls_at_every_iteration_and_is_what_it_says(self):
        matrix, b = spd(), torch.randn(30, dtype=torch.float64)
        solved = truncated_cg(lambda v: matrix @ v, b, torch.randn(30, dtype=torch.float64), most=25)
        assert (solved.models[1:] < solved.models[:-1]).all()
        x = solved.iterates[-1]
        torch.testing.assert_close(solved.models[-1], 0.5 * x @ matrix @ x - b @ x)
        torch.testing.assert_close(solved.residuals[-1], (matrix @ x - b).norm())

    def test_it_stops_when_ten_iterations_gain_little(self):
        matrix, b = spd(kappa=1e8), torch.randn(30, dtype=torch.float64)
        loose = truncated_cg(lambda v: matrix @ v, b, torch.zeros_like(b), tolerance=0.1)
        assert len(loose.models) == 11 or (
            loose.models[-1] - loose.models[-11] > 10 * 0.1 * loose.models[-1]
            and loose.models[-2] - loose.models[-12] <= 10 * 0.1 * loose.models[-2]
        )

    def test_a_start_at_the_solution_stays(self):
        b = torch.ones(3, dtype=torch.float64)
        assert torch.equal(truncated_cg(lambda v: v, b, b).iterates[-1], b)


def network(device="cpu"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 3)).double().to(device)
    x, y = torch.randn(40, 5, dtype=torch.float64).to(device), torch.randint(3, (40,)).to(device)

    def closure(model=model):
        outputs = model(x)
        return cross_entropy(outputs, y), outputs

    return model, closure, x, y


class TestHessianFree:
    def test_on_linear_least_squares_one_undamped_step_is_newtons(self):
        model, x = nn.Linear(4, 2).double(), torch.randn(30, 4, dtype=torch.float64)
        y = torch.randn(30, 2, dtype=torch.float64)

        def closure():
            outputs = model(x)
            return squared_error(outputs, y), outputs

        HessianFree(model.parameters(), damping=0.0, tolerance=1e-14).step(closure)
        design = torch.cat([x, torch.ones(30, 1)], dim=1)
        solution = torch.linalg.lstsq(design, y).solution
        torch.testing.assert_close(model.weight.detach(), solution[:4].mT, rtol=1e-6, atol=1e-8)

    def test_with_much_damping_the_direction_is_the_gradient(self):
        model, closure, _, _ = network()
        before = [p.detach().clone() for p in model.parameters()]
        gradient = torch.autograd.grad(closure()[0], list(model.parameters()))
        HessianFree(model.parameters(), damping=1e6).step(closure)
        for p, old, g in zip(model.parameters(), before, gradient, strict=True):
            torch.testing.assert_close(p.detach() - old, -1e-6 * g, rtol=1e-3, atol=1e-12)

    def test_the_loss_never_rises_and_the_damping_adapts(self):
        model, closure, _, _ = network()
        optimizer = HessianFree(model.parameters(), damping=1.0)
        state = optimizer.state[next(model.parameters())]
        losses, dampings = [], []
        for _ in range(15):
            losses.append(optimizer.step(closure).item())
            dampings.append(state["damping"])
        assert all(later <= earlier for earlier, later in itertools.pairwise(losses))
        assert losses[-1] < 0.2 * losses[0]
        assert min(dampings) < 0.1
        assert state["gradients"] == 15
        assert state["products"] > 15
        assert state["values"] >= 15

    def test_a_state_dict_continues_the_run(self):
        model, closure, _, _ = network()
        optimizer = HessianFree(model.parameters())
        for _ in range(3):
            optimizer.step(closure)
        twin = copy.deepcopy(model)
        other = HessianFree(twin.parameters())
        other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        first = [optimizer.step(closure).item() for _ in range(3)]
        second = [other.step(lambda: closure(twin)).item() for _ in range(3)]
        assert first == pytest.approx(second)

    def test_the_product_of_a_graph_is_that_of_the_model(self):
        model, closure, x, y = network()
        operator = GaussNewton(*closure(), model.parameters())
        expected = GaussNewton.of(model, x, y, cross_entropy).matrix()
        torch.testing.assert_close(operator.matrix(), expected)

    @pytest.mark.cuda
    def test_it_runs_on_a_gpu(self):
        model, closure, _, _ = network("cuda")
        optimizer = HessianFree(model.parameters())
        assert optimizer.step(closure) > optimizer.step(closure)

    def test_negative_damping_is_refused(self):
        with pytest.raises(ValueError, match="negative"):
            HessianFree(network()[0].parameters(), damping=-1.0)
