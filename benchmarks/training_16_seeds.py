"""Sixteen seeds of one network: our batched members beside a Python loop of plain PyTorch training.

Narrow layers gain from batching, wide ones do not on a CPU: the last line shows where a loop is as good.
"""

from __future__ import annotations

import itertools

import torch
from harness import compare
from torch import Tensor, nn

from dlopt import runtime
from dlopt.data import load
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy, train

SEEDS, STEPS = 16, 100


def batched(widths: list[int], inputs: Tensor, labels: Tensor, batch_size: int) -> None:
    network = FullyConnected(widths, members=SEEDS)
    train(
        network, inputs, labels,
        loss=cross_entropy, steps=STEPS, step_size=0.1, batch_size=batch_size, every=STEPS,
    )  # fmt: skip


def looped(widths: list[int], inputs: Tensor, labels: Tensor, batch_size: int) -> None:
    for seed in range(SEEDS):
        torch.manual_seed(seed)
        layers: list[nn.Module] = []
        for fan_in, fan_out in itertools.pairwise(widths):
            layers += [nn.Linear(fan_in, fan_out, bias=False), nn.ReLU()]
        network = nn.Sequential(*layers[:-1]).to(inputs.device)
        optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
        batches: list[Tensor] = []
        for _ in range(STEPS):
            if not batches:
                batches = list(torch.randperm(len(inputs), device=inputs.device).split(batch_size))
            batch = batches.pop()
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(inputs[batch]), labels[batch]).backward()
            optimizer.step()


def main() -> None:
    torch.set_num_threads(1)
    digits = load("digits")
    for width, batch_size, repeats in ((32, 32, 7), (64, 128, 5), (256, 128, 3)):
        arguments = ([64, width, width, 10], digits.train_inputs, digits.train_labels, batch_size)
        compare(
            f"{SEEDS} seeds, width {width}, batch {batch_size}, {STEPS} steps on {runtime.device().type}",
            lambda arguments=arguments: batched(*arguments),
            lambda arguments=arguments: looped(*arguments),
            repeats,
        )


if __name__ == "__main__":
    main()
