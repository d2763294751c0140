"""COCOB-Backprop beside its algorithm, as an optimizer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dlopt.algorithms.coin_betting import COCOB


def algorithm_2(start, gradients, alpha):
    """The paper's algorithm, one coordinate, one line a line."""
    w, largest, sizes, outcomes, reward = start, 1e-8, 0.0, 0.0, 0.0
    for gradient in gradients:
        g = -gradient(w)
        largest = max(largest, abs(g))
        sizes += abs(g)
        reward = max(reward + (w - start) * g, 0)
        outcomes += g
        w = start + outcomes / (largest * max(sizes + largest, alpha * largest)) * (largest + reward)
    return w


@pytest.mark.parametrize("alpha", [0.0, 5.0, 100.0])
def test_it_is_algorithm_2_of_the_paper(alpha):
    def slopes(w):
        return 2.0 if w > 1.5 else -0.7

    w = nn.Parameter(torch.tensor([0.25], dtype=torch.float64))
    optimizer = COCOB([w], alpha=alpha)
    for _ in range(60):
        w.grad = torch.full_like(w, slopes(w.item()))
        optimizer.step()
    assert w.item() == pytest.approx(algorithm_2(0.25, [slopes] * 60, alpha))


def test_the_first_step_has_length_one_over_alpha():
    w = nn.Parameter(torch.zeros(3))
    optimizer = COCOB([w])
    w.grad = torch.tensor([1e-4, -3.0, 700.0])
    optimizer.step()
    torch.testing.assert_close(w.detach(), torch.tensor([-0.01, 0.01, -0.01]))


def test_the_scale_of_the_loss_does_not_matter():
    ends = []
    for scale in (1.0, 1e4):
        w = nn.Parameter(torch.tensor([3.0, -2.0], dtype=torch.float64))
        optimizer = COCOB([w])
        for _ in range(50):
            optimizer.zero_grad()
            (scale * (w - 1).abs().sum()).backward()
            optimizer.step()
        ends.append(w.detach())
    torch.testing.assert_close(*ends, rtol=1e-6, atol=0)


def runs(steps, device="cpu", resume=None):
    torch.manual_seed(0)
    model = nn.Linear(3, 2).to(device)
    x = torch.randn(8, 3).to(device)
    optimizer = COCOB([{"params": [model.weight]}, {"params": [model.bias], "alpha": 10.0}])

    def closure():
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        return loss

    for step in range(steps):
        if step == resume:
            state, weights = optimizer.state_dict(), model.state_dict()
            model = nn.Linear(3, 2).to(device)
            model.load_state_dict(weights)
            optimizer = COCOB([{"params": [model.weight]}, {"params": [model.bias]}])
            optimizer.load_state_dict(state)
        loss = optimizer.step(closure)
    return loss.item(), model.weight.detach().cpu()


def test_a_state_dict_continues_the_run():
    torch.testing.assert_close(runs(20)[1], runs(20, resume=10)[1])


@pytest.mark.cuda
def test_it_runs_on_a_gpu():
    torch.testing.assert_close(runs(5)[1], runs(5, "cuda")[1], rtol=1e-4, atol=1e-5)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="negative"):
        COCOB([nn.Parameter(torch.zeros(1))], alpha=-1.0)
