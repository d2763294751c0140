"""Layer-wise pre-training: the encoders are copied, the last layer is not, and reconstruction improves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dlopt import data
from dlopt.initialization import xavier_normal
from dlopt.models import FullyConnected
from dlopt.training import squared_error, train
from dlopt.tricks.pretraining import pretrain

EXACT = {"dtype": torch.float64, "device": "cpu"}
X = data.gaussian(60, 6, **EXACT)
SETTINGS = {"steps": 60, "step_size": 0.05, "batch_size": 20}


@pytest.mark.parametrize("members", [None, 3])
def test_every_autoencoder_learns_and_the_last_layer_keeps_its_draw(members):
    net, before = (
        FullyConnected([6, 5, 4, 2], "logistic", bias=True, members=members, **EXACT) for _ in range(2)
    )
    losses = pretrain(net, X, **SETTINGS)
    assert losses.shape == ((2, 2) if members is None else (2, 2, 3))
    assert (losses[:, 1] < losses[:, 0]).all()
    changed = [not torch.equal(v, w) for v, w in zip(net.weights, before.weights, strict=True)]
    assert changed == [True, True, False]
    assert torch.equal(net.biases[-1], before.biases[-1])


def test_the_first_layer_is_the_encoder_of_an_autoencoder_of_the_inputs():
    net = FullyConnected([6, 5, 4, 2], "tanh", bias=True, **EXACT)
    pretrain(net, X, seed=7, **SETTINGS)
    coder = FullyConnected([6, 5, 6], "tanh", initialization=xavier_normal, bias=True, seed=7, **EXACT)
    train(coder, X, X, loss=squared_error, seed=7, **SETTINGS)
    assert torch.equal(net.weights[0], coder.weights[0])
    assert torch.equal(net.biases[0], coder.biases[0])


def test_the_second_autoencoder_sees_the_outputs_of_the_first_layer():
    net = FullyConnected([6, 5, 4, 2], "tanh", bias=True, **EXACT)
    losses = pretrain(net, X, seed=7, **SETTINGS)
    z = net.passes(X).postactivations[1].detach()
    coder = FullyConnected([5, 4, 5], "tanh", initialization=xavier_normal, bias=True, seed=1007, **EXACT)
    start = squared_error(coder(z), z).item()
    train(coder, z, z, loss=squared_error, seed=8, **SETTINGS)
    assert torch.allclose(net.weights[1], coder.weights[0], atol=1e-12)
    spread = (z - z.mean(0)).square().sum(-1).mean().item()
    assert losses[1] == pytest.approx(np.array([start, squared_error(coder(z), z).item()]) / spread, rel=1e-9)


def test_without_biases_only_the_matrices_are_copied():
    net = FullyConnected([6, 5, 2], "logistic", **EXACT)
    pretrain(net, X, **SETTINGS)
    assert len(net.biases) == 0


@pytest.mark.cuda
def test_on_the_gpu_it_gives_the_same_weights():
    weights = []
    for device in ("cpu", "cuda"):
        net = FullyConnected([6, 5, 2], "logistic", bias=True, dtype=torch.float64, device=device)
        pretrain(net, X.to(device), **SETTINGS)
        weights.append(net.weights[0].detach().cpu())
    assert torch.allclose(*weights, atol=1e-9)
