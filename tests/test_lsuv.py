"""LSUV: unit variances layer by layer, against the one-line algorithm and with its errors."""

from __future__ import annotations

import pytest
import torch

from dlopt import data
from dlopt.initialization import gaussian, orthogonal, zeros
from dlopt.models import FullyConnected
from dlopt.tricks.lsuv import layer_variances, lsuv

EXACT = {"dtype": torch.float64, "device": "cpu"}
X = data.gaussian(50, 6, **EXACT)


@pytest.mark.parametrize("activation", ["linear", "relu", "tanh", "elu", "logistic"])
@pytest.mark.parametrize("members", [None, 3])
def test_every_layer_has_unit_variance_afterwards(activation, members):
    net = FullyConnected([6, 9, 7, 8, 4], activation, initialization=orthogonal(), members=members, **EXACT)
    assert lsuv(net, X) == [1] * 4
    variances = layer_variances(net, X)
    assert variances.shape == ((4,) if members is None else (3, 4))
    assert torch.allclose(variances, torch.ones_like(variances), atol=1e-12)


def test_it_scales_the_matrices_and_nothing_else():
    before, net = (FullyConnected([6, 9, 4], "relu", seed=2, bias=True, **EXACT) for _ in range(2))
    lsuv(net, X)
    for old, new in zip(before.weights, net.weights, strict=True):
        ratio = new / old
        assert torch.allclose(ratio, ratio[0, 0].expand_as(ratio))
    assert all(torch.equal(old, new) for old, new in zip(before.biases, net.biases, strict=True))


def test_it_is_the_algorithm_of_the_paper_written_out():
    net, expected = (FullyConnected([6, 9, 7, 4], "tanh", seed=5, **EXACT) for _ in range(2))
    lsuv(net, X)
    z, (first, second, third) = X, expected.weights
    for weight in (first, second, third):
        h = z @ weight.T
        z = torch.tanh(h / h.std(correction=0))
    assert torch.allclose(net(X), h / h.std(correction=0), atol=1e-12)


def test_members_are_scaled_each_by_itself():
    together = FullyConnected([6, 9, 4], "relu", members=3, seed=1, **EXACT)
    lsuv(together, X)
    alone = FullyConnected([6, 9, 4], "relu", seed=2, **EXACT)
    lsuv(alone, X)
    assert all(
        torch.allclose(w, v, atol=1e-13)
        for w, v in zip(together.member(1).weights, alone.weights, strict=True)
    )


def test_a_good_layer_is_left_alone():
    net = FullyConnected([6, 9, 4], "relu", **EXACT)
    lsuv(net, X)
    assert lsuv(net, X) == [0, 0]


def test_a_small_bias_takes_several_divisions_and_a_large_one_is_refused():
    net = FullyConnected([6, 300, 4], "linear", bias=gaussian(0.8), **EXACT)
    assert lsuv(net, X, tolerance=1e-3, most=60)[0] > 1
    assert (layer_variances(net, X) - 1).abs().max() < 1e-3
    with pytest.raises(ValueError, match="layer 1 did not reach variance 1"):
        lsuv(FullyConnected([6, 300, 4], "linear", bias=gaussian(3.0), **EXACT), X)


def test_dead_layers_are_refused():
    with pytest.raises(ValueError, match="output of layer 1 has no variance"):
        lsuv(FullyConnected([6, 5, 4], initialization=zeros, **EXACT), X)


@pytest.mark.cuda
def test_on_the_gpu_it_gives_the_same_weights():
    nets = [
        FullyConnected([6, 9, 4], "relu", dtype=torch.float64, device=device) for device in ("cpu", "cuda")
    ]
    for net in nets:
        lsuv(net, X.to(net.weights[0].device))
    for ours, theirs in zip(*(net.weights for net in nets), strict=True):
        assert torch.allclose(ours, theirs.cpu(), atol=1e-12)
