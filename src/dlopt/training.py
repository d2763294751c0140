"""The training problem (3) of the survey and one loop that solves it by (6), by SGD or by any optimizer.

The loop trains one network, or the members of a batched one (:mod:`dlopt.models`) side by side: their losses
are summed before differentiation, so each member's gradient is that of its own loss.  Members stay
independent as long as the update acts on every entry of a tensor by itself, as GD, SGD with momentum and Adam
do; one that takes norms over tensors (gradient clipping, LARS) would mix them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from tqdm import tqdm

from dlopt import runtime
from dlopt.normalization import batch_statistics

__all__ = [
    "History", "Loss", "Stepper", "accuracy", "cross_entropy", "logistic", "objective", "squared_error", "train",
]  # fmt: skip

Loss = Callable[[Tensor, Tensor], Tensor]
"""Maps outputs (n, d_L) or (members, n, d_L), and targets, to the samples' mean loss, () or (members,)."""

StepSize = float | Tensor
Record = Callable[[nn.Module], Tensor | float]


class Stepper(Protocol):
    """What the loop needs of an optimizer."""

    def step(self) -> object:
        """Change the parameters by their gradients."""


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """1/n Σ_i ‖y_i - z_i‖², the quadratic loss of (3): summed over the outputs, averaged over the samples.

    Args:
        outputs: z, (n, d_L) or (members, n, d_L).
        targets: y, of the outputs' shape or (n, d_L); where d_L = 1 that axis may be missing.

    Returns:
        A scalar, or (members,).

    Raises:
        ValueError: the shapes do not match.
    """
    return (_aligned(targets, outputs) - outputs).square().sum(dim=-1).mean(dim=-1)


def logistic(outputs: Tensor, targets: Tensor) -> Tensor:
    """1/n Σ_i log(1 + exp(-y_i z_i)), the binary classification loss of (3), for labels y of -1 and 1.

    Arguments, result and errors are those of :func:`squared_error`.
    """
    return -functional.logsigmoid(_aligned(targets, outputs) * outputs).sum(dim=-1).mean(dim=-1)


def cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """1/n Σ_i (log Σ_c exp z_{i,c} - z_{i,y_i}), for labels y in 0, …, d_L - 1.

    Args:
        outputs: z, (n, d_L) or (members, n, d_L).
        targets: integers y, (n,) or (members, n).

    Returns:
        A scalar, or (members,).

    Raises:
        ValueError: the shapes do not match.
    """
    chosen = outputs.gather(-1, _labels(targets, outputs).unsqueeze(-1)).squeeze(-1)
    return (outputs.logsumexp(dim=-1) - chosen).mean(dim=-1)


def accuracy(outputs: Tensor, labels: Tensor) -> Tensor:
    """The fraction of samples classified correctly, a scalar or (members,).

    The predicted class is the largest of the d_L outputs; where d_L = 1 it is the output's sign, for labels
    of -1 and 1.

    Args:
        outputs: (n, d_L) or (members, n, d_L).
        labels: (n,) or (members, n).

    Raises:
        ValueError: the shapes do not match.
    """
    predicted = outputs.argmax(dim=-1) if outputs.shape[-1] > 1 else outputs.squeeze(-1).sign()
    return (predicted == _labels(labels, outputs)).double().mean(dim=-1)


