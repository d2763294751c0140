"""Figure 1, generated from the ledger."""

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from dlopt.claims import read_ledger
from dlopt.introduction.design_choices import BENEFITS, CHOICES, EDGES, draw, drawn, status, tally

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
