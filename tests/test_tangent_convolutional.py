"""Finite convolutional networks in the tangent parametrization."""

import math

import pytest
import torch

from dlopt.data import gaussian
from dlopt.kernels.convolutional_kernel import convolutional
from dlopt.kernels.empirical_kernel import tangent_kernel
from dlopt.kernels.tangent_convolutional import TangentConvolutional
from dlopt.kernels.tangent_parametrization import TangentParametrized

IMAGES = gaussian(3, 32, dtype=torch.float64).view(3, 2, 4, 4)


def test_on_a_single_pixel_it_is_the_dense_network():
    pixel = IMAGES[:, :, :1, :1]
    model = TangentConvolutional((2, 1, 1), 5, depth=2, filter_size=1, sigma_b=0.3, dtype=torch.float64)
    dense = TangentParametrized([2, 5, 5, 1], sigma_b=0.3, dtype=torch.float64)
    with torch.no_grad():
        for theirs, ours in zip(dense.weights, model.weights, strict=True):
            theirs.copy_(ours.view(theirs.shape))
        for theirs, ours in zip(dense.biases, model.biases, strict=True):
            theirs.copy_(ours)
    torch.testing.assert_close(model(pixel), dense(pixel.flatten(1)))


@pytest.mark.parametrize("head", ["flatten", "pool"])
@pytest.mark.parametrize("padding", ["zeros", "circular"])
def test_with_many_channels_its_kernel_is_nearly_the_limit(head, padding):
    channels, limit = 512, convolutional(IMAGES, depth=1, head=head, padding=padding, sigma_b=0.3).ntk
    kernels = [
        tangent_kernel(
            TangentConvolutional(
                (2, 4, 4), channels, depth=1, head=head, padding=padding, sigma_b=0.3, seed=seed,
                dtype=torch.float64,
            ),
            IMAGES,
        )
        for seed in range(4)
    ]  # fmt: skip
    error = (torch.stack(kernels).mean(dim=0) - limit).norm() / limit.norm()
    assert float(error) < 3 / math.sqrt(4 * channels)


@pytest.mark.parametrize("options", [{"head": "mean"}, {"padding": "reflect"}, {"filter_size": 4}])
def test_an_architecture_without_a_limit_is_refused(options):
    with pytest.raises(ValueError, match="there is no head"):
        TangentConvolutional((1, 4, 4), 3, depth=1, **options)
