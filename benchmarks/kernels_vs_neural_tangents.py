"""Tangent kernels: ours beside gradients, full Jacobians and neural-tangents.

neural-tangents needs older versions of what it shares with the book, so it runs as a second process in an environment
of its own (benchmarks/neural_tangents/requirements.txt says how to make it), after ours and on the same machine.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from collections.abc import Callable

import torch
from harness import compare

from bookkit.chapters import ROOT
from dlopt.data import gaussian
from dlopt.kernels.convolutional_kernel import convolutional
from dlopt.kernels.empirical_kernel import layerwise_tangent_kernel, tangent_kernel
from dlopt.kernels.infinite_width import fully_connected
from dlopt.kernels.tangent_parametrization import TangentParametrized

PEER = ROOT / ".venv-neural-tangents" / "bin" / "python"


def seconds(job: Callable[[], object], repeats: int = 5) -> float:
    """The median, after one run unmeasured."""
    measured = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        job()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        measured.append(time.perf_counter() - start)
    return statistics.median(measured[1:])


def empirical() -> float:
    """Beside batched gradients and full Jacobians; returns ours."""
    x, model = gaussian(512, 100), TangentParametrized([100, 512, 512, 512, 512, 1])

    def ours() -> torch.Tensor:
        return layerwise_tangent_kernel(model, x)

    def gradient() -> None:
        torch.autograd.grad(model(x).sum(), list(model.parameters()))

    compare("empirical kernel, width 512, depth 4, 512 samples, and a gradient", ours, gradient)
    compare("the same and full Jacobians", ours, lambda: tangent_kernel(model, x), repeats=2)
    return seconds(ours)


def main() -> None:
    inputs, images = gaussian(2000, 100), gaussian(100, 192).view(100, 3, 8, 8)
    jobs = {
        "recursion 5": lambda: fully_connected(inputs, depth=6),
        "recursion 20": lambda: fully_connected(inputs, depth=21),
        "flatten": lambda: convolutional(images, depth=4),
        "pool": lambda: convolutional(images, depth=4, head="pool"),
    }
    ours = {"empirical": empirical()} | {name: seconds(job, 3) for name, job in jobs.items()}
    if not PEER.exists():
        print(f"  neural-tangents not measured: {PEER.relative_to(ROOT)} is not there.")
        theirs = {}
    else:
        script = ROOT / "benchmarks" / "neural_tangents" / "peer.py"
        done = subprocess.run([PEER, script], capture_output=True, text=True, check=True)
        theirs = json.loads(done.stdout.splitlines()[-1])
    for name, mine in ours.items():
        beside = f", neural-tangents {theirs[name]:.4g} s, ratio {mine / theirs[name]:.2f}" if theirs else ""
        print(f"{name}: ours {mine:.4g} s{beside}", flush=True)


if __name__ == "__main__":
    main()
