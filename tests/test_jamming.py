"""Overlaps, their derivatives, and what can be fitted for sure."""

import torch
from torch.func import jacrev, vmap

from dlopt.landscape import jamming


def problems(width=3, n=12, count=4):
    return jamming.random_hinge_problems(count, n, 5, width, seed=0)


def test_the_jacobian_is_that_of_automatic_differentiation():
    batch = problems()
    theta = 2 * batch.starts(1)
    by_hand = batch.jacobian(theta)

    def one(p, x, y):
        return jamming.HingeProblems(x[None], y[None], 3).residual(p[None])[0]

    torch.testing.assert_close(by_hand, vmap(jacrev(one))(theta, batch.inputs, batch.labels))
    assert (by_hand.abs().sum(dim=-1) == 0).any()


def test_an_overlap_is_what_is_missing_to_the_margin():
    batch = problems(count=1, n=2)
    theta = torch.zeros(1, batch.size, dtype=torch.float64, device=batch.inputs.device)
    theta[0, -1] = 0.25
    expected = torch.where(batch.labels > 0, 0.75, 1.25).to(theta)
    torch.testing.assert_close(batch.residual(theta), expected)
    theta[0, -1] = 2.0
    assert (batch.residual(theta)[batch.labels > 0] == 0).all()


def test_more_parameters_than_samples_leave_no_overlap_and_far_too_few_do():
    loose = jamming.pack(problems(width=6, n=12), seed=2)
    assert (loose.contacts == 0).all()
    assert (loose.energy < 1e-9).all()
    tight = jamming.pack(problems(width=1, n=60), seed=2, rounds=4)
    assert (tight.contacts > 0).all()
    assert (tight.energy > 1e-2).all()


def test_parameters_are_counted_as_the_starts_have_them():
    batch = problems()
    assert batch.starts(0).shape == (4, jamming.parameter_count(5, 3)) == (4, 3 * 5 + 3 + 3 + 1)


def test_the_data_are_the_same_for_every_width_and_some_are_some():
    one, other = problems(width=2), problems(width=7)
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.labels, other.labels)
    some = one.some(torch.tensor([2]))
    assert torch.equal(some.inputs[0], one.inputs[2])
    assert some.width == 2
