import torch
from torch.func import functional_call

from dlopt.landscape.snip import connection_sensitivity
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy

WIDTHS = (5, 8, 6, 3)


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(15, WIDTHS[0], generator=generator, dtype=torch.float64)
    return inputs, torch.randint(WIDTHS[-1], (15,), generator=generator)


def network(members: int | None) -> FullyConnected:
    return FullyConnected(WIDTHS, members=members, dtype=torch.float64, device="cpu")


def test_it_is_the_derivative_in_a_factor_on_each_connection():
    model, (inputs, labels) = network(None), problem()
    names = [name for name, _ in model.named_parameters()]
    weights = [weight.detach() for weight in model.weights]

    def loss(*factors):
        state = {name: c * weight for name, c, weight in zip(names, factors, weights, strict=True)}
        return cross_entropy(functional_call(model, state, (inputs,)), labels)

    slopes = torch.autograd.functional.jacobian(loss, tuple(torch.ones_like(weight) for weight in weights))
    for ours, slope in zip(connection_sensitivity(model, inputs, labels, cross_entropy), slopes, strict=True):
        torch.testing.assert_close(ours, slope.abs())


def test_every_member_has_the_sensitivities_of_the_single_network():
    model, (inputs, labels) = network(3), problem()
    together = connection_sensitivity(model, inputs, labels, cross_entropy)
    alone = connection_sensitivity(model.member(1), inputs, labels, cross_entropy)
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1], b)


def test_it_does_not_change_when_weights_move_between_the_two_sides_of_a_unit():
    """ReLU units are homogeneous, and g θ is invariant under the rescaling."""
    model, (inputs, labels) = network(None), problem()
    before = connection_sensitivity(model, inputs, labels, cross_entropy)
    with torch.no_grad():
        model.weights[0][2] *= 5
        model.weights[1][:, 2] /= 5
    after = connection_sensitivity(model, inputs, labels, cross_entropy)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b)
