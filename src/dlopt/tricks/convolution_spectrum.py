"""Singular values of convolutions: of the linear map, and of the kernel that is reshaped into a matrix.

A kernel K is (c_out, c_in, k, k), as in ``torch.nn.Conv2d``.  On images of h × w pixels the convolution is a matrix
with c_out·h·w rows and c_in·h·w columns.  With circular padding the Fourier transform cuts it into h·w blocks of
c_out × c_in (Sedghi, Gupta and Long, The singular values of convolutional layers, 2018); with a stride s, into h·w/s²
blocks of c_out × s²·c_in.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from dlopt import runtime

__all__ = [
    "SingularTriplets", "clipped", "dense_matrix", "norm_bounds", "reshaped", "singular_values",
    "top_singular_values", "transfer_matrices",
]  # fmt: skip


def transfer_matrices(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """The block of every frequency: K̂(ω) = Σ_p K_p exp(-i ωᵀp), the Fourier transform of K padded to h × w.

    Args:
        kernel: (c_out, c_in, k, k).
        size: (h, w), no smaller than the kernel.

    Returns:
        (h, w, c_out, c_in), complex.

    Raises:
        ValueError: the kernel has another shape, or is larger than the image.
    """
    if kernel.ndim != 4 or kernel.shape[2] > size[0] or kernel.shape[3] > size[1]:
        raise ValueError(
            f"a kernel (c_out, c_in, k, k) must fit into an image of {size[0]} × {size[1]}, "
            f"not have the shape {tuple(kernel.shape)}."
        )
    return torch.fft.fft2(kernel, s=size).permute(2, 3, 0, 1)


def singular_values(kernel: Tensor, size: tuple[int, int], *, stride: int = 1) -> Tensor:
    """All singular values of a circular convolution, from one small SVD for each frequency.

    A stride s keeps every s-th output in both directions.  The s² frequencies that differ by multiples of h/s and w/s
    then look alike; their blocks stand side by side in one block, which is divided by s.

    Args:
        kernel: (c_out, c_in, k, k).
        size: (h, w) of the input, no smaller than the kernel.
        stride: s, a divisor of h and w.

    Returns:
        (h/s, w/s, min(c_out, s² c_in)), descending along the last axis.

    Raises:
        ValueError: the kernel does not fit, or the stride does not divide the size.
    """
    h, w = size
    if h % stride or w % stride:
        raise ValueError(f"a stride of {stride} does not divide an image of {h} × {w}.")
    blocks = transfer_matrices(kernel, size).unflatten(1, (stride, -1)).unflatten(0, (stride, -1))
    return torch.linalg.svdvals(blocks.permute(1, 3, 4, 0, 2, 5).flatten(3) / stride)


def dense_matrix(
    kernel: Tensor, size: tuple[int, int], *, stride: int = 1, padding_mode: str = "circular"
) -> Tensor:
    """The convolution as a matrix, by convolving every unit image: what the formula is checked against.

    Args:
        kernel: (c_out, c_in, k, k) with k odd.
        size: (h, w) of the input.
        stride: s.
        padding_mode: "circular", or "zeros" as most networks have it.  Both pad (k-1)/2 on each side.

    Returns:
        (c_out·h·w/s², c_in·h·w).
    """
    channels, half = kernel.shape[1], (kernel.shape[3] // 2,) * 2 + (kernel.shape[2] // 2,) * 2
    unit = torch.eye(channels * size[0] * size[1], dtype=kernel.dtype, device=kernel.device)
    images = unit.unflatten(1, (channels, *size))
    padded = functional.pad(images, half, mode="constant" if padding_mode == "zeros" else padding_mode)
    return functional.conv2d(padded, kernel, stride=stride).flatten(1).T


def reshaped(kernel: Tensor) -> Tensor:
    """The kernel as a matrix R, (c_out, c_in·k·k): it maps one patch of the image to one pixel of the output."""
    return kernel.flatten(1)


def norm_bounds(kernel: Tensor) -> tuple[Tensor, Tensor]:
    """max(‖R‖, ‖R'‖) ≤ ‖convolution‖ ≤ k min(‖R‖, ‖R'‖), for a circular convolution on any image that holds K.

    R, (c_out, c_in·k·k), takes a patch to a pixel and R', (c_out·k·k, c_in), a pixel to a patch.  Both are
    submatrices of the convolution, hence the lower bound.  Conversely K̂(ω) is R times c_in copies of the k² numbers
    exp(-i ωᵀp), a matrix of norm k; likewise for R'.

    Args:
        kernel: (c_out, c_in, k, k).

    Returns:
        The lower and the upper bound.
    """
    to_pixel = torch.linalg.matrix_norm(kernel.flatten(1), 2)
    from_pixel = torch.linalg.matrix_norm(kernel.transpose(0, 1).flatten(1), 2)
    taps = kernel.shape[2] * kernel.shape[3]
    return torch.maximum(to_pixel, from_pixel), taps**0.5 * torch.minimum(to_pixel, from_pixel)


def clipped(kernel: Tensor, size: tuple[int, int], bound: float) -> Tensor:
    """The circular convolution nearest in Frobenius norm whose singular values do not exceed ``bound``.

    Its kernel fills the whole image, (c_out, c_in, h, w), with the origin in its corner.  Cutting it back to
    k × k pixels, as Sedghi et al. do, gives up the exact bound.
    """
    left, values, right = torch.linalg.svd(transfer_matrices(kernel, size), full_matrices=False)
    blocks = (left * values.clamp(max=bound).unsqueeze(-2)) @ right
    return torch.fft.ifft2(blocks.permute(2, 3, 0, 1)).real


class SingularTriplets(NamedTuple):
    """Approximate singular values and vectors of a matrix."""

    values: Tensor
    """σ_1 ≥ σ_2 ≥ …: (block,)."""
    left: Tensor
    """(d_out, block), orthonormal columns."""
    right: Tensor
    """(d_in, block), orthonormal columns: the start of the next call."""


def top_singular_values(
    matrix: Tensor, start: Tensor | None = None, *, block: int = 6, steps: int = 1, seed: int = 0
) -> SingularTriplets:
    """The largest singular values by block power iteration, V ← orthonormalized Aᵀ A V.

    Orthonormalizing is deflation for all columns at once: each is kept orthogonal to the ones before it.  A step
    divides the error of σ_j by about (σ_j/σ_{block+1})⁴, so a few columns more than the values that are wanted make
    up for many steps.  While a network trains, its weights change little between two calls: start from the right
    vectors of the last one.

    Args:
        matrix: A, (d_out, d_in).
        start: (d_in, block), or None for random columns.
        block: columns, where there is no start; at most min(d_out, d_in).
        steps: products with A and with Aᵀ.
        seed: of the random columns.

    Raises:
        ValueError: no step, or a start that does not fit.
    """
    if steps < 1:
        raise ValueError(f"power iteration needs one step or more, not {steps}.")
    if start is None:
        shape = (matrix.shape[1], min(block, *matrix.shape))
        start = torch.randn(shape, generator=runtime.generator(seed), dtype=torch.float64).to(matrix)
    if start.ndim != 2 or len(start) != matrix.shape[1]:
        raise ValueError(f"a start must be ({matrix.shape[1]}, block), not {tuple(start.shape)}.")
    right = start
    for _ in range(steps):
        right = torch.linalg.qr(matrix.mT @ (matrix @ right)).Q
    left, values, rotation = torch.linalg.svd(matrix @ right, full_matrices=False)
    return SingularTriplets(values, left, right @ rotation.mT)
