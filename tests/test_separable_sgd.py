import pytest
import torch

from dlopt.landscape import separable_sgd as ss

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def start(members: int, k: int, d: int = 6, seed: int = 1) -> torch.Tensor:
    draw = torch.randn(members, 2 * k, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return draw / draw.flatten(1).norm(dim=-1)[:, None, None]


@pytest.fixture
def data() -> tuple[torch.Tensor, torch.Tensor]:
    return ss.separable_data(4, 20, 6, margin=0.2, seed=2)


def test_data_are_short_and_separated_by_the_margin(data):
    inputs, labels = data
    assert inputs.norm(dim=-1).max() <= 1 + 1e-12
    assert (labels * inputs[..., 0]).min() >= 0.2
    assert set(labels.flatten().tolist()) == {-1.0, 1.0}


def test_the_network_is_the_one_of_torch(data):
    weights = start(4, 3)
    h = torch.nn.functional.leaky_relu(data[0] @ weights.mT, 0.3)
    expected = (h[..., :3].sum(dim=-1) - h[..., 3:].sum(dim=-1)) / 6**0.5
    torch.testing.assert_close(ss.outputs(data[0], weights, slope=0.3), expected)


def test_one_update_is_a_step_of_sgd_on_the_hinge_loss(data):
    inputs, labels = (tensor[:, :1] for tensor in data)
    weights = start(4, 3).requires_grad_()
    hinge = torch.relu(1 - labels * ss.outputs(inputs, weights, slope=0.3)).sum()
    (gradient,) = torch.autograd.grad(hinge, weights)
    run = ss.separable_sgd(inputs, labels, weights.detach(), slope=0.3, step_size=0.1, passes=1, seed=3)
    torch.testing.assert_close(run.weights, (weights - 0.1 * gradient).detach())
    assert run.updates.tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("k", [1, 8, 40])
def test_the_loss_ends_at_zero_within_the_bound_and_every_update_counts(data, k):
    run = ss.separable_sgd(*data, start(4, k), slope=0.3, step_size=0.5, passes=60, seed=4)
    assert (run.loss == 0).all()
    assert (run.updates <= ss.update_bound(5.0, 1.0, slope=0.3, step_size=0.5)).all()
    again = ss.separable_sgd(*data, run.weights, slope=0.3, step_size=0.5, passes=2, seed=5)
    assert (again.updates == 0).all()


def test_the_bound_solves_its_equation():
    separator, norm, slope, eta = 5.0, 1.5, 0.3, 0.5
    t = ss.update_bound(separator, norm, slope=slope, step_size=eta)
    right = separator * (norm + (norm**2 + (2 * eta + eta**2) * t) ** 0.5)
    assert eta * slope * t == pytest.approx(right)


def test_noise_wakes_a_dead_network_and_only_the_neurons_of_the_label():
    inputs = torch.tensor([[[1.0, 0.0]]], dtype=torch.float64)
    labels = torch.ones(1, 1, dtype=torch.float64)
    dead = torch.tensor([[[-0.1, 0.0], [-0.1, 0.0]]], dtype=torch.float64)
    asleep = ss.separable_sgd(inputs, labels, dead, slope=0.0, step_size=0.5, passes=50, seed=6)
    torch.testing.assert_close(asleep.weights, dead)
    awake = ss.separable_sgd(inputs, labels, dead, slope=0.0, step_size=0.5, passes=50, seed=6, noise=1.0)
    assert awake.loss.item() == 0
    torch.testing.assert_close(awake.weights[:, 1], dead[:, 1])
