"""The nudged elastic band against landscapes whose passes are known."""

import torch

from dlopt.landscape import elastic_band, paths

DOUBLE = {"dtype": torch.float64}


def valley(points):
    """(1 - x²)² + 5 (y - 1 + x²)²: minima at (±1, 0), and a pass of height 1 at (0, 1) between them."""
    x, y = points.unbind(-1)
    return (1 - x**2) ** 2 + 5 * (y - 1 + x**2) ** 2


def adam(tensors):
    return torch.optim.Adam(tensors, lr=0.02)


def test_the_band_goes_over_the_pass_where_the_line_goes_over_the_hill():
    line = paths.polygon(torch.tensor([[-1.0, 0.0], [1.0, 0.0]], **DOUBLE), 10)
    band = elastic_band.relax(valley, line, steps=600, spring=1.0, optimizer=adam)
    assert valley(line).max() == 6
    assert abs(valley(band).max() - 1) < 0.01
    torch.testing.assert_close(band[5], torch.tensor([0.0, 1.0], **DOUBLE), atol=0.02, rtol=0)
    assert torch.equal(band[[0, -1]], line[[0, -1]])


def test_springs_space_the_points_evenly():
    line = paths.polygon(torch.tensor([[-1.0, 0.0], [1.0, 0.0]], **DOUBLE), 10)
    band = elastic_band.relax(valley, line, steps=600, spring=1.0, optimizer=adam)
    lengths = band.diff(dim=0).norm(dim=-1)
    assert lengths.max() / lengths.min() < 1.05


def test_several_bands_relax_as_they_do_alone():
    lines = torch.stack(
        [paths.polygon(torch.tensor([[-1.0, 0.0], end], **DOUBLE), 6) for end in ([1.0, 0.0], [0.9, 0.1])]
    )
    together = elastic_band.relax(valley, lines, steps=50, spring=0.5, optimizer=adam)
    for line, band in zip(lines, together, strict=True):
        alone = elastic_band.relax(valley, line, steps=50, spring=0.5, optimizer=adam)
        torch.testing.assert_close(band, alone)


def test_the_force_has_the_gradient_across_and_the_spring_along():
    band = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]], **DOUBLE)
    gradients = torch.tensor([[5.0, 7.0]], **DOUBLE)
    force = elastic_band.force(band, torch.tensor([0.0, 1.0, 2.0], **DOUBLE), gradients, spring=2.0)
    torch.testing.assert_close(force, torch.tensor([[2.0, -7.0]], **DOUBLE))


def test_the_tangent_points_to_the_higher_neighbor():
    band = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], **DOUBLE)
    rising = elastic_band.tangents(band, torch.tensor([0.0, 1.0, 2.0], **DOUBLE))
    falling = elastic_band.tangents(band, torch.tensor([2.0, 1.0, 0.0], **DOUBLE))
    torch.testing.assert_close(rising, torch.tensor([[0.0, 1.0]], **DOUBLE))
    torch.testing.assert_close(falling, torch.tensor([[1.0, 0.0]], **DOUBLE))
