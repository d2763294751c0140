"""How sharp a minimum is: the largest eigenvalue of the Hessian, its trace, and the worst loss in a box.

The two measures of curvature take a vector of scales s and then look at diag(s) H diag(s), the Hessian of the loss in
the coordinates θ/s.  Scales of one are the Hessian itself, scales of zero and one a part of it, and s = |θ| asks for
the effect of *relative* changes of the weights (:mod:`dlopt.landscape.path_norm`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dlopt.curvature import Hessian
from dlopt.lanczos import top_eigenvalues, unit_vectors

__all__ = ["box_sharpness", "top_eigenvalue", "trace"]


def top_eigenvalue(
    hessian: Hessian, *, scales: Tensor | None = None, steps: int = 20, seed: int = 0
) -> Tensor:
    """λ_max(diag(s) H diag(s)) by Lanczos, () or (members,), in double precision.

    Args:
        hessian: H, of one network or of members.
        scales: s, (P,) or (members, P); None for ones.
        steps: products with H.
        seed: of the start.
    """
    start = unit_vectors((*hessian.leading, hessian.size), seed=seed, dtype=hessian.dtype).to(hessian.device)
    s = torch.ones_like(start) if scales is None else scales
    return top_eigenvalues(lambda v: s * hessian(s * v), s * start, steps).values[..., 0]


def trace(hessian: Hessian, *, scales: Tensor | None = None, probes: int = 20, seed: int = 0) -> Tensor:
    """tr(diag(s) H diag(s)) ≈ P · mean vᵀ diag(s) H diag(s) v over random unit vectors v, () or (members,).

    Args:
        hessian: H, of one network or of members.
        scales: s, (P,) or (members, P); None for ones.
        probes: how many v, each a product with H.
        seed: of the probes.

    Source: Hutchinson's estimator, with probes on the sphere.
    """
    shape = (probes, *hessian.leading, hessian.size)
    v = unit_vectors(shape, seed=seed, dtype=hessian.dtype).to(hessian.device)
    scaled = v if scales is None else scales * v
    return hessian.size * torch.stack([(one * hessian(one)).sum(dim=-1) for one in scaled]).mean(dim=0)


def box_sharpness(
    loss: Callable[[Tensor], Tensor], point: Tensor, epsilon: float, *, steps: int = 10
) -> Tensor:
    """100 · (max_{y in box} F(θ + y) − F(θ)) / (1 + F(θ)), the box being |y_i| ≤ ε(|θ_i| + 1), for k points: (k,).

    The maximum is sought by ``steps`` of projected ascent along the signs of the gradient, a quarter of the box at
    a time, from the center; what is returned is the best that was seen, so it is a lower bound.

    Args:
        loss: F, from points (k, P) to (k,), differentiable.
        point: θ, (k, P).
        epsilon: ε > 0.
        steps: gradients for each point.

    Raises:
        ValueError: ε is not positive.

    Source: Keskar et al., On large-batch training for deep learning (2017), metric 2.1 with the whole space; there
    the maximum is sought by ten iterations of L-BFGS-B.
    """
    if epsilon <= 0:
        raise ValueError(f"the box needs a positive epsilon, not {epsilon}.")
    width = epsilon * (point.abs() + 1)
    y = torch.zeros_like(point)
    center = best = loss(point).detach()
    for _ in range(steps):
        y.requires_grad_()
        (gradient,) = torch.autograd.grad(loss(point + y).sum(), y)
        y = torch.clamp(y.detach() + width * gradient.sign() / 4, -width, width)
        best = torch.maximum(best, loss(point + y).detach())
    return 100 * (best - center) / (1 + center)
