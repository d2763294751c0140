"""Every scheme's moments at several shapes, and the schemes of torch.nn.init draw for draw."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from dlopt.initialization import (
    KAIMING,
    fans,
    gaussian,
    geometric_mean,
    kaiming_normal,
    lecun_normal,
    orthogonal,
    scaled_gaussian,
    sparse,
    xavier_normal,
    xavier_uniform,
    zeros,
)
from dlopt.models import FullyConnected

SHAPES = {
    "square": (300, 300),
    "tall": (800, 50),
    "wide": (50, 800),
    "convolution": (64, 24, 5, 5),
    "1 x 1": (300, 80, 1, 1),
}

VARIANCES = {
    "gaussian": (gaussian(0.3), lambda fan_in, fan_out: 0.09),
    "scaled_gaussian": (scaled_gaussian(1.7), lambda fan_in, fan_out: 1.7**2 / fan_in),
    "sparse": (sparse(0.2, std=0.5), lambda fan_in, fan_out: 0.2 * 0.25),
    "lecun_normal": (lecun_normal, lambda fan_in, fan_out: 1 / fan_in),
    "xavier_normal": (xavier_normal, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "xavier_uniform": (xavier_uniform, lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
    "kaiming_normal, fan_in": (kaiming_normal("fan_in"), lambda fan_in, fan_out: 2 / fan_in),
    "kaiming_normal, fan_out": (kaiming_normal("fan_out"), lambda fan_in, fan_out: 2 / fan_out),
    "kaiming_normal, slope": (kaiming_normal(slope=0.5), lambda fan_in, fan_out: 1.6 / fan_in),
    "geometric_mean": (geometric_mean(), lambda fan_in, fan_out: 2 / math.sqrt(fan_in * fan_out)),
    "geometric_mean, c": (geometric_mean(0.7), lambda fan_in, fan_out: 0.7 / math.sqrt(fan_in * fan_out)),
    "orthogonal": (orthogonal(1.5), lambda fan_in, fan_out: 2.25 / max(fan_in, fan_out)),
}  # fmt: skip

THEIRS = {
    "xavier_normal": (xavier_normal, nn.init.xavier_normal_),
    "xavier_uniform": (xavier_uniform, nn.init.xavier_uniform_),
    "kaiming_normal, fan_in": (KAIMING, nn.init.kaiming_normal_),
    "kaiming_normal, fan_out": (
        kaiming_normal("fan_out"),
        lambda w, generator: nn.init.kaiming_normal_(w, mode="fan_out", generator=generator),
    ),
    "kaiming_normal, slope": (
        kaiming_normal(slope=0.3), lambda w, generator: nn.init.kaiming_normal_(w, a=0.3, generator=generator)
    ),
    "orthogonal": (orthogonal(1.3), lambda w, generator: nn.init.orthogonal_(w, 1.3, generator=generator)),
    "gaussian": (gaussian(0.2), lambda w, generator: nn.init.normal_(w, std=0.2, generator=generator)),
}  # fmt: skip

schemes = pytest.mark.parametrize("name", VARIANCES)
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@shapes
@schemes
def test_mean_and_variance_are_those_of_the_formula(name, shape):
    scheme, variance = VARIANCES[name]
    fan_in, fan_out = shape[1] * math.prod(shape[2:]), shape[0] * math.prod(shape[2:])
    if name == "orthogonal":
        fan_out = shape[0]
    weights = scheme(shape, generator())
    expected = variance(fan_in, fan_out)
    size = weights.numel()
    nonzero = size * (0.2 if name == "sparse" else 1)
    assert weights.shape == shape
    assert weights.dtype == torch.float64
    assert weights.mean().abs() < 4 * math.sqrt(expected / size)
    assert weights.square().mean().item() == pytest.approx(expected, rel=5 * math.sqrt(2 / nonzero))


@shapes
@pytest.mark.parametrize("name", THEIRS)
def test_the_draws_are_those_of_torch(name, shape):
    ours, theirs = THEIRS[name]
    expected = theirs(torch.empty(shape, dtype=torch.float64), generator=generator(3))
    assert torch.allclose(ours(shape, generator(3)), expected, atol=1e-13)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 7), min_size=2, max_size=5))
def test_fans_are_those_of_torch(shape):
    assert fans(tuple(shape)) == nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


@pytest.mark.parametrize(
    "scheme",
    [
        lecun_normal,
        xavier_normal,
        xavier_uniform,
        KAIMING,
        geometric_mean(),
        orthogonal(),
        scaled_gaussian(1.0),
    ],
)
def test_a_bias_has_no_fans(scheme):
    with pytest.raises(ValueError, match="fan-in and fan-out need a shape"):
        scheme((5,), generator())


def test_a_bias_can_be_zero_or_gaussian_or_sparse():
    for scheme in (zeros, gaussian(1.0), sparse(0.5)):
        assert scheme((6,), generator()).shape == (6,)
    assert not zeros((6, 4), generator()).any()


@settings(max_examples=30)
@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 100))
def test_orthogonal_has_orthonormal_rows_or_columns(d_out, d_in, seed):
    q = orthogonal()((d_out, d_in), generator(seed))
    gram = q.T @ q if d_out >= d_in else q @ q.T
    assert torch.allclose(gram, torch.eye(min(d_out, d_in), dtype=torch.float64), atol=1e-12)


def test_orthogonal_prefers_no_orientation():
    traces = [orthogonal()((1, 1), generator(seed)).item() for seed in range(40)]
    assert set(traces) == {1.0, -1.0}


def test_xavier_uniform_stays_within_its_bound_and_fills_it():
    weights = xavier_uniform((200, 100), generator())
    assert 0.99 * math.sqrt(6 / 300) < weights.abs().max() <= math.sqrt(6 / 300)


@settings(max_examples=30)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0, 1))
def test_sparse_has_the_share_of_nonzero_entries(d_out, d_in, density):
    weights = sparse(density)((d_out, d_in), generator())
    assert (weights != 0).sum() == round(density * d_out * d_in)


def test_sparse_chooses_rows_and_columns_evenly():
    weights = sparse(0.3)((400, 200), generator()) != 0
    for axis in (0, 1):
        assert weights.double().mean(axis).sub(0.3).abs().max() < 0.15


@pytest.mark.parametrize("density", [-0.1, 1.1])
def test_sparse_refuses_what_is_no_share(density):
    with pytest.raises(ValueError, match="density must be a share"):
        sparse(density)


def test_kaiming_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="'fan_in' or 'fan_out'"):
        kaiming_normal("fan_average")


def test_kaiming_keeps_the_second_moment_through_relu_convolutions():
    draws = generator(1)
    h = torch.randn(4, 32, 24, 24, generator=draws, dtype=torch.float64)
    for _ in range(4):
        h = nn.functional.conv2d(torch.relu(h), KAIMING((128, h.shape[1], 3, 3), draws))
    assert h.square().mean().item() == pytest.approx(1, abs=0.35)


def test_the_same_seed_draws_the_same_network_with_any_scheme():
    for scheme in (sparse(0.3), orthogonal(), xavier_uniform):
        one, other = (FullyConnected([4, 6, 3], initialization=scheme, seed=2) for _ in range(2))
        assert all(torch.equal(w, v) for w, v in zip(one.weights, other.weights, strict=True))
