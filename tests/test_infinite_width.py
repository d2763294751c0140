"""The recursion of the kernels of wide networks."""

import subprocess
import sys

import pytest
import torch

from dlopt import runtime
from dlopt.data import gaussian
from dlopt.kernels.infinite_width import fully_connected, fully_connected_blocks

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


@pytest.mark.cuda
def test_the_kernel_on_a_gpu_is_that_on_the_cpu():
    on_gpu = fully_connected(X.cuda(), depth=4).ntk.cpu()
    torch.testing.assert_close(on_gpu, fully_connected(X, depth=4).ntk)


STREAMED = """
import resource, torch
from dlopt.data import gaussian
from dlopt.kernels.infinite_width import fully_connected_blocks
x, v = gaussian(10_000, 10, dtype=torch.float32), torch.ones(10_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
product = torch.zeros(10_000)
for rows, columns, kernels in fully_connected_blocks(x, depth=2):
    product[rows] += kernels.ntk @ v[columns]
    if rows != columns:
        product[columns] += kernels.ntk.T @ v[rows]
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, product[-1].item())
"""


def test_ten_thousand_samples_are_streamed_in_a_tenth_of_the_memory_of_their_matrix():
    done = subprocess.run(
        [sys.executable, "-c", STREAMED],
        capture_output=True, text=True, check=True, env=runtime.child_environment(DLOPT_DEVICE="cpu"),
    )  # fmt: skip
    megabytes, last = map(float, done.stdout.split())
    x = gaussian(10_000, 10, dtype=torch.float32, device="cpu")
    assert megabytes < 0.1 * 10_000**2 * 4 / 2**20 * 2  # the two matrices, in single precision
    assert last == pytest.approx(float(fully_connected(x[-1:], x, depth=2).ntk.sum()), rel=1e-4)
