"""The kernels of infinitely wide convolutional networks, exactly, with and without global average pooling.

A layer of odd filter size q maps channels z to h_i(p) = σ_w/(q √c) Σ_{j, δ} ω_ij(δ) z_j(p + δ) + σ_b β_i, over the q²
shifts δ.  With many channels its pre-activations have covariances Σ^l(x, x')[p, p'] between the positions p of one
image and p' of another, and with 𝒜(K)[p, p'] = σ_w²/q² Σ_δ K[p + δ, p' + δ]

    Σ^1 = 𝒜(⟨x_p, x'_p'⟩/c_0) + σ_b²,   Σ^{l+1} = 𝒜(E φφ) + σ_b²,   Θ^1 = Σ^1,   Θ^{l+1} = Σ^{l+1} + 𝒜(E φ'φ' ∘ Θ^l),

and a last dense layer on φ(h^L).  It sees the positions side by side ("flatten") or averaged ("pool").  Flattened,
only the entries p = p' are needed: 𝒜 maps them to each other.

Source: Arora, Du, Hu, Li, Salakhutdinov and Wang, "On exact computation with an infinitely wide neural net" (2019).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from dlopt.kernels.dual_activations import Dual, dual
from dlopt.kernels.infinite_width import Kernels
from dlopt.models import Activation

__all__ = ["PairRecursion", "convolutional"]


def convolutional(
    images: Tensor,
    others: Tensor | None = None,
    *,
    depth: int,
    head: str = "flatten",
    filter_size: int = 3,
    padding: str = "zeros",
    activation: str | Activation = "relu",
    sigma_w: float = math.sqrt(2),
    sigma_b: float = 0.0,
    memory: int = 2**23,
) -> Kernels:
    """Σ(x_i, x'_j) and Θ(x_i, x'_j) of a network of ``depth`` convolutions and a dense layer, (n, m) each.

    Args:
        images: x, (n, c_0, height, width).
        others: x', (m, c_0, height, width); None for the images themselves, of which each pair is computed once.
        depth: the number of convolutions.
        head: "flatten" or "pool", how the dense layer sees the positions.
        filter_size: q, odd.
        padding: "zeros" or "circular"; the size of the images is kept.
        activation: a name in :data:`dlopt.models.ACTIVATIONS`, or an Activation.
        sigma_w: σ_w; the default keeps the variance through ReLU.
        sigma_b: σ_b.
        memory: bytes of one table of covariances.  Pairs of images are taken together until it is full, and some
            eight such tables live at once; where the head pools, one pair has (height · width)² entries.

    Raises:
        ValueError: an argument is none of the above, or the images differ in shape.
    """
    columns = images if others is None else others
    if depth < 1 or filter_size % 2 == 0 or filter_size < 1:
        raise ValueError(f"give one convolution or more of odd size, not {depth} of size {filter_size}.")
    if head not in ("flatten", "pool") or padding not in ("zeros", "circular"):
        raise ValueError(f"there is no head {head!r} with padding {padding!r}.")
    if images.shape[1:] != columns.shape[1:]:
        raise ValueError(
            f"images of {tuple(images.shape[1:])} and {tuple(columns.shape[1:])} have no kernel."
        )
    layers = PairRecursion(dual(activation), depth, filter_size, padding, sigma_w, sigma_b)
    own = layers.variances(images)
    across = own if others is None else layers.variances(columns)
    n, m, positions = len(images), len(columns), images.shape[-2] * images.shape[-1]
    pairs = (
        torch.combinations(torch.arange(n), with_replacement=True).T if others is None else _all_pairs(n, m)
    )
    table = images.element_size() * (positions**2 if head == "pool" else positions)
    evaluate = layers.pooled if head == "pool" else layers.flattened
    nngp, ntk = images.new_empty(n, m), images.new_empty(n, m)
    for i, j in zip(*(index.split(max(1, memory // table)) for index in pairs), strict=True):
        part = evaluate(images[i], columns[j], [q[i] for q in own], [q[j] for q in across])
        for whole, values in ((nngp, part.nngp), (ntk, part.ntk)):
            whole[i, j] = values
            if others is None:
                whole[j, i] = values
    return Kernels(nngp, ntk)


def _all_pairs(n: int, m: int) -> tuple[Tensor, Tensor]:
    return torch.arange(n).repeat_interleave(m), torch.arange(m).repeat(n)


class PairRecursion:
    """The recursion over the layers for pairs of images side by side."""

    def __init__(
        self, phi: Dual, depth: int, size: int, padding: str, sigma_w: float, sigma_b: float
    ) -> None:
        self.phi, self.depth, self.size, self.circular = phi, depth, size, padding == "circular"
        self.sigma_w2, self.sigma_b2 = sigma_w**2, sigma_b**2

    def variances(self, images: Tensor) -> list[Tensor]:
        """Σ^l(x, x)[p, p] for l = 1, …, depth, (n, height, width) each."""
        variances = [self._patches((images**2).mean(dim=1)) + self.sigma_b2]
        for _ in range(self.depth - 1):
            variances.append(self._patches(self.phi.variance(variances[-1])) + self.sigma_b2)
        return variances

    def flattened(self, x: Tensor, others: Tensor, p: list[Tensor], q: list[Tensor]) -> Kernels:
        """The kernels of pairs (x_k, x'_k), (k,), from the covariances at equal positions, (k, height, width)."""

        def products(sigma: Tensor, layer: int) -> tuple[Tensor, Tensor]:
            return _entrywise(self.phi, sigma, p[layer], q[layer])

        def patches(covariance: Tensor) -> Tensor:
            return self._patches(covariance)

        return self._advance((x * others).mean(dim=1), products, patches)

    def pooled(self, x: Tensor, others: Tensor, p: list[Tensor], q: list[Tensor]) -> Kernels:
        """The kernels of pairs (x_k, x'_k), (k,), from those at all positions, (k, height, width, height, width)."""
        height, width = x.shape[-2:]

        def products(sigma: Tensor, layer: int) -> tuple[Tensor, Tensor]:
            values = self.phi.products(
                sigma.flatten(3).flatten(1, 2), p[layer].flatten(1), q[layer].flatten(1)
            )
            return tuple(value.view(sigma.shape) for value in values)

        def patches(covariance: Tensor) -> Tensor:
            down = self._shifted(covariance, 1, 3)
            return self._shifted(down, 2, 4).mul_(self.sigma_w2 / self.size**2)

        start = x.flatten(2).mT @ others.flatten(2) / x.shape[1]
        return self._advance(start.view(-1, height, width, height, width), products, patches)

    def _advance(self, sigma: Tensor, products, patches) -> Kernels:
        """From the products of the inputs through all convolutions and the dense layer."""
        sigma = patches(sigma).add_(self.sigma_b2)
        theta = sigma.clone()
        for layer in range(self.depth):
            values, slopes = products(sigma, layer)
            theta.mul_(slopes)
            if layer < self.depth - 1:
                sigma = patches(values).add_(self.sigma_b2)
                theta = patches(theta).add_(sigma)
        nngp = self.sigma_w2 * values.flatten(1).mean(dim=1) + self.sigma_b2
        return Kernels(nngp, nngp + self.sigma_w2 * theta.flatten(1).mean(dim=1))

    def _patches(self, covariance: Tensor) -> Tensor:
        """𝒜 on the entries p = p', (k, height, width)."""
        radius = self.size // 2
        padded = functional.pad(
            covariance.unsqueeze(1), (radius,) * 4, mode="circular" if self.circular else "constant"
        )
        return functional.avg_pool2d(padded, self.size, stride=1).squeeze(1) * self.sigma_w2

    def _shifted(self, covariance: Tensor, one: int, other: int) -> Tensor:
        """Σ_δ K[…, i + δ, …, i' + δ, …] over the shifts |δ| ≤ q/2 of two axes together."""
        total = covariance.clone()
        length = covariance.shape[one]
        for delta in range(1, self.size // 2 + 1):
            if self.circular:
                total += covariance.roll((delta, delta), (one, other))
                total += covariance.roll((-delta, -delta), (one, other))
            elif delta < length:
                low, high = (0, length - delta), (delta, length - delta)
                ahead = covariance.narrow(one, *high).narrow(other, *high)
                behind = covariance.narrow(one, *low).narrow(other, *low)
                total.narrow(one, *low).narrow(other, *low).add_(ahead)
                total.narrow(one, *high).narrow(other, *high).add_(behind)
        return total


def _entrywise(phi: Dual, covariance: Tensor, p: Tensor, q: Tensor) -> tuple[Tensor, Tensor]:
    """The products of ``phi`` for variances that go entry by entry with the covariances."""
    values = phi.products(covariance[..., None, None], p[..., None], q[..., None])
    return tuple(value[..., 0, 0] for value in values)
