"""The gradient of a deep tanh network: backpropagation as the chapter writes it beside PyTorch's autograd."""

from __future__ import annotations

import torch
from dlopt.tricks import backpropagation as bp
from harness import compare

from dlopt.models import ACTIVATIONS

TANH = ACTIVATIONS["tanh"]


def main() -> None:
    torch.set_num_threads(1)
    for depth, width, samples in ((8, 64, 64), (64, 64, 64), (8, 512, 256)):
        weights = bp.random_network((width,) * (depth + 1))
        x, y = (torch.randn(width, samples, dtype=torch.float64, device=weights[1].device) for _ in range(2))
        leaves = {layer: weight.clone().requires_grad_() for layer, weight in weights.items()}
        compare(
            f"  gradient, {depth} layers of width {width}, {samples} samples",
            lambda weights=weights, x=x, y=y: bp.backpropagation(weights, TANH, bp.SQUARED, x, y),
            lambda leaves=leaves, x=x, y=y: torch.autograd.grad(
                bp.objective(leaves, TANH, bp.SQUARED, x, y), list(leaves.values())
            ),
        )


if __name__ == "__main__":
    main()
