"""Gradient descent on the outer layer of a random ReLU network on the sphere, in closed form by harmonics.

On the sphere in R^d, degree by degree, a zonal harmonic P_k(uᵀx) is an eigenfunction of every operator that depends
on wᵀx alone (Funk–Hecke): E φ(wᵀx) P_k(uᵀx) = λ_k P_k(wᵀu).  So for x uniform on the sphere the loss of
f(x) = Σ_j a_j φ(w_jᵀx) against P_k(uᵀx) is a quadratic in a whose coefficients are known exactly.
"""

from __future__ import annotations

import math

import torch
from scipy.integrate import quad
from scipy.special import gamma
from torch import Tensor

from dlopt.arc_cosine import relu_products

__all__ = [
    "feature_gram", "funk_hecke", "harmonic_count", "harmonic_overlap", "readout_errors", "zonal_harmonic",
]  # fmt: skip


def harmonic_count(degree: int, d: int) -> int:
    """The dimension of the harmonics of this degree on the sphere in R^d: C(d+k−1, k) − C(d+k−3, k−2)."""
    return math.comb(d + degree - 1, degree) - (math.comb(d + degree - 3, degree - 2) if degree >= 2 else 0)


def zonal_harmonic(degree: int, d: int, t: Tensor) -> Tensor:
    """P_k(t) with P_k(1) = 1: the Legendre polynomial of dimension d, by its recursion in k.

    (k + d − 3) P_k = (2k + d − 4) t P_{k−1} − (k − 1) P_{k−2}, and E P_k(uᵀx)² = 1/(number of harmonics).
    """
    before, now = torch.ones_like(t), t
    if degree == 0:
        return before
    for k in range(2, degree + 1):
        before, now = now, ((2 * k + d - 4) * t * now - (k - 1) * before) / (k + d - 3)
    return now


def funk_hecke(degree: int, d: int) -> float:
    """λ_k = E φ(x_1) P_k(x_1) for the ReLU φ and x uniform on the sphere; zero for odd k ≥ 3.

    The density of x_1 is proportional to (1 − t²)^{(d−3)/2}.
    """
    constant = gamma(d / 2) / (math.sqrt(math.pi) * gamma((d - 1) / 2))

    def integrand(t: float) -> float:
        harmonic = zonal_harmonic(degree, d, torch.tensor(t, dtype=torch.float64)).item()
        return t * harmonic * (1 - t * t) ** ((d - 3) / 2)

    return constant * quad(integrand, 0, 1, epsabs=1e-13)[0]


def feature_gram(weights: Tensor) -> Tensor:
    """H_ij = E φ(w_iᵀx) φ(w_jᵀx) for x uniform on the sphere, (…, m, m), for weights (…, m, d)."""
    return relu_products(weights, weights) / weights.shape[-1]


def harmonic_overlap(weights: Tensor, axis: Tensor, degree: int) -> Tensor:
    """c_j = E φ(w_jᵀx) P_k(uᵀx) = λ_k P_k(w_jᵀu), (…, m), for unit weights (…, m, d) and axis u (d,)."""
    d = weights.shape[-1]
    return funk_hecke(degree, d) * zonal_harmonic(degree, d, weights @ axis)


def readout_errors(gram: Tensor, overlap: Tensor, power: float, times: Tensor) -> Tensor:
    """E(f_t − P)²/E P² of gradient flow on the outer layer from a = 0, at all times t, (…, times).

    a_t = (I − e^{−tH}) H⁻¹ c, so in the eigenbasis of H the error is E P² − Σ_i (c_i²/h_i)(1 − e^{−2 t h_i}).

    Args:
        gram: H, (…, m, m).
        overlap: c, (…, m).
        power: E P².
        times: t in units of step size times steps, (times,).
    """
    h, vectors = torch.linalg.eigh(gram)
    h = h.clamp(min=torch.finfo(gram.dtype).eps * h.amax(dim=-1, keepdim=True))
    parts = (vectors.mT @ overlap[..., None])[..., 0].square() / h
    learned = (parts[..., None, :] * -torch.expm1(-2 * times[:, None] * h[..., None, :])).sum(dim=-1)
    return 1 - learned / power
