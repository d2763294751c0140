"""What compiled loops share: an order is looked at before a loop that would read past the end of an array."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from dlopt.algorithms.compiled import indices, one_a_step
from dlopt.algorithms.coordinate_descent import coordinate_descent
from dlopt.algorithms.katyusha import katyusha
from dlopt.algorithms.momentum import Momentum, momentum_sgd
from dlopt.algorithms.random_problems import least_squares
from dlopt.algorithms.sampling import with_replacement
from dlopt.algorithms.sgd_qn import sgd_qn
from dlopt.algorithms.stochastic_bb import sgd_bb
from dlopt.algorithms.stochastic_gradient import sgd
from dlopt.algorithms.variance_reduction import saga, svrg
from dlopt.algorithms.vsgd import vsgd

PROBLEM = replace(least_squares(20, 3, noise=0.1, seed=0), ridge=0.1)
START = torch.zeros(3, dtype=torch.float64)
ONE_A_STEP = {
    "saga": lambda order: saga(PROBLEM, START, 0.01, order),
    "svrg": lambda order: svrg(PROBLEM, START, 0.01, order),
    "katyusha": lambda order: katyusha(PROBLEM, START, order, smoothness=9.0, strong_convexity=0.1),
    "sgd_qn": lambda order: sgd_qn(PROBLEM, START, order, t_0=10.0),
    "sgd_bb": lambda order: sgd_bb(PROBLEM, START, 0.01, order),
    "vsgd": lambda order: vsgd(PROBLEM, START, order),
}
SEVERAL_A_STEP = {
    "sgd": lambda order: sgd(PROBLEM, START, 0.01, order),
    "momentum": lambda order: momentum_sgd(PROBLEM, START, Momentum.heavy_ball(0.01, 0.9), order),
    "coordinate_descent": lambda order: coordinate_descent(PROBLEM, START, order[..., 0]),
}


def test_an_order_keeps_its_entries():
    order = with_replacement(20, 40, members=2, seed=1)
    assert (indices(order, 20) == order.numpy()).all()
    assert (one_a_step(order, 20) == order[..., 0].numpy()).all()
    assert indices(torch.empty(0, 2, dtype=torch.int64), 20).shape == (0, 2)


@pytest.mark.parametrize("solver", [*ONE_A_STEP, *SEVERAL_A_STEP])
def test_a_sample_that_is_not_there_is_refused(solver):
    order = with_replacement(20, 40, seed=1)
    for wrong in (20, -1):
        order[0, 7] = wrong
        with pytest.raises(ValueError, match="indices outside 0"):
            (ONE_A_STEP | SEVERAL_A_STEP)[solver](order)


@pytest.mark.parametrize("solver", ONE_A_STEP)
def test_several_samples_a_step_are_refused_where_the_method_takes_one(solver):
    with pytest.raises(ValueError, match="one sample a step"):
        ONE_A_STEP[solver](with_replacement(20, 40, 2))
