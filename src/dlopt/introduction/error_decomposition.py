"""Representation, generalization and optimization error of polynomial regression: section 1.1 of the survey.

The survey names the three errors in words.  The formalization here is ours.  With the risk
R(f) = E (f(x) - f*(x))², x uniform on [-1, 1], and H the polynomials of degree at most d,

    R(f̂) = R(f_H) + [R(f_erm) - R(f_H)] + [R(f̂) - R(f_erm)],

where f_H minimizes the risk over H, f_erm minimizes the training risk over H, and f̂ is what the algorithm returns:
representation + generalization + optimization.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from numpy.polynomial import legendre

from dlopt import figures, runtime

__all__ = [
    "Errors", "Sample", "Sweep", "best_in_class", "decompose", "draw", "draw_errors", "empirical_minimizer",
    "gradient_descent", "largest_step", "legendre_features", "monomials", "risk", "sweep", "target", "training_risk",
]  # fmt: skip

Features = Callable[[np.ndarray, int], np.ndarray]
"""Maps points (n,) and a degree d to the matrix (n, d + 1) of basis polynomials."""

_NODES, _WEIGHTS = legendre.leggauss(200)
_WEIGHTS = _WEIGHTS / 2


class Sample(NamedTuple):
    """Training data: y_i = f*(x_i) + noise, both (n,)."""

    x: np.ndarray
    y: np.ndarray


class Errors(NamedTuple):
    """The three terms of the decomposition, in the survey's order; they sum to the risk of f̂."""

    representation: float
    optimization: float
    generalization: float


def target(x: np.ndarray) -> np.ndarray:
    """f*(x) = e^{x/2} sin 5x, which no polynomial equals."""
    return np.exp(x / 2) * np.sin(5 * x)


def draw(n: int, *, noise: float, seed: int) -> Sample:
    """n samples with x uniform on [-1, 1] and y = f*(x) + N(0, noise²)."""
    generator = runtime.numpy_generator(seed)
    x = generator.uniform(-1, 1, n)
    return Sample(x, target(x) + noise * generator.standard_normal(n))


def monomials(x: np.ndarray, degree: int) -> np.ndarray:
    """1, x, …, x^d: (n, d + 1)."""
    return np.vander(x, degree + 1, increasing=True)


def legendre_features(x: np.ndarray, degree: int) -> np.ndarray:
    """√(2k+1) P_k(x) for k = 0, …, d: orthonormal under x uniform on [-1, 1], (n, d + 1)."""
    return legendre.legvander(x, degree) * np.sqrt(2 * np.arange(degree + 1) + 1)


def risk(coefficients: np.ndarray, features: Features = monomials) -> float:
    """R(f) = ½ ∫ (f(x) - f*(x))² dx over [-1, 1], by Gauss-Legendre quadrature with 200 nodes.

    The rule is exact for polynomials of degree up to 399, and f* is entire: the error is one of rounding.
    The noise of a test label is left out; it would add the same constant to every f.
    """
    values = features(_NODES, len(coefficients) - 1) @ coefficients
    return float(_WEIGHTS @ (values - target(_NODES)) ** 2)


def training_risk(coefficients: np.ndarray, sample: Sample, features: Features = monomials) -> float:
    """1/n Σ_i (f(x_i) - y_i)², equation (3) with the quadratic loss."""
    return float(np.mean((features(sample.x, len(coefficients) - 1) @ coefficients - sample.y) ** 2))


def best_in_class(degree: int, features: Features = monomials) -> np.ndarray:
    """Coefficients (d + 1,) of f_H, which minimizes R(f) over the polynomials of degree at most d."""
    root = np.sqrt(_WEIGHTS)
    return np.linalg.lstsq(root[:, None] * features(_NODES, degree), root * target(_NODES))[0]


def empirical_minimizer(sample: Sample, degree: int, features: Features = monomials) -> np.ndarray:
    """Coefficients (d + 1,) of f_erm, which minimizes the training risk."""
    return np.linalg.lstsq(features(sample.x, degree), sample.y)[0]


def largest_step(sample: Sample, degree: int, features: Features = monomials) -> float:
    """2/β, where β is the largest eigenvalue of the training risk's Hessian 2/n ΦᵀΦ: GD is stable below it."""
    phi = features(sample.x, degree)
    return float(len(sample.x) / np.linalg.norm(phi, 2) ** 2)


