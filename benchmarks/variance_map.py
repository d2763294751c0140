"""The variance map at ten thousand variances at once: ours beside scipy.integrate.quad in a loop.

SciPy is timed on every hundredth variance, at a tolerance of 1e-12, and its time is multiplied by one hundred: the
whole loop would take minutes.  The largest relative difference of the two is printed first.
"""

from __future__ import annotations

import math
import time

import numpy as np
import torch
from scipy import integrate

from dlopt.tricks import signal_propagation as sp

SUBSET = 100
FUNCTIONS = {"tanh": math.tanh, "relu": lambda h: max(h, 0.0), "hard_tanh": lambda h: min(1.0, max(-1.0, h))}


def quadrature(name: str, q: np.ndarray) -> np.ndarray:
    """E φ(√q ξ)² by adaptive quadrature, one variance after the other, told where the kinks are."""
    phi = FUNCTIONS[name]
    values = []
    for root in np.sqrt(q):
        points = sorted({0.0, *(x for x in (-1 / root, 1 / root) if abs(x) < 12)})
        value, _ = integrate.quad(
            lambda x, root=root: phi(root * x) ** 2 * math.exp(-x * x / 2),
            -12, 12, points=points, epsabs=0, epsrel=1e-12, limit=200,
        )  # fmt: skip
        values.append(value / math.sqrt(2 * math.pi))
    return np.array(values)


def main() -> None:
    torch.set_num_threads(1)
    q = np.geomspace(1e-2, 1e2, 10_000)
    for name in FUNCTIONS:
        ours = sp.variance_map(q, name, 1.0)
        theirs = quadrature(name, q[::SUBSET])
        seconds = []
        for job in (
            lambda name=name: sp.variance_map(q, name, 1.0),
            lambda name=name: quadrature(name, q[::SUBSET]),
        ):
            times = []
            for _ in range(5):
                start = time.perf_counter()
                job()
                times.append(time.perf_counter() - start)
            seconds.append(sorted(times)[2])
        difference = np.abs(ours[::SUBSET] / theirs - 1).max()
        print(
            f"  variance map of {name} at {len(q)} variances, difference {difference:.0e}: ours {seconds[0]:.4g} s, "
            f"theirs {SUBSET * seconds[1]:.4g} s, ratio {seconds[0] / (SUBSET * seconds[1]):.5f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
