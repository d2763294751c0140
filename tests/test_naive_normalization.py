"""The two naive methods do what they are said to do: that is how they fail."""

from __future__ import annotations

import torch

from dlopt import training
from dlopt.models import FullyConnected
from dlopt.normalization import BatchNormalization
from dlopt.tricks.naive_normalization import (
    DetachedBatchNormalization,
    RenormalizingDescent,
    learn_a_bias,
    renormalize,
)

X = torch.randn(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(3, (30,), generator=torch.Generator().manual_seed(1))


def network(members: int | None = None) -> FullyConnected:
    return FullyConnected([4, 6, 5, 3], bias=True, members=members, dtype=torch.float64, device="cpu")


def test_outside_the_graph_the_bias_moves_by_step_times_mean_target_and_the_loss_by_nothing():
    u, y = X[:, 0], X[:, 1] + 2
    run = learn_a_bias(u, y, 0.1, 20, in_graph=False)
    assert torch.allclose(run.bias.diff(), 0.1 * y.mean().expand(20))
    assert torch.allclose(run.loss, 0.5 * (u - u.mean() - y).square().mean().expand(21))


def test_in_the_graph_the_bias_stays():
    run = learn_a_bias(X[:, 0], X[:, 1] + 2, 0.1, 20, in_graph=True)
    assert run.bias.abs().max() < 1e-14


def test_detached_statistics_give_the_same_values_and_the_gradient_of_a_constant_scaling():
    detached, proper = (
        make((4,), dtype=torch.float64) for make in (DetachedBatchNormalization, BatchNormalization)
    )
    h = X.clone().requires_grad_()
    assert torch.allclose(detached(h), proper(h), atol=1e-12)
    incoming = X.flip(0)
    (gradient,) = torch.autograd.grad(detached(h), h, incoming)
    assert torch.allclose(gradient, incoming / (X.var(0, correction=0) + 1e-5).sqrt(), atol=1e-12)
    assert torch.equal(detached.eval()(X), X / (1 + 1e-5) ** 0.5) or torch.allclose(detached(X), X, atol=1e-4)


def test_after_renormalizing_every_hidden_preactivation_is_standardized():
    for model in (network(), network(members=2)):
        last = model.weights[-1].clone()
        renormalize(model, X)
        for h in model.passes(X).preactivations[:-1]:
            assert torch.allclose(h.mean(-2), torch.zeros_like(h.mean(-2)), atol=1e-12)
            assert torch.allclose(h.std(-2, correction=0), torch.ones_like(h.mean(-2)), atol=1e-12)
        assert torch.equal(model.weights[-1], last)


def test_a_renormalizing_step_is_a_gradient_step_and_then_the_renormalization():
    ours, by_hand = network(), network()
    training.train(
        ours, X, Y, loss=training.cross_entropy, steps=1, optimizer=RenormalizingDescent(ours, X, 0.2)
    )
    training.train(by_hand, X, Y, loss=training.cross_entropy, steps=1, step_size=0.2)
    renormalize(by_hand, X)
    for one, other in zip(ours.parameters(), by_hand.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-13)
