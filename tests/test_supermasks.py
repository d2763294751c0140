import pytest
import torch

from dlopt.landscape.supermasks import EdgePopup, same_sign_masks, signed_constants
from dlopt.training import squared_error, train

WIDTHS = (5, 12, 8, 2)


def popup(keep: float = 0.5, members: int | None = 3) -> EdgePopup:
    return EdgePopup(WIDTHS, keep=keep, members=members, dtype=torch.float64, device="cpu")


def inputs() -> torch.Tensor:
    return torch.randn(30, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_the_largest_final_weights_that_kept_their_sign_are_kept():
    start = [torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])]
    trained = [torch.tensor([5.0, -4.0, -9.0, 8.0, 1.0])]
    (mask,) = same_sign_masks(start, trained, 0.4)
    assert mask.tolist() == [1, 1, 0, 0, 0]


def test_no_weight_whose_sign_changed_is_kept_even_where_the_density_asks_for_more():
    (mask,) = same_sign_masks(
        [torch.tensor([1.0, -1.0, 1.0, 1.0])], [torch.tensor([2.0, 3.0, -1.0, -4.0])], 0.75
    )
    assert mask.tolist() == [1, 0, 0, 0]


def test_signed_constants_keep_the_signs_and_the_layers_spread():
    weight = torch.randn(40, 50, generator=torch.Generator().manual_seed(1))
    (constant,) = signed_constants([weight])
    assert torch.equal(constant.sign(), weight.sign())
    torch.testing.assert_close(constant.abs(), torch.full_like(weight, weight.std()))


class TestEdgePopup:
    def test_each_layer_of_each_member_keeps_its_share_of_unchanged_weights(self):
        network = popup(keep=0.25)
        for layer, weight in enumerate(network.weights, start=1):
            used = network.weight(layer).detach()
            assert ((used == weight) | (used == 0)).all()
            share = (used != 0).sum(dim=(1, 2)) / weight[0].numel()
            torch.testing.assert_close(
                share, torch.full((3,), round(0.25 * weight[0].numel()) / weight[0].numel())
            )

    def test_the_gradient_of_a_score_is_that_of_its_mask(self):
        network, x = popup(), inputs()
        network(x).square().sum().backward()
        factors = [torch.ones_like(w).requires_grad_() for w in network.weights]
        used = [network.weight(layer).detach() for layer in (1, 2, 3)]
        dense = [w.detach() for w in network.weights]
        extra = [(u + (c - 1) * w) for u, c, w in zip(used, factors, dense, strict=True)]
        z = x.expand(3, -1, -1)
        for weight in extra[:-1]:
            z = torch.relu(z @ weight.mT)
        expected = torch.autograd.grad((z @ extra[-1].mT).square().sum(), factors)
        for score, gradient in zip(network.scores, expected, strict=True):
            torch.testing.assert_close(score.grad, gradient)

    def test_training_lowers_the_loss_and_moves_no_weight(self):
        network, x = popup(), inputs()
        before = [weight.clone() for weight in network.weights]
        history = train(
            network,
            x,
            x[:, :2],
            loss=squared_error,
            steps=60,
            optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.02),
            every=60,
        )
        assert (history.loss[-1] < 0.85 * history.loss[0]).all()
        assert all(torch.equal(a, b) for a, b in zip(before, network.weights, strict=True))

    def test_a_member_is_the_single_network(self):
        network, x = popup(), inputs()
        torch.testing.assert_close(network.member(1)(x), network(x)[1])

    def test_refuses_a_density_that_is_none(self):
        with pytest.raises(ValueError, match="density"):
            popup(keep=0.0)
