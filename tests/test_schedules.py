"""Every schedule is the one of torch.optim.lr_scheduler, and has its landmarks where its paper puts them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.optim import lr_scheduler

from dlopt.algorithms import schedules

STEPS = 300

PAIRS = {
    "step decay": (
        schedules.step_decay(0.5, 30, 0.1),
        0.5,
        lambda optimizer: lr_scheduler.StepLR(optimizer, 30, 0.1),
    ),
    "exponential": (
        schedules.exponential(0.5, 0.99),
        0.5,
        lambda optimizer: lr_scheduler.ExponentialLR(optimizer, 0.99),
    ),
    "inverse power": (
        schedules.inverse_power(0.5, 0.5, 7.0),
        0.5,
        lambda optimizer: lr_scheduler.LambdaLR(optimizer, lambda t: math.sqrt(7.0 / (7.0 + t))),
    ),
    "warmup": (
        schedules.warmup(schedules.constant(0.5), 40, 0.1),
        0.5,
        lambda optimizer: lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 40),
    ),
    "warmup, then step decay": (
        schedules.warmup(schedules.step_decay(0.5, 30, 0.1), 40, 0.1),
        0.5,
        lambda optimizer: lr_scheduler.SequentialLR(
            optimizer,
            [lr_scheduler.LinearLR(optimizer, 0.1, 1.0, 40), lr_scheduler.StepLR(optimizer, 30, 0.1)],
            [40],
        ),
    ),
    "triangular": (
        schedules.triangular(0.1, 0.5, 23),
        0.5,
        lambda optimizer: lr_scheduler.CyclicLR(optimizer, 0.1, 0.5, 23, cycle_momentum=False),
    ),
    "cosine with restarts": (
        schedules.cosine_restarts(0.5, 20, 2, 0.01),
        0.5,
        lambda optimizer: lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 20, 2, 0.01),
    ),
    "one cycle": (
        schedules.one_cycle(0.5, STEPS),
        0.5,
        lambda optimizer: lr_scheduler.OneCycleLR(optimizer, 0.5, STEPS, cycle_momentum=False),
    ),
    "one cycle of lines": (
        schedules.one_cycle(0.5, STEPS, rise=0.4, first_share=0.1, last_share=1e-3, line=True),
        0.5,
        lambda optimizer: lr_scheduler.OneCycleLR(
            optimizer, 0.5, STEPS, pct_start=0.4, anneal_strategy="linear", cycle_momentum=False,
            div_factor=10.0, final_div_factor=100.0,
        ),
    ),
}  # fmt: skip


def theirs(scheduler_of, alpha: float) -> list[float]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=alpha)
    scheduler = scheduler_of(optimizer)
    rates = []
    for _ in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


@pytest.mark.filterwarnings("ignore:The epoch parameter:UserWarning")
@pytest.mark.parametrize("name", PAIRS)
def test_the_schedule_is_torchs_at_every_step(name):
    ours, alpha, scheduler_of = PAIRS[name]
    assert [ours(t) for t in range(STEPS)] == pytest.approx(theirs(scheduler_of, alpha), rel=1e-12, abs=1e-15)


def test_the_triangle_has_its_corners_every_s_steps():
    schedule = schedules.triangular(0.1, 0.5, 25)
    assert [schedule(t) for t in (0, 25, 50, 75, 100)] == pytest.approx([0.1, 0.5, 0.1, 0.5, 0.1], abs=1e-15)
    assert schedule(10) == pytest.approx(0.1 + 0.4 * 10 / 25)


def test_restarts_come_after_1_3_7_and_15_first_lengths():
    schedule = schedules.cosine_restarts(0.5, 10, 2, 0.01)
    jumps = [t for t in range(1, 200) if schedule(t) > schedule(t - 1)]
    assert jumps == [10, 30, 70, 150]
    assert [schedule(t) for t in jumps] == [0.5] * 4
    assert schedule(5) == pytest.approx(0.255)


def test_a_constant_warmup_is_two_constants_joined():
    schedule = schedules.joined(schedules.constant(0.01), 400, schedules.constant(0.1))
    assert [schedule(t) for t in (0, 399, 400, 1000)] == [0.01, 0.01, 0.1, 0.1]


class TestDivideWhenStuck:
    def test_each_member_is_divided_as_torch_divides_it(self):
        generator = torch.Generator().manual_seed(0)
        falling = torch.exp(-torch.arange(STEPS) / 60.0).unsqueeze(1)
        losses = (falling + 0.1 * torch.rand(STEPS, 3, generator=generator)).double()
        rule = schedules.DivideWhenStuck(0.5, 0.3, patience=4, threshold=0.01)
        ours = torch.stack([rule(row).clone() for row in losses])
        for member in range(3):
            optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.5)
            scheduler = lr_scheduler.ReduceLROnPlateau(
                optimizer, factor=0.3, patience=4, threshold=0.01, eps=0.0
            )
            for loss, alpha in zip(losses[:, member].tolist(), ours[:, member].tolist(), strict=True):
                scheduler.step(loss)
                assert alpha == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert (ours[-1] < 0.01).all()

    def test_a_loss_that_keeps_falling_is_never_stuck(self):
        rule = schedules.DivideWhenStuck(0.5, patience=0)
        assert all(rule(0.9**look).item() == 0.5 for look in range(50))


@pytest.mark.parametrize(("first", "multiple"), [(0, 2), (5, 0)])
def test_descents_without_length_are_refused(first, multiple):
    with pytest.raises(ValueError, match="1 or more"):
        schedules.cosine_restarts(0.5, first, multiple)
