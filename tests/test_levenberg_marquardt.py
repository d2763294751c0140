from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import least_squares

from dlopt import runtime
from dlopt.landscape import low_rank_recovery as lr
from dlopt.landscape.levenberg_marquardt import levenberg_marquardt
from dlopt.landscape.multimodal import SmallNetwork

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def test_it_ends_where_scipy_ends():
    problem = lr.phase_problems(1, 4, 40, seed=1)
    start = problem.truth + 0.1
    solved = levenberg_marquardt(problem, start, steps=60)
    peer = least_squares(
        lambda x: problem.residual(torch.tensor(x)[None].to(start))[0].cpu().numpy(),
        start[0].cpu().numpy(),
        xtol=1e-14,
    )
    np.testing.assert_allclose(solved.theta[0].cpu().numpy(), peer.x, atol=1e-7)


def test_a_linear_problem_is_solved_exactly():
    class Line:
        def residual(self, theta):
            return theta @ torch.tensor([[1.0, 2.0, 0.0], [0.0, 1.0, 1.0]], dtype=torch.float64) - 1

        def jacobian(self, theta):
            return torch.tensor([[1.0, 0.0], [2.0, 1.0], [0.0, 1.0]], dtype=torch.float64).expand(
                len(theta), 3, 2
            )

    solved = levenberg_marquardt(Line(), torch.zeros(2, 2).double(), steps=60)
    matrix = np.array([[1.0, 0.0], [2.0, 1.0], [0.0, 1.0]])
    best = np.linalg.lstsq(matrix, np.ones(3), rcond=None)[0]
    np.testing.assert_allclose(solved.theta.numpy(), [best, best], atol=1e-9)
    assert solved.gradient_norm.max() < 1e-9


def test_it_never_goes_up():
    net = SmallNetwork(torch.linspace(-2, 2, 15).double(), torch.linspace(-1, 1, 15).double().sin())
    start = torch.randn(20, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values = [levenberg_marquardt(net, start, steps=steps).value for steps in range(0, 12, 3)]
    assert all((later <= earlier).all() for earlier, later in pairwise(values))


def test_each_problem_of_a_batch_runs_by_itself():
    problem = lr.phase_problems(3, 4, 20, seed=2)
    start = problem.start(3)
    together = levenberg_marquardt(problem, start, steps=15).theta
    alone = lr.PhaseRetrieval(problem.vectors[1:2], problem.truth[1:2])
    torch.testing.assert_close(levenberg_marquardt(alone, start[1:2], steps=15).theta[0], together[1])


@pytest.mark.cuda
def test_it_runs_on_a_gpu(monkeypatch):
    monkeypatch.setenv("DLOPT_DEVICE", "cuda")
    problem = lr.sensing_problems(4, 8, 1, 60, seed=4)
    assert problem.truth.device.type == runtime.device().type == "cuda"
    solved = levenberg_marquardt(problem, problem.start(5), steps=40)
    assert solved.theta.device.type == "cuda"
    assert (problem.relative_error(solved.theta) < 1e-6).all()
