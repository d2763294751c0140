"""ReLU networks with one hidden layer on the line: their knots, and the spline that the kernel regime fits.

f(x) = 1/√m Σ_j c_j (a_j x + b_j)_+ bends where a_j x + b_j = 0, at its knots -b_j/a_j.  Multiplying all (a_j, b_j)
by λ and dividing all c_j by λ leaves f alone and changes its training: c_j² - a_j² - b_j² is conserved by gradient
flow.

Source: Williams, Trager, Silva, Panozzo, Zorin and Bruna, "Gradient dynamics of shallow univariate ReLU networks"
(2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from dlopt import runtime

__all__ = ["UnivariateRelu", "knot_kernel"]


class UnivariateRelu(nn.Module):
    """f(x) = 1/√m Σ_j c_j (a_j x + b_j)_+, f = 0 at the start, with knots spread uniformly over [-reach, reach].

    One knot t is drawn in each of m/4 cells of equal size; it has four neurons, with a = ±λ, b = -a t and c = ±1/λ.

    Args:
        width: m, a multiple of four.
        balance: λ, how large the inner weights are; the outer ones are 1/λ.
        reach: of the knots.
        members: the number of independent networks.
        seed: of the knots and signs.
        dtype, device: of the parameters.
    """

    def __init__(
        self,
        width: int,
        balance: float,
        *,
        reach: float = 1.0,
        members: int,
        seed: int = 0,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        super().__init__()
        if width % 4:
            raise ValueError(f"every knot has four neurons: the width cannot be {width}.")
        cells = width // 4
        within = runtime.numpy_generator(seed).uniform(size=(members, cells))
        knots = reach * (2 * (torch.arange(cells) + torch.from_numpy(within)) / cells - 1)
        place = {
            "dtype": dtype or torch.get_default_dtype(),
            "device": runtime.device() if device is None else device,
        }
        inner = balance * torch.tensor([1.0, 1.0, -1.0, -1.0]).repeat_interleave(cells).expand(members, -1)
        outer = torch.tensor([1.0, -1.0, 1.0, -1.0]).repeat_interleave(cells).expand(members, -1) / balance
        self.members, self.width = members, width
        self.slope = nn.Parameter(inner.to(**place, copy=True))
        self.offset = nn.Parameter((-inner * knots.repeat(1, 4)).to(**place))
        self.outer = nn.Parameter(outer.to(**place, copy=True))

    def forward(self, x: Tensor) -> Tensor:
        """f(x_i), (members, n, 1), for x of shape (n, 1)."""
        hidden = torch.relu(x * self.slope.unsqueeze(1) + self.offset.unsqueeze(1))
        return hidden @ self.outer.unsqueeze(-1) / math.sqrt(self.width)

    @property
    def knots(self) -> Tensor:
        """-b_j/a_j, (members, m)."""
        return (-self.offset / self.slope).detach()

    @property
    def kinks(self) -> Tensor:
        """|a_j c_j|/√m, (members, m): by how much the slope of f changes at each knot."""
        return (self.slope * self.outer).detach().abs() / math.sqrt(self.width)


def knot_kernel(x: Tensor, others: Tensor, reach: float = 1.0) -> Tensor:
    """E (±(x - t))_+ (±(x' - t))_+ over both signs and knots t uniform on [-r, r], (n, m), for |x|, |x'| ≤ r.

    With p = r + min(x, x'), q = r - max(x, x') and g = |x - x'| it is [p³/3 + g p²/2 + q³/3 + g q²/2]/(4r): a cubic
    polynomial of x on either side of x', with two continuous derivatives there.  So what kernel regression fits is a
    cubic spline with its knots at the samples.
    """
    x, others = x[:, None], others[None, :]
    gap = (x - others).abs()
    below = reach + torch.minimum(x, others)
    above = reach - torch.maximum(x, others)
    sides = (side**3 / 3 + gap * side**2 / 2 for side in (below, above))
    return sum(sides) / (4 * reach)
