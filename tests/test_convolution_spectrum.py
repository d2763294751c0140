"""Singular values of convolutions against dense matrices and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from dlopt.tricks import convolution_spectrum as cs

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def kernel(c_out: int, c_in: int, k: int = 3, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(c_out, c_in, k, k, generator=generator, dtype=torch.float64)


@given(
    c_out=st.integers(1, 4), c_in=st.integers(1, 4), k=st.sampled_from([1, 3, 5]), stride=st.sampled_from([1, 2]),
    size=st.sampled_from([(6, 6), (8, 6), (6, 10)]), seed=st.integers(0, 99),
)  # fmt: skip
@settings(max_examples=40)
def test_the_fourier_blocks_have_the_singular_values_of_the_dense_matrix(c_out, c_in, k, stride, size, seed):
    drawn = kernel(c_out, c_in, k, seed)
    found = cs.singular_values(drawn, size, stride=stride)
    dense = torch.linalg.svdvals(cs.dense_matrix(drawn, size, stride=stride))
    assert found.shape == (size[0] // stride, size[1] // stride, min(c_out, stride**2 * c_in))
    assert torch.allclose(found.flatten().sort(descending=True).values, dense, atol=1e-11)


def test_the_dense_matrix_is_the_convolution_of_scipy():
    drawn, image = kernel(1, 1), np.random.default_rng(0).standard_normal((5, 7))
    for mode, boundary in (("circular", "wrap"), ("zeros", "fill")):
        expected = signal.correlate2d(image, drawn[0, 0].numpy(), mode="same", boundary=boundary)
        found = cs.dense_matrix(drawn, (5, 7), padding_mode=mode) @ torch.from_numpy(image).flatten()
        assert np.allclose(found.numpy(), expected.ravel(), atol=1e-13)


@given(
    c_out=st.integers(1, 5),
    c_in=st.integers(1, 5),
    k=st.sampled_from([1, 2, 3, 5]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40)
def test_the_norm_lies_between_its_bounds(c_out, c_in, k, seed):
    drawn = kernel(c_out, c_in, k, seed)
    low, high = cs.norm_bounds(drawn)
    norm = cs.singular_values(drawn, (10, 12)).max()
    assert low - 1e-10 <= norm <= high + 1e-10
    assert low >= torch.linalg.matrix_norm(cs.reshaped(drawn), 2) - 1e-12


def test_both_bounds_are_attained():
    delta = torch.zeros(3, 3, 3, 3, dtype=torch.float64)
    delta[:, :, 1, 1] = torch.linalg.qr(kernel(3, 3, 1)[..., 0, 0]).Q
    assert torch.allclose(cs.singular_values(delta, (6, 6)), torch.ones(6, 6, 3, dtype=torch.float64))
    assert torch.isclose(cs.norm_bounds(delta)[0], torch.ones(()).double())
    mean = torch.ones(1, 1, 3, 3, dtype=torch.float64)
    assert torch.isclose(cs.singular_values(mean, (6, 6)).max(), cs.norm_bounds(mean)[1])


def test_reshaping_maps_a_patch_to_a_pixel():
    drawn = kernel(4, 3)
    patch = torch.randn(1, 3, 3, 3, dtype=torch.float64)
    assert torch.allclose(
        cs.reshaped(drawn) @ patch.flatten(), torch.nn.functional.conv2d(patch, drawn).flatten()
    )


def test_zero_padding_amplifies_no_more_than_a_circle_with_a_margin():
    drawn = kernel(3, 2)
    zeros = torch.linalg.matrix_norm(cs.dense_matrix(drawn, (6, 6), padding_mode="zeros"), 2)
    assert zeros <= cs.singular_values(drawn, (8, 8)).max() + 1e-12


def test_clipping_bounds_the_singular_values_and_keeps_the_small_ones():
    drawn, size = kernel(3, 2), (6, 5)
    before = cs.singular_values(drawn, size)
    after = cs.singular_values(cs.clipped(drawn, size, 3.0), size)
    assert torch.allclose(after, before.clamp(max=3), atol=1e-12)
    unclipped = cs.clipped(drawn, size, 1e3)
    assert torch.allclose(unclipped[..., :3, :3], drawn, atol=1e-12)
    assert unclipped[..., 3:, :].abs().max() < 1e-12


def test_a_kernel_that_does_not_fit_and_a_stride_that_does_not_divide_are_refused():
    with pytest.raises(ValueError, match="must fit into an image of 2 × 2"):
        cs.singular_values(kernel(2, 2), (2, 2))
    with pytest.raises(ValueError, match="must fit"):
        cs.transfer_matrices(torch.ones(3, 3), (8, 8))
    with pytest.raises(ValueError, match="does not divide"):
        cs.singular_values(kernel(2, 2), (7, 8), stride=2)


class TestTopSingularValues:
    def test_they_are_those_of_the_dense_decomposition(self):
        matrix = torch.randn(40, 90, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        found = cs.top_singular_values(matrix, block=10, steps=60)
        assert torch.allclose(found.values[:3], torch.linalg.svdvals(matrix)[:3], atol=1e-9)
        assert torch.allclose(matrix @ found.right[:, 0], found.values[0] * found.left[:, 0], atol=1e-4)

    def test_a_warm_start_needs_one_step_where_a_cold_one_fails(self):
        generator = torch.Generator().manual_seed(0)
        matrix = torch.randn(40, 90, generator=generator, dtype=torch.float64)
        moved = matrix + 1e-3 * torch.randn(40, 90, generator=generator, dtype=torch.float64)
        exact = torch.linalg.svdvals(moved)[:3]
        warm = cs.top_singular_values(moved, cs.top_singular_values(matrix, steps=200).right)
        cold = cs.top_singular_values(moved)
        assert (warm.values[:3] - exact).abs().max() < 1e-4
        assert (cold.values[:3] - exact).abs().max() > 1e-2

    def test_the_block_is_cut_to_the_smaller_side(self):
        matrix = torch.randn(2, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert torch.allclose(cs.top_singular_values(matrix).values, torch.linalg.svdvals(matrix))

    def test_no_step_and_a_start_that_does_not_fit_are_refused(self):
        with pytest.raises(ValueError, match="one step or more"):
            cs.top_singular_values(torch.ones(3, 2), steps=0)
        with pytest.raises(ValueError, match=r"a start must be \(2, block\)"):
            cs.top_singular_values(torch.ones(3, 2), torch.ones(3, 2))


@pytest.mark.cuda
def test_cuda_computes_what_the_cpu_does():
    drawn = kernel(4, 3)
    for stride in (1, 2):
        here, there = (
            cs.singular_values(drawn, (8, 8), stride=stride),
            cs.singular_values(drawn.cuda(), (8, 8), stride=stride),
        )
        assert torch.allclose(here, there.cpu(), atol=1e-11)
