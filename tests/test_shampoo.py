"""Shampoo beside its formula and beside AdaGrad with the full matrix."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dlopt.algorithms.shampoo import Shampoo, inverse_root


def power(matrix, exponent):
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values**exponent @ vectors.mT


def run(shape, steps=6, device="cpu", resume=None, **options):
    torch.manual_seed(0)
    w = nn.Parameter(torch.zeros(shape, dtype=torch.float64, device=device))
    gradients = [torch.randn(shape, dtype=torch.float64).to(device) for _ in range(steps)]
    optimizer = Shampoo([w], 0.1, eps=1e-3, **options)
    for step, gradient in enumerate(gradients):
        if step == resume:
            state, w = optimizer.state_dict(), nn.Parameter(w.detach().clone())
            optimizer = Shampoo([w], 0.1, eps=1e-3, **options)
            optimizer.load_state_dict(state)
        w.grad = gradient
        optimizer.step()
    return w.detach().cpu(), [g.cpu() for g in gradients]


def test_the_inverse_root_is_one():
    matrix = torch.randn(5, 5, dtype=torch.float64)
    matrix = matrix @ matrix.mT + torch.eye(5)
    root = inverse_root(matrix, 4)
    torch.testing.assert_close(root @ root @ root @ root @ matrix, torch.eye(5, dtype=torch.float64))


def test_a_matrix_is_preconditioned_from_both_sides_with_fourth_roots():
    w, gradients = run((4, 3))
    expected = torch.zeros(4, 3, dtype=torch.float64)
    left, right = 1e-3 * torch.eye(4, dtype=torch.float64), 1e-3 * torch.eye(3, dtype=torch.float64)
    for g in gradients:
        left, right = left + g @ g.mT, right + g.mT @ g
        expected = expected - 0.1 * power(left, -0.25) @ g @ power(right, -0.25)
    torch.testing.assert_close(w, expected)


def test_a_vector_gets_adagrad_with_the_full_matrix():
    w, gradients = run((4,))
    expected, total = torch.zeros(4, dtype=torch.float64), 1e-3 * torch.eye(4, dtype=torch.float64)
    for g in gradients:
        total = total + torch.outer(g, g)
        expected = expected - 0.1 * power(total, -0.5) @ g
    torch.testing.assert_close(w, expected)


def test_the_kronecker_product_bounds_full_adagrad_from_above():
    """Lemma 8 of the paper: εI + (1/r) Σ g gᵀ ⪯ L^{1/2} ⊗ R^{1/2} for gradients of rank r at most."""
    _, gradients = run((4, 3), steps=9)
    left = 1e-3 * torch.eye(4) + sum(g @ g.mT for g in gradients)
    right = 1e-3 * torch.eye(3) + sum(g.mT @ g for g in gradients)
    full = 1e-3 * torch.eye(12) + sum(torch.outer(g.flatten(), g.flatten()) for g in gradients) / 3
    gap = torch.kron(power(left, 0.5), power(right, 0.5)) - full
    assert torch.linalg.eigvalsh(gap)[0] > -1e-10


def test_roots_may_be_computed_now_and_then():
    assert not torch.equal(run((4, 3))[0], run((4, 3), every=3)[0])
    torch.testing.assert_close(run((4, 3), steps=1)[0], run((4, 3), steps=1, every=3)[0])


def test_a_state_dict_continues_the_run():
    torch.testing.assert_close(run((4, 3, 2))[0], run((4, 3, 2), resume=3)[0])


@pytest.mark.cuda
def test_it_runs_on_a_gpu():
    torch.testing.assert_close(run((4, 3))[0], run((4, 3), device="cuda")[0])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="positive"):
        Shampoo([nn.Parameter(torch.zeros(1))], -0.1)
