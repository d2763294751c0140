"""Lengths of signals in ReLU networks of finite width: section 4.2 of the survey, after Hanin & Rolnick (2018).

M_l = ‖z^l‖² / d_l is the normalized length of the post-activations z^l = ReLU(W^l z^{l-1}) of one input.  The entries
of W^l are independent, symmetric, with variance gain · 2/d_{l-1}; gain = 1 is Kaiming's initialization (17).

With Gaussian weights the rows of W^l z^{l-1} are independent N(0, 2 gain M_{l-1}), whatever the direction of z^{l-1},
so the length is a product of independent factors,

    M_l = M_{l-1} G_l,    G_l = (2 gain / d_l) χ²_B,    B ~ Binomial(d_l, ½),                                  (exact)
    E G_l = gain,    E G_l² = gain² (1 + 5/d_l).

B counts the neurons that are on.  All functions take M_0 = 1; lengths scale with M_0, their variance with M_0².
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
from torch import Tensor

from dlopt import models, runtime

__all__ = [
    "LAWS", "Law", "empirical_variance", "expected_empirical_variance", "expected_lengths", "importance_sample",
    "length_factors", "log_factor_moments", "second_moments", "simulated_lengths",
]  # fmt: skip

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Law:
    """A symmetric distribution of variance one, from which weights are drawn before they are scaled."""

    name: str
    kurtosis: float
    """E w⁴ for E w² = 1: 3 for a Gaussian."""
    draw: Callable[[tuple[int, ...], torch.Generator], Tensor]


def _normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _uniform(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 3**0.5 * (2 * torch.rand(shape, generator=generator, dtype=torch.float64) - 1)


def _signs(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return 2 * torch.randint(0, 2, shape, generator=generator).double() - 1


LAWS = {
    law.name: law
    for law in (Law("normal", 3.0, _normal), Law("uniform", 1.8, _uniform), Law("signs", 1.0, _signs))
}
"""Weights of Kaiming's two usual distributions, and random signs."""


def _checked(widths: Sequence[int]) -> Array:
    widths = np.asarray(widths, dtype=float)
    if widths.ndim != 1 or len(widths) < 2 or (widths < 1).any():
        raise ValueError(f"widths must be two or more positive numbers d_0, …, d_L, not {widths.tolist()}.")
    return widths


def expected_lengths(widths: Sequence[int], *, gain: float = 1.0) -> Array:
    """E M_l = gain^l for l = 0, …, L: for any symmetric weights, and whatever the widths."""
    return gain ** np.arange(len(_checked(widths)), dtype=float)


def second_moments(
    widths: Sequence[int], *, gain: float = 1.0, kurtosis: float = 3.0, input_fourth: float = 1.0
) -> Array:
    """E M_l² for l = 0, …, L, exactly, for symmetric weights of any fourth moment.

    With N_l = Σ_i (z^l_i)⁴ / d_l the two expectations close:

        E N_l  = gain² (6 E M_{l-1}² + 2 (kurtosis - 3) E N_{l-1} / d_{l-1})
        E M_l² = gain² (1 - 1/d_l) E M_{l-1}² + E N_l / d_l

    For Gaussian weights this is E M_l² = Π_{k≤l} gain² (1 + 5/d_k).

    Args:
        widths: d_0, …, d_L; a ReLU follows each of the L layers.
        gain: the weights have variance gain · 2/d_{l-1}.
        kurtosis: E w⁴ / (E w²)² of the weights.
        input_fourth: N_0 for M_0 = 1; 1 where all entries of the input have one absolute value.

    Returns:
        (L + 1,).
    """
    widths = _checked(widths)
    square, fourth = 1.0, input_fourth
    moments = [square]
    for fan_in, width in itertools.pairwise(widths):
        fourth = gain**2 * (6 * square + 2 * (kurtosis - 3) * fourth / fan_in)
        square = gain**2 * (1 - 1 / width) * square + fourth / width
        moments.append(square)
    return np.array(moments)


def expected_empirical_variance(
    widths: Sequence[int], *, gain: float = 1.0, kurtosis: float = 3.0, input_fourth: float = 1.0
) -> float:
    """E V̂ of the empirical variance V̂ = 1/L Σ_j M_j² - (1/L Σ_j M_j)² over the layers 1, …, L, exactly.

    It needs E[M_j M_k] = gain^|j-k| E M_{min(j,k)}² besides :func:`second_moments`, whose arguments it takes.
    """
    moments = second_moments(widths, gain=gain, kurtosis=kurtosis, input_fourth=input_fourth)[1:]
    layer = np.arange(len(moments))
    products = gain ** np.abs(layer[:, None] - layer) * moments[np.minimum(layer[:, None], layer)]
    return float(moments.mean() - products.mean())


def empirical_variance(lengths: ArrayLike) -> Array:
    """V̂ = 1/L Σ_j M_j² - (1/L Σ_j M_j)² over the last axis: of shape (…,) for lengths M_1, …, M_L, (…, L)."""
    return np.var(np.asarray(lengths, dtype=float), axis=-1)


