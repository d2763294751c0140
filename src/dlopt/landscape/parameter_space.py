"""The loss as a function of one vector: a model's parameters as a point, and the loss at many points as one batch.

Lines, planes, curves and chains through parameter space are sets of points.  The loss at all of them is one batched
computation: the model's weights get an axis for the points, and each matrix product becomes a batched one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from dlopt.normalization import batch_statistics
from dlopt.training import Loss

__all__ = ["by_parameter", "losses", "outputs", "parameters_of", "set_parameters"]


def parameters_of(model: nn.Module) -> Tensor:
    """θ, all parameters of the model in the order of ``model.parameters()``, as one vector (P,): a copy."""
    return nn.utils.parameters_to_vector(model.parameters()).detach().clone()


@torch.no_grad()
def set_parameters(model: nn.Module, point: Tensor) -> None:
    """Writes the vector θ, (P,), into the model's parameters.

    Raises:
        ValueError: the vector has another length.
    """
    for parameter, piece in zip(model.parameters(), by_parameter(model, point).values(), strict=True):
        parameter.copy_(piece)


def by_parameter(model: nn.Module, points: Tensor) -> dict[str, Tensor]:
    """The points θ, (…, P), cut into the parameters, each (…, and its shape), by name in the model's order.

    Raises:
        ValueError: the points do not have the model's number of parameters.
    """
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    if points.shape[-1] != sum(sizes):
        raise ValueError(
            f"the model has {sum(sizes)} parameters, but a point of shape {tuple(points.shape)} was given."
        )
    return {
        name: piece.unflatten(-1, shape) if shape else piece.squeeze(-1)
        for (name, shape), piece in zip(shapes.items(), points.split(sizes, dim=-1), strict=True)
    }


def outputs(model: nn.Module, points: Tensor, inputs: Tensor, *, chunk: int | None = None) -> Tensor:
    """f_θ(x) at every point θ, (k, n, …): one batched pass, differentiable in the points.

    Batch normalization uses the statistics of these inputs, as in training; the model itself is left as it was.

    Args:
        model: the network, without members.
        points: (k, P).
        inputs: (n, …), the same for all points.
        chunk: points that are evaluated at once; None for all.

    Raises:
        ValueError: the points do not have the model's number of parameters.
    """
    state = by_parameter(model, points)
    for name, buffer in model.named_buffers():
        state[name] = buffer.expand(len(points), *buffer.shape).clone()
    with batch_statistics(model):
        return vmap(lambda own: functional_call(model, own, (inputs,)), chunk_size=chunk)(state)


def losses(
    model: nn.Module,
    points: Tensor,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss,
    *,
    chunk: int | None = None,
) -> Tensor:
    """F(θ) of (3) at every point θ, (k,), differentiable in the points.

    Args:
        model: the network, without members.
        points: (k, P).
        inputs: (n, …), the same for all points.
        targets: as ``loss`` takes them.
        loss: maps outputs (k, n, d_L) and targets to the mean losses, (k,), as those of :mod:`dlopt.training` do.
        chunk: points that are evaluated at once; None for all.

    Raises:
        ValueError: the points do not have the model's number of parameters.
    """
    values = outputs(model, points, inputs, chunk=chunk)
    return loss(values, targets.expand(len(points), *targets.shape))
