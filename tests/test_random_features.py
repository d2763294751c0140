import pytest
import torch
from scipy.special import eval_gegenbauer

from dlopt.landscape import random_features as rf
from dlopt.landscape.overparametrization import sphere_points

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.mark.parametrize("d", [3, 5, 8])
@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4])
def test_zonal_harmonics_are_scaled_gegenbauer_polynomials(degree, d):
    t = torch.linspace(-1, 1, 11, dtype=torch.float64)
    expected = eval_gegenbauer(degree, d / 2 - 1, t.numpy()) / eval_gegenbauer(degree, d / 2 - 1, 1.0)
    torch.testing.assert_close(rf.zonal_harmonic(degree, d, t), torch.from_numpy(expected))


def test_counts_of_harmonics_in_three_dimensions_are_odd_numbers():
    assert [rf.harmonic_count(k, 3) for k in range(5)] == [1, 3, 5, 7, 9]
    assert [rf.harmonic_count(2, d) for d in (4, 6, 8)] == [9, 20, 35]


@pytest.fixture(scope="module")
def samples() -> torch.Tensor:
    draw = torch.randn(200_000, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return draw / draw.norm(dim=-1, keepdim=True)


def test_closed_forms_are_means_over_the_sphere(samples):
    w, axis = sphere_points(5, 4, seed=2), torch.eye(4, dtype=torch.float64)[0]
    features = torch.relu(samples @ w.T)
    torch.testing.assert_close(rf.feature_gram(w), features.T @ features / len(samples), atol=2e-3, rtol=0)
    for degree in (1, 2, 3, 4):
        harmonic = rf.zonal_harmonic(degree, 4, samples @ axis)
        overlap = (features * harmonic[:, None]).mean(dim=0)
        torch.testing.assert_close(rf.harmonic_overlap(w, axis, degree), overlap, atol=2e-3, rtol=0)
        assert abs(harmonic.square().mean() * rf.harmonic_count(degree, 4) - 1) < 0.02


def test_a_relu_contains_no_odd_degree_beyond_one():
    assert [abs(rf.funk_hecke(k, 5)) > 1e-6 for k in range(6)] == [True, True, True, False, True, False]


def test_the_errors_are_those_of_gradient_flow():
    w, axis = sphere_points(6, 4, seed=3), torch.eye(4, dtype=torch.float64)[0]
    gram, overlap, power = rf.feature_gram(w), rf.harmonic_overlap(w, axis, 2), 1 / rf.harmonic_count(2, 4)
    a, eta, errors = torch.zeros(6, dtype=torch.float64), 0.02, []
    for _ in range(2001):
        errors.append((1 - 2 * overlap @ a / power + a @ gram @ a / power).item())
        a = a - eta * (gram @ a - overlap)
    times = torch.tensor([0.0, 500 * eta, 2000 * eta], dtype=torch.float64)
    flow = rf.readout_errors(gram, overlap, power, times)
    torch.testing.assert_close(
        flow, torch.tensor([errors[0], errors[500], errors[2000]]).double(), atol=1e-4, rtol=0
    )
