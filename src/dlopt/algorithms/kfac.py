"""K-FAC: the Fisher matrix layer by layer, each block a Kronecker product of two small matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dlopt import runtime
from dlopt.algorithms.likelihoods import Likelihood
from dlopt.curvature import GaussNewton

__all__ = [
    "KFAC",
    "Factors",
    "Layer",
    "damped_inverses",
    "exact_factors",
    "recorded_layers",
    "sampled_factors",
]


class Factors(NamedTuple):
    """The two factors of one layer's block, W z with z one column longer where there is a bias."""

    inputs: Tensor
    """A = (1/n) Σ_i a_i a_iᵀ, a_i the inputs of the layer: (d_in, d_in)."""
    errors: Tensor
    """G = (1/n) Σ_i E g_i g_iᵀ, g_i the backpropagated errors at targets of the model: (d_out, d_out)."""

    def block(self) -> Tensor:
        """G ⊗ A for the entries of W read row by row; read column by column it is A ⊗ G."""
        return torch.kron(self.errors.contiguous(), self.inputs.contiguous())


class Layer(NamedTuple):
    """A linear layer in one forward pass."""

    module: nn.Linear
    inputs: Tensor
    """a, (n, d_in), with a last column of ones where there is a bias."""
    outputs: Tensor
    """h = W a, (n, d_out), with its graph."""


@contextmanager
def recorded_layers(model: nn.Module) -> Iterator[list[Layer]]:
    """Every ``nn.Linear`` of the model that is called inside the ``with`` block, in the order of the calls."""
    layers: list[Layer] = []

    def record(module: nn.Linear, arguments: tuple[Tensor], output: Tensor) -> None:
        a = arguments[0].detach()
        if module.bias is not None:
            a = torch.cat([a, torch.ones_like(a[:, :1])], dim=1)
        layers.append(Layer(module, a, output))

    hooks = [
        module.register_forward_hook(record) for module in model.modules() if isinstance(module, nn.Linear)
    ]
    try:
        yield layers
    finally:
        for hook in hooks:
            hook.remove()


def _factors(layers: Sequence[Layer], outputs: Tensor, output_errors: Sequence[Tensor]) -> list[Factors]:
    """A, and the sum of (1/n) gᵀ g over the given errors at the outputs, for every layer."""
    n = len(outputs)
    sums = [torch.zeros(h.shape[1], h.shape[1]).to(h.detach()) for _, _, h in layers]
    for errors in output_errors:
        backward = torch.autograd.grad(outputs, [h for _, _, h in layers], errors, retain_graph=True)
        for total, g in zip(sums, backward, strict=True):
            total += g.mT @ g / n
    return [Factors(a.mT @ a / n, total) for (_, a, _), total in zip(layers, sums, strict=True)]


def sampled_factors(
    layers: Sequence[Layer], outputs: Tensor, likelihood: Likelihood, generator: torch.Generator | None = None
) -> list[Factors]:
    """The factors with one target drawn for each sample: one backward pass, unbiased."""
    return _factors(layers, outputs, [likelihood.error(outputs.detach(), generator)])


def exact_factors(layers: Sequence[Layer], outputs: Tensor, likelihood: Likelihood) -> list[Factors]:
    """The factors with the expectation over the targets taken exactly: one backward pass for every output."""
    return _factors(layers, outputs, likelihood.square_root(outputs.detach()).unbind(dim=-1))


def damped_inverses(factors: Factors, damping: float) -> Factors:
    """(A + π √λ I)⁻¹ and (G + √λ/π I)⁻¹, whose product stands for (A ⊗ G + λ I)⁻¹.

    π = √((tr A / d_in) / (tr G / d_out)) shares the damping out in proportion to the factors' sizes.

    Source: Martens and Grosse (2015), section 6.3.
    """
    a, g = factors
    pi = ((a.trace() / len(a)) / (g.trace() / len(g)).clamp(min=torch.finfo(g.dtype).tiny)).sqrt()
    root = damping**0.5

    def inverse(matrix: Tensor, shift: Tensor) -> Tensor:
        eye = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        return torch.cholesky_inverse(torch.linalg.cholesky(matrix + shift * eye))

    return Factors(inverse(a, pi * root), inverse(g, root / pi))


