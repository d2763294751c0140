"""Gradient flow of least squares in function space: equations (25) and (27) of the survey with a constant kernel.

With r = f(X) - y and ½‖r‖² as the loss, dr/dt = -K r, so r(t) = e^{-K t} r(0), and at any other input x

    f_t(x) = f_0(x) - K(x, X) K^{-1} (1 - e^{-K t}) r(0),

which ends, as t grows, at kernel regression of the residuals.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["KernelFlow"]


class KernelFlow:
    """The flow for one positive semidefinite kernel matrix, diagonalized once.

    Args:
        kernel: K(X, X), (n, n).
        residuals: r(0) = f_0(X) - y, (n,) or (n, outputs).

    Raises:
        ValueError: the shapes do not match.
    """

    def __init__(self, kernel: Tensor, residuals: Tensor) -> None:
        if kernel.shape != (len(residuals), len(residuals)):
            raise ValueError(f"a kernel of {tuple(kernel.shape)} does not fit {len(residuals)} residuals.")
        self.eigenvalues, self.vectors = torch.linalg.eigh(kernel)
        self.modes = self.vectors.T @ residuals.reshape(len(residuals), -1)
        self.shape = residuals.shape

    def residuals(self, time: float) -> Tensor:
        """r(t) = e^{-K t} r(0), (n,) or (n, outputs)."""
        decay = torch.exp(-self.eigenvalues * time).unsqueeze(-1)
        return (self.vectors @ (decay * self.modes)).reshape(self.shape)

    def change(self, cross: Tensor, time: float) -> Tensor:
        """f_t(x) - f_0(x) at other inputs, (m,) or (m, outputs), for K(x, X) in ``cross``, (m, n).

        ``time`` may be infinite; directions in which K vanishes have not moved then either.
        """
        low = torch.finfo(self.eigenvalues.dtype).eps * self.eigenvalues[-1] * len(self.eigenvalues)
        positive = self.eigenvalues.clamp(min=low)
        moved = torch.where(self.eigenvalues > low, -torch.expm1(-positive * time) / positive, 0.0)
        coefficients = self.vectors @ (moved.unsqueeze(-1) * self.modes)
        return -(cross @ coefficients).reshape(len(cross), *self.shape[1:])
