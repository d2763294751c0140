"""Stationarity does not see lengths, and each weight gets the rate that is its own."""

from __future__ import annotations

import torch

from dlopt import training
from dlopt.models import Residual
from dlopt.tricks.scale_invariance import TwoRates, effective_rate, rate_after_one_step, stationarity

X = torch.randn(20, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.randint(3, (20,), generator=torch.Generator().manual_seed(1))


def network(members: int | None = None) -> Residual:
    model = Residual(
        [4, 6, 6, 3],
        "tanh",
        skip=None,
        normalization="batch",
        members=members,
        dtype=torch.float64,
        device="cpu",
    )
    for norm in model.norms:
        norm.epsilon = 1e-30
    return model


def gradient_norm(model: Residual) -> torch.Tensor:
    loss = training.objective(model, X, Y, training.cross_entropy)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    return torch.stack([g.square().sum() for g in gradients]).sum().sqrt()


def test_stationarity_is_the_gradient_at_unit_lengths_whatever_the_lengths_are():
    model = network()
    here = stationarity(model, X, Y, training.cross_entropy)
    with torch.no_grad():
        for weight in list(model.weights)[:-1]:
            weight.div_(weight.norm(dim=1, keepdim=True))
    assert torch.allclose(gradient_norm(model), here, rtol=1e-10)
    with torch.no_grad():
        model.weights[0][2] *= 50
    assert torch.allclose(stationarity(model, X, Y, training.cross_entropy), here, rtol=1e-10)


def test_members_are_measured_each_by_itself():
    together = network(members=3)
    values = stationarity(together, X, Y, training.cross_entropy)
    for member in range(3):
        alone = together.member(member)
        for norm in alone.norms:
            norm.epsilon = 1e-30
        assert torch.allclose(values[member], stationarity(alone, X, Y, training.cross_entropy), rtol=1e-9)


def test_one_step_moves_hidden_weights_by_their_members_rate_and_the_rest_by_the_other():
    before, after = network(members=2), network(members=2)
    rates = torch.tensor([0.5, 20.0])
    training.train(after, X, Y, loss=training.cross_entropy, steps=1, optimizer=TwoRates(after, rates, 0.1))
    loss = training.objective(before, X, Y, training.cross_entropy).sum()
    gradients = torch.autograd.grad(loss, list(before.parameters()))
    hidden = {id(weight) for weight in list(before.weights)[:-1]}
    for old, new, g in zip(before.parameters(), after.parameters(), gradients, strict=True):
        rate = rates.double().view(-1, 1, 1) if id(old) in hidden else 0.1
        assert torch.allclose(new, old - rate * g, rtol=1e-6, atol=1e-8)


def test_the_effective_rate_after_one_step_is_what_the_step_makes_it():
    model = network()
    loss = training.objective(model, X, Y, training.cross_entropy)
    (gradient,) = torch.autograd.grad(loss, model.weights[0])
    squared = model.weights[0].detach().square().sum(-1).mean()
    predicted = rate_after_one_step(7.0, squared, gradient.square().sum(-1).mean())
    assert torch.allclose(effective_rate(7.0, model.weights[0]), 7 / squared)
    with torch.no_grad():
        model.weights[0].sub_(7 * gradient)
    assert torch.allclose(effective_rate(7.0, model.weights[0]), predicted, rtol=1e-10)
