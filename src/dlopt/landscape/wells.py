"""One-dimensional wells, sharp and wide, and what a difference between training and test loss costs in each.

A function with parabolic wells is the model behind Figure 3 of the survey.  The price of training is the test loss at
the minimizer of the training loss, less the smallest test loss nearby.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["Wells", "price", "regression_prices"]


@dataclass(frozen=True)
class Wells:
    """f(x) = min_j v_j + ½ k_j (x − c_j)²."""

    centers: tuple[float, ...]
    """c_j, the minimizers."""
    curvatures: tuple[float, ...]
    """k_j > 0: large is sharp."""
    values: tuple[float, ...]
    """v_j, the minima."""

    def __call__(self, x: Tensor) -> Tensor:
        """f(x), of the shape of x."""
        c, k, v = (x.new_tensor(list) for list in (self.centers, self.curvatures, self.values))
        return (v + k * (x[..., None] - c) ** 2 / 2).amin(dim=-1)


def price(train: Tensor, test: Tensor) -> Tensor:
    """test(x̂) − min test with x̂ = argmin train, for values on one grid around one well, (…, points): (…).

    Args:
        train: the training loss at the points of the grid, (…, points).
        test: the test loss there, (…, points).
    """
    at = train.argmin(dim=-1, keepdim=True)
    return test.gather(-1, at).squeeze(-1) - test.amin(dim=-1)


def regression_prices(scales: Tensor, samples: int, *, noise: float, draws: int, seed: int) -> Tensor:
    """What fitting y = θ s u + ε to a few samples costs when the feature u is measured in units of 1/s, (draws, k).

    The training loss ½ mean (θ s u_i − y_i)² has the curvature s² mean u_i².  Its minimizer misses the true weight by
    an amount that is inversely proportional to s, and the expected test loss there exceeds its minimum by ½ s² times
    the square of this amount.

    Args:
        scales: s, (k,).
        samples: n, how many (u_i, y_i) are drawn, u from N(0, 1).
        noise: standard deviation of ε.
        draws: how many training sets.
        seed: of the draws, which are the same for all scales.
    """
    generator = runtime.generator(seed)
    u, errors = (
        torch.randn(draws, samples, generator=generator, dtype=scales.dtype).to(scales.device)
        for _ in range(2)
    )
    features = scales[:, None, None] * u
    missed = (features * noise * errors).sum(dim=-1) / features.square().sum(dim=-1)
    return (scales[:, None] ** 2 * missed**2 / 2).T
