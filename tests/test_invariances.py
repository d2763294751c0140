"""The table of invariances against Table 1 of Ba, Kiros & Hinton 2016 and against itself."""

from __future__ import annotations

import torch
from torch import nn

from dlopt.tricks.invariances import CHANGES, METHODS, convolution, invariances


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_layer_is_a_circular_convolution():
    theirs = nn.Conv2d(3, 4, 3, padding=1, padding_mode="circular", bias=False, dtype=torch.float64)
    images = drawn(2, 3, 5, 5)
    assert torch.allclose(convolution(theirs.weight, images), theirs(images), atol=1e-13)


def test_batch_weight_and_layer_normalization_are_as_ba_kiros_and_hinton_say():
    table = invariances(drawn(4, 3, 3, 3), drawn(5, 3, 6, 6, seed=1))
    columns = (
        "all weights × 3",
        "one neuron's weights × 3",
        "all data × 3",
        "all data + 3",
        "this sample × 3",
    )
    published = {
        "batch": (True, True, True, True, False),
        "weight": (True, True, False, False, False),
        "layer": (True, False, True, False, True),
    }
    for method, expected in published.items():
        assert tuple(table[method][name] for name in columns) == expected


def test_every_change_changes_the_layer_without_normalization_unless_it_is_elsewhere():
    weight, images = drawn(4, 3, 3, 3), drawn(5, 3, 6, 6, seed=1)
    table = invariances(weight, images)
    assert set(table) == set(METHODS)
    assert {name for name, held in table["none"].items() if held} == {"the other samples"}
    changed = CHANGES["the other samples"](weight, images)[1]
    assert torch.equal(changed[0], images[0])
    assert not torch.allclose(changed[1:], images[1:])


def test_the_two_weight_methods_have_unit_rows_and_unit_spectral_norm():
    weight, impulse = drawn(4, 3, 1, 1), torch.eye(3, dtype=torch.float64)[:, :, None, None]
    rows = METHODS["weight"](weight, impulse)[:, :, 0, 0].T
    assert torch.allclose(rows.norm(dim=1), torch.ones(4).double())
    spectral = METHODS["spectral"](weight, impulse)[:, :, 0, 0].T
    assert torch.allclose(torch.linalg.matrix_norm(spectral, ord=2), torch.tensor(1.0).double())
