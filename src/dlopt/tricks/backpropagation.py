"""The gradient of a deep network and the orders in which to multiply it out: equations (6)-(11).

Everything is numbered as in the survey: ``weights``, ``h``, ``e`` and gradients are dictionaries whose key is the
layer l = 1, …, L, and ``z`` starts at l = 0.  Columns are samples, as in the survey: an input is (d_0, b) with
b = 1 for a single sample.  (PyTorch, and the rest of this package, has samples as rows.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from dlopt import runtime
from dlopt.models import Activation

__all__ = [
    "CROSS_ENTROPY", "SQUARED", "Forward", "Layers", "OutputLoss", "ProductCounter", "accumulated_gradients",
    "backpropagation", "backward", "central_differences", "forward", "gradient_step", "jacobian",
    "naive_gradients", "numbers_kept", "objective", "outer_products", "printed_backward", "random_network",
    "relative_difference", "sgd_epoch", "sgd_step_in_backward_pass", "softmax_minus_onehot",
    "twice_the_residual", "update_order_drift",
]  # fmt: skip

Layers = dict[int, Tensor]
"""One tensor a layer, by the layer's number in the survey."""


@dataclass(frozen=True)
class OutputLoss:
    """A loss ℓ(y, h^L) and the error that starts the backward pass, e = ∂ℓ/∂h^L (survey, page 7, footnote 2)."""

    name: str
    value: Callable[[Tensor, Tensor], Tensor]
    """Maps outputs h^L (d_L, b) and targets to the losses of the samples, (b,)."""
    error: Callable[[Tensor, Tensor], Tensor]
    """Maps outputs h^L (d_L, b) and targets to e, (d_L, b), one column a sample."""


def twice_the_residual(output: Tensor, target: Tensor) -> Tensor:
    """e = 2(h^L - y), the derivative of ‖y - h^L‖²; both arguments are (d_L, b)."""
    return 2 * (output - target)


def softmax_minus_onehot(output: Tensor, label: Tensor) -> Tensor:
    """e = softmax(h^L) - onehot(y), the derivative of log Σ_c exp h_c - h_y.

    Args:
        output: h^L, (d_L, b).
        label: classes y in 0, …, d_L - 1, (b,).
    """
    return output.softmax(dim=0) - functional.one_hot(label, len(output)).T


SQUARED = OutputLoss(
    "squared",
    value=lambda output, target: (target - output).square().sum(dim=0),
    error=twice_the_residual,
)
"""ℓ = ‖y - h^L‖²; targets y are (d_L, b)."""

CROSS_ENTROPY = OutputLoss(
    "cross-entropy",
    value=lambda output, label: functional.cross_entropy(output.T, label, reduction="none"),
    error=softmax_minus_onehot,
)
"""ℓ = log Σ_c exp h_c - h_y; targets are labels (b,)."""


class Forward(NamedTuple):
    """The table (8) of one forward pass."""

    z: Layers
    """Post-activations z^0 = x, z^1, …, z^{L-1}: ``z[l]`` is (d_l, b)."""
    h: Layers
    """Pre-activations h^1, …, h^L: ``h[l]`` is (d_l, b)."""


def random_network(widths: Sequence[int], *, gain: float = 1.0, seed: int = 0) -> Layers:
    """Weights W^l of shape (d_l, d_{l-1}) with independent entries N(0, gain²/d_{l-1}), in double precision.

    Args:
        widths: d_0, d_1, …, d_L.
        gain: 1 keeps the size of signals about constant where the activation has slope 1.
        seed: of the draw.
    """
    generator = runtime.generator(seed)
    shapes = enumerate(zip(widths[1:], widths, strict=False), start=1)
    return {
        layer: gain / shape[1] ** 0.5
        * torch.randn(shape, generator=generator, dtype=torch.float64).to(runtime.device())
        for layer, shape in shapes
    }  # fmt: skip


