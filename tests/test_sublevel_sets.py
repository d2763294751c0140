"""Components of sublevel sets on grids, against brute force and against each other."""

import math

import pytest
import torch

from dlopt.landscape import sublevel_sets

X = torch.linspace(-1.5, 1.5, 301, dtype=torch.float64)
W_SHAPED = (X**2 - 1) ** 2 + 0.1 * X


def random_field(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_two_wells_are_two_components_below_the_pass_and_one_above():
    assert sublevel_sets.count_components(W_SHAPED, 0.5) == 2
    assert sublevel_sets.count_components(W_SHAPED, 1.1) == 1
    assert sublevel_sets.count_components(W_SHAPED, -1.0) == 0
    labels = sublevel_sets.components(W_SHAPED, 0.5)
    assert labels[50] != labels[250]
    assert labels[150] == 0


def test_the_pass_between_two_wells_is_the_local_maximum_between_them():
    level = sublevel_sets.minimax_level(W_SHAPED, (50,), (250,))
    assert level == pytest.approx(W_SHAPED[50:250].max().item(), abs=0)


def test_the_minimax_level_is_the_higher_end_where_no_climb_is_needed():
    bowl = X**2
    assert sublevel_sets.minimax_level(bowl, (150,), (200,)) == bowl[200].item()


@pytest.mark.parametrize("shape", [(40,), (9, 11), (4, 5, 6)])
def test_persistence_counts_the_components_of_every_sublevel_set(shape):
    field = random_field(*shape)
    birth, death = sublevel_sets.persistence(field).T
    for level in field.flatten():
        alive = ((birth <= level) & (level < death)).sum()
        assert alive == sublevel_sets.count_components(field, level.item())


def test_a_minimum_dies_at_the_lowest_pass_to_an_older_one():
    field = random_field(12, 12, seed=3)
    pairs = sublevel_sets.persistence(field)
    places = [divmod(int((field == birth).flatten().nonzero()), 12) for birth in pairs[:, 0]]
    for number in range(1, len(pairs)):
        climbs = [sublevel_sets.minimax_level(field, places[number], older) for older in places[:number]]
        assert min(climbs) == pairs[number, 1]


def test_each_strict_minimum_is_one_pair_and_a_plateau_is_one_minimum():
    shelf = torch.tensor([3.0, 1.0, 1.0, 2.0, 0.0, 4.0])
    assert sublevel_sets.persistence(shelf).tolist() == [[0.0, math.inf], [1.0, 2.0]]
    assert sublevel_sets.local_minima(shelf).tolist() == [False, True, True, False, True, False]


def test_a_shelf_on_a_slope_holds_minima_but_no_component_of_its_own():
    shelf = torch.tensor([3.0, 2.0, 2.0, 2.0, 0.0, 1.0])
    assert len(sublevel_sets.persistence(shelf)) == 1
    assert sublevel_sets.local_minima(shelf).tolist() == [False, True, True, False, True, False]
