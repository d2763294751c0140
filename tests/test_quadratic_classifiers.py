"""Classification by quadratic neurons."""

from __future__ import annotations

import pytest
import torch

from dlopt.landscape import quadratic_classifiers as classifiers


def test_the_gradient_is_autograds():
    inputs, labels = classifiers.annuli(6, seed=0)
    model = classifiers.random_classifiers(3, 4, 2, seed=1)
    parts = [part.clone().requires_grad_() for part in model]
    loss = classifiers.loss(classifiers.Classifier(*parts), inputs, labels).sum()
    for ours, expected in zip(
        classifiers.gradient(model, inputs, labels), torch.autograd.grad(loss, parts), strict=True
    ):
        torch.testing.assert_close(ours, expected)


def test_descent_lowers_the_loss():
    inputs, labels = classifiers.crossed_strips(10, seed=2)
    start = classifiers.random_classifiers(5, 5, 2, seed=3)
    start = start._replace(weights=0.3 * start.weights)
    end = classifiers.gradient_descent(start, inputs, labels, step_size=0.01, steps=50)
    assert (classifiers.loss(end, inputs, labels) < classifiers.loss(start, inputs, labels)).all()


@pytest.mark.parametrize(
    ("sample", "both"), [(classifiers.annuli, False), (classifiers.crossed_strips, True)]
)
def test_the_ellipses_separate_where_they_say_so(sample, both):
    inputs, labels = sample(20, seed=4)
    separable = []
    for side in (1, -1):
        matrix, level, margin = classifiers.centered_ellipse(inputs, labels, side)
        assert torch.linalg.eigvalsh(matrix)[0] > -1e-9
        assert abs(float(matrix.trace()) - 1) < 1e-9
        excess = side * labels * (level - ((inputs @ matrix) * inputs).sum(dim=-1))
        assert float(excess.min()) == pytest.approx(margin, abs=1e-7)
        separable.append(margin > 0)
    assert separable == [both, True]


def test_a_positive_definite_balanced_matrix_excludes_an_ellipse_around_the_positive_class():
    inputs, labels = classifiers.annuli(20, seed=5)
    assert torch.linalg.eigvalsh(classifiers.balanced_matrix(inputs, labels))[0] > 0
    assert classifiers.centered_ellipse(inputs, labels, 1)[2] < 0


def test_multipliers_are_scaled_to_one_in_each_class():
    inputs, labels = classifiers.annuli(5, seed=6)
    multipliers = torch.arange(1.0, 11).to(inputs)
    matrix = classifiers.balanced_matrix(inputs, labels, multipliers)
    by_hand = torch.zeros(2, 2).to(inputs)
    for x, y, weight in zip(inputs, labels, multipliers, strict=True):
        by_hand += y * weight / multipliers[labels == y].sum() * torch.outer(x, x)
    torch.testing.assert_close(matrix, by_hand)


def test_inputs_outside_the_plane_are_refused():
    with pytest.raises(ValueError, match="plane"):
        classifiers.centered_ellipse(torch.ones(4, 3), torch.ones(4), 1)