def objective(model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> Tensor:
    """F(θ) of (3): the mean loss over all the samples, a scalar or (members,).

    The model computes as it does in training: batch normalization uses the statistics of these samples.  Its
    running averages are left as they were.
    """
    copies = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with batch_statistics(model):
        outputs = functional_call(model, copies, (inputs,))
    return loss(outputs, targets)


@dataclass
class History:
    """What a training run recorded, as NumPy arrays.

    Attributes:
        steps: (R,), the steps at which it was recorded: step t is after t updates.
        loss: F(θ_t) over all the training samples, (R,) or (R, members); infinite once a member has diverged.
        recorded: for every name in ``record``, its values, (R, …).
        diverged: which members diverged, () or (members,).
        stopped: a sentence that says which diverged and when, or None.
    """

    steps: np.ndarray
    loss: np.ndarray
    recorded: dict[str, np.ndarray]
    diverged: np.ndarray
    stopped: str | None = None


def train(
    model: nn.Module,
    inputs: Tensor,
    targets: Tensor,
    *,
    loss: Loss,
    steps: int,
    step_size: StepSize | Callable[[int], StepSize] | None = None,
    optimizer: Callable[[Iterable[nn.Parameter]], Stepper] | None = None,
    batch_size: int | None = None,
    sampling: str = "reshuffle",
    shared_batches: bool = True,
    seed: int = 0,
    record: dict[str, Record] | None = None,
    every: int = 1,
    divergence: float = 1e6,
) -> History:
    """Minimize F(θ), (3), in place: θ_{t+1} = θ_t - η_t ∇F(θ_t), equation (6), or what ``optimizer`` does.

    With ``batch_size`` the gradient is that of a mini-batch's mean loss, which is SGD.

    A member diverges when its loss is not finite or exceeds ``divergence`` times its first loss (or times 1,
    where that was smaller).  It is frozen where it is and reported, while the others go on; when none is
    left, training stops.

    Args:
        model: the network, with ``members`` networks side by side or one; any module will do.
        inputs: (n, …), or (members, n, d_0) for inputs of each member's own.
        targets: as ``loss`` takes them, with the samples on the same axis.
        loss: maps outputs and targets to the mean loss, a scalar or (members,).
        steps: number of updates.
        step_size: η, a number or one for each member, (members,); or a function of t = 0, 1, … giving η_t.
        optimizer: instead of ``step_size``: makes an optimizer from the parameters, for instance
            ``lambda parameters: torch.optim.Adam(parameters, lr=1e-3)``.
        batch_size: samples in a mini-batch; None for all of them.
        sampling: "reshuffle" draws the batches of an epoch without replacement, the last one smaller where
            the batch size does not divide n; "replacement" draws every sample anew, as SGD theory has it.
        shared_batches: whether all members see the same batches.  Otherwise each draws its own: member m
            those of a single network that is trained with seed + m.
        seed: of the batches.
        record: functions of the model, by name.  They are called with the model in evaluation mode and may
            differentiate; only values are kept.
        every: record at steps 0, every, 2·every, … and at the last.
        divergence: the factor by which a loss may grow.

    Returns:
        The recorded history.

    Raises:
        ValueError: the arguments contradict each other or the shapes.
    """
    members = getattr(model, "members", None)
    samples = _Samples(inputs, targets, members)
    _check(samples.count, steps, step_size, optimizer, batch_size, sampling, every)
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    update = _stepper(optimizer(parameters)) if optimizer else _descent(parameters, step_size, members)
    batches = samples.batches(batch_size, sampling, seed, shared_batches)
    watch = _Watch(parameters, members, divergence)
    log = _Log(model, record or {}, watch)

    @torch.no_grad()
    def whole_loss() -> Tensor:
        return objective(model, inputs, targets, loss)

    with batch_statistics(model):
        last = steps
        for step in tqdm(range(steps), disable=None, leave=False, delay=1.0):
            recording = step % every == 0
            if recording:
                log.measure(step)
            batch_inputs, batch_targets = next(batches)
            losses = loss(model(batch_inputs), batch_targets)
            watch.look(losses.detach(), step)
            if recording:
                log.add_loss(losses.detach() if batch_size is None else whole_loss(), step)
            if watch.all_diverged:
                last = step
                break
            for parameter in parameters:
                parameter.grad = None
            losses.sum().backward()
            update(step)
            watch.restore()
        if last not in log.steps[-1:]:
            log.measure(last)
            log.add_loss(whole_loss(), last)
    for parameter in parameters:
        parameter.grad = None
    return log.history()


class _Samples:
    """Inputs and targets, shared by the members or each member's own, and the batches drawn from them."""

    def __init__(self, inputs: Tensor, targets: Tensor, members: int | None) -> None:
        self.inputs, self.targets, self.members = inputs, targets, members
        self.own_inputs = members is not None and inputs.ndim == 3
        self.count = inputs.shape[1 if self.own_inputs else 0]
        if members is not None and members == self.count and targets.shape == (members, members):
            raise ValueError(
                f"targets of shape {tuple(targets.shape)} may be shared or each member's own: give all axes."
            )
        self.own_targets = members is not None and (
            targets.ndim == 3 or (targets.ndim == 2 and targets.shape[0] != self.count)
        )
        if targets.shape[1 if self.own_targets else 0] != self.count:
            raise ValueError(
                f"targets of shape {tuple(targets.shape)} do not fit {self.count} samples"
                + ("." if members is None else f" and {members} members.")
            )

    def batches(
        self, size: int | None, sampling: str, seed: int, shared: bool
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Inputs and targets of one batch after the other, without end."""
        if size is None:
            while True:
                yield self.inputs, self.targets
        if shared or self.members is None:
            indices, take = self._indices(size, sampling, seed), _taken
        else:
            streams = [self._indices(size, sampling, seed + member) for member in range(self.members)]
            indices, take = map(torch.stack, zip(*streams, strict=True)), _gathered
        for index in indices:
            yield take(self.inputs, index, self.own_inputs), take(self.targets, index, self.own_targets)

    def _indices(self, size: int, sampling: str, seed: int) -> Iterator[Tensor]:
        (generator,) = runtime.numpy_generator(seed).spawn(1)
        while True:
            if sampling == "replacement":
                yield torch.from_numpy(generator.integers(self.count, size=size)).to(self.inputs.device)
            else:
                order = torch.from_numpy(generator.permutation(self.count)).to(self.inputs.device)
                yield from order.split(size)


def _taken(tensor: Tensor, index: Tensor, own: bool) -> Tensor:
    """The samples ``index``, (b,), the same for every member."""
    return tensor.index_select(1 if own else 0, index)


def _gathered(tensor: Tensor, index: Tensor, own: bool) -> Tensor:
    """The samples ``index``, (members, b), of each member."""
    if own:
        return tensor[torch.arange(len(index), device=index.device).unsqueeze(1), index]
    return tensor[index]


def _descent(
    parameters: list[nn.Parameter], step_size: StepSize | Callable[[int], StepSize], members: int | None
) -> Callable[[int], None]:
    """The update (6), with one step size or one for each member."""
    step_size_at = _schedule(step_size, members)

    @torch.no_grad()
    def update(step: int) -> None:
        eta = step_size_at(step)
        for parameter in parameters:
            if parameter.grad is None:
                continue
            if isinstance(eta, float):
                parameter.add_(parameter.grad, alpha=-eta)
            else:
                each = eta.to(parameter).view(-1, *[1] * (parameter.ndim - 1))
                parameter.addcmul_(each, parameter.grad, value=-1)

    return update


def _schedule(
    step_size: StepSize | Callable[[int], StepSize], members: int | None
) -> Callable[[int], StepSize]:
    """η_t as a function of t: a float, or a tensor (members,)."""

    def checked(eta: StepSize) -> StepSize:
        if np.shape(eta) == ():
            return float(eta)
        if np.shape(eta) == (members,):
            return torch.as_tensor(eta)
        each = "" if members is None else f" or one for each of {members} members"
        raise ValueError(f"step_size must be a number{each}, not of shape {tuple(np.shape(eta))}.")

    if callable(step_size):
        return lambda step: checked(step_size(step))
    constant = checked(step_size)
    return lambda _: constant


def _stepper(optimizer: Stepper) -> Callable[[int], None]:
    if isinstance(optimizer, torch.optim.LBFGS):
        raise ValueError("torch.optim.LBFGS evaluates the loss by itself: it needs a loop of its own.")

    def update(_: int) -> None:
        optimizer.step()

    return update


class _Watch:
    """Which members have diverged, and the parameters that they are held at."""

    def __init__(self, parameters: list[nn.Parameter], members: int | None, factor: float) -> None:
        self.parameters, self.members, self.factor = parameters, members, factor
        self.diverged = torch.zeros(() if members is None else (members,), dtype=torch.bool)
        self.when: dict[int, int] = {}
        self.limit: Tensor | None = None
        self.held: list[Tensor] = []

    @property
    def all_diverged(self) -> bool:
        return len(self.when) == (self.members or 1)

    def look(self, losses: Tensor, step: int) -> None:
        """Mark the members whose loss is not finite or above its limit."""
        if self.limit is None:
            if losses.shape != self.diverged.shape:
                raise ValueError(
                    f"loss must return {'a scalar' if self.members is None else 'one value a member'}, "
                    f"not a tensor of shape {tuple(losses.shape)}."
                )
            self.diverged = self.diverged.to(losses.device)
            self.limit = (self.factor * losses.clamp(min=1)).clamp(max=torch.finfo(losses.dtype).max)
        fresh = ~((losses <= self.limit) | self.diverged)
        if fresh.any():
            self.diverged = self.diverged | fresh
            self.when.update((member, step) for member in fresh.view(-1).nonzero().view(-1).tolist())
            self.held = [parameter.detach().clone() for parameter in self.parameters]

    @torch.no_grad()
    def restore(self) -> None:
        """Undo what the last update did to members that have diverged."""
        for parameter, held in zip(self.parameters, self.held, strict=False):
            parameter[self.diverged] = held[self.diverged]

    def sentence(self) -> str | None:
        if not self.when:
            return None
        if self.members is None:
            return f"training diverged at step {self.when[0]} and was stopped there."
        cases = ", ".join(f"member {member} at step {step}" for member, step in self.when.items())
        return f"{len(self.when)} of {self.members} members diverged and were frozen: {cases}."


class _Log:
    """The recorded values of one run."""

    def __init__(self, model: nn.Module, record: dict[str, Record], watch: _Watch) -> None:
        self.model, self.record, self.watch = model, record, watch
        self.steps: list[int] = []
        self.losses: list[np.ndarray] = []
        self.values: dict[str, list[np.ndarray]] = {name: [] for name in record}

    def measure(self, step: int) -> None:
        """Evaluate the recorded functions at the present parameters."""
        self.steps.append(step)
        if not self.record:
            return
        self.model.eval()
        for name, function in self.record.items():
            value = function(self.model)
            self.values[name].append(_array(value))
        self.model.train()

    def add_loss(self, losses: Tensor, step: int) -> None:
        self.watch.look(losses, step)
        self.losses.append(_array(losses.masked_fill(self.watch.diverged, torch.inf)))

    def history(self) -> History:
        return History(
            steps=np.array(self.steps),
            loss=np.stack(self.losses),
            recorded={name: np.stack(values) for name, values in self.values.items()},
            diverged=self.watch.diverged.cpu().numpy(),
            stopped=self.watch.sentence(),
        )


def _array(value: Tensor | float) -> np.ndarray:
    """A copy of the value that no later step changes."""
    return np.array(value.detach().cpu().numpy() if isinstance(value, Tensor) else value)


def _check(
    count: int,
    steps: int,
    step_size: StepSize | Callable[[int], StepSize] | None,
    optimizer: Callable[[Iterable[nn.Parameter]], Stepper] | None,
    batch_size: int | None,
    sampling: str,
    every: int,
) -> None:
    if (step_size is None) == (optimizer is None):
        raise ValueError("give either a step_size or an optimizer, not both and not neither.")
    if steps < 0 or every < 1:
        raise ValueError(f"steps must be 0 or more and every 1 or more, not {steps} and {every}.")
    if batch_size is not None and not 1 <= batch_size <= count:
        raise ValueError(f"batch_size must be between 1 and the {count} samples, not {batch_size}.")
    if sampling not in ("reshuffle", "replacement"):
        raise ValueError(f"sampling must be 'reshuffle' or 'replacement', not {sampling!r}.")


def _aligned(targets: Tensor, outputs: Tensor) -> Tensor:
    """Targets in a shape that broadcasts with the outputs sample by sample, never across samples."""
    if targets.shape in (outputs.shape, outputs.shape[-2:]):
        return targets
    if outputs.shape[-1] == 1 and targets.shape in (outputs.shape[:-1], outputs.shape[-2:-1]):
        return targets.unsqueeze(-1)
    raise ValueError(f"targets of {tuple(targets.shape)} do not fit outputs of {tuple(outputs.shape)}.")


def _labels(labels: Tensor, outputs: Tensor) -> Tensor:
    """Labels with one entry for each sample of each member."""
    if labels.shape not in (outputs.shape[:-1], outputs.shape[-2:-1]):
        raise ValueError(f"labels of {tuple(labels.shape)} do not fit outputs of {tuple(outputs.shape)}.")
    return labels.expand(outputs.shape[:-1])
