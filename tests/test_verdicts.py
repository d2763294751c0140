"""The ledger in pictures."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dlopt.claims import VERDICTS, read_ledger
from dlopt.conclusions.verdicts import (
    COLORS,
    SECTIONS,
    by_section,
    draw_bars,
    draw_key,
    label,
    section_of,
    share_reproduced,
)

LEDGER = read_ledger(Path(__file__).parents[1] / "book" / "claims.yml")


def test_every_verdict_has_a_color_of_its_own():
    assert set(COLORS) == set(VERDICTS)
    assert len(set(COLORS.values())) == len(COLORS)


def test_every_claim_stands_in_one_section_and_none_is_lost():
    counts = by_section(LEDGER)
    assert sum(map(Counter.total, counts.values())) == len(LEDGER)
    assert list(counts) == [key for key in SECTIONS if key in counts]


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ("1.1", "1"),
        ("3.2", "3"),
        ("4.2", "4.2"),
        ("6.2.3", "6.2"),
        ("6.3.1", "6.3"),
        ("A", "A"),
        ("journal", "journal"),
    ],
)
def test_subsections_count_with_their_section(section, key):
    assert section_of(replace(LEDGER[0], section=section)) == key


def test_a_label_names_the_section_and_its_number():
    assert label("4.2") == "initialization  §4.2"
    assert label("A") == "convergence  A"
    assert label("journal") == "journal version  J"


def test_a_section_that_the_survey_does_not_have_is_an_error():
    with pytest.raises(ValueError, match="does not have"):
        section_of(replace(LEDGER[0], section="8.1"))


def test_the_share_counts_what_was_decided_alone():
    assert share_reproduced({"reproduced": 3, "partly": 1, "quoted": 5, "planned": 7}) == 0.75
    assert (
        share_reproduced({"reproduced": 1, "illustrated": 1, "fails-as-stated": 1, "not-reproduced": 1})
        == 0.25
    )
    with pytest.raises(ValueError, match="no claim is decided"):
        share_reproduced({"quoted": 2})


def test_bars_are_as_long_as_their_counts_and_do_not_overlap():
    axes = Figure().subplots()
    rows = {"one": {"reproduced": 3, "partly": 2}, "two": {"fails-as-stated": 4}}
    draw_bars(axes, rows)
    for name, counts in rows.items():
        bars = {
            patch.get_gid().split(": ")[1]: patch
            for patch in axes.patches
            if patch.get_gid().startswith(name)
        }
        assert {verdict: bar.get_width() for verdict, bar in bars.items()} == counts
        ends = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in bars.values())
        assert ends[0][0] == 0
        assert all(first[1] == second[0] for first, second in pairwise(ends))
    assert [text.get_text() for text in axes.texts] == ["3/5", "0/4"]


def test_the_key_names_each_verdict_in_its_color():
    axes = Figure().subplots()
    draw_key(axes, ("reproduced", "partly"), x=0, y=0, step=1)
    assert {text.get_text(): text.get_color() for text in axes.texts} == {
        verdict: COLORS[verdict] for verdict in ("reproduced", "partly")
    }
