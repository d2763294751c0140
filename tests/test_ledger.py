"""The ledger has all rows, and each verdict is what the chapter's stored run decided."""

from __future__ import annotations

import re
from collections import Counter

import nbformat
import pytest

from bookkit import ledger
from bookkit.chapters import ROOT, Chapter, all_chapters
from bookkit.errors import UserError
from dlopt.claims import DECIDED, Claim

STEMS = [
    "introduction", "problem-formulation", "backpropagation", "gradient-descent", "explosion-vanishing",
    "initialization", "signal-propagation", "dynamical-isometry", "spectra", "normalization",
    "residual-networks", "ultra-deep", "sgd", "sgd-theory", "momentum",
    "adaptive-methods", "distributed", "second-order", "large-scale-complexity", "tractable-problems",
    "landscape", "mode-connectivity", "lottery-tickets", "sharp-flat-minima", "landscape-theory",
    "bad-local-minima", "linear-networks", "neural-tangent-kernel", "mean-field-and-lazy", "shallow-networks",
    "conclusions",
]  # fmt: skip


@pytest.fixture(scope="module")
def rows() -> list[Claim]:
    return ledger.rows()


def test_all_statements_of_the_survey_have_a_row(rows):
    assert len(rows) == 316
    assert Counter(row.tier for row in rows) == {1: 197, 2: 107, 3: 12}


def test_every_row_belongs_to_a_chapter_that_the_book_has_or_plans(rows):
    assert {row.chapter for row in rows} <= set(STEMS)


def test_every_numbered_equation_of_the_survey_is_in_a_row(rows):
    assert {number for row in rows for number in row.equations} == set(range(1, 28))


def test_statements_are_sentences_with_their_mathematics_closed(rows):
    for row in rows:
        assert row.statement.strip().endswith("."), row.id
        assert row.statement.count("$") % 2 == 0, row.id
        assert len(row.statement) < 700, row.id


def test_every_source_stands_in_the_bibliography(rows):
    keys = set(re.findall(r"^@\w+\{([^,]+),", (ROOT / "book" / "references.bib").read_text(), flags=re.M))
    assert {row.source for row in rows} - keys - {"survey"} == set()


@pytest.mark.parametrize("chapter", all_chapters(), ids=lambda chapter: chapter.name)
def test_a_chapter_decides_what_its_rows_say(chapter, rows):
    assert ledger.disagreements(chapter, rows) == []


def test_a_row_whose_chapter_does_not_stand_yet_is_planned_or_quoted(rows):
    standing = {chapter.name for chapter in all_chapters()}
    early = [row.id for row in rows if row.verdict in DECIDED and row.chapter not in standing]
    assert early == []


def notebook_with(tmp_path, source: str, *records: dict) -> Chapter:
    outputs = [
        nbformat.v4.new_output("display_data", {"text/plain": ""}, metadata={"dlopt": record})
        for record in records
    ]
    cell = nbformat.v4.new_code_cell(source, outputs=outputs)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "one.ipynb")
    return Chapter("one", tmp_path / "one.ipynb")


def record(name: str, verdict: str = "reproduced", control: dict | None = None) -> dict:
    return {
        "id": name, "verdict": verdict, "relation": "r", "control": {"wrong": False} if control is None else control,
        "as_stated": None, "measured": {},
    }  # fmt: skip


def row(name: str, verdict: str = "reproduced", chapter: str = "one", tier: int = 1) -> Claim:
    return Claim(name, "1", (), (), tier, "It holds.", "survey", chapter, verdict, "note")


@pytest.mark.parametrize(
    ("names", "records", "claims", "problem"),
    [
        (["a"], [record("a")], [row("a")], None),
        (["a"], [], [row("a", "planned")], "the stored run has no outcome for it"),
        (["a"], [record("a")], [], "claims.yml has no row for it"),
        (["a"], [record("a")], [row("a", chapter="two")], "its row says two"),
        (["a"], [record("a")], [row("a", "partly")], "came out reproduced, but its row says partly"),
        (["a"], [record("a")], [row("a", "planned")], "came out reproduced, but its row says planned"),
        (["a"], [record("a", control={})], [row("a")], "of tier 1 and has no control"),
        ([], [], [row("a")], "no cell decides it"),
    ],
)
def test_a_disagreement_of_ledger_and_notebook_is_one_sentence(tmp_path, names, records, claims, problem):
    source = "\n".join(f"verify({name!r}, 'r', holds=True)" for name in names)
    problems = ledger.disagreements(notebook_with(tmp_path, source, *records), claims)
    if problem is None:
        assert problems == []
    else:
        assert len(problems) == 1
        assert problem in problems[0]


def test_a_claim_decided_twice_or_named_by_a_variable_is_refused(tmp_path):
    twice = notebook_with(tmp_path, "", record("a"), record("a"))
    with pytest.raises(UserError, match="decides a twice"):
        ledger.checks(twice.path)
    variable = notebook_with(tmp_path, "name = 'a'\nverify(name, 'r', holds=True)")
    with pytest.raises(UserError, match="as a literal"):
        ledger.promised(variable)
