"""Adaptive gradient methods of section 5.4, as optimizers: AdaGrad, RMSProp, AdaDelta, Adam, NAdam, AMSGrad, AdaFom.

All of them act on every entry of θ by itself.  With g_t the gradient of step t = 1, 2, …, and products, quotients and
roots entry by entry, they take the step θ ← θ − α_t m_t / (√v_t + ε), and differ in two lines:

=======  ========================  ====================================  =====================================
method   direction m_t             scale v_t                             in torch.optim
=======  ========================  ====================================  =====================================
SGD      μ m_{t−1} + g_t           (none: the step is α_t m_t)           ``SGD(momentum=μ)``
AdaGrad  g_t                       v_{t−1} + g_t²                        ``Adagrad``
RMSProp  g_t                       β v_{t−1} + (1−β) g_t²                ``RMSprop(alpha=β)``
Adam     β₁ m_{t−1} + (1−β₁) g_t   β₂ v_{t−1} + (1−β₂) g_t²              ``Adam``
NAdam    Adam's, one step ahead    Adam's                                ``NAdam``
AMSGrad  Adam's                    the largest of Adam's so far          ``Adam(amsgrad=True)``, but see there
AdaFom   Adam's                    the average, (1/t) Σ_{j ≤ t} g_j²     none
=======  ========================  ====================================  =====================================

AdaDelta replaces α_t by a running root mean square of its own steps, and AdaGrad-Norm has one scale for all entries.

Conventions.  ε stands outside the root, as in Adam's paper and in torch; AdaDelta's stands inside, as in its paper
and in torch.  With ε = 0, which is what the survey prints, an entry whose gradient has always been 0 becomes 0/0.
Adam and NAdam divide out the share of the zero start (``bias_correction``), which the survey's (22) and (23) do not.
α_t changes through :mod:`torch.optim.lr_scheduler`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from dlopt.algorithms.closures import evaluated

__all__ = [
    "SGD", "AMSGrad", "AdaDelta", "AdaFom", "AdaGrad", "AdaGradNorm", "Adam", "ElementwiseMethod", "NAdam", "RMSProp",
    "average", "average_squares", "normalized_step",
]  # fmt: skip

PIECE = 2**18
"""Entries that are worked on at a time on a CPU, so that all passes but the first find them in the cache."""

Parameters = Iterable[Tensor] | Iterable[dict[str, Any]]
Tensors = Sequence[Tensor]


class ElementwiseMethod(torch.optim.Optimizer):
    """A method that treats every entry of θ by itself; a subclass writes :meth:`update`, a step on lists of tensors.

    Args:
        params: tensors, or parameter groups with options of their own.
        lr: α; or one for each independent member, shape (members,), where every tensor has members on its first axis.
        options: the other coefficients, kept in every group.

    Raises:
        ValueError: a negative step size, or a coefficient that is not in [0, 1).
    """

    buffers: tuple[str, ...] = ()
    """Names of the tensors that the method keeps beside each parameter, which start at 0."""

    def __init__(self, params: Parameters, lr: float | Tensor, **options: Any) -> None:
        super().__init__(params, {"lr": lr, **options})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, whose options are checked."""
        options = {**self.defaults, **param_group}
        if (torch.as_tensor(options["lr"]) < 0).any():
            raise ValueError(f"the step size must not be negative, as {options['lr']} is.")
        for name in ("beta", "beta1", "beta2", "momentum"):
            if not 0 <= options.get(name, 0) < 1:
                raise ValueError(f"{name} must lie in [0, 1), as {options[name]} does not.")
        super().add_param_group(param_group)

    def update(self, group: dict[str, Any], t: int, alpha: list[float], theta: Tensors, g: Tensors) -> None:
        """One step on lists of tensors, in place; the buffers follow ``g``.

        Args:
            group: the options.
            t: the number of this step, from 1.
            alpha: α_t of every tensor.
            theta: θ, changed in place.
            g: g_t.
        """
        raise NotImplementedError

    def counters(self, group: dict[str, Any], state: dict[str, Any]) -> tuple[Any, ...]:
        """Advance the numbers that a parameter's state counts, and return what :meth:`update` needs: t."""
        state["step"] = state.get("step", 0) + 1
        return (state["step"],)

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step for every parameter that has a gradient.

        Args:
            closure: computes the loss anew and its gradients, if given.

        Returns:
            What the closure returned.

        Raises:
            ValueError: a gradient is sparse.
        """
        loss = evaluated(closure)
        for group in self.param_groups:
            for counters, rows in self._by_counters(group).items():
                for alpha, theta, g, *buffers in _buckets(rows):
                    self.update(group, *counters[2:], list(alpha), theta, g, *buffers)
        return loss

    def _by_counters(self, group: dict[str, Any]) -> dict[tuple[Any, ...], list[tuple[Any, ...]]]:
        """Rows (α, θ, g, buffers…) of tensors of one device and type that have made equally many steps."""
        kinds: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {}
        for theta in group["params"]:
            if theta.grad is None:
                continue
            if theta.grad.is_sparse:
                raise ValueError("sparse gradients are not supported: use dense ones.")
            state = self.state[theta]
            for name in self.buffers:
                if name not in state:
                    state[name] = torch.zeros_like(theta, memory_format=torch.preserve_format)
            key = (theta.device, theta.dtype, *self.counters(group, state))
            tensors = (theta, theta.grad, *(state[name] for name in self.buffers))
            kinds.setdefault(key, []).extend(_rows(group["lr"], tensors))
        return kinds


def _rows(lr: float | Tensor, tensors: tuple[Tensor, ...]) -> Iterator[tuple[Any, ...]]:
    """(α, *views), for each member where each has its own α, and on a CPU in pieces that fit into the cache."""
    if isinstance(lr, Tensor) and lr.ndim:
        for alpha, *views in zip(lr.tolist(), *(tensor.unbind() for tensor in tensors), strict=True):
            yield alpha, *views
    elif tensors[0].is_cpu and tensors[0].numel() > PIECE and all(x.is_contiguous() for x in tensors):
        for views in zip(*(tensor.view(-1).split(PIECE) for tensor in tensors), strict=True):
            yield float(lr), *views
    else:
        yield float(lr), *tensors


def _buckets(rows: list[tuple[Any, ...]]) -> Iterator[Iterator[tuple[Any, ...]]]:
    """The rows turned into columns: all at once on an accelerator, some :data:`PIECE` entries at a time on a CPU."""
    bucket: list[tuple[Any, ...]] = []
    entries = 0
    for row in rows:
        bucket.append(row)
        entries += row[1].numel() if row[1].is_cpu else 0
        if entries >= PIECE:
            yield zip(*bucket, strict=True)
            bucket, entries = [], 0
    if bucket:
        yield zip(*bucket, strict=True)


def average(m: Tensors, g: Tensors, beta: float) -> None:
    """m ← β m + (1 − β) g."""
    torch._foreach_lerp_(m, g, 1 - beta)


def average_squares(v: Tensors, g: Tensors, beta: float) -> None:
    """v ← β v + (1 − β) g²."""
    torch._foreach_mul_(v, beta)
    torch._foreach_addcmul_(v, g, g, 1 - beta)


def normalized_step(theta: Tensors, alpha: list[float], m: Tensors, v: Tensors, epsilon: float) -> None:
    """θ ← θ − α m / (√v + ε)."""
    scale = torch._foreach_sqrt(v)
    torch._foreach_add_(scale, epsilon)
    torch._foreach_addcdiv_(theta, m, scale, [-a for a in alpha])


class SGD(ElementwiseMethod):
    """The baseline, SGD with momentum as torch writes it: m_t = μ m_{t−1} + g_t, θ_{t+1} = θ_t − α_t m_t."""

    buffers = ("m",)

    def __init__(self, params: Parameters, lr: float | Tensor, momentum: float = 0.0) -> None:
        super().__init__(params, lr, momentum=momentum)

    def update(self, group, t, alpha, theta, g, m):
        torch._foreach_mul_(m, group["momentum"])
        torch._foreach_add_(m, g)
        torch._foreach_add_(theta, torch._foreach_mul(m, [-a for a in alpha]))


class AdaGrad(ElementwiseMethod):
    """v_t = Σ_{j ≤ t} g_j², θ_{t+1} = θ_t − α_t g_t / (√v_t + ε): equation (21) with its index mended.

    Source: Duchi, Hazan and Singer (2011); section 5.4 of the survey.  ε = 1e-10 is torch's.
    """

    buffers = ("v",)

    def __init__(self, params: Parameters, lr: float | Tensor = 1e-2, epsilon: float = 1e-10) -> None:
        super().__init__(params, lr, epsilon=epsilon)

    def update(self, group, t, alpha, theta, g, v):
        torch._foreach_addcmul_(v, g, g)
        normalized_step(theta, alpha, g, v, group["epsilon"])


class RMSProp(ElementwiseMethod):
    """v_t = β v_{t−1} + (1 − β) g_t², θ_{t+1} = θ_t − α_t g_t / (√v_t + ε): equation (22).

    Source: Tieleman and Hinton (2012); section 5.4 of the survey.  β = 0.99 and ε = 1e-8 are torch's.
    """

    buffers = ("v",)

    def __init__(
        self, params: Parameters, lr: float | Tensor = 1e-2, beta: float = 0.99, epsilon: float = 1e-8
    ) -> None:
        super().__init__(params, lr, beta=beta, epsilon=epsilon)

    def update(self, group, t, alpha, theta, g, v):
        average_squares(v, g, group["beta"])
        normalized_step(theta, alpha, g, v, group["epsilon"])


class AdaDelta(ElementwiseMethod):
    """s_t = √(u_{t−1} + ε) / √(v_t + ε) · g_t, θ_{t+1} = θ_t − α_t s_t: a step in the units of θ.

    v_t = β v_{t−1} + (1 − β) g_t² averages the squared gradients, u_t = β u_{t−1} + (1 − β) s_t² the squared steps.

    Source: Zeiler (2012), algorithm 1, which has α = 1.  β = 0.9 and ε = 1e-6 are torch's.
    """

    buffers = ("v", "u")

    def __init__(
        self, params: Parameters, lr: float | Tensor = 1.0, beta: float = 0.9, epsilon: float = 1e-6
    ) -> None:
        super().__init__(params, lr, beta=beta, epsilon=epsilon)

    def update(self, group, t, alpha, theta, g, v, u):
        beta, epsilon = group["beta"], group["epsilon"]
        average_squares(v, g, beta)
        s = torch._foreach_add(u, epsilon)
        torch._foreach_div_(s, torch._foreach_add(v, epsilon))
        torch._foreach_sqrt_(s)
        torch._foreach_mul_(s, g)
        average_squares(u, s, beta)
        torch._foreach_mul_(s, [-a for a in alpha])
        torch._foreach_add_(theta, s)


class Adam(ElementwiseMethod):
    """m_t = β₁ m_{t−1} + (1 − β₁) g_t, v_t = β₂ v_{t−1} + (1 − β₂) g_t², θ_{t+1} = θ_t − α_t m̂_t / (√v̂_t + ε).

    With bias correction m̂_t = m_t / (1 − β₁ᵗ) and v̂_t = v_t / (1 − β₂ᵗ); without it m̂_t = m_t and v̂_t = v_t, which is
    equation (23) of the survey once m_{t−1} stands where it prints v_{t−1}.

    Source: Kingma and Ba (2014), algorithm 1, and the defaults there.
    """

    buffers = ("m", "v")

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: bool = True,
    ) -> None:
        super().__init__(
            params, lr, beta1=beta1, beta2=beta2, epsilon=epsilon, bias_correction=bias_correction
        )

    def update(self, group, t, alpha, theta, g, m, v):
        average(m, g, group["beta1"])
        average_squares(v, g, group["beta2"])
        self.corrected_step(group, t, alpha, theta, m, v)

    def corrected_step(self, group, t, alpha, theta, m, v):
        """θ ← θ − α m̂ / (√v̂ + ε); both corrections are numbers, so they are put into α and ε."""
        epsilon = group["epsilon"]
        if group["bias_correction"]:
            root = (1 - group["beta2"] ** t) ** 0.5
            alpha = [a * root / (1 - group["beta1"] ** t) for a in alpha]
            epsilon *= root
        normalized_step(theta, alpha, m, v, epsilon)


class NAdam(ElementwiseMethod):
    """Adam with Nesterov's momentum: θ_{t+1} = θ_t − α_t n_t / (√v̂_t + ε) with the direction of the next step in

    n_t = μ_{t+1} m_t / (1 − μ_1 ⋯ μ_{t+1}) + (1 − μ_t) g_t / (1 − μ_1 ⋯ μ_t).

    m_t = β₁ m_{t−1} + (1 − β₁) g_t, v̂_t is that of :class:`Adam`, and μ_t = β₁ (1 − ½ · 0.96^{ψt}).

    Source: Dozat (2016), in the form of torch, whose defaults these are; ψ is ``momentum_decay``.
    """

    buffers = ("m", "v")

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 2e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        momentum_decay: float = 4e-3,
    ) -> None:
        super().__init__(params, lr, beta1=beta1, beta2=beta2, epsilon=epsilon, momentum_decay=momentum_decay)

    @staticmethod
    def momentum(group: dict[str, Any], t: int) -> float:
        """μ_t = β₁ (1 − ½ · 0.96^{ψt})."""
        return group["beta1"] * (1 - 0.5 * 0.96 ** (group["momentum_decay"] * t))

    def counters(self, group, state):
        """t and μ_1 ⋯ μ_t."""
        (t,) = super().counters(group, state)
        state["mu_product"] = state.get("mu_product", 1.0) * self.momentum(group, t)
        return t, state["mu_product"]

    def update(self, group, t, product, alpha, theta, g, m, v):
        average(m, g, group["beta1"])
        average_squares(v, g, group["beta2"])
        mu, following = self.momentum(group, t), self.momentum(group, t + 1)
        direction = torch._foreach_mul(g, (1 - mu) / (1 - product))
        torch._foreach_add_(direction, m, alpha=following / (1 - product * following))
        root = (1 - group["beta2"] ** t) ** 0.5
        normalized_step(theta, [a * root for a in alpha], direction, v, group["epsilon"] * root)


class AMSGrad(Adam):
    """Adam whose scale is the largest v so far: v̄_t = β₂ v̄_{t−1} + (1 − β₂) g_t², v_t = max{v_{t−1}, v̄_t}.

    The paper and the survey have no bias correction, and neither has the default here: then the effective step
    α_t / √v_t never grows while α_t does not.  With ``bias_correction`` it is torch's ``Adam(amsgrad=True)``, whose
    effective step contains the growing factor √(1 − β₂ᵗ).

    Source: Reddi, Kale and Kumar (2018), algorithm 2; section 5.4 of the survey.
    """

    buffers = ("m", "average", "v")

    def __init__(
        self,
        params: Parameters,
        lr: float | Tensor = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        super().__init__(params, lr, beta1, beta2, epsilon, bias_correction)

    def update(self, group, t, alpha, theta, g, m, averaged, v):
        average(m, g, group["beta1"])
        average_squares(averaged, g, group["beta2"])
        torch._foreach_maximum_(v, averaged)
        self.corrected_step(group, t, alpha, theta, m, v)


class AdaFom(ElementwiseMethod):
    """AdaGrad with first-order momentum: v_t = (1/t) Σ_{j ≤ t} g_j², θ_{t+1} = θ_t − α_t m_t / (√v_t + ε).

    m_t = β₁ m_{t−1} + (1 − β₁) g_t.  With β₁ = 0 and α_t = α/√t it is :class:`AdaGrad` with the constant α.

    Source: Chen, Liu, Sun and Hong (2018).
    """

    buffers = ("m", "v")

    def __init__(
        self, params: Parameters, lr: float | Tensor = 1e-3, beta1: float = 0.9, epsilon: float = 1e-8
    ) -> None:
        super().__init__(params, lr, beta1=beta1, epsilon=epsilon)

    def update(self, group, t, alpha, theta, g, m, v):
        average(m, g, group["beta1"])
        average_squares(v, g, 1 - 1 / t)
        normalized_step(theta, alpha, m, v, group["epsilon"])


class AdaGradNorm(torch.optim.Optimizer):
    """One scale for all entries of a group: b_t² = b_{t−1}² + ‖g_t‖², θ_{t+1} = θ_t − α g_t / b_t.

    Args:
        params: tensors, or parameter groups; each group has its own b.
        lr: α.
        start: b_0 > 0.

    Source: Ward, Wu and Bottou (2018), algorithm 1.
    """

    def __init__(self, params: Parameters, lr: float = 1.0, start: float = 0.1) -> None:
        super().__init__(params, {"lr": lr, "start": start})

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:
        """One step; see :meth:`ElementwiseMethod.step`."""
        loss = evaluated(closure)
        for group in self.param_groups:
            moved = [theta for theta in group["params"] if theta.grad is not None]
            if not moved:
                continue
            state = self.state[group["params"][0]]
            squares = sum(theta.grad.square().sum() for theta in moved)
            state["b_squared"] = state.get("b_squared", group["start"] ** 2) + squares
            for theta in moved:
                theta -= group["lr"] * theta.grad / state["b_squared"].sqrt()
        return loss
