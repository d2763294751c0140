"""Deep autoencoders whose decoder is the transposed encoder.

Li, Nguyen: On random deep weight-tied autoencoders: exact asymptotic analysis, phase transitions, and
implications to training (2019).
"""

from __future__ import annotations

from torch import Tensor

from dlopt.models import FullyConnected

__all__ = ["TiedAutoencoder"]


class TiedAutoencoder(FullyConnected):
    """x̂ = W^{1T} φ(W^{2T} φ(⋯ φ(W^{LT} z^L))) with z^l = φ(W^l z^{l-1}), z^0 = x: 2L layers, L matrices.

    The arguments are those of :class:`dlopt.models.FullyConnected`, without a bias; ``widths`` are those of the
    encoder, from the inputs to the code.  The last layer of the decoder is linear.
    """

    def forward(self, x: Tensor) -> Tensor:
        """The reconstructions x̂, of the inputs' shape, or (members, n, d_0)."""
        for _, h in self.recursion(x):
            last = h
        z = self.activation(last)
        for weight in list(self.weights)[:0:-1]:
            z = self.activation(z @ weight)
        return z @ self.weights[0]
