"""A chain of L scalar weights, F(w) = ½ (w_1 w_2 ⋯ w_L - 1)²: equations (13) and (14) of the survey, page 13.

It is the linear network of width one with one sample.  Value, gradient and Hessian are closed forms.  The time that
gradient flow needs is one integral, because all differences w_i² - w_j² are conserved; so is the share of a box in
which a partial derivative is neither tiny nor huge.  Many points at once have their weights on the last axis.

The version in which all weights are one and the same number is F(w) = (w^L - 1)² of Figure 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = [
    "clip_by_norm", "clip_by_value", "first_passage", "flow_time", "gradient", "hessian", "leave_one_out", "loss",
    "moderate_fraction", "shared_curvature", "shared_loss", "shared_slope",
]  # fmt: skip

Array = NDArray[np.float64]


def loss(w: ArrayLike, target: ArrayLike = 1.0) -> Array:
    """F(w) = ½ (w_1 ⋯ w_L - y)², (13) for y = 1.

    Args:
        w: weights, (…, L).
        target: y, broadcast against (…).

    Returns:
        (…).
    """
    return 0.5 * (np.prod(w, axis=-1) - target) ** 2


def leave_one_out(w: ArrayLike) -> Array:
    """The products of all weights but one, Π_{j≠i} w_j, without a division: a weight may be zero.

    Args:
        w: weights, (…, L).

    Returns:
        (…, L): entry i leaves out w_i.
    """
    w = np.asarray(w, dtype=float)
    before, after = np.ones_like(w), np.ones_like(w)
    np.cumprod(w[..., :-1], axis=-1, out=before[..., 1:])
    np.cumprod(w[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return before * after


def gradient(w: ArrayLike, target: ArrayLike = 1.0) -> Array:
    """∂F/∂w_i = w_1 ⋯ w_{i-1} w_{i+1} ⋯ w_L · e with the error e = w_1 ⋯ w_L - y, (14) for y = 1.

    Args:
        w: weights, (…, L).
        target: y, broadcast against (…).

    Returns:
        (…, L).
    """
    e = np.prod(w, axis=-1, keepdims=True) - np.asarray(target)[..., None]
    return leave_one_out(w) * e


def hessian(w: ArrayLike, target: float = 1.0) -> Array:
    """∂²F/∂w_i∂w_j: (Π_{k≠i} w_k)² on the diagonal, (2 w_1 ⋯ w_L - y) Π_{k≠i,j} w_k off it.

    Args:
        w: weights, (…, L).
        target: y.

    Returns:
        (…, L, L), symmetric.
    """
    w = np.asarray(w, dtype=float)
    depth = w.shape[-1]
    i, j, k = np.ogrid[:depth, :depth, :depth]
    others = np.where((k == i) | (k == j), 1.0, w[..., None, None, :]).prod(axis=-1)
    off_diagonal = (2 * np.prod(w, axis=-1) - target)[..., None, None] * others
    return np.where(np.eye(depth, dtype=bool), others**2, off_diagonal)


def shared_loss(w: ArrayLike, depth: int) -> Array:
    """F(w) = (w^L - 1)² for one weight used L times; Figure 2 of the survey has L = 7."""
    return (np.asarray(w, dtype=float) ** depth - 1) ** 2


def shared_slope(w: ArrayLike, depth: int) -> Array:
    """F'(w) = 2 L w^{L-1} (w^L - 1) for F(w) = (w^L - 1)²."""
    w = np.asarray(w, dtype=float)
    power = w ** (depth - 1)
    return 2 * depth * power * (power * w - 1)


def shared_curvature(w: ArrayLike, depth: int) -> Array:
    """F''(w) = 2 L w^{L-2} ((2L-1) w^L - (L-1)) for F(w) = (w^L - 1)²; at the minimum w = 1 it is 2 L²."""
    w = np.asarray(w, dtype=float)
    power = w ** (depth - 2)
    return 2 * depth * power * ((2 * depth - 1) * power * w**2 - (depth - 1))


def first_passage(
    starts: ArrayLike,
    step_size: ArrayLike,
    *,
    tolerance: ArrayLike = 1e-3,
    most: int = 100_000,
    target: ArrayLike = 1.0,
) -> Array:
    """The number of steps w ← w - η ∇F(w) until F(w) ≤ tolerance, for many starts at once.

    A start that has arrived, or has left for good (|w_1 ⋯ w_L| > 1e6), takes no part in later steps.

    Args:
        starts: (n, L).
        step_size: η, a number or one for each start, (n,).
        tolerance: of the loss, a number or one for each start, (n,).
        most: steps after which a start is given up.
        target: y, a number or one for each start, (n,).

    Returns:
        (n,): whole numbers, infinite for a start that did not arrive.
    """
    w = np.array(starts, dtype=float)
    eta, target, tolerance = (
        np.broadcast_to(np.asarray(option, dtype=float), len(w)) for option in (step_size, target, tolerance)
    )
    passage = np.full(len(w), np.inf)
    running = np.arange(len(w))
    for step in range(most + 1):
        with np.errstate(over="ignore", invalid="ignore"):
            product = np.prod(w, axis=-1)
        arrived = np.abs(product - target) <= np.sqrt(2 * tolerance)
        passage[running[arrived]] = step
        staying = ~arrived & (np.abs(product) <= 1e6)
        if not staying.all():
            w, eta, target, tolerance, running = (
                array[staying] for array in (w, eta, target, tolerance, running)
            )
            if not len(running):
                break
        w = w - eta[:, None] * gradient(w, target)
    return passage


