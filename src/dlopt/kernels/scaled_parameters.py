"""Fully connected networks whose parameters enter multiplied by constants of their layer."""

from __future__ import annotations

from torch import Tensor

from dlopt.models import FullyConnected

__all__ = ["ScaledParameters"]


class ScaledParameters(FullyConnected):
    """W^l = s_l ω^l and b^l = t_l β^l, where ω and β are the parameters; a subclass says what s_l and t_l are."""

    def scales(self, layer: int) -> tuple[float, float]:
        """s_l and t_l, what multiplies ω^l and β^l."""
        raise NotImplementedError

    def weight(self, layer: int) -> Tensor:
        """W^l = s_l ω^l."""
        return super().weight(layer) * self.scales(layer)[0]

    def bias(self, layer: int) -> Tensor | None:
        """b^l = t_l β^l, or None."""
        beta = super().bias(layer)
        return None if beta is None else beta * self.scales(layer)[1]
