"""Our kernels beside values of neural-tangents 0.6.5, which benchmarks/neural_tangents/freeze.py wrote."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dlopt.kernels.convolutional_kernel import convolutional
from dlopt.kernels.infinite_width import fully_connected

FROZEN = np.load(Path(__file__).parent / "fixtures" / "neural_tangents.npz")
SIGMAS = {"sigma_w": 1.3, "sigma_b": 0.2}


def frozen(name: str) -> torch.Tensor:
    return torch.from_numpy(FROZEN[name])


@pytest.mark.parametrize("pairs", ["cross", "own"])
@pytest.mark.parametrize("depth", [2, 4])
@pytest.mark.parametrize("activation", ["relu", "erf", "gelu"])
def test_the_fully_connected_kernels_agree(activation, depth, pairs):
    others = frozen("others") if pairs == "cross" else None
    ours = fully_connected(frozen("x"), others, depth=depth, activation=activation, **SIGMAS, block=4)
    for kernel in ("nngp", "ntk"):
        theirs = frozen(f"dense-{activation}-{depth}-{pairs}-{kernel}")
        torch.testing.assert_close(getattr(ours, kernel), theirs, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("pairs", ["cross", "own"])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("head", ["flatten", "pool"])
@pytest.mark.parametrize("padding", ["zeros", "circular"])
@pytest.mark.parametrize("memory", [2**23, 1])
def test_the_convolutional_kernels_agree(padding, head, depth, pairs, memory):
    images, others = (frozen(name).permute(0, 3, 1, 2) for name in ("images", "other_images"))
    ours = convolutional(
        images, others if pairs == "cross" else None, depth=depth, head=head, padding=padding, **SIGMAS,
        memory=memory,
    )  # fmt: skip
    for kernel in ("nngp", "ntk"):
        theirs = frozen(f"convolutional-{padding}-{head}-{depth}-{pairs}-{kernel}")
        torch.testing.assert_close(getattr(ours, kernel), theirs, rtol=1e-7, atol=1e-8)
