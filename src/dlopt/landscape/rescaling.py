"""Changes of the parameters that leave the function as it is and its sharpness not.

A ReLU network computes the same function when the weights into a hidden unit are multiplied by α > 0 and the weights
out of it divided by α (Dinh et al., Sharp minima can generalize for deep nets, 2017).  In one dimension any
increasing change of the coordinate does as it likes with the curvature of a minimum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dlopt.models import FullyConnected

__all__ = ["curvature_floor", "rescale", "rescaled_hessian", "stretch"]


@torch.no_grad()
def rescale(model: FullyConnected, layer: int, alpha: float | Tensor) -> None:
    """W^l ← diag(α) W^l and W^{l+1} ← W^{l+1} diag(1/α), in place; a bias b^l is multiplied by α too.

    Args:
        model: a ReLU network, or another whose activation is positively homogeneous, with or without members.
        layer: l, from 1 to L − 1.
        alpha: α > 0, a number, or one for each hidden unit, (d_l,) or (members, d_l).

    Raises:
        ValueError: a factor is not positive, or the layer has none after it.
    """
    if not 1 <= layer < model.depth:
        raise ValueError(f"layer {layer} of {model.depth} cannot be rescaled: take one that another follows.")
    into, out = model.weights[layer - 1], model.weights[layer]
    alpha = torch.as_tensor(alpha, dtype=into.dtype, device=into.device)
    if bool((alpha <= 0).any()):
        raise ValueError("a rescaling needs positive factors.")
    alpha = alpha.expand(into.shape[:-1])
    into.mul_(alpha.unsqueeze(-1))
    out.div_(alpha.unsqueeze(-2))
    if model.biases:
        model.biases[layer - 1].mul_(alpha)


def rescaled_hessian(hessian: Tensor, first: int, alpha: float) -> Tensor:
    """The Hessian at (αθ₁, θ₂/α), predicted from H at (θ₁, θ₂): D⁻¹ H D⁻¹ with D = diag(α, …, α, 1/α, …, 1/α).

    Args:
        hessian: H, (P, P).
        first: how many parameters θ₁ has; they come first.
        alpha: α > 0.
    """
    scales = hessian.new_full((len(hessian),), alpha)
    scales[:first] = 1 / alpha
    return scales[:, None] * hessian * scales


def curvature_floor(hessian: Tensor, first: int) -> Tensor:
    """√(λ₁ λ₂), with λ₁, λ₂ the largest eigenvalues of the two diagonal blocks of H: no α takes λ_max below it.

    λ_max(D⁻¹ H D⁻¹) is at least that of either block, so at least max(λ₁/α², α² λ₂), which is smallest where the two
    are equal.

    Args:
        hessian: H, (P, P).
        first: the size of the first block.
    """
    blocks = hessian[:first, :first], hessian[first:, first:]
    one, two = (torch.linalg.eigvalsh(block)[-1] for block in blocks)
    return (one * two).sqrt()


def stretch(x: Tensor, center: float, factor: float, width: float) -> Tensor:
    """η(x) with dη/dx = 1 + (factor − 1) exp(−(x − center)²/(2 width²)): a new coordinate on the line.

    Near ``center`` lengths are multiplied by ``factor``, so a minimum there of curvature k has k/factor² in η.

    Args:
        x: any shape.
        center: where the line is stretched; it keeps its place.
        factor: by how much, > 0.
        width: over which distance.
    """
    bump = width * math.sqrt(math.pi / 2) * torch.erf((x - center) / (width * math.sqrt(2)))
    return x + (factor - 1) * bump
