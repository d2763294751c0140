"""Convolutions as matrices: isometries, and what is none."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from dlopt.initialization import orthogonal
from dlopt.tricks import orthogonal_convolution as oc
from dlopt.tricks.convolution_spectrum import singular_values

SCHEMES = {"delta": oc.delta_orthogonal, "projections": oc.conv_orthogonal}
schemes = pytest.mark.parametrize("scheme", SCHEMES.values(), ids=SCHEMES.keys())


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def convolve(kernel: torch.Tensor, z: torch.Tensor, circular: bool = True) -> torch.Tensor:
    reach = kernel.shape[-1] // 2
    padded = functional.pad(z, 4 * (reach,), mode="circular" if circular else "constant")
    return functional.conv2d(padded, kernel)


@schemes
@given(c_in=st.integers(1, 5), more=st.integers(0, 3), reach=st.integers(0, 2), seed=st.integers(0, 99))
@settings(max_examples=25)
def test_both_schemes_preserve_norms_under_circular_padding(scheme, c_in, more, reach, seed):
    kernel = scheme()((c_in + more, c_in, 2 * reach + 1, 2 * reach + 1), generator(seed))
    assert kernel.shape == (c_in + more, c_in, 2 * reach + 1, 2 * reach + 1)
    assert (singular_values(kernel, (6, 7)) - 1).abs().max() < 1e-12
    z = torch.randn(2, c_in, 6, 7, generator=generator(seed), dtype=torch.float64)
    assert convolve(kernel, z).norm().item() == pytest.approx(z.norm().item(), rel=1e-12)


@schemes
def test_the_gain_multiplies_all_singular_values(scheme):
    assert (singular_values(scheme(1.7)((4, 4, 3, 3), generator()), (5, 5)) - 1.7).abs().max() < 1e-12


def test_a_delta_kernel_uses_its_center_alone_and_is_an_isometry_with_zeros_around_too():
    kernel = oc.delta_orthogonal()((4, 3, 3, 3), generator())
    assert kernel.flatten(2).norm(dim=(0, 1)).nonzero().flatten().tolist() == [4]
    z = torch.randn(2, 3, 5, 5, generator=generator(), dtype=torch.float64)
    assert convolve(kernel, z, circular=False).norm().item() == pytest.approx(z.norm().item())


def test_a_kernel_from_projections_uses_all_taps_and_mixes_neighbors():
    kernel = oc.conv_orthogonal()((6, 6, 3, 3), generator())
    assert kernel.flatten(2).norm(dim=(0, 1)).min() > 0.1


def test_a_block_convolution_is_one_convolution_after_the_other():
    a = torch.randn(2, 4, 3, 3, generator=generator(), dtype=torch.float64)
    b = torch.randn(4, 3, 3, 3, generator=generator(1), dtype=torch.float64)
    z = torch.randn(1, 3, 7, 7, generator=generator(2), dtype=torch.float64)
    product = oc.block_convolution(a, b)
    assert product.shape == (2, 3, 5, 5)
    assert torch.allclose(convolve(product, z), convolve(a, convolve(b, z)), atol=1e-12)


def test_orthogonal_as_a_matrix_is_no_isometry_in_pytorch_or_here():
    theirs = torch.nn.init.orthogonal_(torch.empty(16, 16, 3, 3, dtype=torch.float64), generator=generator())
    for kernel in (theirs, orthogonal()((16, 16, 3, 3), generator())):
        assert torch.allclose(
            kernel.flatten(1) @ kernel.flatten(1).T, torch.eye(16, dtype=torch.float64), atol=1e-10
        )
        found = singular_values(kernel, (8, 8))
        assert found.max() > 5 * found.min()


@schemes
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((4, 4), "shape must be"),
        ((4, 4, 2, 2), "odd k"),
        ((4, 4, 3, 5), "shape must be"),
        ((3, 4, 3, 3), "isometrically"),
    ],
)
def test_shapes_without_an_isometry_are_refused(scheme, shape, message):
    with pytest.raises(ValueError, match=message):
        scheme()(shape, generator())
