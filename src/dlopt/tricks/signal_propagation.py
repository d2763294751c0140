"""Signals in networks of infinite width: equation (18) of the survey, page 16, with bias and backward pass.

In a wide network with independent weights of variance σ_w²/d_{l-1} and biases of variance σ_b², the pre-activations
h^l of an input are Gaussian, h^l_i = √(q^l) ξ.  Everything about the network at its start is then a Gaussian
expectation of the activation φ, in one variable for one input and in two for a pair:

    variance map      V(q) = σ_w² E[φ(√q ξ)²] + σ_b²                                  (18) for σ_b = 0
    correlation map   R(c) = (σ_w² E[φ(u)φ(v)] + σ_b²) / V(q),   u, v ~ N(0, q), corr(u, v) = c
    multiplier        χ    = σ_w² E[φ'(√q ξ)²]                                        ‖e^{l-1}‖² / ‖e^l‖², and R'(1)

Sources: Poole et al. (2016), sections 2 and 3; Schoenholz et al. (2017), sections 2 to 4.  All functions take numbers
or arrays, compute in double precision on the CPU, and return NumPy arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dlopt.models import Activation, as_activation

__all__ = [
    "chi", "correlation_map", "critical_sigma_w", "critical_sigmas", "depth_scale",
    "derivative_moment", "fixed_point", "gauss_hermite", "gaussian_expectation", "pair_expectation", "variance_map",
    "variance_slope", "variance_trajectory",
]  # fmt: skip

Array = NDArray[np.float64]
Function = Callable[[Tensor], Tensor]

KINKS = {"hard_tanh": (-1.0, 0.0, 1.0)}
"""Where an activation or its first derivatives jump, by name; at 0 alone for all the others."""

_EDGES = (1 / 64, 1 / 16, 1 / 4, 1.0, 2.5, 4.5, 6.5, 9.5)
_NODES = 16
_FLAT = 1e-12
_ROWS = 256  # variances at a time: what they need then stays in the processor's cache


@cache
def gauss_hermite(count: int) -> tuple[Array, Array]:
    """Nodes x_k and weights w_k with Σ_k w_k f(x_k) = E f(ξ), ξ ~ N(0, 1), for polynomials f of degree < 2 count.

    Returns:
        Nodes and weights, (count,) each; the weights sum to one.

    Raises:
        ValueError: there is no node.
    """
    if count < 1:
        raise ValueError(f"a quadrature needs one node or more, not {count}.")
    nodes, weights = np.polynomial.hermite_e.hermegauss(count)
    return nodes, weights / weights.sum()


@cache
def _legendre() -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return torch.from_numpy(nodes), torch.from_numpy(weights)


@cache
def _standard_edges() -> Tensor:
    return torch.tensor([-edge for edge in reversed(_EDGES)] + [0.0, *_EDGES], dtype=torch.float64)


def _rule(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss–Legendre on each panel between sorted edges (…, E), times the normal density: (…, nodes) each."""
    x, w = _legendre()
    low, half = edges[..., :-1, None], edges.diff(dim=-1)[..., None] / 2
    nodes = (low + half * (1 + x)).flatten(-2)
    weights = (half * w).flatten(-2) * torch.exp(-(nodes**2) / 2)
    return nodes, weights / weights.sum(dim=-1, keepdim=True)


@cache
def _standard_rule() -> tuple[Tensor, Tensor]:
    return _rule(_standard_edges())


def _edges_with(extra: Tensor) -> Tensor:
    """The standard edges joined by ``extra``, (…, k), in order."""
    standard = _standard_edges()
    extra = extra.nan_to_num(0.0).clamp(standard[0], standard[-1])
    return torch.cat([standard.expand(*extra.shape[:-1], -1), extra], dim=-1).sort(dim=-1).values


