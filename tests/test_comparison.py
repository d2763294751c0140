"""nbval compares text to the letter and decimals within the stated tolerance."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bookkit.comparison import texts_agree


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("loss 0.123", "loss 0.124"),
        ("1.00e-12", "1.01e-12"),
        ("ratio 8.000 of 64", "ratio 8.004 of 64"),
        ("same text", "same text"),
        ("at −0.50", "at −0.51"),
    ],
)
def test_texts_that_agree(stored, fresh):
    assert texts_agree(stored, fresh)


@pytest.mark.parametrize(
    ("stored", "fresh"),
    [
        ("loss 0.123", "loss 0.126"),
        ("1.00e-12", "1.00e-11"),
        ("ratio 8.000 of 64", "ratio 8.000 of 65"),
        ("[a] reproduced", "[a] partly"),
        ("0.5", "-0.5"),
        ("True", "False"),
        ("0.5 0.5", "0.5"),
        ("v1.2.3", "v1.2.4"),
    ],
)
def test_texts_that_differ(stored, fresh):
    assert not texts_agree(stored, fresh)


@given(st.floats(-1e6, 1e6), st.integers(1, 6))
def test_a_number_agrees_with_itself_however_it_is_printed(number, digits):
    text = f"{number:.{digits}e} and {number:.{digits}f}"
    assert texts_agree(text, text)


@given(st.floats(0.1, 10))
def test_a_change_of_two_units_in_the_last_digit_and_two_parts_in_a_thousand_is_seen(number):
    step = max(0.02, 0.003 * number)
    assert not texts_agree(f"{number:.2f}", f"{number + step + 0.011:.2f}")
