"""Plain convolutional networks against torch.nn and against the sum that defines a convolution."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from dlopt.convolutional import Convolutional
from dlopt.models import ACTIVATIONS
from dlopt.training import cross_entropy, train

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def images(n: int = 3, channels: int = 2, size: int = 6) -> torch.Tensor:
    return torch.randn(
        n, channels, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )


@pytest.mark.parametrize("padding_mode", ["circular", "zeros"])
@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 2)])
@pytest.mark.parametrize("bias", [False, True])
def test_value_and_gradients_are_those_of_torch_conv2d(padding_mode, strides, bias):
    network = Convolutional(
        [2, 5, 4, 3], 7, activation="tanh", padding_mode=padding_mode, strides=strides, bias=bias,
        pooling="flatten", size=(6, 6), dtype=torch.float64,
    )  # fmt: skip
    layers = []
    for layer, stride in enumerate(strides):
        theirs = nn.Conv2d(
            network.channels[layer], network.channels[layer + 1], 3, stride, 1, bias=bias,
            padding_mode=padding_mode, dtype=torch.float64,
        )  # fmt: skip
        with torch.no_grad():
            theirs.weight.copy_(network.weights[layer])
            if bias:
                network.biases[layer].normal_()
                theirs.bias.copy_(network.biases[layer])
        layers += [theirs, nn.Tanh()]
    expected = nn.Sequential(*layers)(images()).flatten(1) @ network.head.T
    outputs = network(images())
    assert torch.allclose(outputs, expected, atol=1e-13)
    outputs.square().sum().backward()
    expected.square().sum().backward()
    for ours, theirs in zip(network.weights, layers[::2], strict=True):
        assert torch.allclose(ours.grad, theirs.weight.grad, atol=1e-10)


def test_a_convolution_is_the_sum_in_the_docstring():
    network = Convolutional([2, 3], None, dtype=torch.float64)
    x, expected = images(), torch.zeros(3, 3, 6, 6, dtype=torch.float64)
    for a in (-1, 0, 1):
        for b in (-1, 0, 1):
            shifted = torch.roll(x, (-a, -b), (2, 3))
            expected += torch.einsum("ij,njhw->nihw", network.weights[0][:, :, a + 1, b + 1], shifted)
    assert torch.allclose(network.passes(x).preactivations[0], expected, atol=1e-13)


def test_circular_padding_makes_a_network_that_commutes_with_shifts():
    network = Convolutional([2, 3, 3], None, activation="tanh", dtype=torch.float64)
    shifted = torch.roll(images(), (1, 2), (2, 3))
    assert torch.allclose(network(shifted), torch.roll(network(images()), (1, 2), (2, 3)), atol=1e-13)


def test_the_head_takes_the_mean_over_pixels():
    network = Convolutional([2, 3, 4], 5, dtype=torch.float64)
    z = Convolutional([2, 3, 4], None, dtype=torch.float64)(images())
    assert torch.allclose(network(images()), z.mean(dim=(2, 3)) @ network.head.T, atol=1e-14)


def test_passes_holds_every_layer_and_the_activation_leads_from_one_to_the_next():
    network = Convolutional([2, 3, 4, 5], 1, activation="elu", dtype=torch.float64)
    h, z = network.passes(images())
    assert network.depth == len(h) == len(z) == 3
    assert torch.equal(z[0], images())
    for below, above in zip(h[:-1], z[1:], strict=True):
        assert torch.equal(ACTIVATIONS["elu"](below), above)


def test_both_precisions_start_at_the_same_point_and_another_seed_elsewhere():
    single, double = (Convolutional([1, 4, 4], dtype=t) for t in (torch.float32, torch.float64))
    for ours, theirs in zip(single.parameters(), double.parameters(), strict=True):
        assert torch.equal(ours, theirs.float())
    assert not torch.equal(
        double.weights[0], Convolutional([1, 4, 4], seed=1, dtype=torch.float64).weights[0]
    )


def test_the_defaults_are_kaimings_over_the_whole_receptive_field_and_lecuns_head():
    network = Convolutional([30, 200], 300)
    assert network.weights[0].var().item() == pytest.approx(2 / 270, rel=0.03)
    assert network.head.var().item() == pytest.approx(1 / 200, rel=0.03)


@pytest.mark.parametrize("options", [{}, {"bias": True, "pooling": "flatten", "strides": (1, 2)}])
def test_each_member_is_the_single_network_with_its_seed(options):
    arguments = {"activation": "tanh", "size": (6, 6), "dtype": torch.float64, **options}
    together = Convolutional([2, 5, 4], 3, members=3, seed=7, **arguments)
    outputs, passes = together(images()), together.passes(images())
    for m in range(3):
        alone = Convolutional([2, 5, 4], 3, seed=7 + m, **arguments)
        for single in (alone, together.member(m)):
            assert torch.allclose(outputs[m], single(images()), atol=1e-13)
            for ours, theirs in zip(passes, single.passes(images()), strict=True):
                for many, one in zip(ours, theirs, strict=True):
                    assert torch.allclose(many[m], one, atol=1e-13)


def test_members_train_as_the_single_networks_do():
    arguments = {"activation": "tanh", "dtype": torch.float64}
    labels = torch.tensor([0, 2, 1])
    together = Convolutional([2, 4, 4], 3, members=2, **arguments)
    alone = Convolutional([2, 4, 4], 3, seed=1, **arguments)
    settings = {"loss": cross_entropy, "steps": 5, "step_size": 0.1}
    losses = train(together, images(), labels, **settings).loss
    assert losses[:, 1] == pytest.approx(train(alone, images(), labels, **settings).loss, rel=1e-10)


def test_the_initialization_is_asked_for_each_layer_in_order():
    asked = []

    def draw(shape, _):
        asked.append(shape)
        return torch.zeros(shape)

    network = Convolutional([1, 2, 3], 4, initialization=draw, head=draw, kernel=5)
    assert asked == [(2, 1, 5, 5), (3, 2, 5, 5), (4, 3)]
    assert (network(torch.ones(1, 1, 8, 8)) == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": [3]}, "channels must be"),
        ({"channels": [3, 0]}, "channels must be"),
        ({"kernel": 2}, "kernel must be an odd"),
        ({"strides": [1]}, "strides must be 2"),
        ({"padding_mode": "reflect"}, "padding_mode must be"),
        ({"pooling": "max"}, "pooling must be"),
        ({"pooling": "flatten"}, "needs the size"),
        ({"outputs": 0}, "outputs must be"),
        ({"members": 0}, "members must be"),
        ({"activation": "step"}, "unknown activation 'step'"),
    ],
)
def test_what_makes_no_network_is_refused_in_one_sentence(options, message):
    with pytest.raises(ValueError, match=message):
        Convolutional(**{"channels": [1, 2, 2], **options})


def test_inputs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"inputs must be \(n, 2, height, width\)"):
        Convolutional([2, 3])(torch.zeros(1, 3, 4, 4))
    with pytest.raises(ValueError, match=r"made for images of \(4, 4\), not \(6, 6\)"):
        Convolutional([2, 3], size=(4, 4), pooling="flatten")(torch.zeros(1, 2, 6, 6))
    with pytest.raises(ValueError, match="it has no members"):
        Convolutional([2, 3]).member(0)


@pytest.mark.cuda
def test_a_network_on_the_gpu_computes_what_it_does_on_the_cpu():
    on_cpu, on_gpu = (Convolutional([2, 8, 8], dtype=torch.float64, device=d) for d in ("cpu", "cuda"))
    assert torch.allclose(on_cpu(images()), on_gpu(images().cuda()).cpu(), atol=1e-10)
