"""Measures of a ReLU network that a rescaling of its units does not change.

Multiply what goes into a hidden unit by α and divide what comes out by α: every *path* from an input to an output
keeps the product of its weights.  The path norm is a sum over these products, and a subset of them, the basis paths,
can serve as coordinates in place of the weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from dlopt.landscape.rescaling import rescale
from dlopt.models import FullyConnected

__all__ = ["basis_path_coordinates", "magnitudes", "path_norm"]


@torch.no_grad()
def path_norm(model: FullyConnected) -> Tensor:
    """(Σ_paths Π_l (w^l)²)^{1/2}, () or (members,): one forward pass of ones through the squared weights.

    Args:
        model: without biases.

    Raises:
        ValueError: the model has biases.

    Source: Neyshabur, Salakhutdinov and Srebro, Path-SGD (2015).
    """
    _no_biases(model)
    z = torch.ones_like(model.weights[0][..., 0, :])
    for weight in model.weights:
        z = (weight**2 @ z.unsqueeze(-1)).squeeze(-1)
    return z.sum(dim=-1).sqrt()


def basis_path_coordinates(model: FullyConnected) -> Tensor:
    """Rescale a network of one hidden layer so that its free weights are its basis paths, and say which are free.

    Of the weights into each hidden unit the largest becomes ±1.  The paths through it to the outputs, and the paths
    from the other inputs to one output, then determine all others; up to sign and one common factor at each unit
    they are the weights that are left.

    Args:
        model: without biases, with or without members; it is changed in place, its function is not.

    Returns:
        The scales for :mod:`dlopt.landscape.sharpness`: 1 for a free weight, 0 for one that is ±1 now, (P,) or
        (members, P).

    Raises:
        ValueError: the model has biases, or not exactly one hidden layer.

    Source: after Yi et al., Positively scale-invariant flatness of ReLU neural networks (2019), who define flatness
    on the values of basis paths.
    """
    _no_biases(model)
    if model.depth != 2:
        raise ValueError(f"basis paths are written out for one hidden layer, not for {model.depth - 1}.")
    first, second = model.weights
    largest = first.detach().abs().max(dim=-1, keepdim=True)
    rescale(model, 1, 1 / largest.values.squeeze(-1))
    free = torch.ones_like(first).scatter(-1, largest.indices, 0)
    start = 0 if model.members is None else 1
    return torch.cat([free.flatten(start), torch.ones_like(second).flatten(start)], dim=-1).detach()


def magnitudes(model: FullyConnected) -> Tensor:
    """|θ|, (P,) or (members, P): the scales with which curvature is that of relative changes.

    A rescaling by D takes H to D⁻¹HD⁻¹ and |θ| to D|θ|, so diag(|θ|) H diag(|θ|) stays as it is, entry by entry.

    Source: Kwon et al., ASAM: Adaptive sharpness-aware minimization (2021), the normalization operator.
    """
    start = 0 if model.members is None else 1
    return torch.cat([weight.detach().abs().flatten(start) for weight in model.parameters()], dim=-1)


def _no_biases(model: FullyConnected) -> None:
    if model.biases:
        raise ValueError("paths are counted in networks without biases.")