def forward(weights: Layers, activation: Activation, x: Tensor) -> Forward:
    """z^0 = x; h^l = W^l z^{l-1} for l = 1, …, L; z^l = φ(h^l) for l < L.

    Args:
        weights: W^1, …, W^L.
        activation: φ.
        x: inputs (d_0, b).

    Returns:
        All z and h.  The network's output is h^L: no activation follows the last layer.

    Source: survey, (8), page 6.
    """
    z, h = {0: x}, {}
    for layer in range(1, len(weights) + 1):
        h[layer] = weights[layer] @ z[layer - 1]
        if layer < len(weights):
            z[layer] = activation(h[layer])
    return Forward(z, h)


def objective(weights: Layers, activation: Activation, loss: OutputLoss, x: Tensor, y: Tensor) -> Tensor:
    """The mean loss over the columns of x, a scalar: F_0 of (7) for one column, F of (3) for all.

    Args:
        x: inputs (d_0, b).
        y: targets as ``loss`` takes them.
    """
    return loss.value(forward(weights, activation, x).h[len(weights)], y).mean()


def backward(weights: Layers, activation: Activation, h: Layers, error: Tensor) -> Layers:
    """e^L = e, and e^l = D^l (W^{l+1})ᵀ e^{l+1} for l = L-1, …, 1.

    That is (W^{l+1} D^l)ᵀ e^{l+1}; D^l = diag(φ'(h^l)) is applied as a scaling of rows, which also serves batches.

    Args:
        h: pre-activations of the forward pass, (d_l, b).
        error: e = ∂ℓ/∂h^L, (d_L, b).

    Returns:
        e^1, …, e^L, where e^l is the derivative of the loss in h^l, (d_l, b).

    Source: survey, (10), page 7, with its factors in the right order (they are printed the other way round).
    """
    depth = len(weights)
    e = {depth: error}
    for layer in range(depth - 1, 0, -1):
        slope = activation.derivative(h[layer])
        e[layer] = slope * (weights[layer + 1].T @ e[layer + 1])
    return e


def outer_products(e: Layers, z: Layers) -> Layers:
    """∂F_0/∂W^l = e^l (z^{l-1})ᵀ for every layer.

    For a batch this is the sum over its columns.

    Source: survey, (11), page 7.
    """
    return {layer: e[layer] @ z[layer - 1].T for layer in sorted(e)}


def backpropagation(
    weights: Layers, activation: Activation, loss: OutputLoss, x: Tensor, y: Tensor
) -> Layers:
    """The gradient of the mean loss over the columns of x, by (8), (10) and (11).

    Args:
        x: inputs (d_0, b).
        y: targets as ``loss`` takes them.

    Returns:
        ∂F/∂W^l, (d_l, d_{l-1}), for every layer.

    Source: survey, section 3.1, page 7.
    """
    z, h = forward(weights, activation, x)
    error = loss.error(h[len(weights)], y) / x.shape[1]
    e = backward(weights, activation, h, error)
    return outer_products(e, z)


def naive_gradients(
    weights: Layers,
    activation: Activation,
    passes: Forward,
    error: Tensor,
    *,
    first: Literal["matrices", "vector"] = "matrices",
) -> Layers:
    """∂F_0/∂W^l = (W^L D^{L-1} … W^{l+1} D^l)ᵀ e (z^{l-1})ᵀ, anew for every layer.

    Args:
        passes: the forward pass of one sample.
        error: e, (d_L, 1).
        first: "matrices" forms the long product and then meets e; "vector" carries e through its factors.

    Source: survey, (9), page 7; the product is empty at l = L.
    """
    z, h = passes
    gradients = {}
    for layer in weights:
        factors = _factors(weights, activation, h, down_to=layer)
        if first == "vector":
            e = reduce(lambda vector, factor: factor.T @ vector, factors, error)
        else:
            e = reduce(torch.matmul, factors).T @ error if factors else error
        gradients[layer] = e @ z[layer - 1].T
    return gradients


