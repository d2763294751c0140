"""Curvature of a training loss: the Hessian and the Gauss–Newton matrix, as operators and as matrices, and Jacobians.

A network with P parameters has a Hessian of P² entries, but its product with a vector costs about two gradients
(Pearlmutter, Fast exact multiplication by the Hessian, 1994): H v is the gradient of the number ∇F(θ)ᵀ v.  The
operators below build the graph of ∇F(θ) once and then differentiate it as often as they are asked to, so that
a product is one more backward pass and no forward pass at all.  What to do with such products is the subject of
:mod:`dlopt.lanczos`.

Vectors are rows: v is (P,), or (k, P) for k vectors.  The parameters are strung together in the order in which they
are given, each in its own row-major order, as ``torch.nn.utils.parameters_to_vector`` does.  The operators hold for
the parameters' values at construction: make a new one after a step of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Self

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from dlopt.training import Loss, objective

__all__ = ["GaussNewton", "Hessian", "jacobian"]

BATCHED = 2000
"""Parameters up to which a CPU multiplies several vectors as one batch; above, a loop is faster.  A GPU always
batches."""

Term = Callable[[], Tensor]
"""A closure that returns the loss, or a summand of it: a scalar, or (members,)."""


class _Operator:
    """What the two curvature operators share: shapes, stacking, and the dense matrix."""

    def __init__(self, parameters: Iterable[Tensor], members: int | None) -> None:
        self.parameters = list(parameters)
        self.members = members
        if not self.parameters:
            raise ValueError("a curvature operator needs at least one parameter.")
        leading = {parameter.shape[:1] for parameter in self.parameters}
        if members is not None and leading != {(members,)}:
            raise ValueError(f"every parameter of {members} members must have a first axis of that length.")
        self.leading = () if members is None else (members,)
        self.size = sum(parameter.numel() for parameter in self.parameters) // (members or 1)

    @property
    def dtype(self) -> torch.dtype:
        """Of the parameters, and so of the vectors."""
        return self.parameters[0].dtype

    @property
    def device(self) -> torch.device:
        """Of the parameters, and so of the vectors."""
        return self.parameters[0].device

    def __call__(self, v: Tensor) -> Tensor:
        """The product with v.

        Args:
            v: (P,) or (k, P); with members (members, P) or (k, members, P), one vector for each member.

        Returns:
            The shape of v.

        Raises:
            ValueError: the shape of v does not fit.
        """
        trailing = (*self.leading, self.size)
        if v.shape[-len(trailing) :] != trailing or v.ndim > len(trailing) + 1:
            raise ValueError(f"vectors must be {trailing} or (k, {str(trailing)[1:]}, not {tuple(v.shape)}.")
        if v.ndim == len(trailing):
            return self._product(v)
        if self.device.type == "cuda" or v[0].numel() <= BATCHED:
            return torch.vmap(self._product)(v)
        return torch.stack([self._product(one) for one in v])

    def matrix(self) -> Tensor:
        """The dense matrix, (P, P) or (members, P, P): P products, so for small networks only."""
        unit = torch.eye(self.size, dtype=self.dtype, device=self.device)
        unit = unit.reshape(-1, *[1] * len(self.leading), self.size).expand(-1, *self.leading, -1)
        rows = torch.cat([self(part) for part in unit.split(64)]).movedim(0, -2)
        return (rows + rows.mT) / 2

    def _split(self, v: Tensor) -> list[Tensor]:
        """v cut into tensors of the parameters' shapes."""
        sizes = [parameter.numel() // (self.members or 1) for parameter in self.parameters]
        return [
            piece.reshape(parameter.shape)
            for piece, parameter in zip(v.split(sizes, dim=-1), self.parameters, strict=True)
        ]

    def _join(self, pieces: Sequence[Tensor | None]) -> Tensor:
        """The inverse of ``_split``; a parameter on which nothing depends has None, and counts as zeros."""
        filled = [
            torch.zeros_like(parameter) if piece is None else piece
            for piece, parameter in zip(pieces, self.parameters, strict=True)
        ]
        return torch.cat([piece.reshape(*self.leading, -1) for piece in filled], dim=-1)

    def _product(self, v: Tensor) -> Tensor:
        raise NotImplementedError


class Hessian(_Operator):
    """The Hessian ∇²F(θ) as an operator: H v = ∇_θ (∇F(θ)ᵀ v), reverse over reverse.

    The parts of F whose second derivative is zero almost everywhere (ReLU) contribute what PyTorch's differentiation
    gives them, which is zero at the kink; a finite difference of gradients would step over kinks and err by factors.

    Args:
        loss: a closure that returns F(θ), or several whose sum it is.  With members each returns (members,).
        parameters: with respect to which to differentiate.
        members: the number of networks side by side (:mod:`dlopt.models`).  F is then the sum of their losses, its
            Hessian has one block for each member and nothing outside, and the product takes one vector for each.
        keep_graph: whether the graph of the gradient is kept between products.  False rebuilds it term by term for
            every product: about 1.7 times the time, and the memory of one term.

    Attributes:
        size: P, of one member.
        gradient: ∇F(θ), (P,) or (members, P).

    Raises:
        ValueError: there is no parameter, or it has no axis for the members.
    """

    def __init__(
        self,
        loss: Term | Sequence[Term],
        parameters: Iterable[Tensor],
        *,
        members: int | None = None,
        keep_graph: bool = True,
    ) -> None:
        super().__init__(parameters, members)
        self.terms = [loss] if callable(loss) else list(loss)
        self.keep_graph = keep_graph
        graphs = [self._graph(term) for term in self.terms] if keep_graph else []
        self._graphs = graphs
        self.gradient = sum(
            self._join([None if piece is None else piece.detach() for piece in pieces])
            for pieces in (graphs if keep_graph else map(self._graph, self.terms))
        )

    @classmethod
    def of(
        cls,
        model: nn.Module,
        inputs: Tensor,
        targets: Tensor,
        loss: Loss,
        *,
        chunk: int | None = None,
        keep_graph: bool = True,
    ) -> Self:
        """The Hessian of the training loss (3), F(θ) = 1/n Σ_i ℓ(y_i, f_θ(x_i)), in all trainable parameters.

        Args:
            model: the network; its members, where it has them, get one block each.
            inputs: (n, …), shared by the members.
            targets: as ``loss`` takes them, (n, …).
            loss: maps outputs and targets to the samples' mean loss.
            chunk: samples that are differentiated at once; None for all.  The sum over chunks is exact as long as
                samples do not see each other (batch normalization).  It bounds the memory where ``keep_graph`` is
                False.
            keep_graph: as above.
        """
        n = len(inputs)

        def term(begin: int, end: int) -> Term:
            share = (end - begin) / n
            return lambda: share * objective(model, inputs[begin:end], targets[begin:end], loss)

        terms = [term(begin, min(begin + (chunk or n), n)) for begin in range(0, n, chunk or n)]
        parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        return cls(terms, parameters, members=getattr(model, "members", None), keep_graph=keep_graph)

    def _graph(self, term: Term) -> tuple[Tensor | None, ...]:
        """∇ of one term, with the graph by which it can be differentiated again."""
        return torch.autograd.grad(
            term().sum(), self.parameters, create_graph=True, allow_unused=True, materialize_grads=False
        )

    def _product(self, v: Tensor) -> Tensor:
        pieces = self._split(v)
        if self.keep_graph:
            return sum(self._differentiate(graph, pieces, keep=True) for graph in self._graphs)
        return sum(self._differentiate(self._graph(term), pieces, keep=False) for term in self.terms)

    def _differentiate(
        self, gradient: Sequence[Tensor | None], pieces: Sequence[Tensor], *, keep: bool
    ) -> Tensor:
        """∇_θ (gradientᵀ v) for the gradient of one term."""
        used = [
            (g, v) for g, v in zip(gradient, pieces, strict=True) if g is not None and g.grad_fn is not None
        ]
        if not used:
            return self._join([None] * len(pieces))
        outputs, vectors = zip(*used, strict=True)
        return self._join(
            torch.autograd.grad(outputs, self.parameters, vectors, retain_graph=keep, allow_unused=True)
        )


class GaussNewton(_Operator):
    """The Gauss–Newton matrix G = Jᵀ B J as an operator: the Hessian without the curvature of the network.

    With outputs z = f_θ(x) of all samples, J = ∂z/∂θ and B = ∂²F/∂z², the chain rule gives

        ∇²F = Jᵀ B J + Σ_k (∂F/∂z_k) ∇²_θ z_k.

    The first matrix is G; the second is zero where the residuals ∂F/∂z are, or where z is linear in θ.  G is positive
    semidefinite if F is convex in the outputs, and for cross-entropy it is the Fisher matrix.

    The product is three passes over kept graphs: J v by differentiating u ↦ Jᵀ u, which is linear, then B, then Jᵀ.

    Args:
        loss: F(z), a scalar, already computed and with its graph.
        outputs: z, from which it was computed, with its own graph.
        parameters: θ.
    """

    def __init__(self, loss: Tensor, outputs: Tensor, parameters: Iterable[Tensor]) -> None:
        super().__init__(parameters, None)
        self.outputs = outputs
        (self._residual,) = torch.autograd.grad(loss, outputs, create_graph=True)
        self._u = torch.zeros_like(outputs, requires_grad=True)
        self._pulled = torch.autograd.grad(outputs, self.parameters, self._u, create_graph=True)

    @classmethod
    def of(cls, model: nn.Module, inputs: Tensor, targets: Tensor, loss: Loss) -> Self:
        """The matrix of the training loss (3) in all trainable parameters.

        Args:
            model: the network, without members.
            inputs: (n, …).
            targets: as ``loss`` takes them.
            loss: maps outputs and targets to the samples' mean loss, a scalar.
        """
        outputs: list[Tensor] = []

        def kept(z: Tensor, y: Tensor) -> Tensor:
            outputs.append(z)
            return loss(z, y)

        value = objective(model, inputs, targets, kept)
        return cls(value, outputs[0], [p for p in model.parameters() if p.requires_grad])

    def _product(self, v: Tensor) -> Tensor:
        (pushed,) = torch.autograd.grad(self._pulled, self._u, self._split(v), retain_graph=True)
        (curved,) = torch.autograd.grad(self._residual, self.outputs, pushed, retain_graph=True)
        return self._join(torch.autograd.grad(self.outputs, self.parameters, curved, retain_graph=True))


def jacobian(model: nn.Module, inputs: Tensor) -> Tensor:
    """J, in section 6.3.2 of the survey Gᵀ: ∂f_o(x_i)/∂θ, (n, d_L, P), for any module that treats samples one by one.

    Args:
        model: the network, without members.
        inputs: (n, …).
    """
    state = {name: parameter.detach() for name, parameter in model.named_parameters()}
    buffers = dict(model.named_buffers())

    def output(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(model, (parameters, buffers), (x.unsqueeze(0),)).squeeze(0)

    pieces = vmap(jacrev(output), in_dims=(None, 0))(state, inputs)
    return torch.cat([piece.flatten(2) for piece in pieces.values()], dim=-1)
