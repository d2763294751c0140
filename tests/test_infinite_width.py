"""The recursion of the kernels of wide networks."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.kernels.infinite_width import fully_connected, fully_connected_blocks

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
X = gaussian(9, 4, dtype=torch.float64)


def test_a_linear_network_has_the_kernel_of_linear_regression_times_its_depth():
    products = X @ X.T / 4
    for depth in (1, 2, 5):
        kernels = fully_connected(X, depth=depth, activation="linear", sigma_w=1.0)
        torch.testing.assert_close(kernels.nngp, products)
        torch.testing.assert_close(kernels.ntk, depth * products)


@pytest.mark.parametrize("activation", ["relu", "erf", "tanh"])
def test_the_kernel_of_two_sets_is_a_part_of_the_kernel_of_their_union(activation):
    whole = fully_connected(X, depth=3, activation=activation, sigma_b=0.1)
    part = fully_connected(X[:4], X[4:], depth=3, activation=activation, sigma_b=0.1)
    for one, other in zip(whole, part, strict=True):
        torch.testing.assert_close(one[:4, 4:], other)


def test_the_blocks_are_those_of_the_matrix_and_symmetric_ones_come_once():
    whole = fully_connected(X, depth=3).ntk
    seen = torch.zeros(9, 9)
    for rows, columns, kernels in fully_connected_blocks(X, depth=3, block=4):
        torch.testing.assert_close(kernels.ntk, whole[rows, columns])
        seen[rows, columns] += 1
    assert torch.equal((seen + seen.T - torch.eye(9)).clamp(max=1), torch.ones(9, 9))
    assert seen.max() == 1


def test_the_diagonal_is_exact_in_single_precision():
    single = fully_connected(X.float(), depth=20)
    exact = fully_connected(X, depth=20)
    torch.testing.assert_close(single.ntk.diagonal().double(), exact.ntk.diagonal(), rtol=1e-5, atol=0)


def test_inputs_that_make_no_kernel_are_refused():
    with pytest.raises(ValueError, match="one weight layer"):
        fully_connected(X, depth=0)
    with pytest.raises(ValueError, match="4 entries and the others 3"):
        fully_connected(X, X[:, :3], depth=2)


@needs_cuda
def test_the_kernel_on_a_gpu_is_that_on_the_cpu():
    on_gpu = fully_connected(X.cuda(), depth=4).ntk.cpu()
    torch.testing.assert_close(on_gpu, fully_connected(X, depth=4).ntk)
