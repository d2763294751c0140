"""Networks against their equations, PyTorch's layers and themselves without members."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlopt import models
from dlopt.initialization import gaussian
from dlopt.models import ACTIVATIONS, FullyConnected, Residual

WIDTHS = (5, 7, 7, 7, 7, 3)
ARCHITECTURES = {
    "fully connected": (FullyConnected, {}),
    "with biases": (FullyConnected, {"bias": gaussian(0.5)}),
    "skips inside": (Residual, {"skip": "inside"}),
    "skips outside, normalized": (Residual, {"skip": "outside", "normalization": "batch"}),
    "layer normalization": (Residual, {"skip": None, "normalization": "layer"}),
    "blocks of three": (Residual, {"skip": "inside", "normalization": "batch", "block": 3}),
}
architectures = pytest.mark.parametrize(
    ("network", "options"), ARCHITECTURES.values(), ids=ARCHITECTURES.keys()
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("on_the_cpu")


def inputs(n: int = 11, d: int = 5, *leading: int) -> torch.Tensor:
    return torch.randn(*leading, n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS.keys())
class TestActivations:
    def test_the_derivative_is_autograds_also_at_kinks(self, activation):
        h = torch.cat([torch.linspace(-40, 40, 4001), torch.tensor([-1.0, 0.0, 1.0])]).double()
        h.requires_grad_()
        (expected,) = torch.autograd.grad(activation(h).sum(), h)
        assert torch.allclose(activation.derivative(h), expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_function_and_derivative_keep_type_and_shape(self, activation, dtype):
        h = torch.randn(3, 4, dtype=dtype)
        for result in (activation(h), activation.derivative(h)):
            assert result.dtype == dtype
            assert result.shape == h.shape

    def test_second_derivatives_exist_in_both_modes(self, activation):
        h, v = torch.randn(6, dtype=torch.float64), torch.randn(6, dtype=torch.float64)

        def gradient(h):
            return torch.func.grad(lambda h: activation(h).pow(2).sum())(h)

        forward = torch.func.jvp(gradient, (h,), (v,))[1]
        backward = torch.func.vjp(gradient, h)[1](v)[0]
        assert torch.allclose(forward, backward, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("relu", nn.ReLU()), ("leaky_relu", nn.LeakyReLU()), ("elu", nn.ELU()), ("tanh", nn.Tanh()),
        ("hard_tanh", nn.Hardtanh()), ("logistic", nn.Sigmoid()), ("softplus", nn.Softplus(threshold=1000)),
        ("gelu", nn.GELU()), ("swish", nn.SiLU()),
    ],
)  # fmt: skip
def test_activations_are_pytorchs(name, theirs):
    h = torch.linspace(-30, 30, 1001, dtype=torch.float64)
    assert torch.allclose(ACTIVATIONS[name](h), theirs(h), rtol=1e-12, atol=1e-15)


class TestInitialization:
    def test_the_default_is_kaimings_and_keeps_the_second_moment_of_relu_layers(self):
        network = FullyConnected([500, 2000, 2000, 2000], "relu", seed=4)
        x = torch.randn(3, 500, generator=torch.Generator().manual_seed(2))
        first, second = network.passes(x).preactivations[1:]
        assert (second.square().mean() / first.square().mean()).item() == pytest.approx(1, abs=0.1)
        reference = nn.init.kaiming_normal_(torch.empty(2000, 500), generator=torch.Generator())
        assert network.weights[0].std().item() == pytest.approx(reference.std().item(), rel=0.01)


class TestFullyConnected:
    def test_it_is_equation_1(self):
        network = FullyConnected([5, 7, 6, 3], "tanh", dtype=torch.float64)
        first, second, third = network.weights
        x = inputs()[0]
        expected = third @ torch.tanh(second @ torch.tanh(first @ x))
        assert torch.allclose(network(inputs())[0], expected, atol=1e-14)

    def test_the_last_layer_is_linear(self):
        network = FullyConnected([5, 7, 3], "relu", dtype=torch.float64)
        assert network(inputs()).min() < 0

    @pytest.mark.parametrize("bias", [False, True])
    def test_value_and_gradients_are_those_of_torch_sequential(self, bias):
        network = FullyConnected([5, 7, 6, 3], "relu", bias=bias and gaussian(0.5), dtype=torch.float64)
        linear = [
            nn.Linear(fan_in, fan_out, bias=bias, dtype=torch.float64)
            for fan_in, fan_out in ((5, 7), (7, 6), (6, 3))
        ]
        sequential = nn.Sequential(linear[0], nn.ReLU(), linear[1], nn.ReLU(), linear[2])
        with torch.no_grad():
            for layer, theirs in enumerate(linear):
                theirs.weight.copy_(network.weights[layer])
                if bias:
                    theirs.bias.copy_(network.biases[layer])
        outputs, expected = network(inputs()), sequential(inputs())
        assert torch.equal(outputs, expected)
        outputs.square().sum().backward()
        expected.square().sum().backward()
        for layer, theirs in enumerate(linear):
            assert torch.allclose(network.weights[layer].grad, theirs.weight.grad, atol=1e-12)

    def test_a_bias_starts_at_zero_unless_it_is_drawn(self):
        assert all((b == 0).all() for b in FullyConnected(WIDTHS, bias=True).biases)
        assert all((b != 0).all() for b in FullyConnected(WIDTHS, bias=gaussian(1.0)).biases)
        assert len(FullyConnected(WIDTHS).biases) == 0

    def test_a_bias_of_zero_leaves_the_weights_as_they_are_drawn_without(self):
        for plain, biased in zip(
            FullyConnected(WIDTHS).weights, FullyConnected(WIDTHS, bias=True).weights, strict=True
        ):
            assert torch.equal(plain, biased)

    def test_the_network_owns_its_parameters(self):
        start = torch.ones(3, 5)
        network = FullyConnected([5, 3], initialization=lambda shape, generator: start)
        with torch.no_grad():
            network.weights[0].zero_()
        assert (start == 1).all()

    def test_both_precisions_start_at_the_same_point(self):
        double, single = (FullyConnected(WIDTHS, dtype=dtype) for dtype in (torch.float64, torch.float32))
        for ours, rounded in zip(double.weights, single.weights, strict=True):
            assert torch.equal(ours.float(), rounded)

    def test_the_seed_offset_draws_another_network(self, monkeypatch):
        here = FullyConnected(WIDTHS, seed=2).weights[0]
        monkeypatch.setenv("DLOPT_SEED_OFFSET", "1000")
        assert not torch.equal(FullyConnected(WIDTHS, seed=2).weights[0], here)

    @given(factor=st.floats(0.01, 100), depth=st.integers(1, 6))
    @settings(max_examples=25)
    def test_a_relu_network_is_positively_homogeneous(self, factor, depth):
        network = FullyConnected([5, *[6] * (depth - 1), 2], "relu", dtype=torch.float64, device="cpu")
        assert torch.allclose(network(factor * inputs()), factor * network(inputs()), rtol=1e-10)

    @pytest.mark.parametrize(
        ("arguments", "sentence"),
        [
            ({"widths": [5]}, "two or more positive"),
            ({"widths": [5, 0, 1]}, "two or more positive"),
            ({"widths": [5, 1], "members": 0}, "members must be None or a positive"),
            ({"widths": [5, 1], "activation": "reluu"}, "unknown activation 'reluu': use one of linear"),
        ],
    )
    def test_bad_arguments_give_one_sentence(self, arguments, sentence):
        with pytest.raises(ValueError, match=sentence):
            FullyConnected(**arguments)

    @pytest.mark.parametrize("shape", [(11, 4), (5,), (3, 11, 5), (2, 11, 4), (2, 2, 11, 5)])
    def test_inputs_that_do_not_fit_are_refused(self, shape):
        for members in (None, 2):
            with pytest.raises(ValueError, match=r"inputs must be \(n, 5\)"):
                FullyConnected([5, 7, 1], members=members)(torch.zeros(shape))


@architectures
class TestEveryArchitecture:
    def test_passes_obey_the_recursion_and_end_in_the_output(self, network, options):
        model = network(WIDTHS, "tanh", dtype=torch.float64, **options)
        preactivations, postactivations = model.passes(inputs())
        assert [h.shape[-1] for h in preactivations] == list(WIDTHS[1:])
        assert [z.shape[-1] for z in postactivations] == list(WIDTHS[:-1])
        assert torch.equal(postactivations[0], inputs())
        assert torch.equal(preactivations[-1], model(inputs()))
        if options.get("skip") != "outside":
            for h, z in zip(preactivations, postactivations[1:], strict=False):
                assert torch.equal(torch.tanh(h), z)

    @pytest.mark.parametrize("mode", [True, False])
    def test_each_member_is_the_single_network_with_its_seed(self, network, options, mode):
        batched = network(WIDTHS, "tanh", members=3, seed=10, dtype=torch.float64, **options).train(mode)
        outputs = batched(inputs())
        assert outputs.shape == (3, 11, 3)
        for member in range(3):
            single = network(WIDTHS, "tanh", seed=10 + member, dtype=torch.float64, **options).train(mode)
            for ours, alone in zip(batched.parameters(), single.parameters(), strict=True):
                assert torch.equal(ours[member], alone)
            assert torch.allclose(outputs[member], single(inputs()), atol=1e-13)

    def test_a_member_does_not_depend_on_how_many_there_are(self, network, options):
        two, five = (network(WIDTHS, members=members, **options) for members in (2, 5))
        for few, many in zip(two.parameters(), five.parameters(), strict=True):
            assert torch.equal(few, many[:2])

    def test_members_may_have_inputs_of_their_own(self, network, options):
        model = network(WIDTHS, members=3, dtype=torch.float64, **options)
        own = inputs(11, 5, 3)
        alone = [model.member(member)(own[member]) for member in range(3)]
        assert torch.allclose(model(own), torch.stack(alone), atol=1e-13)

    def test_a_member_that_is_taken_out_is_a_copy(self, network, options):
        model = network(WIDTHS, members=3, dtype=torch.float64, **options).eval()
        single = model.member(1)
        assert single.members is None
        assert not single.training
        assert torch.allclose(single(inputs()), model(inputs())[1], atol=1e-13)
        with torch.no_grad():
            single.weights[0].zero_()
        assert (model.weights[0][1] != 0).all()
        with pytest.raises(ValueError, match="it has no members"):
            single.member(0)

    def test_the_losses_gradient_of_a_member_is_its_own(self, network, options):
        batched = network(WIDTHS, "tanh", members=2, seed=3, dtype=torch.float64, **options)
        batched(inputs()).square().sum().backward()
        single = network(WIDTHS, "tanh", seed=4, dtype=torch.float64, **options)
        single(inputs()).square().sum().backward()
        for ours, alone in zip(batched.parameters(), single.parameters(), strict=True):
            assert torch.allclose(ours.grad[1], alone.grad, atol=1e-12)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self, network, options):
        here, there = (
            network(WIDTHS, members=2, dtype=torch.float64, device=device, **options)
            for device in ("cpu", "cuda")
        )
        assert all(torch.equal(a, b.cpu()) for a, b in zip(here.weights, there.weights, strict=True))
        assert torch.allclose(here(inputs()), there(inputs().cuda()).cpu(), atol=1e-12)


class TestResidual:
    def test_without_skip_and_normalization_it_is_fully_connected(self):
        for block in (1, 3):
            plain = Residual(WIDTHS, skip=None, block=block, members=2, seed=5)
            same = FullyConnected(WIDTHS, members=2, seed=5)
            assert torch.equal(plain(inputs().float()), same(inputs().float()))

    def test_a_block_with_the_skip_inside_is_equation_19(self):
        network = Residual([4, 4, 4, 4, 4], "tanh", skip="inside", dtype=torch.float64)
        first, second, third, last = (weight.T for weight in network.weights)
        x = inputs(11, 4)
        z = torch.tanh(x @ first)
        z = torch.tanh(z @ second + z)
        z = torch.tanh(z @ third + z)
        assert torch.allclose(network(x), z @ last, atol=1e-14)

    def test_a_block_of_two_layers_is_the_surveys_example(self):
        network = Residual([4, 6, 9, 6, 2], "tanh", skip="inside", block=2, dtype=torch.float64)
        first, second, third, last = (weight.T for weight in network.weights)
        x = inputs(11, 4)
        z = torch.tanh(x @ first)
        z = torch.tanh(torch.tanh(z @ second) @ third + z)
        assert torch.allclose(network(x), z @ last, atol=1e-14)

    def test_a_skip_outside_has_no_activation_after_the_sum(self):
        network = Residual([4, 6, 6, 2], "tanh", skip="outside", dtype=torch.float64)
        first, second, last = (weight.T for weight in network.weights)
        x = inputs(11, 4)
        z = torch.tanh(x @ first)
        z = torch.tanh(z @ second) + z
        assert torch.allclose(network(x), z @ last, atol=1e-14)

    def test_normalization_precedes_the_skip_and_spares_the_last_layer(self):
        network = Residual([4, 6, 6, 2], "tanh", normalization="batch", dtype=torch.float64)
        first, second, last = (weight.T for weight in network.weights)
        with torch.no_grad():
            network.norms[0].gamma.fill_(2.0)
            network.norms[1].beta.fill_(3.0)

        def normalized(h):
            return (h - h.mean(0)) / torch.sqrt(h.var(0, correction=0) + 1e-5)

        x = inputs(11, 4)
        z = torch.tanh(2 * normalized(x @ first))
        z = torch.tanh(normalized(z @ second) + 3 + z)
        assert torch.allclose(network(x), z @ last, atol=1e-13)

    def test_with_zero_weights_in_the_blocks_the_outside_skip_is_the_identity(self):
        network = Residual([4, 6, 6, 6, 6], "relu", skip="outside", dtype=torch.float64)
        with torch.no_grad():
            network.weights[1].zero_()
            network.weights[2].zero_()
        z = network.passes(inputs(11, 4)).postactivations
        assert torch.equal(z[3], z[1])

    @pytest.mark.parametrize(
        ("options", "sentence"),
        [
            ({"skip": "over"}, "skip must be 'inside', 'outside' or None"),
            (
                {"normalization": "range"},
                "normalization must be 'batch', 'layer', a layer or None, not 'range'",
            ),
            ({"block": 3}, "layers 2 to 3 do not form blocks of 3"),
            ({"block": 0}, "do not form blocks of 0"),
            ({"widths": [5, 7, 8, 7, 3]}, "equal widths"),
        ],
    )
    def test_bad_arguments_give_one_sentence(self, options, sentence):
        with pytest.raises(ValueError, match=sentence):
            Residual(**{"widths": [5, 7, 7, 7, 3], **options})


def test_the_public_names_are_those_that_the_module_lists():
    assert all(hasattr(models, name) for name in models.__all__)