def length_factors(
    widths: Sequence[int], networks: int, *, tilted: ArrayLike = 0, gain: float = 1.0, seed: int = 0
) -> Array:
    """Draws of G_1, …, G_L for Gaussian weights: the lengths of random networks, without any network.

    A tilted layer draws G from the density proportional to g² times its own, in which what carries E G² is typical:
    B has weights C(d, b) b (b + 2), and χ² has B + 4 degrees of freedom.

    Args:
        widths: d_0, …, d_L.
        networks: number of independent draws.
        tilted: how many layers, the first ones, are tilted: a number, or one for each network, (networks,).
        gain: the weights have variance gain · 2/d_{l-1}.
        seed: of the draws.

    Returns:
        (networks, L).
    """
    rng = runtime.numpy_generator(seed)
    tilted = np.broadcast_to(tilted, networks)
    columns = []
    for layer, width in enumerate(_checked(widths)[1:].astype(int), start=1):
        on, tilt = np.arange(width + 1), tilted >= layer
        plain = stats.binom.pmf(on, width, 0.5)
        heavy = plain * on * (on + 2)
        active = rng.choice(on, size=networks, p=plain)
        active[tilt] = rng.choice(on, size=tilt.sum(), p=heavy / heavy.sum())
        chi_square = 2 * rng.standard_gamma((active + 4 * tilt) / 2)
        columns.append(2 * gain / width * chi_square)
    return np.stack(columns, axis=1)


def importance_sample(
    widths: Sequence[int], networks: int, *, gain: float = 1.0, seed: int = 0
) -> tuple[Array, Array]:
    """Lengths in which rare, long signals are common, and the weights that make up for it.

    A random number J of layers is tilted, with probability S_j / Σ_k S_k for J = j, where S_j = E M_j².  The density
    of the draw relative to the true one is then Σ_j M_j² / Σ_j S_j, and

        E f(M_1, …, M_L) = E_tilted[f · w],   w = Σ_j S_j / Σ_j M_j².

    For f = V̂ the terms are bounded, 0 ≤ V̂ w ≤ Σ_j S_j / L, so that a few thousand draws will do at any depth.

    Returns:
        M_1, …, M_L, (networks, L), and w, (networks,).
    """
    moments = second_moments(widths, gain=gain)[1:]
    rng = runtime.numpy_generator(seed)
    tilted = 1 + rng.choice(len(moments), size=networks, p=moments / moments.sum())
    factors = length_factors(widths, networks, tilted=tilted, gain=gain, seed=seed + 1_000_003)
    lengths = np.cumprod(factors, axis=1)
    return lengths, moments.sum() / np.square(lengths).sum(axis=1)


def log_factor_moments(width: int, activation: str = "relu") -> tuple[float, float]:
    """Mean and variance of log G, given G > 0, for Gaussian weights and gain 1.

    For "relu" G = (2/d) χ²_B with B ~ Binomial(d, ½): about -5/(2d) and 5/d.  For "linear" G = χ²_d / d, the factor
    of ‖W z‖²/‖z‖² with variance 1/d: ψ(d/2) - log(d/2) ≈ -1/d and ψ'(d/2) ≈ 2/d.

    Raises:
        ValueError: the activation is neither, or there is no neuron.
    """
    if activation not in ("relu", "linear") or width < 1:
        raise ValueError(
            f"log G is known for relu and linear layers of width ≥ 1, not {activation!r}, {width}."
        )
    on = np.arange(1, width + 1) if activation == "relu" else np.array([width])
    share = stats.binom.pmf(on, width, 0.5) if activation == "relu" else np.ones(1)
    share = share / share.sum()
    center = special.digamma(on / 2) + np.log(2 / width) + (np.log(2) if activation == "relu" else 0.0)
    mean = share @ center
    return float(mean), float(share @ (special.polygamma(1, on / 2) + (center - mean) ** 2))


def simulated_lengths(
    widths: Sequence[int],
    networks: int,
    *,
    activation: str = "relu",
    law: str | Law = "normal",
    variance: float = 2.0,
    seed: int = 0,
    device: torch.device | str | None = None,
) -> Array:
    """M_0, …, M_L of random networks that are really drawn, matrix by matrix, for the input (1, …, 1).

    Args:
        widths: d_0, …, d_L; the activation follows each of the L layers.
        networks: number of independent networks, which advance side by side.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`.
        law: the weights' distribution, or its name in :data:`LAWS`.
        variance: of the weights, times the fan-in: 2 is Kaiming's.
        seed: of the weights.
        device: None for :func:`dlopt.runtime.device`.

    Returns:
        (networks, L + 1).
    """
    _checked(widths)
    phi = models.ACTIVATIONS[activation]
    law = LAWS[law] if isinstance(law, str) else law
    device = runtime.device() if device is None else device
    generator = runtime.generator(seed)
    z = torch.ones(networks, widths[0], 1, dtype=torch.float64, device=device)
    lengths = [z.square().mean(dim=(1, 2))]
    for fan_in, width in itertools.pairwise(widths):
        weight = law.draw((networks, width, fan_in), generator).to(device)
        z = phi((variance / fan_in) ** 0.5 * (weight @ z))
        lengths.append(z.square().mean(dim=(1, 2)))
    return torch.stack(lengths, dim=1).cpu().numpy()
