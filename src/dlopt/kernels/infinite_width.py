"""The kernels of infinitely wide fully connected networks, by the recursion over layers.

In the neural tangent parametrization every layer computes h^l = σ_w/√d_{l-1} ω^l z^{l-1} + σ_b β^l with all entries
of ω and β from N(0, 1).  When the hidden widths grow, each h^l_i is a Gaussian process with covariance Σ^l, and the
tangent kernel converges to Θ^L:

    Σ^1(x, x') = σ_w² ⟨x, x'⟩/d_0 + σ_b²                        Θ^1 = Σ^1
    Σ^{l+1}    = σ_w² E[φ(u) φ(v)] + σ_b²,   (u, v) ~ N(0, Σ^l)  Θ^{l+1} = Σ^{l+1} + σ_w² E[φ'(u) φ'(v)] Θ^l

Source: Jacot, Gabriel and Hongler, "Neural tangent kernel: convergence and generalization in neural networks" (2018).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from dlopt.kernels.dual_activations import Dual, dual
from dlopt.models import Activation

__all__ = ["Block", "Kernels", "fully_connected", "fully_connected_blocks"]


class Kernels(NamedTuple):
    """The two kernels of an infinitely wide network at pairs of inputs."""

    nngp: Tensor
    """Σ^L, (n, m): the covariance of the outputs at initialization."""
    ntk: Tensor
    """Θ^L, (n, m): the tangent kernel."""


class Block(NamedTuple):
    """The kernels of some rows against some columns."""

    rows: slice
    columns: slice
    kernels: Kernels


def fully_connected(
    inputs: Tensor,
    others: Tensor | None = None,
    *,
    depth: int,
    activation: str | Activation = "relu",
    sigma_w: float = math.sqrt(2),
    sigma_b: float = 0.0,
    block: int = 512,
) -> Kernels:
    """Σ^L(x_i, x'_j) and Θ^L(x_i, x'_j), (n, m) each, in the inputs' precision and on their device.

    Args:
        inputs: x, (n, d_0).
        others: x', (m, d_0); None for the inputs themselves, which computes one half of the symmetric matrices and
            their diagonals without cancellation.
        depth: L, the number of weight layers.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        sigma_w: σ_w; the default keeps the variance through ReLU.
        sigma_b: σ_b.
        block: rows and columns that are advanced through all the layers at once.  Beside the result the memory is
            that of some ten blocks.

    Raises:
        ValueError: the depth is below 1, or the inputs have unequal dimensions.
    """
    columns = inputs if others is None else others
    nngp, ntk = (inputs.new_empty(len(inputs), len(columns)) for _ in range(2))
    for rows, cols, kernels in fully_connected_blocks(
        inputs, others, depth=depth, activation=activation, sigma_w=sigma_w, sigma_b=sigma_b, block=block
    ):
        for whole, part in ((nngp, kernels.nngp), (ntk, kernels.ntk)):
            whole[rows, cols] = part
            if others is None and rows != cols:
                whole[cols, rows] = part.T
    return Kernels(nngp, ntk)


def fully_connected_blocks(
    inputs: Tensor,
    others: Tensor | None = None,
    *,
    depth: int,
    activation: str | Activation = "relu",
    sigma_w: float = math.sqrt(2),
    sigma_b: float = 0.0,
    block: int = 512,
) -> Iterator[Block]:
    """The blocks of :func:`fully_connected`, one after the other: what to use where the matrix would not fit.

    For ``others=None`` they are those on and above the diagonal.
    """
    columns = inputs if others is None else others
    if depth < 1:
        raise ValueError(f"a network has one weight layer or more, not {depth}.")
    if inputs.shape[-1] != columns.shape[-1]:
        raise ValueError(f"the inputs have {inputs.shape[-1]} entries and the others {columns.shape[-1]}.")
    phi = dual(activation)
    own = _variances(inputs, depth, phi, sigma_w, sigma_b)
    across = own if others is None else _variances(columns, depth, phi, sigma_w, sigma_b)
    for low in range(0, len(inputs), block):
        rows = slice(low, min(low + block, len(inputs)))
        for left in range(low if others is None else 0, len(columns), block):
            cols = slice(left, min(left + block, len(columns)))
            sigma = _first(inputs[rows] @ columns[cols].T, inputs.shape[-1], sigma_w, sigma_b)
            diagonal = others is None and rows == cols
            if diagonal:
                sigma.diagonal().copy_(own[0][rows])
            theta = sigma.clone()
            for p, q, after in zip(own, across, own[1:], strict=False):
                values, slopes = phi.products(sigma, p[rows], q[cols])
                if diagonal:
                    slopes.diagonal().copy_(phi.slope(p[rows]))
                sigma = values.mul_(sigma_w**2).add_(sigma_b**2)
                if diagonal:
                    sigma.diagonal().copy_(after[rows])
                theta = theta.mul_(slopes).mul_(sigma_w**2).add_(sigma)
            yield Block(rows, cols, Kernels(sigma, theta))


def _first(products: Tensor, size: int, sigma_w: float, sigma_b: float) -> Tensor:
    """Σ^1 = σ_w² ⟨x, x'⟩/d_0 + σ_b² from the products."""
    return products.mul_(sigma_w**2 / size).add_(sigma_b**2)


def _variances(inputs: Tensor, depth: int, phi: Dual, sigma_w: float, sigma_b: float) -> list[Tensor]:
    """Σ^l(x_i, x_i) for l = 1, …, L, (n,) each."""
    variances = [_first((inputs**2).sum(dim=-1), inputs.shape[-1], sigma_w, sigma_b)]
    for _ in range(depth - 1):
        variances.append(sigma_w**2 * phi.variance(variances[-1]) + sigma_b**2)
    return variances
