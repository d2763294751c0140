import pytest
import torch

from dlopt.landscape import nonoverlapping_convolution as nc

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def teacher() -> tuple[torch.Tensor, torch.Tensor]:
    return 1.3 * torch.nn.functional.normalize(normal(5, seed=1), dim=0), normal(4, seed=2)


def test_the_closed_form_is_the_mean_over_images(teacher):
    w, a, patches = normal(3, 5, seed=3), normal(3, 4, seed=4), normal(200_000, 4, 5, seed=5)
    residual = nc.outputs(patches, w, a) - nc.outputs(patches, *teacher)
    torch.testing.assert_close(
        nc.population_loss(w, a, *teacher), residual.square().mean(dim=-1) / 2, rtol=0.02, atol=0
    )


def test_the_loss_is_zero_at_the_teacher_and_averaging_is_one_over_k(teacher):
    w, a = teacher
    assert abs(nc.population_loss(w, a, w, a)) < 1e-12
    filters = normal(2, 5, seed=6)
    mean = torch.full((4,), 0.25, dtype=torch.float64)
    torch.testing.assert_close(
        nc.mean_filter_loss(filters, w, 4), nc.population_loss(filters, mean.expand(2, 4), w, mean)
    )


@pytest.mark.parametrize("patches", [2, 4, 9])
def test_the_saddle_is_critical_and_flat_across(patches, teacher):
    w = teacher[0]
    at = nc.degenerate_saddle(w, patches)

    def loss(point: torch.Tensor) -> torch.Tensor:
        return nc.mean_filter_loss(point, w, patches)

    assert torch.autograd.functional.jacobian(loss, at).norm() < 1e-12
    spectrum = torch.linalg.eigvalsh(torch.autograd.functional.hessian(loss, at))
    assert spectrum[:-1].abs().max() < 1e-10
    assert spectrum[-1] > 0.01


def test_the_spurious_point_is_critical_for_the_normalized_network_and_a_minimum_in_the_outputs(teacher):
    w, a = nc.spurious_minimum(*teacher)
    v, b = w.clone().requires_grad_(), a.clone().requires_grad_()
    gradients = torch.autograd.grad(nc.population_loss(v / v.norm(), b, *teacher), (v, b))
    assert max(gradient.norm() for gradient in gradients) < 1e-10
    best = nc.population_loss(w, a, *teacher)
    nearby = a + 0.1 * normal(20, 4, seed=7)
    assert (nc.population_loss(w.expand(20, 5), nearby, *teacher) > best).all()
    assert best > 0.01


def test_descent_and_sgd_take_the_gradient_step_in_direction_and_outputs(teacher):
    v, a = normal(2, 5, seed=8), normal(2, 4, seed=9)
    path = nc.normalized_descent(v, a, *teacher, step_size=0.1, steps=30)
    assert path.direction.shape == (31, 2, 5)
    assert path.readout.shape == (31, 2, 4)
    loss = nc.population_loss(
        path.direction / path.direction.norm(dim=-1, keepdim=True), path.readout, *teacher
    )
    assert (loss.diff(dim=0) < 0).all()
    once = nc.normalized_sgd(v, a, *teacher, step_size=0.1, batch=100_000, steps=1, seed=10)
    torch.testing.assert_close(once.direction, path.direction[1], atol=0.01, rtol=0)
    torch.testing.assert_close(once.readout, path.readout[1], atol=0.02, rtol=0)


def test_two_well_inputs_have_two_minima_in_each_coordinate():
    patches, mean = nc.two_well_patches(2).double(), torch.full((2,), 0.5, dtype=torch.float64)
    targets = nc.outputs(patches, torch.ones(2, dtype=torch.float64), mean)
    torch.testing.assert_close(targets, torch.tensor([0.5, 0.5, 1.0, 1.0], dtype=torch.float64))

    def loss(w: torch.Tensor) -> torch.Tensor:
        return (nc.outputs(patches, w, mean.expand(*w.shape[:-1], 2)) - targets).square().sum(dim=-1) / 2

    for point in ([1.0, 1.0], [1.0, -1.6], [-1.6, -1.6]):
        center = torch.tensor(point, dtype=torch.float64)
        assert (loss(center + 0.01 * normal(50, 2, seed=11)) > loss(center)).all()
    assert loss(torch.ones(2, dtype=torch.float64)) == 0
