"""An interval for the median of paired differences that a few failed runs do not govern.

Sources: Wilcoxon, "Individual comparisons by ranking methods" (1945); Hodges and Lehmann, "Estimates of location
based on rank tests" (1963).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

__all__ = ["Interval", "signed_rank_interval"]


class Interval(NamedTuple):
    """An estimate and the ends of its confidence interval."""

    estimate: float
    low: float
    high: float


def signed_rank_interval(differences: np.ndarray, confidence: float = 0.95) -> Interval:
    """The median of the means (d_i + d_j)/2, i ≤ j, and the shifts that the signed-rank test does not reject.

    The interval runs from the c-th smallest to the c-th largest of the n(n + 1)/2 means, where P(W < c) is at most
    half of 1 - confidence and W is the sum of the ranks, among 1, …, n, that fall to one sign by the toss of a coin.
    Where no c ≥ 1 is that unlikely, for 5 differences at 95 %, it is the whole range.

    Args:
        differences: d, (n,), symmetric about their median.
        confidence: of the interval, at least.
    """
    n = len(differences)
    means = np.sort((differences[:, None] + differences)[np.triu_indices(n)] / 2)
    probabilities = np.ones(1)
    for rank in range(1, n + 1):
        probabilities = np.convolve(probabilities, [0.5, *np.zeros(rank - 1), 0.5])
    c = max(int((probabilities.cumsum() <= (1 - confidence) / 2).sum()), 1)
    return Interval(float(np.median(means)), float(means[c - 1]), float(means[-c]))
