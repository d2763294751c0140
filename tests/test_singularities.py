"""Points where a network does not know its own weights."""

from __future__ import annotations

import pytest
import torch

from dlopt.tricks import singularities


def draw(seed: int = 0, width: int = 3):
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((width, width), (width, width), (50, width))
    ]


@pytest.mark.parametrize("skip", [False, True])
def test_the_network_is_its_formula(skip):
    first, second, x = draw()
    z = torch.stack([torch.tanh(first @ row) + (row if skip else 0) for row in x])
    z = torch.stack([torch.tanh(second @ row) + (row if skip else 0) for row in z])
    torch.testing.assert_close(singularities.network(first, second, x, skip), z)


def test_gauss_newton_is_the_hessian_of_half_the_loss_where_it_is_fitted():
    first, second, x = draw(width=2)
    targets = singularities.network(first, second, x, True)

    def half_loss(theta):
        outputs = singularities.network(theta[:4].view(2, 2), theta[4:].view(2, 2), x, True)
        return (outputs - targets).square().sum(1).mean() / 2

    hessian = torch.func.hessian(half_loss)(torch.cat([first.flatten(), second.flatten()]))
    torch.testing.assert_close(singularities.gauss_newton(first, second, x, True), hessian)


@pytest.mark.parametrize("kind", singularities.SINGULARITIES)
class TestApproach:
    def test_at_distance_one_nothing_moved_and_at_zero_the_plain_network_is_degenerate(self, kind):
        first, second, x = draw(1)
        same = singularities.approach(first, second, kind, 1.0)
        torch.testing.assert_close(same, (first, second))
        there = singularities.approach(first, second, kind, 0.0)
        assert abs(singularities.smallest_eigenvalue(*there, x, False)) < 1e-12
        assert singularities.smallest_eigenvalue(*there, x, True) > 1e-5
        assert singularities.smallest_eigenvalue(first, second, x, False) > 1e-8

    def test_it_goes_where_it_says(self, kind):
        first, second, _ = draw(2)
        w1, w2 = singularities.approach(first, second, kind, 0.0)
        ends = {
            "overlap": torch.equal(w1[0], w1[1]),
            "incoming elimination": not w1[0].any(),
            "outgoing elimination": not w2[:, 0].any(),
            "linear dependence": torch.equal(w1[0], -w1[1]),
        }
        assert ends[kind]
        torch.testing.assert_close(singularities.approach(first, second, kind, 0.5)[0], (first + w1) / 2)


def test_another_singularity_is_refused():
    with pytest.raises(ValueError, match="unknown singularity"):
        singularities.approach(*draw()[:2], "pole", 0.1)
