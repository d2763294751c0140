"""A filter-normalized plane of 51 × 51 points: all points as one batch beside a loop over the points.

The loop is that of the reference implementations: write the weights of each point into the model, run the model, take
the loss.  The largest difference of the two planes is printed first.
"""

from __future__ import annotations

import torch
from harness import compare
from torch import Tensor, nn

from dlopt import runtime
from dlopt.data import load
from dlopt.landscape.filter_normalization import filter_normalized, plane_points, random_directions
from dlopt.landscape.parameter_space import losses, parameters_of, set_parameters
from dlopt.models import FullyConnected, Residual
from dlopt.training import cross_entropy

POINTS, CHUNK = 51, 256


@torch.no_grad()
def batched(model: nn.Module, points: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    return losses(model, points, inputs, labels, cross_entropy, chunk=CHUNK)


@torch.no_grad()
def looped(model: nn.Module, points: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    center = parameters_of(model)
    values = []
    for point in points:
        set_parameters(model, point)
        values.append(nn.functional.cross_entropy(model(inputs), labels).item())
    set_parameters(model, center)
    return torch.tensor(values, device=points.device)


def main() -> None:
    torch.set_num_threads(1)
    digits = load("digits")
    inputs, labels = digits.train_inputs[:200], digits.train_labels[:200]
    models = {
        "3 layers of width 32": FullyConnected([64, 32, 32, 10]),
        "20 layers of width 32, skips": Residual([64, *[32] * 19, 10], normalization="batch", block=2),
    }
    for name, model in models.items():
        directions = filter_normalized(model, random_directions(model, 2, seed=0))
        grid = torch.linspace(-0.3, 0.3, POINTS, device=inputs.device)
        arguments = (model, plane_points(parameters_of(model), directions, grid), inputs, labels)
        difference = float((batched(*arguments) - looped(*arguments)).abs().max())
        print(f"  {name}: {POINTS} x {POINTS} points, largest difference {difference:.0e}")
        compare(
            f"  a plane on {runtime.device().type}",
            lambda arguments=arguments: batched(*arguments),
            lambda arguments=arguments: looped(*arguments),
            repeats=2,
        )


if __name__ == "__main__":
    main()