def flow_time(starts: ArrayLike, *, tolerance: float = 1e-3, nodes: int = 801) -> Array:
    """The time T at which gradient flow dw/dt = -∇F(w) on (13) brings F down to ``tolerance``.

    All differences w_j² - w_i² are conserved, so the weight u of smallest absolute value determines the others.  With
    c_j = w_j(0)² - u(0)² and signs chosen so that the other weights' product is positive,

        du/dt = q(u) (1 - u q(u)),   q(u) = Π_j √(u² + c_j),   T = ∫ du / (q(u) (1 - u q(u))),

    from u(0), which has the sign of w_1 ⋯ w_L at the start, to the point where u q(u) = 1 - √(2 tolerance).  The
    integral is Simpson's in x with u = √(min c) sinh x, which resolves the passage through zero.

    Args:
        starts: (n, L) with L ≥ 2.
        tolerance: of the loss, below ½.
        nodes: of the quadrature, an odd number.

    Returns:
        (n,): times; gradient descent with a small step η needs about T / η steps.  Zero where F(w) ≤ tolerance from
        the start on, infinite where two weights tie for the smallest and the product is not positive (u never
        crosses zero), and not-a-number where the product starts above one, which this function does not cover.
    """
    starts = np.asarray(starts, dtype=float)
    size = np.sort(np.abs(starts), axis=-1)
    product = np.prod(starts, axis=-1)
    begin = size[:, 0] * np.sign(product)
    c = size[:, 1:] ** 2 - size[:, :1] ** 2
    goal = 1 - np.sqrt(2 * tolerance)
    never = (c[:, 0] == 0) & (product <= 0)
    scale = np.sqrt(np.where(c[:, 0] > 0, c[:, 0], size[:, 0] ** 2 + 1e-300))
    low, high = np.arcsinh(begin / scale), np.arcsinh(_level(c, goal) / scale)
    share = np.linspace(0, 1, nodes)
    u = scale[:, None] * np.sinh(low[:, None] + (high - low)[:, None] * share)
    q = np.exp(0.5 * sum(np.log(u**2 + c[:, j : j + 1]) for j in range(c.shape[1])))
    jacobian = np.sqrt(u**2 + scale[:, None] ** 2) * (high - low)[:, None]
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        weights = np.ones(nodes)
        weights[1:-1:2], weights[2:-1:2] = 4, 2
        time = (jacobian / (q * (1 - u * q))) @ weights / (3 * (nodes - 1))
    time = np.where(never, np.inf, time)
    time = np.where(product >= 1, np.nan, time)
    return np.where(loss(starts) <= tolerance, 0.0, time)


def _level(c: Array, goal: float) -> Array:
    """The u > 0 with u q(u) = goal < 1 by bisection: at u = 1 the product is at least 1."""
    low, high = np.zeros(len(c)), np.ones(len(c))
    for _ in range(60):
        middle = (low + high) / 2
        below = middle * np.sqrt(np.prod(middle[:, None] ** 2 + c, axis=-1)) < goal
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return high


def clip_by_norm(g: ArrayLike, threshold: float) -> Array:
    """min(1, c/‖g‖) g: a gradient longer than c is shortened to c and keeps its direction.

    torch.nn.utils.clip_grad_norm_ is this with ‖g‖ + 1e-6 in the denominator, over all parameters together.

    Args:
        g: gradients, (…, d); the norm is over the last axis.
        threshold: c > 0.

    Raises:
        ValueError: the threshold is not positive.
    """
    g = np.asarray(g, dtype=float)
    norm = np.linalg.norm(g, axis=-1, keepdims=True)
    return g * (_positive(threshold) / np.maximum(norm, threshold))


def clip_by_value(g: ArrayLike, threshold: float) -> Array:
    """max(-c, min(c, g_i)) for each entry by itself: large entries are truncated, and the direction changes.

    This is torch.nn.utils.clip_grad_value_.

    Args:
        g: gradients, of any shape.
        threshold: c > 0.

    Raises:
        ValueError: the threshold is not positive.
    """
    return np.clip(np.asarray(g, dtype=float), -_positive(threshold), threshold)


def _positive(threshold: float) -> float:
    if not threshold > 0:
        raise ValueError(f"a clipping threshold must be positive, not {threshold}.")
    return threshold


def moderate_fraction(
    depth: int, half_width: float, low: float, high: float, *, nodes: int = 20_001
) -> float:
    """The share of the box [-a, a]^L in which low < |∂F/∂w_1| < high, exact up to a one-dimensional quadrature.

    For uniform weights -ln|w_j/a| is exponential, so the product q of the other L - 1 weights has
    |q| = a^{L-1} e^{-t} with t from the Gamma(L-1) distribution; given q, the weights w_1 with
    low < |q| |q w_1 - 1| < high form two intervals whose lengths are known.  The average over t is the midpoint rule
    in the distribution function of t.

    Args:
        depth: L ≥ 2.
        half_width: a > 0, in units of the weights.
        low, high: bounds 0 ≤ low < high; ``high`` may be infinite.
        nodes: of the quadrature.

    Raises:
        ValueError: the depth is below 2, or the bounds are not ordered.
    """
    if depth < 2 or not 0 <= low < high:
        raise ValueError("the share needs a depth of 2 or more and bounds 0 ≤ low < high.")
    t = special.gammaincinv(depth - 1, (np.arange(nodes) + 0.5) / nodes)
    q = np.exp(np.clip((depth - 1) * np.log(half_width) - t, -300, 300))

    def length_below(bound: float) -> Array:
        """Length of {w_1 in [-a, a]: q |q w_1 - 1| < bound}."""
        ends = [np.clip((1 + sign * bound / q) / q, -half_width, half_width) for sign in (-1, 1)]
        return ends[1] - ends[0]

    with np.errstate(over="ignore", divide="ignore"):
        share = (length_below(high) - length_below(low)) / (2 * half_width)
    return float(share.mean())
