"""Singular values of the input-output Jacobians of many networks: one batched product beside torch.func in a loop.

Automatic differentiation sends one vector back for each output; the product of W^l and D^l needs no more than the
forward pass and one matrix multiplication a layer, for all networks together.
"""

from __future__ import annotations

import torch
from harness import compare
from torch import Tensor

from dlopt import runtime
from dlopt.models import FullyConnected
from dlopt.tricks.isometry import jacobians, singular_values


def looped(networks: list[FullyConnected], x: Tensor) -> list[Tensor]:
    """∂z^L/∂x of every network at every sample, by reverse mode."""
    return [
        torch.func.jacrev(lambda x, network=network: network.activation(network(x.unsqueeze(0))[0]))(sample)
        for network in networks
        for sample in x
    ]


def main() -> None:
    torch.set_num_threads(1)
    for width, depth, members, samples in ((16, 16, 64, 4), (64, 16, 16, 2), (256, 16, 4, 1)):
        network = FullyConnected([width] * (depth + 1), "tanh", members=members, dtype=torch.float64)
        networks = [network.member(m) for m in range(members)]
        x = torch.randn(samples, width, generator=runtime.generator(1000), dtype=torch.float64)
        x = x.to(network.weights[0].device)
        ours = jacobians(network, x).flatten(0, 1)
        assert torch.allclose(ours, torch.stack(looped(networks, x)), atol=1e-10)
        case = (
            f"{members} networks, {samples} samples, width {width}, {depth} layers on {runtime.device().type}"
        )
        compare(
            f"Jacobians of {case}",
            lambda network=network, x=x: jacobians(network, x),
            lambda networks=networks, x=x: looped(networks, x),
        )
        compare(
            f"with singular values, {case}",
            lambda network=network, x=x: singular_values(network, x),
            lambda networks=networks, x=x: [torch.linalg.svdvals(j.detach()) for j in looped(networks, x)],
        )


if __name__ == "__main__":
    main()