def accumulated_gradients(weights: Layers, activation: Activation, passes: Forward, error: Tensor) -> Layers:
    """(9) with its products kept from one layer to the next, but as matrices: P^l = P^{l+1} W^{l+1} D^l, P^L = I.

    Arguments and result are those of :func:`naive_gradients`.
    """
    z, h = passes
    depth = len(weights)
    gradients = {depth: error @ z[depth - 1].T}
    product = None
    for layer, factor in zip(
        range(depth - 1, 0, -1), _factors(weights, activation, h, down_to=1), strict=True
    ):
        product = factor if product is None else product @ factor
        gradients[layer] = (product.T @ error) @ z[layer - 1].T
    return gradients


def _factors(weights: Layers, activation: Activation, h: Layers, *, down_to: int) -> list[Tensor]:
    """W^L D^{L-1}, …, W^{l+1} D^l for one sample; a diagonal factor scales columns and is no matrix product."""
    return [
        weights[layer] * activation.derivative(h[layer - 1]).T for layer in range(len(weights), down_to, -1)
    ]


def printed_backward(
    weights: Layers,
    activation: Activation,
    h: Layers,
    error: Tensor,
    *,
    reading: Literal["equation", "prose"] = "equation",
) -> Layers:
    """The backward recursion as the survey prints it, which is wrong in two ways.

    - "equation": e^l = (D^l W^{l+1})ᵀ e^{l+1}, the order of factors in (10).
    - "prose": e^l = (D^{l-1} W^l)ᵀ e^{l+1}, the matrix named below (11).  D^0 does not exist, so this ends at
      l = 2.

    Args:
        h: pre-activations of one sample, (d_l, 1).
        error: e, (d_L, 1).

    Raises:
        RuntimeError: the shapes do not fit, which is so for nearly all networks of unequal widths.

    Source: survey, page 7.
    """
    shift = 0 if reading == "equation" else -1
    e = {len(weights): error}
    for layer in range(len(weights) - 1, -shift, -1):
        slopes = torch.diag(activation.derivative(h[layer + shift]).squeeze(1))
        e[layer] = (slopes @ weights[layer + 1 + shift]).T @ e[layer + 1]
    return e


def gradient_step(weights: Layers, gradients: Layers, step_size: float) -> Layers:
    """θ_{t+1} = θ_t - η ∇F(θ_t).

    Source: survey, (6), page 6.
    """
    return {layer: weights[layer] - step_size * gradients[layer] for layer in weights}


def sgd_epoch(
    weights: Layers,
    activation: Activation,
    loss: OutputLoss,
    x: Tensor,
    y: Tensor,
    *,
    step_size: float,
    seed: int,
) -> Layers:
    """n steps of SGD: each picks one of the n columns of x at random and follows (6) with its F_i.

    Args:
        x: inputs (d_0, n).
        y: targets (d_L, n).
        seed: of the picks, which are independent and uniform.

    Source: survey, section 3, page 6.
    """
    picks = torch.randint(x.shape[1], (x.shape[1],), generator=runtime.generator(seed)).tolist()
    for i in picks:
        one = slice(i, i + 1)
        weights = gradient_step(
            weights, backpropagation(weights, activation, loss, x[:, one], y[:, one]), step_size
        )
    return weights


def sgd_step_in_backward_pass(
    weights: Layers,
    activation: Activation,
    loss: OutputLoss,
    x: Tensor,
    y: Tensor,
    step_size: float,
    *,
    update: Literal["old", "new"] = "old",
) -> Layers:
    """One step of (6) that updates each layer as soon as its gradient is known.

    Args:
        x: inputs (d_0, b).
        y: targets as ``loss`` takes them.
        step_size: η.
        update: which W^l carries the error on to layer l - 1: the "old" one, which makes this a step of SGD, or
            the "new" one, which is there if the steps are taken in the order in which the survey lists them.

    Source: survey, page 7.
    """
    z, h = forward(weights, activation, x)
    updated = dict(weights)
    e = loss.error(h[len(weights)], y) / x.shape[1]
    for layer in range(len(weights), 0, -1):
        updated[layer] = weights[layer] - step_size * (e @ z[layer - 1].T)
        if layer > 1:
            carrier = weights[layer] if update == "old" else updated[layer]
            e = activation.derivative(h[layer - 1]) * (carrier.T @ e)
    return updated


