"""Matrix factorization, equation (5) of the survey, its minimum in closed form, and its two classical extensions.

    min over W₂, W₁ of ‖M ∘ (Y - W₂ W₁ X)‖_F²

With no mask M and X = I this is (5); with another X it is the training problem of a network with one linear
hidden layer; with a mask of zeros and ones it is low-rank matrix completion.

Matrices stand as in the survey: Y is (d_y, n), samples are columns, W₂ is (d_y, d₁) and W₁ is (d₁, d_x).  Every
function accepts leading axes, so that many factorizations advance in one batched product.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from dlopt import runtime

__all__ = [
    "Descent", "Factors", "best_factors", "best_value", "descend", "factorization_loss", "multiplicative_updates",
    "random_factors", "with_singular_values",
]  # fmt: skip


class Factors(NamedTuple):
    """W₂ and W₁, in the order in which they are multiplied."""

    w2: Tensor
    """(…, d_y, d₁)."""
    w1: Tensor
    """(…, d₁, d_x)."""

    @property
    def product(self) -> Tensor:
        """W₂ W₁, (…, d_y, d_x): a matrix of rank d₁ or less."""
        return self.w2 @ self.w1


@dataclass
class Descent:
    """A run of an iterative method on many factorizations at once.

    Attributes:
        steps: (R,), the steps at which the loss was recorded; step t is after t updates.
        loss: (R, …), the loss at these steps; the other axes are the factors' leading axes.
        factors: where the run ended.
    """

    steps: Tensor
    loss: Tensor
    factors: Factors


def best_factors(target: Tensor, rank: int, inputs: Tensor | None = None) -> Factors:
    """A minimizer of ‖Y - W₂ W₁ X‖_F² with inner dimension d₁ = rank: the truncated singular value decomposition.

    For X = I it is W₂ = U_r S_r^{1/2}, W₁ = S_r^{1/2} V_rᵀ with Y = U S Vᵀ (Eckart and Young, 1936).  For another
    X, Y is first projected onto the row space of X, and X is undone by its pseudo-inverse (reduced-rank
    regression): W₂ = U_r S_r^{1/2}, W₁ = S_r^{1/2} V_rᵀ X⁺ with Y X⁺ X = U S Vᵀ.

    Args:
        target: Y, (…, d_y, n).
        rank: d₁, at least 1.  Beyond min(d_y, n) the factors are padded with zeros.
        inputs: X, (…, d_x, n), or None for the identity.

    Returns:
        W₂ of shape (…, d_y, rank) and W₁ of shape (…, rank, d_x), with d_x = n where ``inputs`` is None.

    Raises:
        ValueError: the rank is not positive.

    Source: the survey, section 2.2, after (5).
    """
    if rank < 1:
        raise ValueError(f"the rank must be 1 or more, not {rank}.")
    u, s, vt = torch.linalg.svd(_attainable(target, inputs), full_matrices=False)
    root = s[..., :rank].sqrt()
    w2 = u[..., :, :rank] * root.unsqueeze(-2)
    w1 = root.unsqueeze(-1) * vt[..., :rank, :]
    if inputs is not None:
        w1 = w1 @ torch.linalg.pinv(inputs)
    missing = max(rank - s.shape[-1], 0)
    return Factors(torch.nn.functional.pad(w2, (0, missing)), torch.nn.functional.pad(w1, (0, 0, 0, missing)))


def best_value(target: Tensor, rank: int, inputs: Tensor | None = None) -> Tensor:
    """The minimum of ‖Y - W₂ W₁ X‖_F² over all factors with inner dimension d₁ = rank, (…).

    For X = I it is Σ_{i > d₁} s_i(Y)²; otherwise ‖Y - Y X⁺ X‖_F² + Σ_{i > d₁} s_i(Y X⁺ X)².

    Arguments are those of :func:`best_factors`; rank may be 0.
    """
    attainable = _attainable(target, inputs)
    trailing = torch.linalg.svdvals(attainable)[..., rank:]
    return trailing.square().sum(dim=-1) + (target - attainable).square().sum(dim=(-2, -1))


def _attainable(target: Tensor, inputs: Tensor | None) -> Tensor:
    """Y X⁺ X, the part of Y that some linear map of X attains."""
    return target if inputs is None else target @ torch.linalg.pinv(inputs) @ inputs


def factorization_loss(
    target: Tensor, factors: Factors, *, inputs: Tensor | None = None, mask: Tensor | None = None
) -> Tensor:
    """‖M ∘ (Y - W₂ W₁ X)‖_F², (…): equation (5) where there are neither inputs nor mask.

    Args:
        target: Y, (…, d_y, n).
        factors: W₂ (…, d_y, d₁) and W₁ (…, d₁, d_x).
        inputs: X, (…, d_x, n), or None for the identity.
        mask: M, (…, d_y, n), ones where an entry of Y counts and zeros elsewhere, or None for all ones.
    """
    return _residual(target, factors, inputs, mask).square().sum(dim=(-2, -1))


def _residual(target: Tensor, factors: Factors, inputs: Tensor | None, mask: Tensor | None) -> Tensor:
    hidden = factors.w1 if inputs is None else factors.w1 @ inputs
    residual = target - factors.w2 @ hidden
    return residual if mask is None else mask * residual


def descend(
    target: Tensor,
    start: Factors,
    *,
    step_size: float | Tensor,
    steps: int,
    inputs: Tensor | None = None,
    mask: Tensor | None = None,
    every: int = 1,
) -> Descent:
    """Gradient descent (6) on the factors, from every start at once.

    With the residual R = M ∘ (Y - W₂ W₁ X) the gradients are -2 R (W₁ X)ᵀ and -2 W₂ᵀ R Xᵀ.  A column of W₂ and the
    row of W₁ that it meets stay zero together, so factors of smaller rank may be padded with zeros and descend in
    the same batch.

    Args:
        target: Y, (…, d_y, n).
        start: W₂ (…, d_y, d₁) and W₁ (…, d₁, d_x); left as they are.
        step_size: η, a number or a tensor that broadcasts against (…, 1, 1).
        steps: number of updates.
        inputs: X, or None for the identity.
        mask: M, or None for all ones.
        every: record the loss at steps 0, every, 2·every, … and at the last.

    Returns:
        The recorded losses and the last factors.

    Source: the survey, (5) and (6).
    """
    w2, w1 = start
    recorded, losses = [], []
    for step in range(steps + 1):
        residual = _residual(target, Factors(w2, w1), inputs, mask)
        if step % every == 0 or step == steps:
            recorded.append(step)
            losses.append(residual.square().sum(dim=(-2, -1)))
        if step < steps:
            hidden = w1 if inputs is None else w1 @ inputs
            seen = residual if inputs is None else residual @ inputs.mT
            gradient2, gradient1 = -2 * residual @ hidden.mT, -2 * w2.mT @ seen
            w2, w1 = w2 - step_size * gradient2, w1 - step_size * gradient1
    return Descent(torch.tensor(recorded), torch.stack(losses), Factors(w2, w1))


def multiplicative_updates(target: Tensor, start: Factors, *, steps: int) -> Descent:
    """Lee and Seung's updates for min ‖Y - W₂ W₁‖_F² over factors without a negative entry.

    W₂ ← W₂ ∘ (Y W₁ᵀ) / (W₂ W₁ W₁ᵀ), then W₁ ← W₁ ∘ (W₂ᵀ Y) / (W₂ᵀ W₂ W₁), entry by entry.  Each of the two
    halves does not increase the loss; what starts non-negative stays so.

    Args:
        target: Y, (…, d_y, n), without a negative entry.
        start: W₂ (…, d_y, d₁) and W₁ (…, d₁, n), positive; an entry that is zero stays zero.
        steps: number of updates of both factors.

    Returns:
        The loss after every step, and the last factors.

    Raises:
        ValueError: an entry of the target or of the start is negative.

    Source: Lee and Seung, Algorithms for non-negative matrix factorization (2000), theorem 1; the survey, section
    2.2.
    """
    if min(tensor.min().item() for tensor in (target, *start)) < 0:
        raise ValueError("non-negative factorization needs a target and factors without a negative entry.")
    smallest = torch.finfo(target.dtype).tiny
    w2, w1 = start
    losses = [factorization_loss(target, start)]
    for _ in range(steps):
        w2 = w2 * (target @ w1.mT) / (w2 @ (w1 @ w1.mT)).clamp_min(smallest)
        w1 = w1 * (w2.mT @ target) / ((w2.mT @ w2) @ w1).clamp_min(smallest)
        losses.append(factorization_loss(target, Factors(w2, w1)))
    return Descent(torch.arange(steps + 1), torch.stack(losses), Factors(w2, w1))


def random_factors(
    shape: tuple[int, int], rank: int, *, starts: int, std: float, seed: int = 0, padded: int | None = None
) -> Factors:
    """Starts with independent N(0, std²) entries: start m is drawn with seed + m.

    Args:
        shape: (d_y, d_x).
        rank: d₁.
        starts: how many.
        std: standard deviation of every entry.
        seed: of the first start.
        padded: pad with zeros to this inner dimension; None for none.

    Returns:
        W₂ (starts, d_y, d₁) and W₁ (starts, d₁, d_x), in double precision.
    """
    rows, columns = shape
    w2, w1 = [], []
    for member in range(starts):
        generator = runtime.generator(seed + member)
        w2.append(std * torch.randn(rows, rank, generator=generator, dtype=torch.float64))
        w1.append(std * torch.randn(rank, columns, generator=generator, dtype=torch.float64))
    extra = (padded or rank) - rank
    device = runtime.device()
    return Factors(
        torch.nn.functional.pad(torch.stack(w2), (0, extra)).to(device),
        torch.nn.functional.pad(torch.stack(w1), (0, 0, 0, extra)).to(device),
    )


def with_singular_values(values: Tensor, shape: tuple[int, int], *, seed: int = 0) -> Tensor:
    """A matrix (d_y, n) in double precision with the given singular values and random singular vectors.

    Args:
        values: (k,) with k at most min(shape).
        shape: (d_y, n).
        seed: of the singular vectors.
    """
    generator = runtime.generator(seed)
    u, v = (
        torch.linalg.qr(torch.randn(size, len(values), generator=generator, dtype=torch.float64)).Q
        for size in shape
    )
    return ((u * values.to(u)) @ v.T).to(runtime.device())
