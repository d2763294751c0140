"""K-FAC's factors and the parts of a Hessian-free step: ours beside gradients and beside curvlinops.

Both compute the factors of all layers, with one drawn target a sample and with the expectation over targets taken
exactly.  The factors are compared before they are timed.
"""

from __future__ import annotations

import itertools
import sys
import warnings

import torch
from harness import compare
from torch import Tensor, nn

from dlopt.algorithms.hessian_free import HessianFree
from dlopt.algorithms.kfac import KFAC, Factors, exact_factors, recorded_layers, sampled_factors
from dlopt.algorithms.likelihoods import CATEGORICAL
from dlopt.curvature import GaussNewton
from dlopt.data import load

try:
    warnings.simplefilter("ignore")
    import curvlinops
except ModuleNotFoundError as missing:
    print(f"  Not measured ({missing}): run `.venv/bin/pip install -r benchmarks/requirements.txt` first.")
    sys.exit()


def network() -> nn.Sequential:
    """64-128-128-128-10 with tanh, 43 000 parameters."""
    torch.manual_seed(0)
    widths = (64, 128, 128, 128, 10)
    layers = [layer for pair in itertools.pairwise(widths) for layer in (nn.Linear(*pair), nn.Tanh())]
    return nn.Sequential(*layers[:-1])


def ours(model: nn.Module, inputs: Tensor, exact: bool) -> list[Factors]:
    with recorded_layers(model) as layers:
        outputs = model(inputs)
    return (exact_factors if exact else sampled_factors)(layers, outputs, CATEGORICAL)


def theirs(model: nn.Module, inputs: Tensor, labels: Tensor, exact: bool) -> curvlinops.KFACLinearOperator:
    """curvlinops' operator with its factors, which it would compute at its first product."""
    operator = curvlinops.KFACLinearOperator(
        model,
        nn.CrossEntropyLoss(),
        list(model.parameters()),
        [(inputs, labels)],
        fisher_type="type-2" if exact else "mc",
        separate_weight_and_bias=False,
        check_deterministic=False,
    )
    operator.compute_kronecker_factors()
    return operator


def factors(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """Both kinds of factors, in gradients and beside the peer."""
    parameters = list(model.parameters())

    def gradient() -> object:
        return torch.autograd.grad(nn.functional.cross_entropy(model(inputs), labels), parameters)

    flat = torch.cat([p.detach().flatten() for p in parameters])
    product = theirs(model, inputs, labels, True) @ flat
    own = []
    for found, layer in zip(ours(model, inputs, True), model[::2], strict=True):
        v = torch.cat([layer.weight, layer.bias.unsqueeze(1)], dim=1)
        image = found.errors @ v @ found.inputs
        own += [image[:, :-1].flatten(), image[:, -1]]
    difference = (torch.cat(own) - product).norm() / product.norm()
    print(f"  products with the exact factors differ from curvlinops' by {float(difference):.1e}")
    for exact, kind in ((False, "Monte Carlo"), (True, "exact")):
        compare(f"  factors, {kind}, theirs a gradient", lambda e=exact: ours(model, inputs, e), gradient)
        compare(
            f"  factors, {kind}, theirs curvlinops",
            lambda e=exact: ours(model, inputs, e),
            lambda e=exact: theirs(model, inputs, labels, e),
            repeats=3,
        )


def steps(model: nn.Module, inputs: Tensor, labels: Tensor) -> None:
    """A product with the Gauss-Newton matrix beside the peer's, and whole steps in gradients."""
    parameters = list(model.parameters())

    def closure() -> tuple[Tensor, Tensor]:
        outputs = model(inputs)
        return nn.functional.cross_entropy(outputs, labels), outputs

    def gradient() -> object:
        return torch.autograd.grad(closure()[0], parameters)

    operator = GaussNewton(*closure(), parameters)
    peer = curvlinops.GGNLinearOperator(
        model,
        nn.CrossEntropyLoss(),
        parameters,
        [(inputs, labels)],
        check_deterministic=False,
    )
    v = torch.randn(operator.size, generator=torch.Generator().manual_seed(1)).to(inputs)
    difference = (peer @ v - operator(v)).norm() / operator(v).norm()
    print(f"  a Gauss-Newton product differs from curvlinops' by {float(difference):.1e}")
    compare("  a Gauss-Newton product, theirs a gradient", lambda: operator(v), gradient)
    compare("  a Gauss-Newton product, theirs curvlinops", lambda: operator(v), lambda: peer @ v)
    hessian_free = HessianFree(parameters, most=50)
    compare(
        "  a Hessian-free step of 50 products at most, theirs a gradient",
        lambda: hessian_free.step(closure),
        gradient,
    )
    kfac = KFAC(model, CATEGORICAL)
    compare("  a K-FAC step, theirs a gradient", lambda: kfac.step(closure), gradient)


def main() -> None:
    torch.set_num_threads(1)
    digits = load("digits")
    inputs, labels = digits.train_inputs[:1000], digits.train_labels[:1000]
    model = network().to(inputs.device)
    factors(model, inputs, labels)
    steps(model, inputs, labels)


if __name__ == "__main__":
    main()
