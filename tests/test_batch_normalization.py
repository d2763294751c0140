"""Batch normalization by hand against automatic differentiation, PyTorch and its own geometry."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlopt.tricks import batch_normalization
from dlopt.tricks.batch_normalization import as_printed, backward, forward, with_deviation_plus_epsilon


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(n=st.integers(2, 12), d=st.integers(1, 5), epsilon=st.sampled_from([1e-8, 1e-3, 1.0]))
@settings(max_examples=30)
def test_forward_and_backward_are_batchnorm1ds_and_autograds(n, d, epsilon):
    h, incoming = drawn(n, d).requires_grad_(), drawn(n, d, seed=1)
    gamma, beta = (drawn(d, seed=seed).requires_grad_() for seed in (2, 3))
    saved = forward(h, gamma, beta, epsilon)
    theirs = nn.functional.batch_norm(h, None, None, gamma, beta, training=True, eps=epsilon)
    assert torch.allclose(saved.output, theirs, rtol=1e-9, atol=1e-11)
    expected = torch.autograd.grad(saved.output, (h, gamma, beta), incoming)
    for ours, reference in zip(backward(incoming, saved, gamma), expected, strict=True):
        assert torch.allclose(ours, reference, rtol=1e-8, atol=1e-9)


def test_the_input_gradient_has_no_mean_and_without_epsilon_no_part_along_the_normalized_values():
    saved = forward(drawn(9, 4), torch.ones(4).double(), torch.zeros(4).double())
    gradient = backward(drawn(9, 4, seed=1), saved, torch.ones(4).double())[0]
    assert gradient.sum(0).abs().max() < 1e-13
    assert (gradient * saved.normalized).sum(0).abs().max() < 1e-13


def test_with_the_sum_restored_the_deviation_is_shrunk_by_sigma_over_sigma_plus_epsilon():
    a = 3 * drawn(11) + 1
    out, sigma = with_deviation_plus_epsilon(a, 1.5, -2.0, 0.3), a.std(correction=0)
    assert out.mean().item() == pytest.approx(-2, abs=1e-13)
    assert out.std(correction=0).item() == pytest.approx(1.5 * (sigma / (sigma + 0.3)).item(), rel=1e-12)


def test_as_printed_every_output_is_a_sign_times_gamma_root_n():
    a = drawn(7)
    assert torch.allclose(as_printed(a, 2.0, 1.0, 0.0), 1 + 2 * math.sqrt(7) * (a - a.mean()).sign())


def test_shapes_that_do_not_fit_are_refused():
    for h, gamma in ((drawn(5), drawn(1)), (drawn(5, 3), drawn(2))):
        with pytest.raises(ValueError, match=r"h must be \(N, d\)"):
            forward(h, gamma, gamma)


def test_the_public_names_are_those_that_the_module_lists():
    assert all(hasattr(batch_normalization, name) for name in batch_normalization.__all__)
