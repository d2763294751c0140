"""K workers do what one does; a run that was interrupted ends as if it had not been."""

from __future__ import annotations

import dataclasses
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from dlopt.algorithms import sampling
from dlopt.algorithms.distributed import data_parallel
from dlopt.algorithms.distributed.checkpoint import CheckpointError
from dlopt.algorithms.distributed.data_parallel import Job, flat, sum_over_workers, train
from dlopt.algorithms.distributed.drills import Drill
from dlopt.algorithms.distributed.group import Worker
from dlopt.algorithms.distributed.launcher import launch
from dlopt.algorithms.distributed.synchronized_normalization import (
    GhostBatchNormalization,
    SynchronizedBatchNormalization,
)
from dlopt.algorithms.lars import LARS

K = 3


def make(normalization: nn.Module | None = None, **options) -> Job:
    """Forty samples, mini-batches of 7, which three workers cannot share equally."""
    torch.manual_seed(0)
    inputs = torch.randn(42, 5, dtype=torch.float64)
    labels = torch.randint(3, (42,))
    first, last = nn.Linear(5, 6), nn.Linear(6, 3)
    model = nn.Sequential(first, normalization or nn.Identity(), nn.Tanh(), last).double()
    order = options.pop("order", sampling.reshuffled(42, 3, 7)[0])
    step_sizes = torch.linspace(0.5, 0.1, len(order))
    return Job(model, inputs, labels, order, step_sizes, **options)


JOBS = {
    "plain": make(),
    "momentum": make(optimizer=partial(torch.optim.SGD, momentum=0.9)),
    "LARS": make(optimizer=partial(LARS, trust=0.1)),
    "DDP": make(engine="DistributedDataParallel"),
    "fewer samples than workers": make(order=sampling.reshuffled(42, 1, 2)[0]),
    "local statistics": make(nn.BatchNorm1d(6, track_running_stats=False)),
    "synchronized statistics": make(SynchronizedBatchNormalization(6)),
}


@pytest.fixture(scope="module")
def together() -> list[dict[str, data_parallel.Trained]]:
    """What each of three workers has after each job."""
    found = launch(data_parallel.train_all, K, list(JOBS.values()), limit=120)
    return [dict(zip(JOBS, trained, strict=True)) for trained in found]


def gap(one: data_parallel.Trained, other: data_parallel.Trained) -> float:
    return max(
        (one.parameters - other.parameters).abs().max().item(), (one.losses - other.losses).abs().max().item()
    )


@pytest.mark.parametrize("name", ["plain", "momentum", "LARS", "DDP", "fewer samples than workers"])
def test_three_workers_do_what_one_does_with_the_whole_mini_batch(together, name):
    assert gap(together[0][name], train(Worker(), JOBS[name])) < 1e-13


def test_our_sum_is_distributed_data_parallels(together):
    assert gap(together[0]["plain"], together[0]["DDP"]) < 1e-13


def test_all_workers_hold_the_same_weights_bit_for_bit(together):
    for one, other in pairwise(together):
        for name in JOBS:
            assert torch.equal(one[name].parameters, other[name].parameters)


def test_batch_normalization_on_each_worker_is_ghost_batch_normalization(together):
    assert gap(together[0]["local statistics"], train(Worker(), make(GhostBatchNormalization(6, K)))) < 1e-8
    assert gap(together[0]["local statistics"], train(Worker(), JOBS["synchronized statistics"])) > 1e-3


def test_synchronized_batch_normalization_is_that_of_the_whole_batch(together):
    whole = train(Worker(), make(nn.BatchNorm1d(6, track_running_stats=False)))
    assert gap(together[0]["synchronized statistics"], whole) < 1e-8


def test_one_worker_does_what_a_plain_loop_does():
    job = make()
    model = make().model
    for t, index in enumerate(job.order):
        model.zero_grad()
        nn.functional.cross_entropy(model(job.inputs[index]), job.targets[index]).backward()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= job.step_sizes[t] * parameter.grad
    assert torch.allclose(train(Worker(), job).parameters, flat(model.parameters()), atol=1e-14)


def test_the_jobs_model_is_left_as_it_was():
    job = make()
    before = flat(job.model.parameters())
    train(Worker(), job)
    assert torch.equal(flat(job.model.parameters()), before)


def test_an_interrupted_run_ends_bit_for_bit_as_if_it_had_not_been(tmp_path):
    file = tmp_path / "run.pt"
    job = make(optimizer=partial(torch.optim.SGD, momentum=0.9), checkpoint=file, every=4)
    with pytest.raises(RuntimeError, match="only a drill"):
        train(Worker(), dataclasses.replace(job, drill=Drill(0, 11, "raises")))
    resumed = train(Worker(), job)
    straight = train(Worker(), dataclasses.replace(job, checkpoint=None))
    assert (resumed.resumed_at, straight.resumed_at) == (8, 0)
    assert torch.equal(resumed.parameters, straight.parameters)
    assert torch.equal(resumed.losses, straight.losses)


def test_a_finished_run_that_is_started_again_changes_nothing(tmp_path):
    job = make(checkpoint=tmp_path / "run.pt", every=6)
    first, again = train(Worker(), job), train(Worker(), job)
    assert again.resumed_at == len(job.order)
    assert torch.equal(first.parameters, again.parameters)


def test_a_checkpoint_of_another_job_is_refused(tmp_path):
    job = make(checkpoint=tmp_path / "run.pt", every=6)
    train(Worker(), job)
    for other in ({"step_sizes": 2 * job.step_sizes}, {"optimizer": LARS}, {"inputs": 2 * job.inputs}):
        with pytest.raises(CheckpointError, match="belongs to a run with another model"):
            train(Worker(), dataclasses.replace(job, **other))


def test_a_checkpoint_does_not_depend_on_where_it_lies_on_drills_or_on_who_sums(tmp_path):
    job = make()
    same = dataclasses.replace(
        job, checkpoint=tmp_path / "x", drill=Drill(0, 1, "raises"), engine="DistributedDataParallel"
    )
    assert same.fingerprint == job.fingerprint


def test_alone_nothing_is_sent():
    x = torch.arange(3.0)
    sum_over_workers([x], Worker())
    assert x.tolist() == [0, 1, 2]


def test_step_sizes_must_be_as_many_as_mini_batches():
    with pytest.raises(ValueError, match="18 mini-batches take 18 step sizes, not 2"):
        dataclasses.replace(make(), step_sizes=torch.ones(2))


@pytest.mark.cuda
def test_cuda_trains_as_the_cpu_does():
    there = train(Worker(device=torch.device("cuda")), JOBS["plain"])
    assert gap(there, train(Worker(), JOBS["plain"])) < 1e-12


@pytest.mark.cuda
def test_nccl_joins_a_group_of_one():
    assert gap(launch(train, 1, JOBS["plain"], limit=120)[0], train(Worker(), JOBS["plain"])) < 1e-12
