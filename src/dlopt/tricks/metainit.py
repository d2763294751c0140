"""MetaInit: tune the norms of the initial weights by gradient descent on the gradient quotient.

Dauphin, Schoenholz: MetaInit: initializing learning by learning to initialize (2019).  A good start, the paper
supposes, is one where the loss is nearly linear over a step, so that the gradient hardly changes along itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from dlopt.training import Loss

__all__ = ["gradient_quotient", "metainit"]


def gradient_quotient(loss: Tensor, parameters: Iterable[Tensor], *, epsilon: float = 1e-5) -> Tensor:
    """GQ = 1/N Σ_i |(g - Hg)_i / (g_i ± ε) - 1|, with the sign of ε that of g_i: equation (1) of the paper.

    g - Hg is, to first order, the gradient after a gradient step of length one; so GQ is the mean relative
    change of the gradient's entries over such a step, about |(Hg)_i / g_i|.

    Args:
        loss: a scalar that can be differentiated twice.
        parameters: what it is differentiated by, N numbers in all.
        epsilon: ε, which keeps zero gradients from dividing.

    Returns:
        A scalar that can be differentiated again.
    """
    parameters = list(parameters)
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    half_square = sum(gradient.square().sum() for gradient in gradients) / 2
    products = torch.autograd.grad(half_square, parameters, create_graph=True)
    total = sum(
        ((g - p) / (g + torch.copysign(torch.full_like(g, epsilon), g)) - 1).abs().sum()
        for g, p in zip(gradients, products, strict=True)
    )
    return total / sum(parameter.numel() for parameter in parameters)


def metainit(
    network: nn.Module,
    batches: Callable[[], tuple[Tensor, Tensor]] | Iterator[tuple[Tensor, Tensor]],
    loss: Loss,
    *,
    steps: int = 100,
    step_size: float = 0.1,
    momentum: float = 0.9,
    epsilon: float = 1e-5,
    until: float = 0.0,
) -> np.ndarray:
    """Sign descent with momentum on GQ by the norms of the weight matrices; in place.

    The direction W/‖W‖ of every weight matrix stays what it was drawn; with n_l = ‖W^l‖_F,

        v_l ← momentum · v_l - step_size · sign ∂GQ/∂n_l,    n_l ← n_l + v_l,

    where no step more than halves a norm; the published algorithm has no such guard and can pass through zero.

    Args:
        network: without members; parameters with fewer than two axes (biases) are left alone.
        batches: a function or an iterator that gives inputs and targets, which may be random: the paper
            draws inputs from N(0, 1) and labels at random.
        loss: maps outputs and targets to the mean loss.
        steps: of the descent.
        step_size: change of a norm in one step without momentum.
        momentum: of the sign descent.
        epsilon: of :func:`gradient_quotient`.
        until: stop as soon as the median of the last five GQ is below this.

    Returns:
        GQ before each step, (steps,) or fewer.
    """
    draw = batches if callable(batches) else batches.__next__
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    matrices = [parameter for parameter in parameters if parameter.ndim >= 2]
    velocity = [0.0] * len(matrices)
    quotients = []
    for _ in range(steps):
        inputs, targets = draw()
        quotient = gradient_quotient(loss(network(inputs), targets), parameters, epsilon=epsilon)
        quotients.append(quotient.item())
        if len(quotients) >= 5 and np.median(quotients[-5:]) < until:
            break
        gradients = torch.autograd.grad(quotient, matrices)
        for index, (weight, gradient) in enumerate(zip(matrices, gradients, strict=True)):
            slope = (weight.detach() * gradient).sum().sign().item()
            norm = weight.detach().norm().item()
            velocity[index] = max(momentum * velocity[index] - step_size * slope, -norm / 2)
            with torch.no_grad():
                weight.mul_((norm + velocity[index]) / norm)
    return np.array(quotients)
