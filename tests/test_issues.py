"""Four functions, four failures, and the classifier that tells them apart."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dlopt.introduction.issues import ISSUES, Run, chain, descend, terminal_state, valley


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue.leaf)
def test_the_end_of_the_run_names_the_leaf(issue):
    assert terminal_state(issue.run, descend(issue.run)) == issue.leaf


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue.leaf)
def test_with_the_cause_removed_the_run_is_ok(issue):
    assert terminal_state(issue.mended, descend(issue.mended)) == "ok"


@pytest.mark.parametrize("issue", ISSUES, ids=lambda issue: issue.leaf)
def test_the_declared_minimum_is_attained_and_never_undercut(issue):
    grid = torch.stack(torch.meshgrid(*[torch.linspace(-3, 3, 601, dtype=torch.float64)] * 2, indexing="ij"))
    assert float(issue.run.function(grid).min() - issue.run.minimum) == pytest.approx(0, abs=1e-3)
    assert float(issue.run.function(grid).min()) >= issue.run.minimum - 1e-12


def test_mending_changes_one_thing():
    for issue in ISSUES:
        changed = [
            name for name in vars(issue.run) if getattr(issue.run, name) != getattr(issue.mended, name)
        ]
        assert len(changed) == 1


def test_the_mended_plateau_has_the_same_level_sets():
    plateau = next(issue for issue in ISSUES if issue.leaf == "plateau")
    points = torch.randn(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = -torch.log1p(-plateau.run.function(points))
    torch.testing.assert_close(plateau.mended.function(points), expected)


def test_a_step_is_the_step_of_gradient_descent():
    path = descend(Run(valley, 0.0, (2.0, 0.5), 1e-3, steps=1))
    np.testing.assert_allclose(path[1], [2.0 - 1e-3 * 2.0, 0.5 - 1e-3 * 400 * 0.5], rtol=1e-14)


def test_clipping_bounds_the_length_of_a_step():
    run = Run(chain, 0.0, (1.6, 1.4), 0.05, clip=1.0)
    assert np.linalg.norm(np.diff(descend(run), axis=0), axis=1).max() <= 0.05 * (1 + 1e-12)


def test_one_function_can_show_two_leaves():
    explosion = ISSUES[0].run
    assert terminal_state(explosion, descend(explosion)) == "diverged"
    vanishing = replace(explosion, start=(0.2, 0.2))
    assert terminal_state(vanishing, descend(vanishing)) == "plateau"
