"""Local openness of the matrix product."""

from __future__ import annotations

import pytest
import torch

from dlopt.landscape import local_openness
from dlopt.landscape.matrix_factorization import Factors

E = torch.eye(4, dtype=torch.float64)
F = torch.eye(2, dtype=torch.float64)
GENERATOR = torch.Generator().manual_seed(0)
FULL2, FULL1 = (torch.randn(4, 2, generator=GENERATOR, dtype=torch.float64) for _ in range(2))
OPEN = {
    "both of full rank": Factors(FULL2, FULL1.T),
    "both zero": Factors(0 * FULL2, 0 * FULL1.T),
    "both of rank one, product of rank one": Factors(E[:, :1] @ F[:1], F[:, :1] @ E[:1]),
}
NOT_OPEN = {
    "one zero": Factors(FULL2, 0 * FULL1.T),
    "both of rank one, product zero": Factors(E[:, :1] @ F[:1], F[:, 1:] @ E[:1]),
    "square, of rank one, crossing": Factors(F[:, :1] @ F[:1], F[:, 1:] @ F[1:]),
}
DISTANCES = torch.tensor([1e-2, 1e-4], dtype=torch.float64)


def reach(factors, seed=1):
    shape = factors.product.shape
    direction = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    near = local_openness.nearby_products(factors, direction / direction.norm(), DISTANCES)
    return local_openness.distance_to_factors(near, factors)


@pytest.mark.parametrize("name", OPEN)
def test_where_the_theorem_says_open_the_factors_come_as_close_as_the_product(name):
    assert local_openness.is_locally_open(OPEN[name])
    far, near = reach(OPEN[name])
    assert near < 0.2 * far


@pytest.mark.parametrize("name", NOT_OPEN)
def test_where_it_says_not_open_they_stay_away(name):
    assert not local_openness.is_locally_open(NOT_OPEN[name])
    far, near = reach(NOT_OPEN[name])
    assert near > 0.9 * far > 0.05


def test_spare_hidden_units_make_the_product_open_everywhere():
    assert local_openness.is_locally_open(Factors(torch.zeros(2, 4), torch.zeros(4, 2)))
    crossing = Factors(torch.eye(2, 4), torch.cat([torch.zeros(2, 2), torch.eye(2)]))
    assert local_openness.is_locally_open(crossing)


def test_nearby_products_have_the_rank_of_the_range_and_approach():
    factors = OPEN["both of full rank"]
    near = local_openness.nearby_products(factors, torch.ones(4, 4, dtype=torch.float64) / 4, DISTANCES)
    assert (torch.linalg.matrix_rank(near) == 2).all()
    assert ((near - factors.product).flatten(1).norm(dim=1) < 2 * DISTANCES).all()


def test_the_distance_is_zero_for_the_product_itself():
    factors = OPEN["both of full rank"]
    assert local_openness.distance_to_factors(factors.product[None], factors) < 1e-6


def test_the_distance_of_rank_one_factors_is_that_of_a_scan_over_the_scale():
    factors = Factors(torch.tensor([[1.0], [2.0]], dtype=torch.float64), torch.tensor([[1.0, 1.0]]).double())
    product = torch.tensor([[[1.0, 1.2], [2.0, 2.4]]], dtype=torch.float64)
    u, s, vt = torch.linalg.svd(product[0])
    scales = torch.cat([torch.logspace(-2, 2, 20001), -torch.logspace(-2, 2, 20001)]).double()[:, None]
    left, right = scales * u[:, 0] * s[0].sqrt(), vt[0] * s[0].sqrt() / scales
    scanned = (
        ((left - factors.w2[:, 0]).square().sum(1) + (right - factors.w1[0]).square().sum(1)).min().sqrt()
    )
    torch.testing.assert_close(
        local_openness.distance_to_factors(product, factors)[0], scanned, atol=1e-5, rtol=0
    )
