"""How the benchmarks measure: ours and the peer in turn, in one process, medians over the repeats."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

__all__ = ["compare"]


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int = 7) -> float:
    """Print one line with the median seconds of ``ours`` and of ``theirs`` and their ratio, which it returns.

    Both run once beforehand, unmeasured, and then in turn, so that what slows the machine slows both.
    """
    seconds: dict[Callable[[], object], list[float]] = {ours: [], theirs: []}
    for repeat in range(repeats + 1):
        for job, measured in seconds.items():
            start = time.perf_counter()
            job()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if repeat:
                measured.append(time.perf_counter() - start)
    mine, peer = (statistics.median(measured) for measured in seconds.values())
    print(f"{name}: ours {mine:.4g} s, theirs {peer:.4g} s, ratio {mine / peer:.2f}", flush=True)
    return mine / peer
