"""The variance of SVRG's direction from outer products against gradients of single samples by torch.func."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call, grad, vmap

from dlopt.algorithms.sample_gradients import SampleGradients
from dlopt.algorithms.variance_ratio import variance_ratio
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy

INPUTS = torch.randn(30, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
LABELS = torch.arange(30) % 3


def network(members=None, seed=0, device="cpu"):
    return FullyConnected([5, 7, 3], members=members, seed=seed, dtype=torch.float64, device=device)


def rows(model) -> torch.Tensor:
    """∇ℓ_i, one sample a row."""
    values = {name: parameter.detach() for name, parameter in model.named_parameters()}

    def one(parameters, x, y):
        return cross_entropy(functional_call(model, parameters, (x[None],)), y[None])

    gradients = vmap(grad(one), in_dims=(None, 0, 0))(values, INPUTS, LABELS)
    return torch.cat([g.flatten(start_dim=1) for g in gradients.values()], dim=1)


def test_the_ratio_is_that_of_gradients_formed_one_by_one():
    now, then = network(seed=1), network(seed=2)
    variances = [g.var(dim=0, correction=0).sum() for g in (rows(now) - rows(then), rows(now))]
    ours = variance_ratio(*(SampleGradients.of(m, INPUTS, LABELS, cross_entropy) for m in (now, then)))
    torch.testing.assert_close(ours, variances[0] / variances[1])


def test_products_are_inner_products_of_the_samples_gradients():
    now, then = network(seed=1), network(seed=2)
    one, other = (SampleGradients.of(m, INPUTS, LABELS, cross_entropy) for m in (now, then))
    torch.testing.assert_close(one.products(other), (rows(now) * rows(then)).sum(dim=1))


def test_at_the_snapshot_nothing_is_left_and_members_are_apart():
    model = network(members=3)
    here = SampleGradients.of(model, INPUTS, LABELS, cross_entropy)
    torch.testing.assert_close(
        variance_ratio(here, here), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12
    )
    single = SampleGradients.of(model.member(1), INPUTS, LABELS, cross_entropy)
    torch.testing.assert_close(here.products(here)[1], single.products(single))


@pytest.mark.cuda
def test_on_cuda_the_ratio_is_the_same():
    def ratio(device):
        pair = [
            SampleGradients.of(
                network(seed=s, device=device), INPUTS.to(device), LABELS.to(device), cross_entropy
            )
            for s in (1, 2)
        ]
        return variance_ratio(*pair).cpu()

    torch.testing.assert_close(ratio("cuda"), ratio("cpu"))
