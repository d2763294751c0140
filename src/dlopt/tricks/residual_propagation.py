"""How long a signal gets on its way through a residual network, section 4.4 of the survey.

Two models whose moments are known exactly at every depth and every width: the one-dimensional residual networks by
which the survey explains Fixup, and residual ReLU networks of finite width (Hanin and Rolnick, How to start
training, 2018), whose branch l is weighted by η_l.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dlopt import runtime

__all__ = [
    "LengthMoments", "branch_scale", "chain_ratio", "chain_second_moment", "plain_moments", "residual_moments",
    "simulated_lengths",
]  # fmt: skip


def chain_ratio(weights: np.ndarray) -> np.ndarray:
    """y/x = Π_l (1 + u^l_m ⋯ u^l_1), the one-dimensional residual network of section 4.4.

    Args:
        weights: u, (…, L, m): m factors in each of L branches.

    Returns:
        (…,).
    """
    return np.prod(1 + np.prod(weights, axis=-1), axis=-1)


def chain_second_moment(variance: float, depth: int) -> float:
    """E(y/x)² = (1 + c)^L for L branches of mean zero and variance c, whatever their distribution."""
    return (1 + variance) ** depth


def branch_scale(depth: int, layers: int) -> float:
    """L^{-1/(2m)}: the standard deviation of each of m factors whose product has variance 1/L.

    Raises:
        ValueError: no branch or no layer.
    """
    if depth < 1 or layers < 1:
        raise ValueError(f"depth and layers must be 1 or more, not {depth} and {layers}.")
    return depth ** (-1 / (2 * layers))


class LengthMoments(NamedTuple):
    """Exact moments of M_l = ‖z^l‖²/d, the normalized lengths, for a start with M_0 = 1."""

    mean: np.ndarray
    """E M_l for l = 0, …, L."""
    second: np.ndarray
    """E M_l² for l = 0, …, L."""

    @property
    def empirical_variance(self) -> float:
        """E V̂ with V̂ = 1/L Σ_l M_l² - (1/L Σ_l M_l)², sums over l = 1, …, L.

        Each layer multiplies the conditional mean by a constant, so E M_j M_k = E M_j² · E M_k / E M_j for j ≤ k.
        """
        mean, second = self.mean[1:], self.second[1:]
        depth = len(mean)
        earlier = np.minimum.outer(np.arange(depth), np.arange(depth))
        later = np.maximum.outer(np.arange(depth), np.arange(depth))
        products = second[earlier] * mean[later] / mean[earlier]
        return float(second.mean() - products.mean())

    @property
    def relative_spread(self) -> np.ndarray:
        """E M_l² / (E M_l)² - 1, the squared coefficient of variation of the length at each layer."""
        return self.second / self.mean**2 - 1


def residual_moments(eta: Sequence[float], width: int) -> LengthMoments:
    """Moments of z^l = z^{l-1} + η_l V^l ReLU(W^l z^{l-1}) with var W = 2/d and var V = 1/d, Gaussian.

    V^l has mean zero and is drawn anew, so E M_l = (1 + η_l²) E M_{l-1}.  With a = ReLU(Wz),
    E‖a‖² = ‖z‖² and E‖a‖⁴ = (1 + 5/d)‖z‖⁴, hence

        E M_l² = (1 + 2η² + 4η²/d + η⁴ (1 + 2/d)(1 + 5/d)) E M_{l-1}².

    Args:
        eta: η_1, …, η_L.
        width: d.
    """
    square = np.asarray(eta, dtype=float) ** 2
    mean = 1 + square
    second = 1 + 2 * square + 4 * square / width + square**2 * (1 + 2 / width) * (1 + 5 / width)
    return LengthMoments(_running_product(mean), _running_product(second))


def plain_moments(depth: int, width: int) -> LengthMoments:
    """Moments of z^l = ReLU(W^l z^{l-1}) with Kaiming's var W = 2/d: E M_l = 1 and E M_l² = (1 + 5/d)^l."""
    return LengthMoments(np.ones(depth + 1), _running_product(np.full(depth, 1 + 5 / width)))


def simulated_lengths(
    eta: Sequence[float], width: int, runs: int, *, module: str = "linear", seed: int = 0
) -> np.ndarray:
    """M_0, …, M_L of ``runs`` independent residual networks, (runs, L + 1), from a Gaussian start with M_0 = 1.

    Args:
        eta: η_1, …, η_L.
        width: d.
        runs: number of networks.
        module: how a branch ends: "linear" is V ReLU(W z), the branch of :func:`residual_moments`; "relu" is
            ReLU(W z), which cannot be negative.
        seed: of start and weights.

    Raises:
        ValueError: another module.
    """
    if module not in ("linear", "relu"):
        raise ValueError(f"module must be 'linear' or 'relu', not {module!r}.")
    rng = runtime.numpy_generator(seed)
    z = rng.standard_normal((runs, width))
    z *= math.sqrt(width) / np.linalg.norm(z, axis=1, keepdims=True)
    lengths = [np.ones(runs)]
    for weight in eta:
        # Given z, the entries of W z are independent Gaussians: nothing is lost by drawing them directly.
        a = np.maximum(_linear(z, 2.0, rng), 0)
        z = z + weight * (a if module == "relu" else _linear(a, 1.0, rng))
        lengths.append((z**2).mean(axis=1))
    return np.stack(lengths, axis=1)


def _linear(z: np.ndarray, gain: float, rng: np.random.Generator) -> np.ndarray:
    """W z for a fresh square W with entries N(0, gain/d) for each row z."""
    return np.sqrt(gain * (z**2).mean(axis=1, keepdims=True)) * rng.standard_normal(z.shape)


def _running_product(factors: np.ndarray) -> np.ndarray:
    return np.concatenate([[1.0], np.cumprod(factors)])
