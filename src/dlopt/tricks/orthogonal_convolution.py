"""Convolutions that are isometries: delta-orthogonal kernels and general ones, built from projections.

Under circular padding a convolution z ↦ W ∗ z is a linear map of images.  At the frequency ω it multiplies the
vector of channels by the matrix Ŵ(ω) = Σ_a W(a) e^{iω·a}, so its singular values are those of all Ŵ(ω), and it
preserves norms if and only if every Ŵ(ω) has orthonormal columns.  That every slice, or the flattened kernel,
is orthogonal does not suffice.

Both schemes are from Xiao, Bahri, Sohl-Dickstein, Schoenholz, Pennington: Dynamical isometry and a mean field
theory of CNNs (2018): :func:`delta_orthogonal` is Algorithm 2 there, :func:`conv_orthogonal` is Algorithm 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt.initialization import Initialization, orthogonal

__all__ = ["block_convolution", "conv_orthogonal", "delta_orthogonal", "singular_values"]


def delta_orthogonal(gain: float = 1.0) -> Initialization:
    """gain · Q at the kernel's center and zero elsewhere, with QᵀQ = I: an isometry for gain = 1.

    Under circular padding, and under zero padding too, since only the center is used.  It is at first a
    network that acts on every pixel by itself; training fills in the rest of the kernel.

    Raises (on drawing):
        ValueError: the shape is not (c_out, c_in, k, k) with odd k, or has c_in > c_out, where no linear map
            preserves norms.
    """

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        c_out, c_in, kernel = _checked(shape)
        weights = torch.zeros(shape, dtype=torch.float64)
        weights[:, :, kernel // 2, kernel // 2] = orthogonal(gain)((c_out, c_in), generator)
        return weights

    return draw


def conv_orthogonal(gain: float = 1.0) -> Initialization:
    """gain times a kernel k × k that uses all its taps and is an isometry under circular padding.

    k - 1 kernels of size 2 × 2 are convolved with each other and multiplied by a matrix with orthonormal
    columns.  Each of them is P P', P (I - P') / (I - P) P', (I - P)(I - P') with two random projections P, P':
    in one dimension, Ŵ(ω) = P + e^{iω}(I - P) is unitary, and products of unitary matrices are unitary.

    Raises (on drawing):
        ValueError: as :func:`delta_orthogonal` does.
    """

    def draw(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        c_out, c_in, kernel = _checked(shape)
        weights = orthogonal(gain)((c_out, c_in), generator)[:, :, None, None]
        for _ in range(kernel - 1):
            weights = block_convolution(weights, _two_by_two(c_in, generator))
        return weights

    return draw


def block_convolution(a: Tensor, b: Tensor) -> Tensor:
    """The kernel of z ↦ a ∗ (b ∗ z): (a b)(s) = Σ_t a(t) b(s - t), a full convolution of matrix-valued kernels.

    Args:
        a: (c_out, c, p, p).
        b: (c, c_in, q, q).

    Returns:
        (c_out, c_in, p + q - 1, p + q - 1).
    """
    (c_out, _, p, _), (_, c_in, q, _) = a.shape, b.shape
    product = torch.zeros(c_out, c_in, p + q - 1, p + q - 1, dtype=a.dtype)
    for row in range(p):
        for column in range(p):
            product[:, :, row : row + q, column : column + q] += torch.einsum(
                "ij,jkrc->ikrc", a[:, :, row, column], b
            )
    return product


def singular_values(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """All singular values of z ↦ W ∗ z on images of the given size, circularly padded, largest first.

    Ŵ(ω) is one two-dimensional Fourier transform for all frequencies; Sedghi, Gupta, Long: The singular values
    of convolutional layers (2019).

    Args:
        kernel: W, (c_out, c_in, k, k).
        size: (height, width), each at least k.

    Returns:
        height · width · min(c_out, c_in) values.

    Raises:
        ValueError: the kernel is larger than the images.
    """
    if min(size) < kernel.shape[-1]:
        raise ValueError(f"a kernel of {tuple(kernel.shape[-2:])} does not fit images of {tuple(size)}.")
    at_frequencies = torch.fft.fft2(kernel, s=size).permute(2, 3, 0, 1)
    return torch.linalg.svdvals(at_frequencies).flatten().sort(descending=True).values


def _two_by_two(channels: int, generator: torch.Generator) -> Tensor:
    """(channels, channels, 2, 2): the outer product of two kernels P, I - P, one for each direction."""
    identity = torch.eye(channels, dtype=torch.float64)
    p, q = _projection(channels, generator), _projection(channels, generator)
    rows = [torch.stack([left @ q, left @ (identity - q)], dim=-1) for left in (p, identity - p)]
    return torch.stack(rows, dim=-2)


def _projection(channels: int, generator: torch.Generator) -> Tensor:
    """P = QQᵀ onto a uniformly random subspace of half the dimensions."""
    basis = orthogonal()((channels, channels), generator)[:, : channels // 2]
    return basis @ basis.T


def _checked(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 4 or shape[2] != shape[3] or shape[2] % 2 == 0:
        raise ValueError(f"the shape must be (c_out, c_in, k, k) with an odd k, not {tuple(shape)}.")
    if shape[1] > shape[0]:
        raise ValueError(f"{shape[1]} channels do not fit isometrically into {shape[0]}.")
    return shape[0], shape[1], shape[2]
