"""Arc-cosine kernels: expectations of products of ReLU neurons over Gaussian inputs, in closed form.

For x from N(0, I) and two vectors u, v at the angle θ, the survey's population losses of section 6.4 and the
infinitely wide networks of section 6.3.2 need only E φ(uᵀx) φ(vᵀx) and E φ'(uᵀx) φ'(vᵀx) with φ(h) = max(h, 0).
Both are functions of the norms and of c = cos θ; they can be differentiated twice also where c = ±1.

Source: Cho and Saul, "Kernel methods for deep learning" (2009), n = 0 and 1.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

__all__ = [
    "kappa_0", "kappa_1", "population_gradient", "population_loss", "relu_products",
]  # fmt: skip

PARALLEL = 1e-14
"""Where 1 - c² is below this, u and v count as parallel."""


class _Kappa0(torch.autograd.Function):
    @staticmethod
    def forward(ctx, c: Tensor) -> Tensor:
        ctx.save_for_backward(c)
        return 1 - torch.arccos(c.clamp(-1, 1)) / math.pi

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (c,) = ctx.saved_tensors
        sine = (1 - c**2).clamp(min=0)
        # κ₀' is infinite at c = ±1, but there c is extremal in u and v: the product with its square is 0.
        return gradient * torch.where(sine > PARALLEL, 1 / (math.pi * sine.clamp(min=PARALLEL).sqrt()), 0)


class _Kappa1(torch.autograd.Function):
    @staticmethod
    def forward(ctx, c: Tensor) -> Tensor:
        ctx.save_for_backward(c)
        theta = torch.arccos(c.clamp(-1, 1))
        return (torch.sin(theta) + (math.pi - theta) * c) / math.pi

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        (c,) = ctx.saved_tensors
        return gradient * kappa_0(c)


def kappa_0(c: Tensor) -> Tensor:
    """κ₀(c) = (π - θ)/π with c = cos θ: twice the probability that uᵀx and vᵀx are both positive, in [0, 1]."""
    return _Kappa0.apply(c)


def kappa_1(c: Tensor) -> Tensor:
    """κ₁(c) = (sin θ + (π - θ) cos θ)/π with c = cos θ: from 0 at c = -1 to 1 at c = 1, and κ₁' = κ₀."""
    return _Kappa1.apply(c)


def _norms_and_cosines(u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """|u_i||v_j| and cos θ_ij, both (…, k, m)."""
    lengths = u.norm(dim=-1).unsqueeze(-1) * v.norm(dim=-1).unsqueeze(-2)
    return lengths, u @ v.mT / lengths.clamp(min=torch.finfo(u.dtype).tiny)


def relu_products(u: Tensor, v: Tensor) -> Tensor:
    """E φ(u_iᵀx) φ(v_jᵀx) = ½ |u_i||v_j| κ₁(cos θ_ij) for x from N(0, I) and φ = ReLU.

    Args:
        u: (…, k, d).
        v: (…, m, d).

    Returns:
        (…, k, m).
    """
    lengths, cosines = _norms_and_cosines(u, v)
    return lengths * kappa_1(cosines) / 2


def _outputs(given: Tensor | None, neurons: Tensor) -> Tensor:
    """The output weights, (…, k): ones for neurons (…, k, d) where none are given."""
    return neurons.new_ones(neurons.shape[:-1]) if given is None else given


def population_loss(
    student: Tensor,
    teacher: Tensor,
    student_outputs: Tensor | None = None,
    teacher_outputs: Tensor | None = None,
) -> Tensor:
    """F = ½ E (Σ_i a_i φ(w_iᵀx) - Σ_j b_j φ(v_jᵀx))² for x from N(0, I) and φ = ReLU.

    Args:
        student: W = (w_i), (…, k, d); a leading axis holds independent students.
        teacher: V = (v_j), (m, d).
        student_outputs: a, (…, k); None for ones.
        teacher_outputs: b, (m,); None for ones.

    Returns:
        F, (…); differentiable twice in W and a.
    """
    a, b = _outputs(student_outputs, student), _outputs(teacher_outputs, teacher)

    def form(left: Tensor, products: Tensor, right: Tensor) -> Tensor:
        return (left.unsqueeze(-2) @ products @ right.unsqueeze(-1)).squeeze(-1).squeeze(-1)

    own = form(a, relu_products(student, student), a)
    cross = form(a, relu_products(student, teacher), b)
    return own / 2 - cross + form(b, relu_products(teacher, teacher), b) / 2


def population_gradient(
    student: Tensor,
    teacher: Tensor,
    student_outputs: Tensor | None = None,
    teacher_outputs: Tensor | None = None,
) -> Tensor:
    """∂F/∂w_i of :func:`population_loss`, (…, k, d), written out.

    ∂F/∂w_i = a_i (Σ_j a_j g(w_i, w_j) - Σ_j b_j g(w_i, v_j)) with g(w, v) = E φ'(wᵀx) φ(vᵀx) x
    = 1/(2π) (|v| sin θ · w/|w| + (π - θ) v).

    Source: Brutzkus and Globerson, "Globally optimal gradient descent for a ConvNet with Gaussian inputs" (2017);
    Tian, "An analytical formula of population gradient for two-layered ReLU network" (2017).
    """
    a, b = _outputs(student_outputs, student), _outputs(teacher_outputs, teacher)

    def pulled(v: Tensor, weights: Tensor) -> Tensor:
        """Σ_j weights_j g(w_i, v_j)."""
        lengths, cosines = _norms_and_cosines(student, v)
        theta = torch.arccos(cosines.clamp(-1, 1))
        radial = (lengths * torch.sin(theta) * weights.unsqueeze(-2)).sum(dim=-1, keepdim=True)
        squared = (student**2).sum(dim=-1, keepdim=True).clamp(min=torch.finfo(student.dtype).tiny)
        return (radial / squared * student + ((math.pi - theta) * weights.unsqueeze(-2)) @ v) / (2 * math.pi)

    return a.unsqueeze(-1) * (pulled(student, a) - pulled(teacher, b))
