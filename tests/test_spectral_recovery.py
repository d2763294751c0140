import pytest
import torch

from dlopt.landscape import spectral_recovery as sr
from dlopt.landscape.dictionary_learning import random_rotations

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture(scope="module")
def network() -> tuple[torch.Tensor, ...]:
    """Inputs x and −x, A, W and the outputs A φ(W x)."""
    generator = torch.Generator().manual_seed(1)
    half = 2 * torch.rand(50_000, 4, generator=generator, dtype=torch.float64) - 1
    inputs = torch.cat([half, -half])
    outer = random_rotations(1, 2, seed=2)[0].cpu() @ torch.diag(torch.tensor([1.0, 1.5]).double())
    inner = random_rotations(1, 4, seed=3)[0].cpu()[:2]
    return inputs, outer, inner, torch.relu(inputs @ inner.T) @ outer.T


def test_the_linear_part_of_symmetric_inputs_is_the_product_of_the_layers(network):
    inputs, outer, inner, targets = network
    torch.testing.assert_close(sr.linear_part(inputs, targets), outer @ inner, atol=1e-10, rtol=0)


def test_the_form_vanishes_on_pure_directions_and_on_no_others(network):
    inputs, outer, _, targets = network
    form = sr.purity_form(inputs, targets)
    pure = torch.linalg.inv(outer)

    def size(z: torch.Tensor) -> torch.Tensor:
        return (form @ torch.outer(z, z).flatten()).norm()

    assert max(size(z) for z in pure) < 1e-10
    assert size(pure.sum(dim=0)) > 0.01


def test_both_layers_are_recovered_up_to_order_and_scale(network):
    inputs, outer, inner, targets = network
    a, w = sr.recover(inputs, targets, seed=4)
    assert sr.matched_error(w, inner) < 1e-6
    assert sr.matched_error(a.T, outer.T) < 1e-6
    torch.testing.assert_close(torch.relu(inputs @ w.T) @ a.T, targets, atol=1e-6, rtol=0)


def test_the_error_counts_the_worst_row_whatever_the_order():
    truth = torch.eye(3, dtype=torch.float64)
    assert sr.matched_error(2 * truth[[2, 0, 1]], truth) < 1e-12
    assert sr.matched_error(-truth, truth) > 1


def test_inputs_are_symmetric_on_average_and_not_gaussian():
    inputs = sr.symmetric_inputs(100_000, 3, seed=5)
    assert inputs.mean(dim=0).abs().max() < 0.02
    assert inputs.pow(3).mean(dim=0).abs().max() < 0.03
    kurtosis = inputs.pow(4).mean(dim=0) / inputs.square().mean(dim=0) ** 2
    assert (kurtosis < 2.7).all()
