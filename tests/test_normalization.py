"""Normalization layers against PyTorch's, their limiting cases and themselves without members."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlopt import normalization
from dlopt.models import Residual
from dlopt.normalization import (
    BatchNormalization,
    GroupNormalization,
    InstanceNormalization,
    LayerNormalization,
    SwitchableNormalization,
    batch_statistics,
    use_population_statistics,
)

LAYERS = {
    "batch": BatchNormalization,
    "layer": LayerNormalization,
    "instance": InstanceNormalization,
    "group": lambda shape, **options: GroupNormalization(shape, 3, **options),
    "switchable": SwitchableNormalization,
}
every_layer = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())


def inputs(n: int = 11, d: int = 5, *leading: int) -> torch.Tensor:
    return torch.randn(*leading, n, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def images(n: int = 4, c: int = 6, *leading: int) -> torch.Tensor:
    draw = torch.Generator().manual_seed(2)
    return torch.randn(*leading, n, c, 5, 3, generator=draw, dtype=torch.float64) * 2 + 1


def with_drawn_scale(layer: nn.Module) -> nn.Module:
    """The layer with γ, β (and mixing weights) that are not what they start as."""
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype))
    return layer


class TestBatchNormalization:
    def pair(self, members: int | None = None) -> tuple[BatchNormalization, list[nn.BatchNorm1d]]:
        shape = (6,) if members is None else (members, 6)
        ours = BatchNormalization(shape, dtype=torch.float64)
        theirs = [nn.BatchNorm1d(6, dtype=torch.float64) for _ in range(members or 1)]
        with torch.no_grad():
            ours.gamma.copy_(1 + inputs(1, ours.gamma.numel()).view(shape))
            ours.beta.copy_(inputs(1, ours.beta.numel()).view(shape))
            for member, norm in enumerate(theirs):
                norm.weight.copy_(ours.gamma.view(-1, 6)[member])
                norm.bias.copy_(ours.beta.view(-1, 6)[member])
        return ours, theirs

    @pytest.mark.parametrize("members", [None, 3])
    def test_training_gradients_running_averages_and_evaluation_are_batchnorm1ds(self, members):
        ours, theirs = self.pair(members)
        for batch in range(3):
            h = (inputs(9, 6, *([] if members is None else [members])) + batch).requires_grad_()
            out = ours(h)
            (gradient,) = torch.autograd.grad(out.pow(3).sum(), h)
            for member, norm in enumerate(theirs):
                alone = h.detach().view(-1, 9, 6)[member].requires_grad_()
                expected = norm(alone)
                assert torch.allclose(out.view(-1, 9, 6)[member], expected, atol=1e-12)
                (theirs_gradient,) = torch.autograd.grad(expected.pow(3).sum(), alone)
                assert torch.allclose(gradient.view(-1, 9, 6)[member], theirs_gradient, atol=1e-10)
        for member, norm in enumerate(theirs):
            assert torch.allclose(ours.running_mean.view(-1, 6)[member], norm.running_mean, atol=1e-14)
            assert torch.allclose(ours.running_variance.view(-1, 6)[member], norm.running_var, atol=1e-14)
        ours.eval()
        for member, norm in enumerate(theirs):
            evaluated = ours(h.detach()).view(-1, 9, 6)[member]
            assert torch.allclose(evaluated, norm.eval()(h.detach().view(-1, 9, 6)[member]), atol=1e-12)

    def test_the_output_of_a_fresh_layer_has_mean_zero_and_variance_one(self):
        out = BatchNormalization((2, 6), epsilon=1e-14, dtype=torch.float64)(3 + 7 * inputs(50, 6, 2))
        assert torch.allclose(out.mean(-2), torch.zeros(2, 6).double(), atol=1e-12)
        assert torch.allclose(out.var(-2, correction=0), torch.ones(2, 6).double(), atol=1e-12)

    def test_a_training_batch_of_one_sample_is_refused(self):
        with pytest.raises(ValueError, match="more than 1 value"):
            BatchNormalization((6,), dtype=torch.float64)(inputs(1, 6))

    def test_hessian_products_pass_through_it_in_both_modes(self):
        norm = BatchNormalization((6,), dtype=torch.float64)
        h, v = inputs(9, 6), inputs(9, 6).flip(0)

        def gradient(h):
            return torch.func.grad(lambda h: norm(h).tanh().square().sum())(h)

        with torch.no_grad():
            forward = torch.func.jvp(gradient, (h,), (v,))[1]
        leaf = h.clone().requires_grad_()
        (once,) = torch.autograd.grad(norm(leaf).tanh().square().sum(), leaf, create_graph=True)
        (backward,) = torch.autograd.grad((once * v).sum(), leaf)
        assert torch.allclose(forward, backward, atol=1e-10)

    def test_images_are_normalized_as_batchnorm2d_does(self):
        ours = with_drawn_scale(BatchNormalization((6,), dtype=torch.float64))
        theirs = nn.BatchNorm2d(6, dtype=torch.float64)
        with torch.no_grad():
            theirs.weight.copy_(ours.gamma)
            theirs.bias.copy_(ours.beta)
        for mode in (True, False):
            assert torch.allclose(ours.train(mode)(images()), theirs.train(mode)(images()), atol=1e-12)
        assert torch.allclose(ours.running_variance, theirs.running_var, atol=1e-13)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (LayerNormalization((6,), dtype=torch.float64), nn.GroupNorm(1, 6, dtype=torch.float64)),
        (
            InstanceNormalization((6,), dtype=torch.float64),
            nn.InstanceNorm2d(6, affine=True, dtype=torch.float64),
        ),
        (GroupNormalization((6,), 3, dtype=torch.float64), nn.GroupNorm(3, 6, dtype=torch.float64)),
    ],
    ids=["layer", "instance", "group"],
)
def test_value_and_gradient_on_images_are_torchs(ours, theirs):
    with_drawn_scale(ours)
    with torch.no_grad():
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)
    h = images().requires_grad_()
    results = [layer(h) for layer in (ours, theirs)]
    gradients = [torch.autograd.grad(result.pow(3).sum(), h)[0] for result in results]
    assert torch.allclose(*results, atol=1e-12)
    assert torch.allclose(*gradients, atol=1e-9)


def test_on_features_layer_normalization_is_torchs_layernorm():
    ours = with_drawn_scale(LayerNormalization((5,), dtype=torch.float64))
    theirs = nn.LayerNorm(5, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight.copy_(ours.gamma)
        theirs.bias.copy_(ours.beta)
    assert torch.allclose(ours(inputs()), theirs(inputs()), atol=1e-12)


@every_layer
class TestEveryLayer:
    @pytest.mark.parametrize("mode", [True, False])
    def test_each_member_is_normalized_as_it_is_alone(self, make, mode):
        together = with_drawn_scale(make((2, 6), dtype=torch.float64)).train()
        h = images(4, 6, 2)
        together(h)
        results = together.train(mode)(h)
        for member in range(2):
            alone = make((6,), dtype=torch.float64)
            alone.load_state_dict({name: value[member] for name, value in together.state_dict().items()})
            assert torch.allclose(results[member], alone.train(mode)(h[member]), atol=1e-12)

    def test_a_fresh_layer_ignores_the_scale_and_shift_of_all_entries(self, make):
        layer = make((6,), epsilon=1e-14, dtype=torch.float64)
        assert torch.allclose(layer(3 * images() - 7), layer(images()), atol=1e-11)

    def test_activations_of_another_shape_are_refused(self, make):
        for wrong in (images(4, 5), images(4, 6, 2), torch.zeros(6)):
            with pytest.raises(ValueError, match=r"activations must be \(n, 6"):
                make((6,))(wrong)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self, make):
        here = with_drawn_scale(make((2, 6), dtype=torch.float64))
        there = make((2, 6), dtype=torch.float64, device="cuda")
        there.load_state_dict(here.state_dict())
        h = images(4, 6, 2)
        assert torch.allclose(here(h), there(h.cuda()).cpu(), atol=1e-12)


class TestLimitingCases:
    @given(n=st.integers(2, 5), c=st.integers(1, 6), scale=st.floats(0.1, 10))
    @settings(max_examples=25)
    def test_one_group_is_layer_and_one_channel_a_group_is_instance_normalization(self, n, c, scale):
        h = scale * images(n, c)
        for groups, other in ((1, LayerNormalization), (c, InstanceNormalization)):
            group = GroupNormalization((c,), groups, dtype=torch.float64)
            assert torch.allclose(group(h), other((c,), dtype=torch.float64)(h), atol=1e-12)

    @pytest.mark.parametrize(
        ("index", "other"),
        [(0, InstanceNormalization), (1, LayerNormalization), (2, BatchNormalization)],
    )
    def test_switchable_normalization_with_all_weight_on_one_method_is_that_method(self, index, other):
        switchable = SwitchableNormalization((6,), dtype=torch.float64)
        with torch.no_grad():
            switchable.mean_logits[index] = switchable.variance_logits[index] = 1000.0
        assert torch.allclose(switchable(images()), other((6,), dtype=torch.float64)(images()), atol=1e-12)

    def test_switchable_normalization_mixes_means_and_variances_each_with_its_own_weights(self):
        switchable = SwitchableNormalization((6,), epsilon=0.0, dtype=torch.float64)
        with torch.no_grad():
            switchable.mean_logits[0] = switchable.variance_logits[2] = 1000.0
        h = images()
        mean, variance = h.mean((2, 3), keepdim=True), h.var((0, 2, 3), correction=0, keepdim=True)
        assert torch.allclose(switchable(h), (h - mean) / variance.sqrt(), atol=1e-12)

    def test_switchable_normalization_in_evaluation_does_not_look_at_other_samples(self):
        layer = SwitchableNormalization((6,), momentum=1.0, dtype=torch.float64)
        layer(images())
        h = images(1) + 3
        assert torch.allclose(layer.running_mean, images().mean((0, 2, 3)), atol=1e-13)
        assert torch.allclose(layer.running_variance, images().var((0, 2, 3), correction=0), atol=1e-13)
        assert torch.allclose(layer.eval()(torch.cat([h, images()]))[:1], layer(h), atol=1e-13)

    def test_groups_that_do_not_divide_the_channels_are_refused(self):
        for groups in (0, 4, 7):
            with pytest.raises(ValueError, match=f"6 channels do not form {groups} groups"):
                GroupNormalization((6,), groups)

    @pytest.mark.parametrize("make", [InstanceNormalization, SwitchableNormalization])
    def test_statistics_over_space_need_a_space(self, make):
        with pytest.raises(ValueError, match=r"activations must be \(n, 5, space…\), not \(11, 5\)"):
            make((5,))(inputs())


def test_population_statistics_are_those_that_reach_each_layer():
    network = Residual([5, 7, 7, 3], "tanh", skip=None, normalization="batch", dtype=torch.float64)
    use_population_statistics(network.eval(), inputs(50))
    assert not network.training
    assert all(layer.momentum == 0.1 for layer in network.norms)
    first = inputs(50) @ network.weights[0].T
    assert torch.allclose(network.norms[0].running_mean, first.mean(0), atol=1e-13)
    assert torch.allclose(network.norms[0].running_variance, first.var(0), atol=1e-13)
    second = torch.tanh((first - first.mean(0)) / (first.var(0, correction=0) + 1e-5).sqrt())
    assert torch.allclose(network.norms[1].running_mean, (second @ network.weights[1].T).mean(0), atol=1e-12)


def test_a_network_takes_a_layer_of_ones_own():
    def three_groups(shape, **options):
        return GroupNormalization(shape, 3, **options)

    network = Residual([5, 6, 6, 2], skip=None, normalization=three_groups, members=2)
    assert [layer.groups for layer in network.norms] == [3, 3]
    assert network.member(1)(inputs().float()).shape == (11, 2)


def test_the_public_names_are_those_that_the_module_lists():
    assert all(hasattr(normalization, name) for name in normalization.__all__)


def test_every_module_is_in_its_mode_again_after_the_statistics_of_a_batch():
    model = torch.nn.Sequential(BatchNormalization((3,)), LayerNormalization((3,)))
    model[0].eval()
    with batch_statistics(model):
        assert all(module.training for module in model.modules())
    assert [module.training for module in model.modules()] == [True, False, True]
    with pytest.raises(ValueError, match="activations"), batch_statistics(model):
        model(inputs(2))
    assert not model[0].training
