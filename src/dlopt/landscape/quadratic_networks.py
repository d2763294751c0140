"""Networks of quadratic neurons: f(x) = Σ_j a_j (w_jᵀx)² = xᵀMx with M = Σ_j a_j w_j w_jᵀ.

The loss is convex in M.  What is not convex is the map from the weights to M, and how many neurons there are decides
whether that matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["QuadraticRegression", "path_to_the_optimum", "semidefinite_optimum", "symmetric_optimum"]


@dataclass(frozen=True)
class QuadraticRegression:
    """F = 1/(2n) Σ_i (f(x_i) − y_i)².

    Attributes:
        inputs: x_i as rows, (n, d).
        targets: y, (n,).
    """

    inputs: Tensor
    targets: Tensor

    def matrix(self, outputs: Tensor, weights: Tensor) -> Tensor:
        """M = Σ_j a_j w_j w_jᵀ, (…, d, d), for a (…, m) and w_j as rows, (…, m, d)."""
        return weights.mT @ (outputs[..., None] * weights)

    def residual(self, matrix: Tensor) -> Tensor:
        """x_iᵀ M x_i − y_i, (…, n)."""
        return ((self.inputs @ matrix) * self.inputs).sum(dim=-1) - self.targets

    def value(self, matrix: Tensor) -> Tensor:
        """F as a function of M, (…,)."""
        return self.residual(matrix).square().mean(dim=-1) / 2

    def slope(self, matrix: Tensor) -> Tensor:
        """G = ∂F/∂M = (1/n) Σ_i (x_iᵀMx_i − y_i) x_i x_iᵀ, (…, d, d)."""
        return self.inputs.mT @ (self.residual(matrix)[..., None] * self.inputs) / len(self.inputs)

    def gradient(self, outputs: Tensor, weights: Tensor) -> Tensor:
        """∂F/∂w_j = 2 a_j G w_j, (…, m, d)."""
        return 2 * outputs[..., None] * (weights @ self.slope(self.matrix(outputs, weights)))

    def gradient_descent(
        self, outputs: Tensor, start: Tensor, *, step_size: float, steps: int, momentum: float = 0.0
    ) -> Tensor:
        """v_j ← βv_j − η ∂F/∂w_j, w_j ← w_j + v_j with fixed a; the last weights, (…, m, d).

        A neuron with a_j = 0 stays where it is and counts for nothing: one batch holds networks of many widths.
        """
        weights, velocity = start, torch.zeros_like(start)
        for _ in range(steps):
            velocity = momentum * velocity - step_size * self.gradient(outputs, weights)
            weights = weights + velocity
        return weights


def semidefinite_optimum(problem: QuadraticRegression, *, steps: int) -> Tensor:
    """argmin of F over M ⪰ 0, (d, d), by accelerated projected gradients: M ← [M − G/L]₊, eigenvalues below 0 cut.

    Source: Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems" (2009).
    """
    pairs = (problem.inputs[:, :, None] * problem.inputs[:, None, :]).flatten(1)
    lipschitz = torch.linalg.matrix_norm(pairs, 2) ** 2 / len(pairs)
    matrix = ahead = pairs.new_zeros(2 * (problem.inputs.shape[1],))
    for step in range(steps):
        eigenvalues, directions = torch.linalg.eigh(ahead - problem.slope(ahead) / lipschitz)
        before, matrix = matrix, (directions * eigenvalues.clamp(min=0)) @ directions.mT
        ahead = matrix + step / (step + 3) * (matrix - before)
    return matrix


def symmetric_optimum(problem: QuadraticRegression) -> Tensor:
    """argmin of F over all symmetric M, (d, d): ordinary least squares."""
    pairs = (problem.inputs[:, :, None] * problem.inputs[:, None, :]).flatten(1)
    solution = torch.linalg.pinv(pairs) @ problem.targets
    return solution.unflatten(0, 2 * (problem.inputs.shape[1],))


def path_to_the_optimum(outputs: Tensor, weights: Tensor, optimum: Tensor) -> tuple[Tensor, Tensor]:
    """Knots of a path from any network to the optimum on which the loss never rises, if m ≥ d(d + 1)/2.

    While the matrices w_j w_jᵀ do not span all symmetric matrices, one neuron is superfluous: some c ≠ 0 has
    Σ_j c_j w_j w_jᵀ = 0, and a moves along c, at constant f, until an entry is 0.  That neuron moves elsewhere at no
    cost.  Once they span, a moves along a straight line to weights of the optimum, on which the convex loss falls.

    Args:
        outputs: a, (m,).
        weights: w_j as rows, (m, d).
        optimum: the symmetric M to end at, (d, d).

    Returns:
        a at the knots, (K, m), and W at the knots, (K, m, d).

    Raises:
        ValueError: m < d(d + 1)/2.

    Source: the argument of Venturi, Bandeira and Bruna, "Spurious valleys in two-layer neural network optimization
    landscapes" (2018), written out for this activation.
    """
    m, d = weights.shape
    if m < d * (d + 1) // 2:
        raise ValueError(f"the construction needs d(d + 1)/2 = {d * (d + 1) // 2} neurons, not {m}.")
    upper = torch.triu_indices(d, d, device=weights.device)
    eye = torch.eye(d).to(weights)
    candidates = (eye[upper[0]] + eye[upper[1]]) / 2**0.5

    def features(vectors: Tensor) -> Tensor:
        return (vectors[:, :, None] * vectors[:, None, :])[:, upper[0], upper[1]]

    knots = [(outputs, weights)]
    while torch.linalg.matrix_rank(features(weights), rtol=1e-6) < d * (d + 1) // 2:
        null = torch.linalg.svd(features(weights).mT).Vh[-1]
        free = null.abs().argmax()
        outputs = outputs - outputs[free] / null[free] * null
        knots.append((outputs, weights))
        _, sizes, directions = torch.linalg.svd(features(weights), full_matrices=False)
        basis = directions[sizes > 1e-6 * sizes[0]]
        new = features(candidates)
        outside = (new - new @ basis.mT @ basis).norm(dim=-1)
        weights = weights.clone()
        weights[free] = candidates[outside.argmax()]
        knots.append((outputs, weights))
    final = torch.linalg.pinv(features(weights).mT) @ optimum[upper[0], upper[1]]
    knots.append((final, weights))
    return torch.stack([a for a, _ in knots]), torch.stack([w for _, w in knots])
