"""The kernels of wide convolutional networks beside special cases and each other."""

import pytest
import torch

from dlopt.data import gaussian
from dlopt.kernels.convolutional_kernel import convolutional
from dlopt.kernels.infinite_width import fully_connected

IMAGES = gaussian(4, 48, dtype=torch.float64).view(4, 3, 4, 4)


@pytest.mark.parametrize("head", ["flatten", "pool"])
def test_on_a_single_pixel_it_is_the_kernel_of_a_dense_network(head):
    pixels = IMAGES[:, :, :1, :1]
    ours = convolutional(pixels, depth=3, filter_size=1, head=head, sigma_b=0.2)
    dense = fully_connected(pixels.flatten(1), depth=4, sigma_b=0.2)
    for one, other in zip(ours, dense, strict=True):
        torch.testing.assert_close(one, other)


def test_pooling_is_the_mean_over_all_translations_where_images_are_periodic():
    pooled = convolutional(IMAGES, depth=2, head="pool", padding="circular", sigma_b=0.2)
    shifted = [IMAGES.roll((i, j), (2, 3)) for i in range(4) for j in range(4)]
    flattened = [convolutional(IMAGES, other, depth=2, padding="circular", sigma_b=0.2) for other in shifted]
    for kernel in ("nngp", "ntk"):
        mean = torch.stack([getattr(one, kernel) for one in flattened]).mean(dim=0)
        torch.testing.assert_close(getattr(pooled, kernel), mean)


@pytest.mark.parametrize("head", ["flatten", "pool"])
def test_pairs_that_are_taken_once_are_symmetric(head):
    own = convolutional(IMAGES, depth=2, head=head)
    across = convolutional(IMAGES, IMAGES, depth=2, head=head)
    torch.testing.assert_close(own.ntk, across.ntk, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"depth": 0}, "one convolution"),
        ({"depth": 1, "filter_size": 2}, "odd size"),
        ({"depth": 1, "head": "both"}, "no head 'both'"),
        ({"depth": 1, "padding": "same"}, "padding 'same'"),
        ({"depth": 1, "others": torch.zeros(1, 3, 5, 5)}, "have no kernel"),
    ],
)
def test_arguments_that_make_no_network_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        convolutional(IMAGES, **arguments)


@pytest.mark.cuda
def test_the_kernel_on_a_gpu_is_that_on_the_cpu():
    on_gpu = convolutional(IMAGES.cuda(), depth=2, head="pool").ntk.cpu()
    torch.testing.assert_close(on_gpu, convolutional(IMAGES, depth=2, head="pool").ntk)
