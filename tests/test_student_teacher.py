import math

import pytest
import torch

from dlopt.arc_cosine import population_gradient, population_loss
from dlopt.landscape import student_teacher as st

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_gradient_on_samples_is_autograds():
    inputs, weights = normal(2, 30, 4, seed=1), normal(2, 3, 4, seed=2).requires_grad_()
    targets = st.outputs(inputs, normal(2, 4, seed=3)[None])
    loss = (st.outputs(inputs, weights) - targets).square().mean(dim=-1).sum() / 2
    (expected,) = torch.autograd.grad(loss, weights)
    torch.testing.assert_close(st.sample_gradient(inputs, targets, weights.detach()), expected)


def test_at_zero_a_neuron_moves_only_if_its_slope_there_is_one():
    inputs, teacher = normal(4000, 5, seed=4), normal(1, 5, seed=5)
    targets = st.outputs(inputs, teacher)
    zero = torch.zeros(1, 5, dtype=torch.float64)
    step = -st.sample_gradient(inputs, targets, zero)
    assert (step - teacher / 2).norm() < 0.1 * teacher.norm()
    assert st.sample_gradient(inputs, targets, zero, slope_at_zero=0.0).norm() == 0


def test_population_descent_is_descent_and_keeps_what_it_is_asked_for():
    start, teacher = normal(6, 2, 3, seed=6), normal(2, 3, seed=7)
    every = st.population_descent(start, teacher, step_size=0.1, steps=40)
    some = st.population_descent(start, teacher, step_size=0.1, steps=40, every=10)
    assert every.shape == (41, 6, 2, 3)
    torch.testing.assert_close(some, every[::10])
    torch.testing.assert_close(every[1], start - 0.1 * population_gradient(start, teacher))
    assert (population_loss(every, teacher).diff(dim=0) < 1e-12).all()


def test_descent_on_many_samples_follows_descent_on_the_expectation():
    teacher, start = normal(2, 3, seed=8), normal(2, 3, seed=9)
    inputs = normal(100_000, 3, seed=10)
    sampled = st.sample_descent(inputs, st.outputs(inputs, teacher), start, step_size=0.2, steps=20)
    expected = st.population_descent(start, teacher, step_size=0.2, steps=20)
    assert (sampled - expected).abs().max() < 0.05


def test_one_step_of_sgd_has_the_expected_gradient_on_average_and_the_last_step_is_small():
    teacher, start = normal(2, 3, seed=11), normal(2, 3, seed=12)
    path = st.stochastic_descent(start, teacher, step_size=1.0, batch=100_000, steps=2, every=1, seed=13)
    assert (path[0] - path[1] - population_gradient(start, teacher)).abs().max() < 0.05
    half = (path[1] - path[2]) / population_gradient(path[1], teacher)
    assert abs(half.median().item() - 0.5) < 0.1


def test_the_distance_does_not_see_the_order_of_the_neurons():
    teacher = normal(4, 3, seed=14)
    shuffled = teacher[[2, 0, 3, 1]] + 0.01
    expected = 0.01 * math.sqrt(12)
    torch.testing.assert_close(st.distance_to_teacher(shuffled, teacher).item(), expected)
    assert st.distance_to_teacher(shuffled.expand(2, 5, 4, 3), teacher).shape == (2, 5)


def test_the_deficit_is_the_difference_of_total_lengths():
    weights = torch.tensor([[3.0, 4.0], [0.0, 1.0]], dtype=torch.float64)
    assert st.norm_deficit(weights, 2 * weights).item() == pytest.approx(6.0)


@pytest.mark.cuda
def test_a_gpu_takes_the_same_path():
    start, teacher = normal(4, 3, 5, seed=15), normal(3, 5, seed=16)
    options = {"step_size": 0.1, "batch": 20, "steps": 30, "every": 10, "seed": 17}
    here = st.stochastic_descent(start, teacher, **options)
    there = st.stochastic_descent(start.cuda(), teacher.cuda(), **options)
    torch.testing.assert_close(there.cpu(), here)