def gaussian_expectation(f: Function, q: ArrayLike = 1.0, *, kinks: tuple[float, ...] = (0.0,)) -> Array:
    """E f(√q ξ) for ξ ~ N(0, 1) and many variances q at once, to about twelve digits.

    Gauss–Hermite quadrature is exact for polynomials and excellent for smooth f of moderate q, but converges slowly
    where f has a kink and where √q is large, so that f(√q ·) is steep.  This is Gauss–Legendre quadrature with 16
    nodes on panels that are cut at the kinks and shrink towards zero, times the density: on each panel the integrand
    is smooth.  The density beyond 9.5 standard deviations, 1e-21, is dropped.

    Args:
        f: maps a double-precision tensor entry by entry.
        q: variances, 0 or larger, of any shape.
        kinks: the points h where f(h) is not smooth.

    Returns:
        Expectations, of the shape of q.

    Raises:
        ValueError: a variance is negative or not a number.
    """
    q = torch.from_numpy(np.array(q, dtype=float))
    if not bool((q >= 0).all()):
        raise ValueError("a variance q must be 0 or larger.")
    root = q.sqrt().reshape(-1, 1)
    values = torch.empty(len(root), dtype=torch.float64)
    for rows in torch.arange(len(root)).split(_ROWS):
        nodes, weights = _rule_for(root[rows], kinks)
        terms = f(root[rows] * nodes)
        values[rows] = terms @ weights if weights.ndim == 1 else (terms * weights).sum(dim=-1)
    return values.reshape(q.shape).numpy()