class KFAC(Optimizer):
    """W ← W − α G_λ⁻¹ ∇_W F A_λ⁻¹ + μ (last step) for every linear layer, with running means of the factors A and G.

    α and μ minimize the quadratic model M(d) = ∇Fᵀd + ½ dᵀ(F + λI)d over the two directions, with exact products of
    the Fisher matrix F; so the approximation chooses directions only, and there is no learning rate.  Every fifth
    step λ follows the rule of Levenberg and Marquardt, with ρ = (F(θ + d) − F(θ)) / M(d).

    Args:
        model: its ``nn.Linear`` layers are trained, one parameter group each; other parameters stay.
        likelihood: of the loss.
        damping: the first λ.
        decay: of the running means, at most; step k uses min(1 − 1/k, decay).
        seed: of the drawn targets.

    ``state[first parameter]`` keeps λ as "damping" and the number of "steps".

    Raises:
        ValueError: λ is not positive, or the model has no linear layer.

    Source: Martens and Grosse, Optimizing neural networks with Kronecker-factored approximate curvature (2015),
    sections 5 to 7; the same λ damps the factors and the model.
    """

    def __init__(
        self,
        model: nn.Module,
        likelihood: Likelihood,
        *,
        damping: float = 1.0,
        decay: float = 0.95,
        seed: int = 0,
    ) -> None:
        if damping <= 0:
            raise ValueError(f"the damping λ must be positive, not {damping}.")
        modules = [module for module in model.modules() if isinstance(module, nn.Linear)]
        if not modules:
            raise ValueError("K-FAC needs a model with linear layers.")
        super().__init__([{"params": list(module.parameters())} for module in modules], {"decay": decay})
        self.model, self.likelihood = model, likelihood
        self.generator = runtime.generator(seed)
        self.state[modules[0].weight].update(damping=damping, steps=0)

    def step(self, closure: Callable[[], tuple[Tensor, Tensor]]) -> Tensor:
        """One step.

        Args:
            closure: computes the outputs z of the model and from them F, and returns (F, z) with their graphs.  It
                is called again, without a gradient, where λ is adapted.

        Returns:
            F before the step.
        """
        weights = [group["params"][0] for group in self.param_groups]
        shared = self.state[weights[0]]
        shared["steps"] += 1
        with torch.enable_grad(), recorded_layers(self.model) as layers:
            loss, outputs = closure()
        found = {layer.module.weight: layer for layer in layers}
        used = [found[weight] for weight in weights]
        for weight, drawn in zip(
            weights, sampled_factors(used, outputs, self.likelihood, self.generator), strict=True
        ):
            self._average(weight, drawn, shared["steps"])
        parameters = [p for group in self.param_groups for p in group["params"]]
        gradient = torch.autograd.grad(loss, parameters, retain_graph=True)
        direction = self._preconditioned(gradient, shared["damping"])
        step, model = self._rescaled(loss, outputs, parameters, gradient, direction, shared["damping"])
        with torch.no_grad():
            for parameter, moved in zip(parameters, step, strict=True):
                parameter += moved
                self.state[parameter]["last"] = moved
            if shared["steps"] % 5 == 0:
                ratio = (closure()[0] - loss) / model
                shared["damping"] *= (19 / 20) ** (5 if ratio > 0.75 else -5 if ratio < 0.25 else 0)
        return loss.detach()

    def _average(self, weight: Tensor, drawn: Factors, steps: int) -> None:
        """The running means, from which the first step keeps nothing."""
        state, keep = self.state[weight], min(1 - 1 / steps, self.param_groups[0]["decay"])
        for name, matrix in drawn._asdict().items():
            state[name] = keep * state[name] + (1 - keep) * matrix if steps > 1 else matrix

    def _preconditioned(self, gradient: Sequence[Tensor], damping: float) -> list[Tensor]:
        """−G_λ⁻¹ V A_λ⁻¹ for every layer, V the gradient of its weights with that of its bias as the last column."""
        direction, pieces = [], iter(gradient)
        for group in self.param_groups:
            weight, *bias = group["params"]
            state = self.state[weight]
            v = torch.cat([next(pieces), *[next(pieces).unsqueeze(1) for _ in bias]], dim=1)
            a_inverse, g_inverse = damped_inverses(Factors(state["inputs"], state["errors"]), damping)
            u = -g_inverse @ v @ a_inverse
            direction += [u[:, : weight.shape[1]], *[u[:, -1] for _ in bias]]
        return direction

    def _rescaled(
        self,
        loss: Tensor,
        outputs: Tensor,
        parameters: list[Tensor],
        gradient: Sequence[Tensor],
        direction: list[Tensor],
        damping: float,
    ) -> tuple[list[Tensor], Tensor]:
        """α (direction) + μ (last step) with the smallest M, and M there."""
        lasts = [self.state[p].get("last", torch.zeros_like(p)) for p in parameters]
        basis = torch.stack([torch.cat([piece.flatten() for piece in v]) for v in (direction, lasts)])
        flat = torch.cat([piece.flatten() for piece in gradient])
        fisher = GaussNewton(loss, outputs, parameters)
        images = torch.stack([fisher(v) for v in basis]) + damping * basis
        coefficients = -torch.linalg.pinv(basis @ images.mT, hermitian=True) @ (basis @ flat)
        step = coefficients @ basis
        sizes = [p.numel() for p in parameters]
        pieces = [piece.view_as(p) for piece, p in zip(step.split(sizes), parameters, strict=True)]
        return pieces, 0.5 * (flat @ step)
