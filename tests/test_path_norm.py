"""Measures that a rescaling does not change, against the sum over all paths."""

import itertools

import pytest
import torch

from dlopt.curvature import Hessian
from dlopt.landscape import path_norm, sharpness
from dlopt.landscape.rescaling import rescale
from dlopt.models import FullyConnected
from dlopt.training import squared_error

GENERATOR = torch.Generator().manual_seed(1)
INPUTS = torch.randn(20, 3, generator=GENERATOR, dtype=torch.float64)
TARGETS = torch.randn(20, 2, generator=GENERATOR, dtype=torch.float64)
FACTORS = torch.tensor([0.1, 3.0, 20.0, 1.0], dtype=torch.float64)


def network(widths=(3, 4, 2), members=None):
    return FullyConnected(widths, members=members, seed=1, dtype=torch.float64)


def test_the_path_norm_is_the_root_of_the_sum_over_paths():
    model = network((2, 3, 4, 2))
    first, second, third = (weight.detach() for weight in model.weights)
    total = sum(
        float(first[j, i] * second[k, j] * third[o, k]) ** 2
        for i, j, k, o in itertools.product(range(2), range(3), range(4), range(2))
    )
    assert float(path_norm.path_norm(model)) == pytest.approx(total**0.5)


def test_members_have_the_path_norms_of_single_networks():
    model = network(members=3)
    alone = torch.stack([path_norm.path_norm(model.member(index)) for index in range(3)])
    torch.testing.assert_close(path_norm.path_norm(model), alone)


@pytest.mark.parametrize("members", [None, 3])
def test_curvature_in_invariant_coordinates_survives_a_rescaling(members):
    def values(alpha):
        model = network(members=members)
        rescale(model, 1, alpha)
        hessian = Hessian.of(model, INPUTS, TARGETS, squared_error)
        relative = sharpness.trace(hessian, scales=path_norm.magnitudes(model))
        free = path_norm.basis_path_coordinates(model)
        gauged = Hessian.of(model, INPUTS, TARGETS, squared_error)
        return path_norm.path_norm(model), relative, sharpness.top_eigenvalue(gauged, scales=free)

    for before, after in zip(values(1.0), values(FACTORS), strict=True):
        torch.testing.assert_close(after, before, rtol=1e-10, atol=0.0)


def test_basis_path_coordinates_keep_the_function_and_free_all_but_one_weight_a_unit():
    model = network()
    before = model(INPUTS).detach()
    free = path_norm.basis_path_coordinates(model)
    torch.testing.assert_close(model(INPUTS), before)
    assert int(free.sum()) == 3 * 4 + 4 * 2 - 4
    fixed = path_norm.magnitudes(model)[free == 0]
    torch.testing.assert_close(fixed, torch.ones(4, dtype=torch.float64))
    assert model.weights[0].abs().max() <= 1 + 1e-12


def test_biases_and_deeper_networks_are_refused():
    with pytest.raises(ValueError, match="without biases"):
        path_norm.path_norm(FullyConnected([3, 4, 2], bias=True))
    with pytest.raises(ValueError, match="one hidden layer"):
        path_norm.basis_path_coordinates(network((3, 4, 4, 2)))
