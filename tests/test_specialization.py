import torch

from dlopt.arc_cosine import population_loss
from dlopt.landscape import specialization


def test_the_teachers_are_orthonormal():
    teacher = specialization.orthonormal_teachers(3, 4, 9).cpu()
    torch.testing.assert_close(teacher @ teacher.mT, torch.eye(4, dtype=torch.float64).expand(3, 4, 4))


def test_students_start_with_the_variances_of_the_formula():
    start = specialization.random_students(50, 40, 20, std=0.1)
    torch.testing.assert_close(
        start.nodes.square().sum(dim=-1).mean().cpu(), torch.tensor(0.01).double(), rtol=0.05, atol=0
    )
    torch.testing.assert_close(start.outputs.abs().cpu(), torch.full((50, 40), 0.1, dtype=torch.float64))
    assert abs((start.outputs > 0).double().mean() - 0.5) < 0.05


def test_the_overlap_is_a_cosine():
    nodes = torch.tensor([[3.0, 0.0], [1.0, 1.0], [0.0, -2.0]])
    overlap = specialization.overlaps(nodes, torch.tensor([[5.0, 0.0]]))
    torch.testing.assert_close(overlap, torch.tensor([[1.0], [0.5**0.5], [0.0]]))


def test_a_step_is_that_of_the_gradient_of_the_population_loss():
    teacher = specialization.orthonormal_teachers(2, 3, 6)
    start = specialization.random_students(2, 5, 6, std=0.5)
    variables = [part.clone().requires_grad_() for part in start]
    loss = population_loss(variables[0], teacher, variables[1], teacher.new_ones(2, 3))
    gradients = torch.autograd.grad(loss.sum(), variables)
    end, _ = specialization.descend(start, teacher, step_size=0.1, steps=1)
    for after, before, gradient in zip(end, start, gradients, strict=True):
        torch.testing.assert_close(after, before - 0.1 * gradient)


def test_the_loss_agrees_with_samples_and_goes_down():
    teacher = specialization.orthonormal_teachers(1, 2, 4)[0]
    start = specialization.random_students(1, 6, 4, std=0.3)
    start = specialization.Student(start.nodes[0], start.outputs[0])
    end, loss = specialization.descend(start, teacher, step_size=0.2, steps=30)
    x = torch.randn(400_000, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(
        teacher.device
    )
    sampled = (
        torch.relu(x @ end.nodes.mT) @ end.outputs - torch.relu(x @ teacher.mT).sum(dim=-1)
    ).square().mean() / 2
    torch.testing.assert_close(sampled, loss, rtol=0.02, atol=0)
    _, first = specialization.descend(start, teacher, step_size=0.2, steps=0)
    assert loss < first
