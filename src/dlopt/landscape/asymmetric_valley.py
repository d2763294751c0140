"""A valley that is steep to the left and flat to the right, a test loss that is shifted, and noise.

Source: He, Huang and Yuan, Asymmetric valleys: beyond sharp and flat local minima (2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["AsymmetricValley"]


@dataclass(frozen=True)
class AsymmetricValley:
    """f(x) = ½ a x² for x < 0 and ½ b x² for x ≥ 0."""

    steep: float
    """a, the curvature to the left."""
    flat: float
    """b, the curvature to the right."""

    def __call__(self, x: Tensor) -> Tensor:
        """f(x), of the shape of x."""
        return torch.where(x < 0, self.steep, self.flat) * x**2 / 2

    def gradient(self, x: Tensor) -> Tensor:
        """f'(x), of the shape of x."""
        return torch.where(x < 0, self.steep, self.flat) * x

    def expected_test_loss(self, x: Tensor, shift: float) -> Tensor:
        """½ f(x − δ) + ½ f(x + δ): the test loss is the training loss, shifted to either side with equal odds."""
        return (self(x - shift) + self(x + shift)) / 2

    def best_bias(self, shift: float) -> float:
        """c = δ(a − b)/(a + b), the minimizer of the expected test loss; it lies within δ of the minimum of f."""
        return shift * (self.steep - self.flat) / (self.steep + self.flat)

    def noisy_mean(self, step_size: float, noise: float) -> float:
        """√(2/π) (s_b − s_a) with s² = η σ²/(2 · curvature): where noisy descent is on average, for small η.

        Descent with gradient noise of standard deviation σ has, for small η, the stationary density
        exp(−2f/(ησ²)): half a Gaussian on either side, with masses proportional to their widths.
        """
        left, right = (noise * math.sqrt(step_size / (2 * k)) for k in (self.steep, self.flat))
        return math.sqrt(2 / math.pi) * (right - left)

    def noisy_descent(
        self, chains: int, *, steps: int, step_size: float, noise: float, seed: int, device: torch.device
    ) -> Tensor:
        """x ← x − η(f'(x) + σ ξ) from 0, ξ standard normal: all iterates, (steps, chains)."""
        generator = runtime.generator(seed)
        drawn = torch.randn(steps, chains, generator=generator, dtype=torch.float64).to(device)
        x, iterates = torch.zeros_like(drawn[0]), []
        for xi in drawn:
            x = x - step_size * (self.gradient(x) + noise * xi)
            iterates.append(x)
        return torch.stack(iterates)
