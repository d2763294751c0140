"""Figure 1, generated from the ledger."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dlopt.claims import read_ledger
from dlopt.introduction.design_choices import (
    BENEFITS,
    CHOICES,
    EDGES,
    draw,
    draw_strands,
    drawn,
    status,
    tally,
)

LEDGER = read_ledger(Path(__file__).parents[1] / "book" / "claims.yml")


def all_at(verdict):
    return [replace(claim, verdict=verdict) for claim in LEDGER]


def test_every_claim_behind_an_edge_has_a_row():
    ids = {claim.id for claim in LEDGER}
    assert not {claim for edge in EDGES for claim in edge.claims} - ids


def test_every_choice_and_every_benefit_has_an_edge_and_no_edge_stands_twice():
    assert {edge.choice for edge in EDGES} == set(CHOICES)
    assert {edge.benefit for edge in EDGES} == set(BENEFITS)
    assert len({edge.name for edge in EDGES}) == len(EDGES)


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [
        ("reproduced", "solid"),
        ("partly", "solid"),
        ("illustrated", "solid"),
        ("not-reproduced", "dotted"),
        ("fails-as-stated", "dotted"),
        ("quoted", "dashed"),
        ("planned", "dashed"),
    ],
)
def test_an_edge_is_solid_where_a_claim_supports_it(verdict, expected):
    assert {status(edge, all_at(verdict)) for edge in EDGES} == {expected}


def test_one_supporting_claim_outweighs_failures():
    edge = EDGES[0]
    ledger = [
        replace(c, verdict="reproduced" if c.id == edge.claims[0] else "not-reproduced") for c in LEDGER
    ]
    assert status(edge, ledger) == "solid"
    assert tally(edge, ledger) == (1, len(edge.claims) - 1, len(edge.claims))


def test_a_missing_row_is_an_error():
    with pytest.raises(KeyError):
        tally(EDGES[0], [])


@pytest.mark.parametrize("verdict", ["planned", "reproduced", "not-reproduced"])
def test_the_picture_shows_the_status_of_each_edge(verdict):
    axes = Figure().subplots()
    draw(axes, all_at(verdict))
    assert drawn(axes) == {edge.name: status(edge, all_at(verdict)) for edge in EDGES}


def test_a_bundle_has_a_strand_for_every_claim_in_the_color_of_its_verdict():
    axes = Figure().subplots()
    colors = {"reproduced": "green", "partly": "orange", "fails-as-stated": "purple"}
    draw_strands(axes, LEDGER, colors)
    verdicts = {claim.id: claim.verdict for claim in LEDGER}
    for edge in EDGES:
        strands = [line for line in axes.get_lines() if line.get_gid() == edge.name]
        strands.sort(key=lambda line: -line.get_ydata()[0])
        expected = sorted((verdicts[claim] for claim in edge.claims), key=list(colors).index)
        assert [line.get_color() for line in strands] == [colors[verdict] for verdict in expected]


def test_every_edge_has_a_claim_that_was_reproduced():
    reproduced = {claim.id for claim in LEDGER if claim.verdict == "reproduced"}
    assert [edge.name for edge in EDGES if not reproduced & set(edge.claims)] == []


def test_a_verdict_without_a_color_is_an_error():
    with pytest.raises(KeyError):
        draw_strands(Figure().subplots(), LEDGER, {"planned": "gray"})
