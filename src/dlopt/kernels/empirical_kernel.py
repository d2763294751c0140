"""The tangent kernel of a finite network at its present parameters, K = GᵀG of section 6.3.2.

For d_L outputs it is the mean over the outputs, K_ij = 1/d_L Σ_o ⟨∂f_o(x_i)/∂θ, ∂f_o(x_j)/∂θ⟩, which has the limit
Θ^L of :mod:`dlopt.kernels.infinite_width` whatever d_L is.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlopt.curvature import jacobian
from dlopt.kernels.scaled_parameters import ScaledParameters
from dlopt.models import FullyConnected

__all__ = ["layerwise_tangent_kernel", "tangent_kernel"]


def tangent_kernel(model: nn.Module, inputs: Tensor, others: Tensor | None = None) -> Tensor:
    """K(x_i, x'_j) from the full Jacobians, (n, m), for any module that treats samples one by one.

    Its memory is that of the Jacobians, n · d_L · P numbers, which :func:`layerwise_tangent_kernel` does without.

    Args:
        model: the network, without members.
        inputs: (n, …).
        others: (m, …); None for the inputs themselves.
    """
    rows = jacobian(model, inputs)
    columns = rows if others is None else jacobian(model, others)
    return rows.flatten(1) @ columns.flatten(1).T / rows.shape[1]


def layerwise_tangent_kernel(model: FullyConnected, inputs: Tensor, others: Tensor | None = None) -> Tensor:
    """K(x_i, x'_j) of a fully connected network from its layers, (…, n, m).

    ∂f_o(x_i)/∂W^l is the outer product of e^l_i = ∂f_o(x_i)/∂h^l and z^{l-1}_i, and inner products of outer products
    are products of inner products: with the rows z^{l-1}_i in A_l and e^l_i in B_l,

        K = Σ_l (A_l A_lᵀ + 1) ∘ (B_l B_lᵀ),

    the 1 where there is a bias.  Where the parameters enter scaled, as in the tangent parametrization, the two terms
    carry the squared scales.  Skip connections change the e^l alone.

    Args:
        model: the network; members give a leading axis.
        inputs: (n, d_0).
        others: (m, d_0); None for the inputs themselves.

    Raises:
        ValueError: the network normalizes, or computes its weights in a way that this formula does not know.
    """
    known = isinstance(model, ScaledParameters) or type(model).weight is FullyConnected.weight
    if not known or len(getattr(model, "norms", ())):
        raise ValueError(f"{type(model).__name__} has no formula by layers: use tangent_kernel.")
    rows = _layers(model, inputs)
    columns = rows if others is None else _layers(model, others)
    total: Tensor | float = 0.0
    for layer, ((a, b), (c, d)) in enumerate(zip(rows, columns, strict=True), start=1):
        weight_scale, bias_scale = model.scales(layer) if isinstance(model, ScaledParameters) else (1.0, 1.0)
        products = (a @ c.mT) * weight_scale**2 + (bias_scale**2 if model.biases else 0.0)
        total = total + products * sum(e @ g.mT for e, g in zip(b, d, strict=True))
    return total / model.widths[-1]


def _layers(model: FullyConnected, inputs: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
    """z^{l-1}, (…, n, d_{l-1}), and ∂f_o/∂h^l for every output o, (…, n, d_l) each, for l = 1, …, L."""
    with torch.enable_grad():
        preactivations, postactivations = model.passes(inputs)
    errors: list[list[Tensor]] = [[] for _ in preactivations]
    for output in range(model.widths[-1]):
        gradients = torch.autograd.grad(
            preactivations[-1][..., output].sum(), preactivations, retain_graph=output + 1 < model.widths[-1]
        )
        for kept, gradient in zip(errors, gradients, strict=True):
            kept.append(gradient)
    return [(z.detach(), e) for z, e in zip(postactivations, errors, strict=True)]
