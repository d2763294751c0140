"""Hessian products and the spectral density of a Hessian: ours beside gradients, curvlinops and hessian-eigenthings.

The densities are computed with the same number of Lanczos steps and probes, and their distances from the exact
density are printed, so that speed is not bought with accuracy.  curvlinops also searches the spectrum's ends first;
it is measured with them given, which is its fastest way.
"""

from __future__ import annotations

import itertools
import math
import sys
import warnings

import torch
from harness import compare
from torch import Tensor, nn

from dlopt.curvature import Hessian
from dlopt.data import load
from dlopt.lanczos import density_distance, smoothed_density, spectral_density, unit_vectors
from dlopt.training import cross_entropy

try:
    warnings.simplefilter("ignore")
    import curvlinops
    import hessian_eigenthings
except ModuleNotFoundError as missing:
    print(f"  Not measured ({missing}): run `.venv/bin/pip install -r benchmarks/requirements.txt` first.")
    sys.exit()

STEPS = 50


def networks(dtype: torch.dtype = torch.float32) -> dict[str, nn.Module]:
    """A fully connected and a convolutional network of tanh, with 43 000 and 14 000 parameters."""
    torch.manual_seed(0)
    widths = (64, 128, 128, 128, 10)
    layers = [
        layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair, dtype=dtype), nn.Tanh())
    ]
    channels = (1, 16, 32, 32)
    blocks = [
        layer
        for pair in itertools.pairwise(channels)
        for layer in (nn.Conv2d(*pair, 3, padding=1, dtype=dtype), nn.Tanh())
    ]
    return {
        "fully connected": nn.Sequential(*layers[:-1]),
        "convolutional": nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)), *blocks, nn.AvgPool2d(8), nn.Flatten(), nn.Linear(32, 10, dtype=dtype)
        ),
    }


def theirs(model: nn.Module, inputs: Tensor, labels: Tensor):
    """The Hessian operators of the two peers for the same loss."""
    batches = [(inputs, labels)]
    one = curvlinops.HessianLinearOperator(
        model, nn.CrossEntropyLoss(), list(model.parameters()), batches, check_deterministic=False
    )
    other = hessian_eigenthings.HessianOperator(
        model, batches, hessian_eigenthings.supervised_loss(nn.CrossEntropyLoss())
    )
    return one, other


def products(name: str, model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """One Hessian product beside a gradient and beside the peers' products."""
    parameters = list(model.parameters())
    hessian = Hessian.of(model, inputs, labels, cross_entropy)
    one, other = theirs(model, inputs, labels)
    v = unit_vectors((hessian.size,), device=inputs.device)
    difference = max(float((job @ v - hessian(v)).norm() / hessian(v).norm()) for job in (one, other))
    print(f"  {name}, {hessian.size} parameters; the peers' product differs by {difference:.1e}")
    compare(
        "  a product, theirs a gradient",
        lambda: hessian(v),
        lambda: torch.autograd.grad(cross_entropy(model(inputs), labels), parameters),
    )
    compare("  a product, theirs curvlinops", lambda: hessian(v), lambda: one @ v)
    compare("  a product, theirs hessian-eigenthings", lambda: hessian(v), lambda: other @ v)


def densities(name: str, model: nn.Module, inputs: Tensor, labels: Tensor, probes: int) -> None:
    """The density with its operator made anew, graph and all, beside the peers'."""
    size = sum(parameter.numel() for parameter in model.parameters())
    rule = spectral_density(
        Hessian.of(model, inputs, labels, cross_entropy), unit_vectors((1, size), device=inputs.device), 20
    )
    ends = (float(rule.nodes.min()), float(rule.nodes.max()))

    def ours() -> None:
        hessian = Hessian.of(model, inputs, labels, cross_entropy)
        starts = unit_vectors((probes, size), device=inputs.device)
        found = spectral_density(hessian, starts, STEPS)
        smoothed_density(*found, torch.linspace(*ends, 1024, dtype=torch.float64), 0.01 * (ends[1] - ends[0]))

    compare(
        f"  {name}: {probes} × {STEPS} steps, theirs curvlinops",
        ours,
        lambda: curvlinops.lanczos_approximate_spectrum(
            theirs(model, inputs, labels)[0], STEPS, num_repeats=probes, boundaries=ends
        ),
        repeats=3,
    )
    compare(
        f"  {name}: {probes} × {STEPS} steps, theirs hessian-eigenthings",
        ours,
        lambda: hessian_eigenthings.spectral_density(
            theirs(model, inputs, labels)[1], num_runs=probes, lanczos_steps=STEPS, num_grid_points=1024
        ),
        repeats=3,
    )


def accuracy(inputs: Tensor, labels: Tensor) -> None:
    """Distance from the exact density on a network small enough to have one, in double precision."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 8), nn.Tanh(), nn.Linear(8, 10)).to(inputs.device, torch.float64)
    inputs, probes = inputs.double(), 10
    hessian = Hessian.of(model, inputs, labels, cross_entropy)
    exact = torch.linalg.eigvalsh(hessian.matrix())
    low, high = float(exact[0]), float(exact[-1])
    margin = 0.05 * (high - low)
    grid = torch.linspace(low - margin, high + margin, 1024, dtype=torch.float64)
    # The width of curvlinops' bumps at its default κ = 3.
    sigma = (high - low + 2 * margin) / ((STEPS - 1) * math.sqrt(8 * math.log(3.0)))
    truth = smoothed_density(exact, torch.full_like(exact, 1 / len(exact)), grid, sigma)
    starts = unit_vectors((probes, hessian.size), dtype=torch.float64, device=inputs.device)
    found = smoothed_density(*spectral_density(hessian, starts, STEPS), grid, sigma)
    one, other = theirs(model, inputs, labels)
    near, density = curvlinops.lanczos_approximate_spectrum(
        one, STEPS, num_points=1024, num_repeats=probes, boundaries=(low, high)
    )
    raw = hessian_eigenthings.spectral_density(other, num_runs=probes, lanczos_steps=STEPS, sigma=sigma)
    weights = raw.raw_weights.flatten() / probes
    last = smoothed_density(raw.raw_eigenvalues.flatten().nan_to_num(), weights, grid, sigma)
    assert torch.allclose(near, grid, atol=1e-9)
    for who, result in (("ours", found), ("curvlinops", density), ("hessian-eigenthings", last)):
        print(f"  distance from the exact density, {who}: {float(density_distance(result, truth, grid)):.3f}")


def main() -> None:
    torch.set_num_threads(1)
    digits = load("digits")
    inputs, labels = digits.train_inputs[:1000], digits.train_labels[:1000]
    accuracy(inputs, labels)
    for name, model in networks().items():
        model.to(inputs.device)
        few = 200 if name == "convolutional" else 1000
        products(name, model, inputs[:few], labels[:few])
        densities(name, model, inputs[:few], labels[:few], probes=1)
    densities("fully connected", networks()["fully connected"].to(inputs.device), inputs, labels, probes=4)


if __name__ == "__main__":
    main()