def update_order_drift(
    weights: Layers, activation: Activation, passes: Forward, e: Layers, gradients: Layers
) -> Layers:
    """By how much the gradients change for each unit of step size if new weights carry the errors, at η = 0.

    With G^l the gradients and ė^L = 0, ė^l = D^l ((W^{l+1})ᵀ ė^{l+1} - (G^{l+1})ᵀ e^{l+1}); returned are the
    matrices ė^l (z^{l-1})ᵀ.  For l = L-1 the change is exactly linear in η.

    Args:
        passes: the forward pass, of one sample or a batch.
        e: the errors of :func:`backward`.
        gradients: G^l = e^l (z^{l-1})ᵀ.
    """
    z, h = passes
    depth = len(weights)
    drift = {depth: torch.zeros_like(e[depth])}
    for layer in range(depth - 1, 0, -1):
        carried = weights[layer + 1].T @ drift[layer + 1] - gradients[layer + 1].T @ e[layer + 1]
        drift[layer] = activation.derivative(h[layer]) * carried
    return outer_products(drift, z)


def jacobian(
    weights: Layers, activation: Activation, h: Layers, *, start: Literal["output", "input"] = "output"
) -> Tensor:
    """∂h^L/∂x = W^L D^{L-1} W^{L-1} … D^1 W^1 for one sample, (d_L, d_0).

    Args:
        start: "output" multiplies from the left (reverse mode: d_L rows travel down), "input" from the right
            (forward mode: d_0 columns travel up).
    """
    factors = [*_factors(weights, activation, h, down_to=1), weights[1]]
    if start == "output":
        return reduce(torch.matmul, factors)
    return reduce(lambda columns, factor: factor @ columns, reversed(factors))


def central_differences(function: Callable[[Layers], Tensor], weights: Layers, width: float = 1e-5) -> Layers:
    """(F(W + δE_ij) - F(W - δE_ij)) / 2δ for every entry of every layer, with an error of order δ².

    Args:
        function: F, from weights to a scalar.
        width: δ.
    """
    differences = {}
    for layer, weight in weights.items():
        flat = torch.empty(weight.numel(), dtype=weight.dtype, device=weight.device)
        for entry in range(weight.numel()):
            shift = torch.zeros_like(weight).flatten()
            shift[entry] = width
            shift = shift.view_as(weight)
            above, below = (function({**weights, layer: weight + sign * shift}) for sign in (1, -1))
            flat[entry] = (above - below) / (2 * width)
        differences[layer] = flat.view_as(weight)
    return differences


def relative_difference(found: Layers, expected: Layers) -> float:
    """max_l ‖found_l - expected_l‖ / ‖expected_l‖, over the layers that ``expected`` holds."""
    return max(float((found[layer] - expected[layer]).norm() / expected[layer].norm()) for layer in expected)


class ProductCounter(TorchDispatchMode):
    """Counts the matrix products that PyTorch executes inside a ``with`` block.

    Attributes:
        products: how many products (m, k) × (k, n) were executed.
        multiplications: how many multiplications of numbers, m·k·n for each.
    """

    def __init__(self) -> None:
        super().__init__()
        self.products = 0
        self.multiplications = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten.mm.default:
            left, right = args
            self.products += 1
            self.multiplications += left.shape[0] * left.shape[1] * right.shape[1]
        return function(*args, **(kwargs or {}))


def numbers_kept(compute: Callable[[], Tensor], parameters: Sequence[Tensor]) -> int:
    """How many numbers PyTorch's autograd keeps for the backward pass of ``compute``, parameters not counted.

    Tensors that share their memory are counted once.
    """
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes() // tensor.element_size()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = compute()
    owned = {parameter.untyped_storage().data_ptr() for parameter in parameters}
    total = sum(size for place, size in kept.items() if place not in owned)
    del output  # until here the graph holds what was counted, so no address was used twice
    return total
