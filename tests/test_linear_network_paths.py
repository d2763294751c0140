"""Paths between linear networks: where they begin and end, and that the product stays until the last stage."""

import itertools
import math

import pytest
import torch

from dlopt.landscape import linear_network_paths

SHAPES = [(4, 5, 5, 4), (3, 5, 4, 6, 5), (6, 5, 4, 3), (1, 2, 1)]


def random_network(widths, seed):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(rows, columns, generator=generator, dtype=torch.float64)
        for columns, rows in itertools.pairwise(widths)
    ]


def product(weights):
    result = weights[0]
    for weight in weights[1:]:
        result = weight @ result
    return result


@pytest.mark.parametrize("widths", SHAPES)
def test_the_path_joins_the_two_networks(widths):
    start, end = random_network(widths, 0), random_network(widths, 1)
    weights = linear_network_paths.path(start, end, steps=5)
    assert len(weights[0]) == 6 * (2 * len(start) - 1)
    ends = zip(start, end, weights, strict=True)
    assert all(torch.equal(w[0], a) and torch.equal(w[-1], b) for a, b, w in ends)


@pytest.mark.parametrize("widths", SHAPES)
def test_the_product_is_constant_and_then_straight(widths):
    start, end = random_network(widths, 2), random_network(widths, 3)
    products = product(linear_network_paths.path(start, end, steps=5))
    constant = products[:-6]
    torch.testing.assert_close(constant, product(start).expand_as(constant), rtol=1e-8, atol=1e-8)
    t = torch.linspace(0, 1, 6, dtype=torch.float64).view(-1, 1, 1)
    straight = torch.lerp(product(start), product(end), t)
    torch.testing.assert_close(products[-6:], straight, rtol=1e-8, atol=1e-8)


def test_neighboring_points_come_closer_as_the_steps_get_smaller():
    start, end = random_network((3, 5, 5, 3), 4), random_network((3, 5, 5, 3), 5)
    jumps = [
        max(
            w.diff(dim=0).flatten(1).norm(dim=1).max().item()
            for w in linear_network_paths.path(start, end, steps=n)
        )
        for n in (200, 400, 800)
    ]
    assert jumps[1] < 0.6 * jumps[0]
    assert jumps[2] < 0.6 * jumps[1]


def test_a_tall_line_keeps_its_rank_and_a_square_one_loses_it_where_the_determinant_changes_sign():
    (square, other), (tall, second) = ([random_network((4, h), seed)[0] for seed in (6, 7)] for h in (4, 5))
    if torch.det(square) * torch.det(other) > 0:
        other[0] *= -1
    assert linear_network_paths.weakest(square, other) < 1e-12
    assert linear_network_paths.weakest(tall, second) > 1e-4


def test_the_rank_is_tested_where_it_can_fall():
    """(1 - t) A + t B with a first column of 1 - 2 t times (1, 1, 1) has rank one at t = ½ alone."""
    start = torch.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    end = start * torch.tensor([-1.0, 1.0], dtype=torch.float64)
    assert linear_network_paths.weakest(start, end) < 1e-12
    assert linear_network_paths.weakest(start, 2 * start) == math.inf
