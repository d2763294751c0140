"""Local minima of networks with one hidden layer of ReLU-like neurons, proved by their activation patterns.

    f(x) = c + Σ_i v_i φ(w_iᵀx + b_i),   φ(h) = φ'(h) h,   F = convex in the outputs f(x_1), …, f(x_n)

Near a point at which no pre-activation is zero the slopes a_si = φ'(w_iᵀx_s + b_i) stay as they are, so that every
network nearby computes f(x_s) = c + Σ_i a_si u_iᵀ(x_s, 1) with u_i = v_i (w_i, b_i).  In u and c the loss is convex.
So a point at which the derivatives ∂F/∂f(x_s) are orthogonal to all the columns a_si (x_s, 1), and to the constants,
is a minimum over the whole region of its pattern, whatever the output weights are: an exact argument, although the
Hessian is singular.  Where a pre-activation is zero, several patterns meet, and each has to pass the same test.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from dlopt import runtime
from dlopt.landscape.parameter_space import parameters_of
from dlopt.models import Activation, FullyConnected
from dlopt.training import Loss, squared_error

__all__ = [
    "PatternCertificate",
    "affine_minimum",
    "certify_pattern",
    "dead_minimum",
    "way_out",
    "zigzag_minimum",
]


@dataclass(frozen=True)
class PatternCertificate:
    """What the activation patterns around a point prove.

    Attributes:
        loss: F(θ).
        correlation: the largest inner product of ∂F/∂f with a column of the patterns, each of length 1.
        patterns: their number; 1 where no pre-activation is zero.
        radius: the other pre-activations keep their sign while each (w_i, b_i) moves by less than this.
    """

    loss: float
    correlation: float
    patterns: int
    radius: float

    @property
    def is_minimum(self) -> bool:
        """No function of the patterns around θ has a smaller loss: a local minimum."""
        return self.correlation < 1e-10


def certify_pattern(
    model: FullyConnected,
    inputs: Tensor,
    targets: Tensor,
    loss: Loss = squared_error,
    *,
    kink: float = 1e-12,
) -> PatternCertificate:
    """Whether ∂F/∂f is orthogonal to every function of every activation pattern around θ.

    Args:
        model: widths (d, m, d_y) with biases and a piecewise linear activation with its kink at 0.
        inputs: x_s, (n, d).
        targets: as ``loss`` takes them.
        loss: convex in the outputs.
        kink: pre-activations of at most this size count as zero.

    Raises:
        ValueError: more than 12 pre-activations are zero, which would make over 4096 patterns.
    """
    h = model.passes(inputs).preactivations[0].detach()
    outputs = model(inputs).detach().requires_grad_()
    value = loss(outputs, targets)
    (derivative,) = torch.autograd.grad(value, outputs)
    zero = (h.abs() <= kink).nonzero().tolist()
    if len(zero) > 12:
        raise ValueError(f"{len(zero)} pre-activations are zero: too many patterns.")
    slopes, extended = model.activation.derivative(h), _extended(inputs)
    sides = model.activation.derivative(h.new_tensor([-1.0, 1.0])).tolist()
    correlation = 0.0
    for choice in itertools.product(sides, repeat=len(zero)):
        for (sample, neuron), slope in zip(zero, choice, strict=True):
            slopes[sample, neuron] = slope
        features = (slopes.unsqueeze(2) * extended.unsqueeze(1)).flatten(1)
        columns = functional.normalize(_extended(features), dim=0)
        correlation = max(correlation, (columns.T @ derivative).abs().max().item())
    distances = h.abs() / extended.norm(dim=1, keepdim=True)
    radius = distances[h.abs() > kink].min().item()
    return PatternCertificate(value.item(), correlation, len(sides) ** len(zero), radius)


def affine_minimum(
    inputs: Tensor,
    targets: Tensor,
    width: int,
    activation: str = "relu",
    *,
    margin: float = 1.0,
    seed: int = 0,
) -> FullyConnected:
    """A network that computes the affine least-squares fit with all neurons active on all samples.

    The pre-activations are at least ``margin``, so each margin gives another minimum with the same loss.

    Args:
        inputs: (n, d).
        targets: (n, 1).
        width: m.
        activation: "relu" or "leaky_relu".
        margin: smallest pre-activation.
        seed: of w_2, …, w_m and of v.

    Source: Yun, Sra and Jadbabaie, "Small nonlinearities in activation functions create bad local minima in neural
    networks" (2019), for ReLU-like activations.
    """
    extended = _extended(inputs)
    fit = torch.linalg.lstsq(extended, targets).solution[:, 0]
    generator = runtime.generator(seed)
    w = torch.randn(width, inputs.shape[1], generator=generator, dtype=torch.float64).to(inputs)
    v = (0.5 + torch.rand(width, generator=generator, dtype=torch.float64)).to(inputs)
    w[0] = (fit[:-1] - v[1:] @ w[1:]) / v[0]
    b = margin - (inputs @ w.T).amin(dim=0)
    return _network(w, b, v, fit[-1] - v @ b, activation)


def dead_minimum(
    inputs: Tensor, targets: Tensor, width: int, *, margin: float = 1.0, seed: int = 0
) -> FullyConnected:
    """A ReLU network all of whose neurons are silent on all samples and whose output is the mean of the targets."""
    generator = runtime.generator(seed)
    w = torch.randn(width, inputs.shape[1], generator=generator, dtype=torch.float64).to(inputs)
    v = torch.randn(width, generator=generator, dtype=torch.float64).to(inputs)
    b = -margin - (inputs @ w.T).amax(dim=0)
    return _network(w, b, v, targets.mean(), "relu")


def zigzag_minimum() -> tuple[FullyConnected, Tensor, Tensor]:
    """One input, three active ReLU neurons, twelve samples: kinks at the wrong places, which cannot move.

    Three kinks divide the samples into four groups of three.  On each group the residuals are a multiple of
    (1, -2, 1), to which no straight line is correlated, so that the network is at the least squares of its pattern.

    Returns:
        The network, the inputs (12, 1) and the targets (12, 1).

    Source: in the spirit of Swirszcz, Czarnecki and Pascanu, "Local minima in training of neural networks" (2016).
    """
    inputs = torch.arange(12, dtype=torch.float64, device=runtime.device()).unsqueeze(1)
    w = inputs.new_ones(3, 1)
    b = inputs.new_tensor([-2.5, -5.5, -8.5])
    v = inputs.new_tensor([0.3, -0.6, 0.6])
    model = _network(w, b, v, inputs.new_tensor(0.0), "relu")
    sizes = inputs.new_tensor([0.05, 1.0, 0.05, 0.05]).repeat_interleave(3)
    residuals = sizes * inputs.new_tensor([1.0, -2.0, 1.0]).repeat(4)
    with torch.no_grad():
        return model, inputs, model(inputs) + residuals.unsqueeze(1)


def way_out(model: FullyConnected, inputs: Tensor, targets: Tensor, *, seed: int) -> Tensor:
    """Knots of a path on which the squared loss never rises, for neurons that are active on all samples or on none.

    1. One active neuron takes over the affine function of all active ones, by a move of the first layer and c.
    2. The other output weights go to zero, and c makes up for them.
    3. The neurons that are now without effect take random weights.
    4. v and c move to their least squares: the loss is convex in them.

    Returns:
        θ_0, …, θ_4, (5, P).  The function is the same at the first four.

    Raises:
        ValueError: a neuron is active on some samples only.
    """
    (w, v), (b, c) = ([p.detach().clone() for p in layer] for layer in (model.weights, model.biases))
    v = v[0]
    active = inputs @ w.T + b > 0
    on = active.all(dim=0)
    if bool((active.any(dim=0) != on).any()):
        raise ValueError("a neuron is active on some of the samples only.")
    carrier = on & (on.cumsum(dim=0) == 1)
    passive = on & ~carrier
    first = (w, b, v, c)
    if on.any():
        w, b, c = w.clone(), b.clone(), c + (v * on) @ b
        w[carrier] = (v * on) @ w / v[carrier]
        w[passive] = 0.0
        b[on] = 1.0
        b[carrier] -= (inputs @ w[carrier].T).amin()
        c = c - (v * on) @ b
    second = (w, b, v, c)
    v, c = v * carrier, c + v[passive].sum()
    third = (w, b, v, c)
    generator = runtime.generator(seed)
    draw = torch.randn(len(b), w.shape[1] + 1, generator=generator, dtype=torch.float64).to(w)
    w, b = torch.where(carrier.unsqueeze(1), w, draw[:, 1:]), torch.where(carrier, b, draw[:, 0])
    fourth = (w, b, v, c)
    features = _extended(model.activation(inputs @ w.T + b))
    missing = targets[:, 0] - features @ torch.cat([v, c])
    change = torch.linalg.lstsq(features.cpu(), missing.cpu(), driver="gelsd").solution.to(v)
    last = (w, b, v + change[:-1], c + change[-1:])
    stages = (first, second, third, fourth, last)
    return torch.stack([parameters_of(_network(*stage, model.activation)) for stage in stages])


def _extended(columns: Tensor) -> Tensor:
    """The columns and a column of ones."""
    return torch.cat([columns, torch.ones_like(columns[:, :1])], dim=1)


def _network(w: Tensor, b: Tensor, v: Tensor, c: Tensor, activation: str | Activation) -> FullyConnected:
    model = FullyConnected((w.shape[1], len(w), 1), activation, bias=True, dtype=w.dtype, device=w.device)
    with torch.no_grad():
        for parameter, value in zip((*model.weights, *model.biases), (w, v, b, c), strict=True):
            parameter.copy_(value.reshape(parameter.shape))
    return model
