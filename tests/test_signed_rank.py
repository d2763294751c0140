import numpy as np
import pytest
from scipy import stats

from dlopt.landscape.signed_rank import signed_rank_interval


@pytest.mark.parametrize("n", [6, 8, 13])
def test_its_ends_are_where_wilcoxons_test_begins_to_reject(n):
    differences = np.random.default_rng(n).normal(1, 2, n)
    _, low, high = signed_rank_interval(differences)
    for end, outwards in ((low, -1), (high, 1)):
        outside, inside = (
            stats.wilcoxon(differences - end - shift * outwards, method="exact").pvalue
            for shift in (1e-6, -1e-6)
        )
        assert outside <= 0.05 < inside


def test_it_covers_the_median_as_often_as_it_says():
    draws = np.random.default_rng(0).standard_t(3, size=(2000, 8))
    intervals = [signed_rank_interval(row) for row in draws]
    covered = np.mean([low <= 0 <= high for _, low, high in intervals])
    assert 0.945 < covered < 0.975


def test_one_failed_run_of_eight_moves_no_end_beyond_the_others():
    differences = np.array([1.0, 1.2, 0.8, 1.1, 0.9, 1.05, 0.95, 1.0])
    failed = differences.copy()
    failed[0] = 80.0
    assert signed_rank_interval(failed).low == pytest.approx(signed_rank_interval(differences).low, abs=0.1)
    assert signed_rank_interval(failed).estimate < 1.2


def test_five_differences_have_their_range_as_the_interval():
    assert signed_rank_interval(np.array([3.0, 1.0, 2.0, 5.0, 4.0]))[1:] == (1.0, 5.0)
