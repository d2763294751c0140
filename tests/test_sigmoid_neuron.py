import pytest
import torch

from dlopt.landscape import sigmoid_neuron as sn

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_labels_are_one_as_often_as_the_teacher_says():
    teacher = torch.tensor([2.0], dtype=torch.float64)
    labels = sn.noisy_labels(torch.full((40_000, 1), 0.5, dtype=torch.float64), teacher, seed=1)
    assert set(labels.tolist()) == {0.0, 1.0}
    assert abs(labels.mean() - torch.sigmoid(torch.tensor(1.0))) < 0.01


@pytest.mark.parametrize("shared", [True, False])
def test_the_jacobian_is_that_of_the_residual(shared):
    inputs, labels, theta = normal(2, 7, 3, seed=1), normal(2, 7, seed=2), normal(2, 3, seed=3)
    problem = sn.SigmoidNeuron(inputs[0], labels[0]) if shared else sn.SigmoidNeuron(inputs, labels)
    numerical = torch.autograd.functional.jacobian(problem.residual, theta)
    for run in range(2):
        torch.testing.assert_close(problem.jacobian(theta)[run], numerical[run, :, run])


def test_points_that_are_close_count_once():
    points = torch.tensor([[0.0], [1.0], [1.0001], [0.0], [5.0]])
    assert sn.count_distinct(points, within=1e-2) == 3
    assert sn.count_distinct(points, within=1e-6) == 4
