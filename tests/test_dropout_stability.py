"""The path through thinned networks stays below the losses that dropout stability speaks of, for any networks."""

import itertools

import pytest
import torch

from dlopt.landscape import dropout_stability, parameter_space, paths
from dlopt.landscape.weight_matrices import join, split
from dlopt.models import FullyConnected
from dlopt.training import squared_error

SHAPES = [(4, 6, 3), (4, 6, 8, 3), (3, 8, 6, 4, 2)]


def problem(widths, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    start, end = ([normal(b, a) for a, b in itertools.pairwise(widths)] for _ in range(2))
    kept = [torch.randperm(width, generator=generator) < width // 2 for width in widths[1:-1]]
    return normal(9, widths[0]), normal(9, widths[-1]), start, end, kept


@pytest.mark.parametrize("widths", SHAPES)
def test_the_loss_on_the_path_is_at_most_that_of_the_worst_half_network(widths):
    inputs, targets, start, end, kept = problem(widths, 0)
    model = FullyConnected(widths, dtype=torch.float64, device="cpu")
    knots = dropout_stability.path(start, end, kept)
    assert len(knots) == 8 * len(start) - 8
    assert torch.equal(knots[0], join(start))
    assert torch.equal(knots[-1], join(end))
    halves = [
        join(dropout_stability.halved(weights, masks, layer))
        for weights, masks in ((start, kept), (end, [~mask for mask in kept]))
        for layer in range(1, len(start) + 1)
    ]
    bound = parameter_space.losses(model, torch.stack(halves), inputs, targets, squared_error).max()
    losses = parameter_space.losses(model, paths.polygon(knots, 8), inputs, targets, squared_error)
    assert losses.max() <= bound * (1 + 1e-12)


@pytest.mark.parametrize("widths", SHAPES)
def test_a_thinned_network_is_the_half_network_and_uses_no_other_unit(widths):
    inputs, _, start, _, kept = problem(widths, 1)
    model = FullyConnected(widths, dtype=torch.float64, device="cpu")
    thinned = dropout_stability.thin(start, kept)[-1]
    points = torch.stack([join(thinned), join(dropout_stability.halved(start, kept, 1))])
    torch.testing.assert_close(*parameter_space.outputs(model, points, inputs))
    for layer, mask in enumerate(kept):
        assert (thinned[layer][~mask] == 0).all()
        assert (thinned[layer + 1][:, ~mask] == 0).all()


def test_halving_is_what_dropout_does_to_the_activations():
    widths = SHAPES[1]
    inputs, _, start, _, kept = problem(widths, 2)
    z = torch.relu(inputs @ start[0].mT)
    z = torch.relu(z @ start[1].mT)
    direct = (2 * z * kept[1]) @ start[2].mT
    model = FullyConnected(widths, dtype=torch.float64, device="cpu")
    top = dropout_stability.halved(start, kept, 2)
    torch.testing.assert_close(parameter_space.outputs(model, join(top)[None], inputs)[0], direct)
    whole = dropout_stability.halved(start, kept, len(start))
    assert all(torch.equal(a, b) for a, b in zip(whole, start, strict=True))


def test_every_straight_piece_moves_the_last_layer_or_what_has_no_influence():
    widths = SHAPES[2]
    inputs, _, start, end, kept = problem(widths, 3)
    model = FullyConnected(widths, dtype=torch.float64, device="cpu")
    knots = dropout_stability.path(start, end, kept)
    outputs = parameter_space.outputs(model, paths.polygon(knots, 2), inputs)
    for piece in range(len(knots) - 1):
        first, second = (split(knots[piece + step], widths) for step in (0, 1))
        below = all(torch.equal(a, b) for a, b in zip(first[:-1], second[:-1], strict=True))
        along = outputs[2 * piece : 2 * piece + 3]
        straight = torch.lerp(along[0], along[2], 0.5)
        torch.testing.assert_close(along[1], straight, msg=f"piece {piece} is not straight in the outputs")
        assert below or torch.allclose(along[0], along[2])
