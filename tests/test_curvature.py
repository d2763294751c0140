"""Curvature operators against torch.func, closed forms, and each other."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from dlopt import curvature, runtime
from dlopt.curvature import GaussNewton, Hessian, jacobian
from dlopt.models import FullyConnected
from dlopt.training import cross_entropy, squared_error

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def problem(activation="tanh", n=23, **options):
    network = FullyConnected((4, 5, 3), activation, dtype=torch.float64, **options)
    generator = runtime.generator(1)
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return network, x, torch.randint(3, (n,), generator=generator)


def dense(network, x, y, loss):
    """The Hessian by torch.func, and the Gauss-Newton matrix from the Jacobian, in the same order of parameters."""
    names, shapes = zip(*[(name, p.shape) for name, p in network.named_parameters()], strict=True)
    theta = parameters_to_vector(network.parameters()).detach()

    def outputs(theta):
        pieces = theta.split([shape.numel() for shape in shapes])
        parameters = {name: p.view(s) for name, p, s in zip(names, pieces, shapes, strict=True)}
        return functional_call(network, parameters, (x,))

    def curvature_in_outputs(z):
        return torch.func.hessian(lambda z: loss(z, y))(z)

    hessian = torch.func.hessian(lambda theta: loss(outputs(theta), y))(theta)
    jacobian = torch.func.jacrev(outputs)(theta)
    return hessian, torch.einsum("iap,iajb,jbq->pq", jacobian, curvature_in_outputs(outputs(theta)), jacobian)


class TestHessian:
    def test_the_matrix_is_that_of_torch_func(self):
        network, x, y = problem()
        expected, _ = dense(network, x, y, cross_entropy)
        assert torch.allclose(Hessian.of(network, x, y, cross_entropy).matrix(), expected, atol=1e-14)

    def test_a_product_is_a_difference_of_gradients_for_tanh(self):
        network, x, y = problem()
        hessian = Hessian.of(network, x, y, cross_entropy)
        v = torch.randn(hessian.size, generator=runtime.generator(2), dtype=torch.float64)
        step, gradients = 1e-5, []
        for sign in (1, -1):
            moved = FullyConnected((4, 5, 3), "tanh", dtype=torch.float64)
            theta = parameters_to_vector(network.parameters()).detach() + sign * step * v
            nn.utils.vector_to_parameters(theta, moved.parameters())
            gradients.append(Hessian.of(moved, x, y, cross_entropy).gradient)
        assert torch.allclose(hessian(v), (gradients[0] - gradients[1]) / (2 * step), atol=1e-8)

    @pytest.mark.parametrize("batched", [0, 10_000])
    def test_several_vectors_are_multiplied_each_by_itself(self, batched, monkeypatch):
        monkeypatch.setattr(curvature, "BATCHED", batched)
        network, x, y = problem()
        hessian = Hessian.of(network, x, y, cross_entropy)
        v = torch.randn(3, hessian.size, generator=runtime.generator(2), dtype=torch.float64)
        assert torch.allclose(hessian(v), v @ hessian.matrix(), atol=1e-14)

    @pytest.mark.parametrize("keep_graph", [True, False])
    def test_chunks_of_unequal_size_add_up_to_the_whole(self, keep_graph):
        network, x, y = problem()
        whole = Hessian.of(network, x, y, cross_entropy)
        chunks = Hessian.of(network, x, y, cross_entropy, chunk=10, keep_graph=keep_graph)
        assert torch.allclose(chunks.matrix(), whole.matrix(), atol=1e-14)
        assert torch.allclose(chunks.gradient, whole.gradient, atol=1e-14)

    def test_each_member_has_the_hessian_of_its_own_loss(self):
        network, x, y = problem(members=3)
        together = Hessian.of(network, x, y, cross_entropy)
        v = torch.randn(2, 3, together.size, generator=runtime.generator(2), dtype=torch.float64)
        for index in range(3):
            alone = Hessian.of(network.member(index), x, y, cross_entropy)
            assert torch.allclose(together.matrix()[index], alone.matrix(), atol=1e-14)
            assert torch.allclose(together.gradient[index], alone.gradient, atol=1e-14)
            assert torch.allclose(together(v)[:, index], alone(v[:, index]), atol=1e-14)

    def test_a_linear_or_missing_parameter_has_zero_rows(self):
        a, b, c = (torch.ones(2, dtype=torch.float64, requires_grad=True) for _ in range(3))
        hessian = Hessian(lambda: (a**3).sum() + b.sum(), [a, b, c])
        assert torch.equal(hessian.matrix(), torch.diag(torch.tensor([6.0, 6, 0, 0, 0, 0]).double()))

    def test_a_loss_without_curvature_has_the_hessian_zero(self):
        a = torch.ones(2, requires_grad=True)
        assert torch.equal(Hessian(lambda: a.sum(), [a]).matrix(), torch.zeros(2, 2))

    def test_the_model_is_left_as_it_was(self):
        network, x, y = problem()
        before = [parameter.detach().clone() for parameter in network.parameters()]
        Hessian.of(network.eval(), x, y, cross_entropy).matrix()
        assert not network.training
        for parameter, old in zip(network.parameters(), before, strict=True):
            assert torch.equal(parameter, old)
            assert parameter.grad is None

    def test_vectors_of_a_wrong_shape_and_no_parameters_are_refused(self):
        network, x, y = problem()
        with pytest.raises(ValueError, match=r"vectors must be \(35,\) or \(k, 35,\), not \(4,\)"):
            Hessian.of(network, x, y, cross_entropy)(torch.zeros(4))
        with pytest.raises(ValueError, match="at least one parameter"):
            Hessian(lambda: torch.zeros(()), [])
        with pytest.raises(ValueError, match="first axis"):
            Hessian(lambda: torch.zeros(2), [torch.zeros(3, requires_grad=True)], members=2)

    @pytest.mark.cuda
    def test_cuda_computes_what_the_cpu_does(self):
        network, x, y = problem()
        there = FullyConnected((4, 5, 3), "tanh", dtype=torch.float64, device="cuda")
        v = torch.randn(3, 35, generator=runtime.generator(2), dtype=torch.float64)
        ours = Hessian.of(there, x.cuda(), y.cuda(), cross_entropy)(v.cuda())
        assert torch.allclose(ours.cpu(), Hessian.of(network, x, y, cross_entropy)(v), atol=1e-12)


class TestGaussNewton:
    @pytest.mark.parametrize("loss", [cross_entropy, squared_error])
    def test_the_matrix_is_that_of_the_jacobian(self, loss):
        network, x, y = problem()
        y = y if loss is cross_entropy else torch.nn.functional.one_hot(y, 3).double()
        _, expected = dense(network, x, y, loss)
        assert torch.allclose(GaussNewton.of(network, x, y, loss).matrix(), expected, atol=1e-13)

    def test_it_is_positive_semidefinite_where_the_hessian_is_not(self):
        network, x, y = problem()
        assert torch.linalg.eigvalsh(GaussNewton.of(network, x, y, cross_entropy).matrix())[0] > -1e-14
        assert torch.linalg.eigvalsh(Hessian.of(network, x, y, cross_entropy).matrix())[0] < -1e-3

    def test_without_hidden_layers_it_is_the_hessian(self):
        network = FullyConnected((4, 3), dtype=torch.float64)
        _, x, y = problem()
        gauss_newton, hessian = (
            kind.matrix()
            for kind in (
                GaussNewton.of(network, x, y, cross_entropy),
                Hessian.of(network, x, y, cross_entropy),
            )
        )
        assert torch.allclose(gauss_newton, hessian, atol=1e-14)


def test_jacobians_are_differences_of_the_outputs():
    network, x, _ = problem()
    start = parameters_to_vector(network.parameters()).detach()
    v = torch.randn(len(start), generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    outputs = []
    for sign in (1, -1):
        vector_to_parameters(start + sign * 1e-6 * v, network.parameters())
        outputs.append(network(x).detach())
    vector_to_parameters(start, network.parameters())
    torch.testing.assert_close(
        jacobian(network, x) @ v, (outputs[0] - outputs[1]) / 2e-6, rtol=1e-6, atol=1e-8
    )