def gradient_descent(
    sample: Sample,
    degree: int,
    steps: float,
    *,
    relative_step: float = 0.5,
    features: Features = monomials,
) -> np.ndarray:
    """Coefficients (d + 1,) after ``steps`` steps of (6) on the training risk, from zero.

    With the Hessian A = 2/n ΦᵀΦ = U diag(λ) Uᵀ the iteration c ← c - η A (c - c_erm) is solved in closed form:
    c_T = c_erm - U (1 - ηλ)^T Uᵀ c_erm.  Infinitely many steps give c_erm.

    Args:
        sample: the training data.
        degree: d.
        steps: T, a number of steps or infinity.
        relative_step: η as a fraction of :func:`largest_step`; 0.5 is 1/β.
        features: the basis, in whose coefficients the gradient is taken.
    """
    minimizer = empirical_minimizer(sample, degree, features)
    if math.isinf(steps):
        return minimizer
    phi = features(sample.x, degree)
    curvatures, directions = np.linalg.eigh(2 / len(sample.x) * phi.T @ phi)
    step_size = relative_step * largest_step(sample, degree, features)
    return minimizer - directions @ ((1 - step_size * curvatures) ** steps * (directions.T @ minimizer))


def decompose(
    sample: Sample, degree: int, coefficients: Sequence[float], features: Features = monomials
) -> Errors:
    """The three errors of f̂, each from its own geometry rather than as a difference of risks.

    f_H is the orthogonal projection of f* on H, so for f in H Pythagoras gives R(f) = R(f_H) + ‖f - f_H‖²,
    with ‖g‖² = ½ ∫ g².  In an orthonormal basis norms are sums of squares of coefficients, hence

        representation = R(f_H),   generalization = ‖f_erm - f_H‖²,
        optimization   = ‖f̂ - f_erm‖² + 2 ⟨f̂ - f_erm, f_erm - f_H⟩.

    The last inner product has no sign: where it is negative enough, stopping early helps.

    Args:
        sample: the training data.
        degree: d.
        coefficients: of f̂, (d + 1,).
        features: the basis in which they are given.
    """
    best = best_in_class(degree, legendre_features)
    erm = _orthonormal(empirical_minimizer(sample, degree, features), features)
    reached = _orthonormal(np.asarray(coefficients), features)
    estimation, gap = erm - best, reached - erm
    return Errors(
        representation=risk(best, legendre_features),
        optimization=float(gap @ gap + 2 * gap @ estimation),
        generalization=float(estimation @ estimation),
    )


class Sweep(NamedTuple):
    """Every sample, budget and degree: arrays (samples, budgets, degrees), ``errors`` with a last axis of three."""

    errors: np.ndarray
    risk: np.ndarray
    training: np.ndarray


def sweep(
    samples: Sequence[Sample],
    degrees: Sequence[int],
    budgets: Sequence[float],
    *,
    relative_step: float = 0.5,
    features: Features = monomials,
) -> Sweep:
    """The three errors, the risk and the training risk of gradient descent, stopped after each of ``budgets``.

    Args:
        samples: training data.
        degrees: of the polynomials.
        budgets: numbers of steps T, or infinity.
        relative_step: η as a fraction of :func:`largest_step`.
        features: the basis.
    """
    shape = (len(samples), len(budgets), len(degrees))
    result = Sweep(np.empty((*shape, 3)), np.empty(shape), np.empty(shape))
    for place in np.ndindex(shape):
        sample, budget, degree = (
            values[at] for values, at in zip((samples, budgets, degrees), place, strict=True)
        )
        fit = gradient_descent(sample, degree, budget, relative_step=relative_step, features=features)
        result.errors[place] = decompose(sample, degree, fit, features)
        result.risk[place] = risk(fit, features)
        result.training[place] = training_risk(fit, sample, features)
    return result


def draw_errors(axes: Axes, degrees: Sequence[int], errors: np.ndarray) -> None:
    """Stacked areas of the three errors; a negative optimization error is hatched, from the stack down to the risk.

    Args:
        axes: where to draw.
        degrees: (D,).
        errors: (D, 3), rows of :class:`Errors`.
    """
    representation, optimization, generalization = errors.T
    base = representation + generalization
    total = base + optimization
    solid = {"alpha": 0.55, "linewidth": 0}
    hatched = {"facecolor": "none", "edgecolor": figures.GREEN, "hatch": "/////", "linewidth": 0}
    axes.fill_between(degrees, 0, representation, color=figures.BLUE, **solid)
    axes.fill_between(degrees, representation, base, color=figures.ORANGE, **solid)
    axes.fill_between(degrees, base, np.maximum(total, base), color=figures.GREEN, **solid)
    axes.fill_between(degrees, base, np.minimum(total, base), **hatched)
    axes.plot(degrees, total, color=figures.INK)


def _orthonormal(coefficients: np.ndarray, features: Features) -> np.ndarray:
    """The same polynomial's coefficients in the orthonormal Legendre basis: c_k = ½ ∫ f √(2k+1) P_k."""
    degree = len(coefficients) - 1
    return legendre_features(_NODES, degree).T @ (_WEIGHTS * (features(_NODES, degree) @ coefficients))
