"""Deep linear networks: the critical points, the curvature there, and the test that tells a global minimum.

    F(W_1, …, W_L) = ‖Y − W_L ⋯ W_1 X‖_F²

The product P = W_L ⋯ W_1 is a matrix of rank at most k, the smallest width; as a function of P the loss is convex.
All that is special about F comes from the map (W_1, …, W_L) ↦ P.

Weights are lists W_1, …, W_L of shapes (…, d_l, d_{l−1}); leading axes hold independent networks.  Samples are
columns of X (d_x, n) and Y (d_y, n), as in the survey.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from dlopt import runtime
from dlopt.curvature import Hessian

__all__ = [
    "critical_point", "descend", "gradients", "hessian_at", "passes_rank_test", "product", "random_weights",
    "smallest_eigenvalue", "squared_loss",
]  # fmt: skip


def product(weights: Sequence[Tensor]) -> Tensor:
    """P = W_L ⋯ W_1, (…, d_y, d_x)."""
    p = weights[0]
    for weight in weights[1:]:
        p = weight @ p
    return p


def squared_loss(weights: Sequence[Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    """F = ‖Y − W_L ⋯ W_1 X‖_F², (…).

    Args:
        weights: W_1, …, W_L.
        inputs: X, (d_x, n).
        targets: Y, (d_y, n).
    """
    return (targets - product(weights) @ inputs).square().sum(dim=(-2, -1))


def gradients(weights: Sequence[Tensor], outer: Tensor) -> list[Tensor]:
    """∂F/∂W_l = (W_L ⋯ W_{l+1})ᵀ G (W_{l−1} ⋯ W_1)ᵀ for a loss of the product, with G = ∂F/∂P.

    Args:
        weights: W_1, …, W_L.
        outer: G, (…, d_y, d_x).
    """
    below = [None, *itertools.accumulate(weights[:-1], lambda p, weight: weight @ p)]
    found = []
    for weight, before in zip(reversed(weights), reversed(below), strict=True):
        found.append(outer if before is None else outer @ before.mT)
        outer = weight.mT @ outer
    return found[::-1]


def descend(
    weights: Sequence[Tensor],
    outer_gradient: Callable[[Tensor], Tensor],
    *,
    step_size: float,
    steps: int,
) -> list[Tensor]:
    """Gradient descent on all layers, W_l ← W_l − η ∂F/∂W_l, for any loss of the product; the last weights.

    Args:
        weights: the start, left as it is.
        outer_gradient: G as a function of P: 2 (P X − Y) Xᵀ for the squared loss.
        step_size: η.
        steps: number of updates.
    """
    weights = list(weights)
    for _ in range(steps):
        slopes = gradients(weights, outer_gradient(product(weights)))
        weights = [weight - step_size * slope for weight, slope in zip(weights, slopes, strict=True)]
    return weights


def random_weights(widths: Sequence[int], *, starts: int, scale: float, seed: int) -> list[Tensor]:
    """Independent entries from N(0, scale²/d_{l−1}), one network a start, in double precision."""
    generator = runtime.generator(seed)
    return [
        (
            scale
            / fan_in**0.5
            * torch.randn(starts, fan_out, fan_in, generator=generator, dtype=torch.float64)
        ).to(runtime.device())
        for fan_in, fan_out in itertools.pairwise(widths)
    ]


def critical_point(target: Tensor, kept: Sequence[int], widths: Sequence[int]) -> list[Tensor]:
    """The balanced critical point for X = I whose product keeps the pieces S of Y = Σ σ_i u_i v_iᵀ.

    W_1 = Σ_S^{1/L} V_Sᵀ, W_l = Σ_S^{1/L}, W_L = U_S Σ_S^{1/L}, with zeros for the other rows and columns.

    Args:
        target: Y, (d_y, d_x).
        kept: S, indices of singular values in falling order.
        widths: d_x, d_1, …, d_{L−1}, d_y with L ≥ 2.

    Raises:
        ValueError: more pieces are kept than the narrowest layer has units.

    Source: for L = 2, Baldi and Hornik, Neural networks and principal component analysis (1989).
    """
    if len(kept) > min(widths):
        raise ValueError(f"{len(kept)} pieces do not fit through a layer of {min(widths)} units.")
    u, s, vt = torch.linalg.svd(target)
    chosen, depth = list(kept), len(widths) - 1
    root = s[chosen] ** (1 / depth)
    weights = [target.new_zeros(fan_out, fan_in) for fan_in, fan_out in itertools.pairwise(widths)]
    weights[0][: len(chosen)] = root[:, None] * vt[chosen]
    for weight in weights[1:-1]:
        weight[: len(chosen), : len(chosen)] = root.diag()
    weights[-1][:, : len(chosen)] = u[:, chosen] * root
    return weights


def smallest_eigenvalue(singular_values: Tensor, kept: Sequence[int], depth: int, *, free: bool) -> Tensor:
    """λ_min(∇²F) at the balanced critical point that keeps S, for X = I: min(0, −2 σ_i^{(L−2)/L}(σ_j − σ_i)).

    The minimum is over dropped pieces j and over what can give way: a kept piece i, or, where the hidden layers have
    a free unit, nothing, σ_i = 0.  With 0⁰ = 1 the free unit offers −2σ_j for L = 2, and 0 for L ≥ 3: that way
    out is not seen at second order.

    Args:
        singular_values: σ, in falling order.
        kept: S.
        depth: L.
        free: whether every hidden layer is wider than S.

    Source: second variation at the point of :func:`critical_point`; for L = 2 it is
    :func:`dlopt.landscape.strict_saddles.hessian_spectrum`.
    """
    inside = singular_values[list(kept)]
    if free:
        inside = torch.nn.functional.pad(inside, (0, 1))
    outside = singular_values[[j for j in range(len(singular_values)) if j not in set(kept)]]
    ways = -2 * inside[:, None] ** ((depth - 2) / depth) * (outside - inside[:, None])
    return torch.cat([ways.flatten(), singular_values.new_zeros(1)]).min()


def hessian_at(weights: Sequence[Tensor], loss: Callable[[Sequence[Tensor]], Tensor]) -> Tensor:
    """∇²F in all weights as a matrix, (P, P), by automatic differentiation."""
    parameters = [weight.detach().clone().requires_grad_() for weight in weights]
    return Hessian(lambda: loss(parameters), parameters).matrix()


def passes_rank_test(weights: Sequence[Tensor], target: Tensor, *, tolerance: float = 1e-8) -> bool:
    """Whether a critical point for X = I is a global minimum, decided without its loss.

    With k the smallest width: rank P = k; and if a hidden layer p is narrower than both ends, also
    col(W_L ⋯ W_{p+1}) = the span of the k leading left singular vectors of Y.

    Args:
        weights: W_1, …, W_L of a critical point.
        target: Y, (d_y, d_x), of full rank and with distinct singular values.
        tolerance: below which a singular value, or the sine of an angle, counts as zero.

    Source: Yun, Sra and Jadbabaie, Global optimality conditions for deep neural networks (2018), theorems 2.1, 2.2.
    """
    widths = [weights[0].shape[-1], *(weight.shape[-2] for weight in weights)]
    k = min(widths)
    if torch.linalg.matrix_rank(product(weights), atol=tolerance) < k:
        return False
    if k == min(widths[0], widths[-1]):
        return True
    above = product(weights[widths.index(k) :])
    basis = torch.linalg.qr(above).Q
    leading = torch.linalg.svd(target).U[:, :k]
    return bool((basis - leading @ (leading.mT @ basis)).norm() < tolerance)