def _rule_for(root: Tensor, kinks: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The rule for E f(√q ξ), (nodes,), or one for each √q in ``root``, (n, 1), where kinks move with it."""
    moving = [kink for kink in kinks if kink]
    if not moving:
        return _standard_rule()
    return _rule(_edges_with(torch.tensor(moving, dtype=torch.float64) / root))


def pair_expectation(f: Function, q: ArrayLike, c: ArrayLike, *, kinks: tuple[float, ...] = (0.0,)) -> Array:
    """E[f(u) f(v)] for u, v ~ N(0, q) with correlation c: u = √q ξ, v = √q (c ξ + √(1-c²) ξ').

    The panels of ξ' are cut, for each ξ, where v meets a kink, and shrink towards that point.

    Args:
        f: as in :func:`gaussian_expectation`.
        q: variances, broadcast against c.
        c: correlations in [-1, 1].
        kinks: the points h where f(h) is not smooth.

    Returns:
        Expectations, of the common shape of q and c.

    Raises:
        ValueError: a variance is negative or a correlation outside [-1, 1].
    """
    q, c = (np.asarray(array, dtype=float) for array in np.broadcast_arrays(q, c))
    if not ((q >= 0).all() and (np.abs(c) <= 1).all()):
        raise ValueError("a pair needs variances q of 0 or larger and correlations c between -1 and 1.")
    values = [_one_pair(f, float(a), float(b), kinks) for a, b in zip(q.flat, c.flat, strict=True)]
    return np.array(values, dtype=float).reshape(q.shape)


def _one_pair(f: Function, q: float, c: float, kinks: tuple[float, ...]) -> float:
    root, rest = q**0.5, max(1 - c * c, 0.0) ** 0.5
    if rest == 0 or root == 0:
        return float(gaussian_expectation(lambda h: f(h) * f(np.sign(c) * h), q, kinks=kinks))
    nodes, weights = (
        part.flatten() for part in _rule_for(torch.full((1, 1), root, dtype=torch.float64), kinks)
    )
    centers = (torch.tensor(kinks, dtype=torch.float64) / root - c * nodes[:, None]) / rest
    graded = torch.tensor([-1.0, -0.25, -1 / 16, 0.0, 1 / 16, 0.25, 1.0], dtype=torch.float64)
    inner_nodes, inner_weights = _rule(_edges_with((centers[..., None] + graded).flatten(-2)))
    inner = (f(root * (c * nodes[:, None] + rest * inner_nodes)) * inner_weights).sum(dim=-1)
    return float((f(root * nodes) * inner * weights).sum())


def _resolved(activation: str | Activation) -> tuple[Activation, tuple[float, ...]]:
    phi = as_activation(activation)
    return phi, KINKS.get(phi.name, (0.0,))


def variance_map(
    q: ArrayLike, activation: str | Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> Array:
    """V(q) = σ_w² E[φ(√q ξ)²] + σ_b²: the variance q^l of layer l from q = q^{l-1}, (18) for σ_b = 0.

    Args:
        q: variances of the pre-activations.
        activation: φ, or its name in :data:`dlopt.models.ACTIVATIONS`.
        sigma_w: the weights W^l have variance σ_w²/d_{l-1}.
        sigma_b: the biases have variance σ_b².

    Returns:
        The common shape of q, sigma_w and sigma_b.
    """
    phi, kinks = _resolved(activation)
    second_moment = gaussian_expectation(lambda h: phi(h) ** 2, q, kinks=kinks)
    return np.asarray(sigma_w) ** 2 * second_moment + np.asarray(sigma_b) ** 2


def variance_slope(q: ArrayLike, activation: str | Activation, sigma_w: ArrayLike) -> Array:
    """V'(q) = σ_w² E[φ(√q ξ) φ'(√q ξ) ξ] / √q, for q > 0: how fast a deviation from a fixed point fades."""
    phi, kinks = _resolved(activation)
    moment = gaussian_expectation(lambda h: phi(h) * phi.derivative(h) * h, q, kinks=kinks)
    return np.asarray(sigma_w) ** 2 * moment / np.asarray(q, dtype=float)


def variance_trajectory(
    q1: ArrayLike,
    activation: str | Activation,
    sigma_w: ArrayLike,
    sigma_b: ArrayLike = 0.0,
    *,
    depth: int,
) -> Array:
    """q^1, …, q^L: the variance map applied again and again.

    The survey's first layer has no activation: q^1 = σ_w² ‖x‖²/d_0 + σ_b².

    Returns:
        (depth, …), with the common shape of q1, sigma_w and sigma_b.
    """
    if depth < 1:
        raise ValueError(f"a trajectory needs a depth of 1 or more, not {depth}.")
    q = np.broadcast_arrays(np.asarray(q1, dtype=float), sigma_w, sigma_b)[0]
    trajectory = [q]
    for _ in range(depth - 1):
        trajectory.append(variance_map(trajectory[-1], activation, sigma_w, sigma_b))
    return np.stack(trajectory)


def fixed_point(activation: str | Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0) -> Array:
    """q* = V(q*): the largest fixed point that attracts, or where variances go instead.

    Found by bisection in log q between 1e-14 and 1e8, below the uppermost grid point at which V falls under the
    identity.

    Returns:
        The common shape of sigma_w and sigma_b: q*; 0 where variances die out; infinity where large ones grow
        without bound; not-a-number where every q is fixed, as for ReLU with σ_w² = 2 and no bias.
    """
    sigma_w, sigma_b = (np.asarray(sigma, dtype=float) for sigma in np.broadcast_arrays(sigma_w, sigma_b))
    grid = np.geomspace(1e-14, 1e8, 89).reshape(-1, *[1] * sigma_w.ndim)
    excess = variance_map(grid, activation, sigma_w, sigma_b) / grid - 1
    sign = np.where(np.abs(excess) < _FLAT, 0.0, np.sign(excess))
    crossing = (sign[:-1] > 0) & (sign[1:] <= 0)
    last = len(crossing) - 1 - np.argmax(crossing[::-1], axis=0)
    low, high = np.log(grid.reshape(-1)[last]), np.log(grid.reshape(-1)[last + 1])
    for _ in range(55):
        middle = (low + high) / 2
        q = np.exp(middle)
        above = variance_map(q, activation, sigma_w, sigma_b) > q
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    q = np.where(crossing.any(axis=0), np.exp((low + high) / 2), 0.0)
    q = np.where(sign[-1] > 0, np.inf, q)
    return np.where((sign == 0).all(axis=0), np.nan, q)


def derivative_moment(q: ArrayLike, activation: str | Activation, power: float = 2.0) -> Array:
    """E[φ'(√q ξ)^power], of the shape of q: power 2 gives χ/σ_w², power 4 its spread over neurons."""
    phi, kinks = _resolved(activation)
    return gaussian_expectation(lambda h: phi.derivative(h) ** power, q, kinks=kinks)


def chi(q: ArrayLike, activation: str | Activation, sigma_w: ArrayLike) -> Array:
    """χ = σ_w² E[φ'(√q ξ)²], by which one layer multiplies ‖e‖² on the way back; it is also R'(1).

    Below 1 gradients vanish and nearby inputs merge (order); above 1 gradients explode and they part (chaos).

    Returns:
        The common shape of q and sigma_w.
    """
    return np.asarray(sigma_w) ** 2 * derivative_moment(q, activation)


def correlation_map(
    c: ArrayLike, q: ArrayLike, activation: str | Activation, sigma_w: ArrayLike, sigma_b: ArrayLike = 0.0
) -> Array:
    """R(c) = (σ_w² E[φ(u) φ(v)] + σ_b²) / V(q): the correlation of two inputs one layer on, both of variance q.

    At a fixed point q = q* this is equation (5) of Poole et al. (2016); R(1) = 1 and R'(1) = χ.

    Args:
        c: correlations of the pre-activations in [-1, 1].
        q: their variance.

    Returns:
        The common shape of the arguments.
    """
    phi, kinks = _resolved(activation)
    covariance = (
        np.asarray(sigma_w) ** 2 * pair_expectation(phi, q, c, kinks=kinks) + np.asarray(sigma_b) ** 2
    )
    return covariance / variance_map(q, activation, sigma_w, sigma_b)


def critical_sigmas(q: ArrayLike, activation: str | Activation) -> tuple[Array, Array]:
    """The edge of chaos as a curve with the parameter q*: the (σ_w, σ_b²) at which χ = 1 and V(q) = q.

    σ_w² = 1 / E[φ'(√q ξ)²] and σ_b² = q - E[φ(√q ξ)²] / E[φ'(√q ξ)²].

    Returns:
        σ_w and σ_b², of the shape of q; no network has the parameters where σ_b² is negative.
    """
    sigma_w = derivative_moment(q, activation) ** -0.5
    return sigma_w, np.asarray(q, dtype=float) - variance_map(q, activation, sigma_w)


def critical_sigma_w(sigma_b: ArrayLike, activation: str | Activation, *, largest_q: float = 1e4) -> Array:
    """The σ_w at which χ = 1 at the fixed point, for each σ_b: bisection along :func:`critical_sigmas`.

    Args:
        sigma_b: standard deviation of the biases, 0 or larger.
        largest_q: the q* at which the search ends.

    Returns:
        Of the shape of sigma_b; not-a-number where the edge has no such σ_b, as for ReLU with bias.
    """
    sigma_b = np.asarray(sigma_b, dtype=float)
    low, high = np.full(sigma_b.shape, np.log(1e-12)), np.full(sigma_b.shape, np.log(largest_q))
    reached = critical_sigmas(np.exp(high), activation)[1] >= sigma_b**2
    for _ in range(55):
        middle = (low + high) / 2
        below = critical_sigmas(np.exp(middle), activation)[1] < sigma_b**2
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    edge = critical_sigmas(np.exp(high), activation)[0]
    return np.where(reached | (sigma_b == 0), edge, np.nan)


def depth_scale(multiplier: ArrayLike) -> Array:
    """ξ = 1 / |log multiplier|, in layers: after ξ of them what is multiplied has changed by a factor e.

    Schoenholz et al. (2017), section 3: with V'(q*) it is ξ_q, with R'(c*) it is ξ_c; at the edge it is infinite.
    """
    with np.errstate(divide="ignore"):
        return 1 / np.abs(np.log(np.asarray(multiplier, dtype=float)))
