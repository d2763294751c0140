"""Recovering a low-rank matrix from linear measurements: sensing, completion and phase retrieval as least squares.

    min over X, Y (n × r) of Σ_k (⟨A_k, X Yᵀ⟩ − b_k)²                                            matrix sensing
    the same with A_k = e_i e_jᵀ for the observed entries (i, j)                              matrix completion
    min over x (n) of Σ_k ((a_kᵀx)² − b_k)², which is A_k = a_k a_kᵀ and X = Y = x          real phase retrieval

With every entry measured once, each is the matrix factorization (24) of the survey.  A batch holds many problems,
each with its own unknown matrix, its own measurements, and its own random start.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dlopt import runtime

__all__ = ["MatrixSensing", "PhaseRetrieval", "completion_problems", "phase_problems", "sensing_problems"]


@dataclass(frozen=True)
class MatrixSensing:
    """r_k = (⟨A_k, X Yᵀ⟩ − b_k)/√m; θ is X and Y, flattened, (problems, 2nr).

    Attributes:
        matrices: A, (problems, m, n, n).
        truth: the matrix to recover, of rank r, (problems, n, n); b_k = ⟨A_k, truth⟩.
        rank: r.
    """

    matrices: Tensor
    truth: Tensor
    rank: int

    def factors(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """X and Y, (problems, n, r) each."""
        x, y = theta.chunk(2, dim=-1)
        n = self.truth.shape[-1]
        return x.unflatten(-1, (n, self.rank)), y.unflatten(-1, (n, self.rank))

    def residual(self, theta: Tensor) -> Tensor:
        """r(θ), (problems, m)."""
        x, y = self.factors(theta)
        difference = (x @ y.mT - self.truth).flatten(-2)
        m = self.matrices.shape[1]
        return (self.matrices.flatten(-2) @ difference[..., None])[..., 0] / m**0.5

    def jacobian(self, theta: Tensor) -> Tensor:
        """∂r_k/∂X = A_k Y/√m and ∂r_k/∂Y = A_kᵀ X/√m."""
        x, y = self.factors(theta)
        m = self.matrices.shape[1]
        pieces = self.matrices @ y[:, None], self.matrices.mT @ x[:, None]
        return torch.cat([piece.flatten(-2) for piece in pieces], dim=-1) / m**0.5

    def relative_error(self, theta: Tensor) -> Tensor:
        """‖X Yᵀ − truth‖_F/‖truth‖_F, (problems,): over all entries, measured or not."""
        x, y = self.factors(theta)
        return (x @ y.mT - self.truth).norm(dim=(-2, -1)) / self.truth.norm(dim=(-2, -1))

    def start(self, seed: int) -> Tensor:
        """X and Y with independent N(0, 0.01) entries: small starts get stuck less often than large ones."""
        size = 2 * self.truth.shape[-1] * self.rank
        draw = torch.randn(len(self.truth), size, generator=runtime.generator(seed), dtype=torch.float64)
        return 0.1 * draw.to(self.truth)


@dataclass(frozen=True)
class PhaseRetrieval:
    """r_k = ((a_kᵀx)² − b_k)/√m; θ is x, (problems, n).

    Attributes:
        vectors: a, (problems, m, n).
        truth: the vector to recover up to its sign, (problems, n); b_k = (a_kᵀ truth)².
    """

    vectors: Tensor
    truth: Tensor

    def _images(self, x: Tensor) -> Tensor:
        return (self.vectors @ x[..., None])[..., 0]

    def residual(self, theta: Tensor) -> Tensor:
        """r(x), (problems, m)."""
        m = self.vectors.shape[1]
        return (self._images(theta) ** 2 - self._images(self.truth) ** 2) / m**0.5

    def jacobian(self, theta: Tensor) -> Tensor:
        """∂r_k/∂x = 2 (a_kᵀx) a_kᵀ/√m."""
        m = self.vectors.shape[1]
        return 2 * self._images(theta)[..., None] * self.vectors / m**0.5

    def hessian(self, theta: Tensor) -> Tensor:
        """∇²F = 2JᵀJ + (4/m) Σ_k ((a_kᵀx)² − b_k) a_k a_kᵀ, (problems, n, n)."""
        jacobian = self.jacobian(theta)
        excess = self._images(theta) ** 2 - self._images(self.truth) ** 2
        bent = self.vectors.mT @ (excess[..., None] * self.vectors) / self.vectors.shape[1]
        return 2 * jacobian.mT @ jacobian + 4 * bent

    def relative_error(self, theta: Tensor) -> Tensor:
        """min ‖x ∓ truth‖/‖truth‖, (problems,)."""
        same, opposite = (theta - self.truth).norm(dim=-1), (theta + self.truth).norm(dim=-1)
        return torch.minimum(same, opposite) / self.truth.norm(dim=-1)

    def start(self, seed: int) -> Tensor:
        """x with independent N(0, 1) entries."""
        draw = torch.randn(self.truth.shape, generator=runtime.generator(seed), dtype=torch.float64)
        return draw.to(self.truth)


def _low_rank(problems: int, n: int, rank: int, generator: torch.Generator) -> Tensor:
    x, y = (torch.randn(problems, n, rank, generator=generator, dtype=torch.float64) for _ in range(2))
    return x @ y.mT


def sensing_problems(problems: int, n: int, rank: int, m: int, *, seed: int) -> MatrixSensing:
    """Random rank-r matrices, measured by m matrices A_k with independent N(0, 1) entries each."""
    generator = runtime.generator(seed)
    truth = _low_rank(problems, n, rank, generator)
    matrices = torch.randn(problems, m, n, n, generator=generator, dtype=torch.float64)
    return MatrixSensing(matrices.to(runtime.device()), truth.to(runtime.device()), rank)


def completion_problems(problems: int, n: int, rank: int, m: int, *, seed: int) -> MatrixSensing:
    """Random rank-r matrices of which m different entries, drawn uniformly, are observed."""
    generator = runtime.generator(seed)
    truth = _low_rank(problems, n, rank, generator)
    entries = torch.rand(problems, n * n, generator=generator).argsort(dim=-1)[:, :m]
    matrices = n * torch.nn.functional.one_hot(entries, n * n).double().unflatten(-1, (n, n))
    return MatrixSensing(matrices.to(runtime.device()), truth.to(runtime.device()), rank)


def phase_problems(problems: int, n: int, m: int, *, seed: int) -> PhaseRetrieval:
    """Random vectors with N(0, 1) entries, measured by m vectors a_k with N(0, 1) entries each."""
    generator = runtime.generator(seed)
    truth = torch.randn(problems, n, generator=generator, dtype=torch.float64)
    vectors = torch.randn(problems, m, n, generator=generator, dtype=torch.float64)
    return PhaseRetrieval(vectors.to(runtime.device()), truth.to(runtime.device()))
