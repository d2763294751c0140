"""Points where a network does not know its own weights, and what a skip connection does there; section 4.4.

Orhan and Pitkow (2018) name three kinds of points at which a plain network is degenerate, that is, where some
direction in the space of its weights changes nothing: two units of a layer coincide (*overlap*), a unit is cut off
(*elimination*), units are linearly dependent.  The network here has two hidden layers of d units with tanh,

    z¹ = tanh(W¹ x) + s x,   z² = tanh(W² z¹) + s z¹,

with s = 1 for a skip connection and s = 0 for none; its output is z².
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jacrev

__all__ = ["SINGULARITIES", "approach", "gauss_newton", "network", "smallest_eigenvalue"]

SINGULARITIES = ("overlap", "incoming elimination", "outgoing elimination", "linear dependence")
"""The ways in which hidden units become redundant, as :func:`approach` names them."""


def network(first: Tensor, second: Tensor, x: Tensor, skip: bool) -> Tensor:
    """z², (n, d), of the weights W¹ and W², (d, d) each, and the inputs x, (n, d)."""
    z = torch.tanh(x @ first.T) + skip * x
    return torch.tanh(z @ second.T) + skip * z


def gauss_newton(first: Tensor, second: Tensor, x: Tensor, skip: bool) -> Tensor:
    """1/n Σ_i J_iᵀ J_i with J_i = ∂z²(x_i)/∂(W¹, W²): the Hessian of the quadratic loss (halved) where it is fitted.

    Returns:
        (2d², 2d²).
    """
    rows = jacrev(network, argnums=(0, 1))(first, second, x, skip)
    jacobian = torch.cat([part.flatten(2) for part in rows], dim=2).flatten(0, 1)
    return jacobian.T @ jacobian / len(x)


def smallest_eigenvalue(first: Tensor, second: Tensor, x: Tensor, skip: bool) -> float:
    """Of the Gauss–Newton matrix: zero where a direction in weight space leaves all outputs as they are."""
    return float(torch.linalg.eigvalsh(gauss_newton(first, second, x, skip))[0])


def approach(first: Tensor, second: Tensor, kind: str, distance: float) -> tuple[Tensor, Tensor]:
    """The weights moved towards a singular point: there for distance 0, where they were for distance 1.

    - overlap: the first row of W¹ goes to the second, so that two units compute the same;
    - incoming elimination: the first row of W¹ goes to zero, so that a unit is silent;
    - outgoing elimination: the first column of W² goes to zero, so that nobody listens to a unit;
    - linear dependence: the first row of W¹ goes to minus the second, and tanh is odd.

    Raises:
        ValueError: another kind.
    """
    if kind not in SINGULARITIES:
        raise ValueError(f"unknown singularity {kind!r}: use one of {', '.join(SINGULARITIES)}.")
    first, second = first.clone(), second.clone()
    if kind == "outgoing elimination":
        second[:, 0] *= distance
        return first, second
    end = {"overlap": first[1], "incoming elimination": 0 * first[1], "linear dependence": -first[1]}[kind]
    first[0] = end + distance * (first[0] - end)
    return first, second
