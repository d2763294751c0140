"""Does training start?  The first steps of SGD on deep networks: section 4.2 of the survey.

The theory of signal propagation speaks of random networks.  Schoenholz et al. (2017) and Hanin & Rolnick (2018)
tested it by whether such a network, given a few steps of SGD, gets better than chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from dlopt import runtime, training
from dlopt.initialization import gaussian, scaled_gaussian
from dlopt.models import FullyConnected

__all__ = ["accuracy_after_training", "start_of_training"]

Array = NDArray[np.float64]


def _sgd(
    net: FullyConnected,
    inputs: Tensor,
    labels: Tensor,
    step_size: float,
    batch_size: int,
    steps: int,
    seed: int,
) -> Iterator[Array]:
    """SGD on the members' cross entropy, one step at a time: accuracies on the batch before the step, (members,)."""
    parameters = list(net.parameters())
    rng = runtime.numpy_generator(seed)
    for _ in range(steps):
        batch = torch.from_numpy(rng.choice(len(inputs), batch_size, replace=False)).to(inputs.device)
        outputs = net(inputs[batch])
        loss = training.cross_entropy(outputs, labels[batch]).sum()
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.add_(gradient, alpha=-step_size)
        yield training.accuracy(outputs.detach(), labels[batch]).cpu().numpy()


def accuracy_after_training(
    sigma_w: ArrayLike,
    sigma_b: float,
    depth: int,
    inputs: Tensor,
    labels: Tensor,
    *,
    width: int = 64,
    activation: str = "tanh",
    steps: int = 100,
    step_size: float = 0.02,
    batch_size: int = 64,
    seed: int = 0,
) -> Array:
    """Accuracy in the last tenth of some steps of SGD, for networks that differ in the scale of their weights.

    Args:
        sigma_w: (members,): member m starts with weights of variance sigma_w[m]²/d_{l-1}.
        sigma_b: standard deviation of all biases.
        depth: L, the number of weight layers.
        inputs, labels: the training samples, (n, d_0) and (n,), with labels 0, …, 9.

    Returns:
        (members,): shares of the samples seen in that tenth.
    """
    sigma_w = torch.as_tensor(np.asarray(sigma_w), dtype=inputs.dtype, device=inputs.device)
    net = FullyConnected(
        [inputs.shape[1], *[width] * (depth - 1), 10],
        activation,
        initialization=scaled_gaussian(1.0),
        bias=gaussian(sigma_b),
        members=len(sigma_w),
        seed=seed,
        dtype=inputs.dtype,
        device=inputs.device,
    )
    with torch.no_grad():
        for weight in net.weights:
            weight.mul_(sigma_w[:, None, None])
    accuracies = list(_sgd(net, inputs, labels, step_size, batch_size, steps, seed))
    return np.mean(accuracies[-max(1, steps // 10) :], axis=0)


def start_of_training(
    widths: Sequence[int],
    inputs: Tensor,
    labels: Tensor,
    *,
    members: int,
    target: float = 0.2,
    step_size: float = 0.02,
    batch_size: int = 64,
    every: int = 4,
    most: int = 200,
    seed: int = 0,
) -> Array:
    """Steps of SGD until a ReLU network, from Kaiming's start, first classifies a share ``target`` correctly.

    Accuracy is that of the last ``every`` mini-batches together, before each of their updates.

    Args:
        widths: d_0, …, d_L.
        inputs, labels: the training samples, (n, d_0) and (n,).
        members: independent networks, trained side by side on the same batches.
        target: the accuracy at which training counts as started.
        step_size, batch_size: of SGD.
        every: steps between two looks.
        most: steps after which a network that has not started counts as ``most``.
        seed: of weights and batches.

    Returns:
        (members,): steps, whole multiples of ``every``.
    """
    net = FullyConnected(
        widths, initialization=scaled_gaussian(2**0.5), members=members, seed=seed, device=inputs.device
    )
    steps, right = np.full(members, float(most)), np.zeros(members)
    for step, accuracy in enumerate(_sgd(net, inputs, labels, step_size, batch_size, most, seed), start=1):
        right += accuracy / every
        if step % every == 0:
            steps = np.where((right >= target) & (steps == most), step, steps)
            right[:] = 0
            if (steps < most).all():
                break
    return steps
