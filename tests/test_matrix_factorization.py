import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import NMF, PCA

from dlopt.landscape.matrix_factorization import (
    Factors,
    best_factors,
    best_value,
    descend,
    factorization_loss,
    multiplicative_updates,
    random_factors,
    with_singular_values,
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 0.1


@settings(max_examples=30)
@given(rows=st.integers(1, 7), columns=st.integers(1, 7), rank=st.integers(1, 8), seed=st.integers(0, 1000))
def test_truncated_singular_value_decomposition_attains_the_sum_of_the_trailing_squares(
    rows, columns, rank, seed
):
    target = normal(rows, columns, seed=seed)
    factors = best_factors(target, rank)
    assert factors.w2.shape == (rows, rank)
    assert factors.w1.shape == (rank, columns)
    torch.testing.assert_close(factorization_loss(target, factors), best_value(target, rank))


@settings(max_examples=30)
@given(rank=st.integers(1, 5), samples=st.integers(2, 12), seed=st.integers(0, 1000))
def test_no_random_factors_are_better_than_the_minimum_for_any_inputs(rank, samples, seed):
    target, inputs = normal(5, samples, seed=seed), normal(4, samples, seed=seed + 1)
    minimum = best_value(target, rank, inputs)
    torch.testing.assert_close(
        factorization_loss(target, best_factors(target, rank, inputs), inputs=inputs), minimum
    )
    w1 = normal(50, rank, 4, seed=seed + 2)
    w2 = target @ torch.linalg.pinv(w1 @ inputs)  # the best W₂ for each W₁
    assert (factorization_loss(target, Factors(w2, w1), inputs=inputs) >= minimum - 1e-9).all()


def test_a_rank_of_zero_leaves_the_squared_norm_and_a_rank_below_one_has_no_factors():
    target = normal(4, 3)
    torch.testing.assert_close(best_value(target, 0), target.square().sum())
    with pytest.raises(ValueError, match="rank must be 1"):
        best_factors(target, 0)


def test_the_best_autoencoder_is_principal_component_analysis():
    samples = normal(30, 6) @ normal(6, 6, seed=1)
    centered = samples - samples.mean(dim=0)
    pca = PCA(n_components=2).fit(centered.numpy())
    rebuilt = torch.from_numpy(pca.inverse_transform(pca.transform(centered.numpy())))
    torch.testing.assert_close(
        best_value(centered.T, 2, centered.T), (centered - rebuilt).square().sum(), rtol=1e-9, atol=0
    )


def test_one_step_of_descent_follows_the_gradient_that_torch_computes():
    target, inputs, mask = normal(4, 7), normal(3, 7, seed=1), (normal(4, 7, seed=2) > 0).double()
    start = Factors(normal(4, 2, seed=3).requires_grad_(), normal(2, 3, seed=4).requires_grad_())
    loss = factorization_loss(target, start, inputs=inputs, mask=mask)
    gradients = torch.autograd.grad(loss, start)
    with torch.no_grad():
        end = descend(target, start, step_size=0.01, steps=1, inputs=inputs, mask=mask).factors
    for before, after, gradient in zip(start, end, gradients, strict=True):
        torch.testing.assert_close(after, before - 0.01 * gradient)


def test_a_batch_of_starts_descends_as_each_start_does_alone():
    target = normal(5, 4)
    starts = random_factors((5, 4), 2, starts=3, std=0.5)
    together = descend(target, starts, step_size=0.01, steps=20, every=7)
    assert together.steps.tolist() == [0, 7, 14, 20]
    for m in range(3):
        alone = descend(target, Factors(starts.w2[m], starts.w1[m]), step_size=0.01, steps=20, every=7)
        torch.testing.assert_close(together.loss[:, m], alone.loss)


def test_padding_with_zeros_does_not_change_the_descent():
    target = normal(5, 4)
    plain = descend(target, random_factors((5, 4), 2, starts=2, std=0.5), step_size=0.01, steps=50)
    padded = descend(target, random_factors((5, 4), 2, starts=2, std=0.5, padded=4), step_size=0.01, steps=50)
    torch.testing.assert_close(plain.loss, padded.loss)
    assert padded.factors.w2.shape == (2, 5, 4)
    assert not padded.factors.w2[..., 2:].any()


def test_multiplicative_updates_reach_what_scikit_learn_reaches_step_for_step():
    target = uniform(20, 15)
    start = Factors(uniform(20, 4, seed=1), uniform(4, 15, seed=2))
    ours = multiplicative_updates(target, start, steps=60)
    peer = NMF(4, solver="mu", init="custom", tol=0, max_iter=60)
    w2 = peer.fit_transform(target.numpy(), W=start.w2.numpy().copy(), H=start.w1.numpy().copy())
    torch.testing.assert_close(ours.factors.w2, torch.from_numpy(w2), rtol=1e-8, atol=1e-12)
    torch.testing.assert_close(
        ours.loss[-1].sqrt().item(), float(peer.reconstruction_err_), rtol=1e-8, atol=0
    )


@settings(max_examples=25)
@given(rank=st.integers(1, 5), seed=st.integers(0, 1000))
def test_multiplicative_updates_never_increase_the_loss_and_keep_the_signs(rank, seed):
    target = uniform(8, 6, seed=seed) * (normal(8, 6, seed=seed) > 0)
    run = multiplicative_updates(
        target, Factors(uniform(8, rank, seed=seed + 1), uniform(rank, 6, seed=seed + 2)), steps=40
    )
    assert (run.loss.diff(dim=0) <= 1e-12 * run.loss[0]).all()
    assert min(factor.min() for factor in run.factors) >= 0


def test_multiplicative_updates_refuse_a_negative_entry():
    with pytest.raises(ValueError, match="without a negative entry"):
        multiplicative_updates(-uniform(3, 3), Factors(uniform(3, 1), uniform(1, 3)), steps=1)


def test_the_starts_have_the_asked_spread_and_depend_on_their_seed_alone():
    many = random_factors((40, 30), 3, starts=4, std=0.1, seed=5)
    torch.testing.assert_close(many.w2.std(), torch.tensor(0.1, dtype=torch.float64), rtol=0.15, atol=0)
    alone = random_factors((40, 30), 3, starts=1, std=0.1, seed=7)
    assert torch.equal(many.w1[2], alone.w1[0])


def test_a_matrix_has_the_singular_values_that_were_asked_for():
    values = torch.tensor([3.0, 2.0, 0.5], dtype=torch.float64)
    torch.testing.assert_close(torch.linalg.svdvals(with_singular_values(values, (5, 4)).cpu())[:3], values)


def test_an_entry_outside_the_mask_does_not_matter():
    target, mask = normal(4, 5), (normal(4, 5, seed=1) > 0).double()
    changed = target + 3 * (1 - mask)
    start = Factors(normal(4, 2, seed=2), normal(2, 5, seed=3))
    by_hand = sum(
        ((target[i, j] - start.product[i, j]) ** 2).item() for i in range(4) for j in range(5) if mask[i, j]
    )
    assert factorization_loss(target, start, mask=mask).item() == pytest.approx(by_hand, rel=1e-12)
    runs = [descend(y, start, step_size=0.01, steps=10, mask=mask).loss for y in (target, changed)]
    torch.testing.assert_close(*runs)
