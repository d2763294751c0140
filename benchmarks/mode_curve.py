"""Fifty points of a curve: one batched evaluation beside a loop that loads each point into the network.

The loop is what the reference implementations of Garipov et al. and Draxler et al. do.
"""

from __future__ import annotations

import torch
from harness import compare
from torch import Tensor

from dlopt import runtime
from dlopt.data import load
from dlopt.landscape.curves import bernstein
from dlopt.landscape.parameter_space import losses, parameters_of, set_parameters
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy

POINTS = 50


@torch.no_grad()
def batched(model: FullyConnected, curve: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    return losses(model, curve, inputs, labels, cross_entropy)


@torch.no_grad()
def looped(model: FullyConnected, curve: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    values = []
    for point in curve:
        set_parameters(model, point)
        values.append(cross_entropy(model(inputs), labels))
    return torch.stack(values)


def main() -> None:
    torch.set_num_threads(1)
    digits = load("digits")
    t = torch.linspace(0, 1, POINTS, device=runtime.device())
    for width, samples, repeats in ((32, 128, 15), (64, 128, 15), (64, 1400, 7), (256, 128, 5)):
        widths = (64, width, width, 10)
        knots = torch.stack([parameters_of(FullyConnected(widths, seed=seed)) for seed in range(3)])
        curve = bernstein(t, 2) @ knots
        arguments = (
            FullyConnected(widths), curve, digits.train_inputs[:samples], digits.train_labels[:samples],
        )  # fmt: skip
        torch.testing.assert_close(batched(*arguments), looped(*arguments), rtol=1e-4, atol=1e-5)
        compare(
            f"{POINTS} points, width {width}, {samples} samples on {runtime.device().type}",
            lambda arguments=arguments: batched(*arguments),
            lambda arguments=arguments: looped(*arguments),
            repeats,
        )


if __name__ == "__main__":
    main()
