"""The generated pages, built from a small ledger and made-up runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from docutils import nodes
from myst_nb.core import render as myst_nb_render
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

from bookkit import api_page, elements, ledger_page, numbering, overview, site, status_page
from bookkit.chapters import Chapter
from bookkit.elements import prose, value
from bookkit.execute import Executed
from bookkit.ledger import rows
from bookkit.publication import GENERATED, OUTPUTS, Publication
from bookkit.render import ClaimRenderer
from bookkit.survey import PARTS, SECTIONS, section_of
from dlopt.claims import Claim


def claim(name: str, **fields: object) -> Claim:
    plain = {
        "id": name, "section": "3.1", "also": (), "equations": (9,), "tier": 1, "statement": r"It is $\|x\|^2$.",
        "source": "survey", "chapter": "backpropagation", "verdict": "reproduced", "note": "",
    }  # fmt: skip
    return Claim(**{**plain, **fields})


def record(name: str, **fields: object) -> dict:
    plain = {
        "id": name, "verdict": "reproduced", "relation": "a * b_c is within 1e-7", "as_stated": None,
        "control": {"another order": False}, "measured": {"difference": 3.21e-9, "layers": 4},
    }  # fmt: skip
    return {**plain, **fields}


def notebook(*records: dict, words: str = "words") -> nbformat.NotebookNode:
    """A chapter with one cell for every claim."""
    made = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    )
    made.cells = [nbformat.v4.new_markdown_cell(f"# Backpropagation: a title\n\n{words}", id="title")]
    for number, one in enumerate(records):
        line = f"[{one['id']}] {one['verdict']} · {one['relation']}"
        output = nbformat.v4.new_output("display_data", {"text/plain": line}, metadata={"dlopt": one})
        cell = nbformat.v4.new_code_cell(
            f"verify({number})", outputs=[output], execution_count=1, id=f"cell{number}"
        )
        made.cells.append(cell)
    return made


RUN = {
    "seconds": 12.34, "memory_mb": 321.0, "cells": 2, "finished": "2024-05-06T07:08:09+00:00", "scale": "book",
    "versions": {"numpy": "1.2.3"}, "hardware": {"cores": "2"},
}  # fmt: skip


def publication(
    folder: Path, *records: dict, claims: list[Claim], run: dict | None = None, **metadata: object
) -> Publication:
    """One chapter, backpropagation, executed with these claims."""
    path, executed = folder / "backpropagation.ipynb", folder / "run" / "executed.ipynb"
    executed.parent.mkdir(exist_ok=True)
    done = notebook(*records)
    nbformat.write(done, executed)
    stored = notebook(*records, words="newer words")
    stored.metadata["dlopt"] = metadata
    for cell in stored.cells[1:]:
        cell.outputs, cell.execution_count = [], None
    nbformat.write(stored, path)
    chapter = Chapter("backpropagation", path)
    runs = {"backpropagation": Executed(chapter, "key", executed, run or RUN)}
    return Publication([chapter], runs, claims, frozenset({"E4"}))


class Built:
    """A built site of a few pages."""

    def __init__(self, folder: Path, warnings: str) -> None:
        self.folder = folder
        self.warnings = "".join(line for line in warnings.splitlines(True) if "in any toctree" not in line)

    def __getitem__(self, page: str) -> str:
        return (self.folder / f"{page}.html").read_text(encoding="utf-8")


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Built]:
    """Build pages (name -> Markdown) that show a publication; the ledger page comes by itself."""
    monkeypatch.setattr(myst_nb_render, "load_mime_renders", lambda: [ClaimRenderer])

    def run(made: Publication, **pages: str) -> Built:
        source = tmp_path / "source"
        (source / "book").mkdir(parents=True)
        for chapter in made.chapters:
            (source / "book" / f"{chapter.name}.ipynb").write_text(
                made.with_outputs(chapter), encoding="utf-8"
            )
        pages.setdefault("ledger", "# Ledger\n\n```{ledger}\n```\n")
        for name, text in pages.items():
            (source / "book" / f"{name}.md").write_text(text, encoding="utf-8")
        with (tmp_path / "warnings").open("w") as warnings, docutils_namespace():
            app = Sphinx(
                source, None, tmp_path / "html", tmp_path / "doctrees", "html",
                confoverrides={
                    "extensions": ["myst_nb"], "root_doc": "book/ledger", "html_theme": "basic", "numfig": True,
                    "nb_execution_mode": "off", "myst_enable_extensions": ["dollarmath"],
                    "nitpicky": True,
                },
                status=None, warning=warnings,
            )  # fmt: skip
            for part in (elements, numbering, ledger_page, overview, status_page):
                part.setup(app)
            app.bookkit = made
            app.build()
        return Built(tmp_path / "html" / "book", (tmp_path / "warnings").read_text())

    return run


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_a_claims_box_says_what_was_checked_and_how_it_came_out(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    made = publication(tmp_path, record("a-claim"), claims=[claim("a-claim")])
    page = build(made)["backpropagation"]
    (box,) = re.findall(r'<div[^>]*id="claim-a-claim".*?</dl></div>', page, re.DOTALL)
    assert 'aria-label="Claim a-claim"' in box
    assert "a * b_c is within 1e-7" in box
    assert "another order: fails, as it must" in text_of(box)
    assert 'class="verdict verdict--reproduced"' in box
    assert 'href="#claim-a-claim"' in box
    assert 'href="ledger.html#row-a-claim"' in box
    assert "3.21 × 10 −9" in text_of(box)
    assert "[a-claim]" not in box


def test_a_statement_that_fails_is_said_to_fail(tmp_path: Path, build: Callable[..., Built]) -> None:
    wrong = record("wrong", verdict="fails-as-stated", as_stated=False, control={}, measured={})
    page = build(publication(tmp_path, wrong, claims=[claim("wrong")]))["backpropagation"]
    assert "As the survey states it fails" in text_of(page)
    assert "fails as stated" in text_of(page)


def test_other_outputs_are_left_to_others() -> None:
    data = myst_nb_render.MimeData("text/plain", "3")
    assert ClaimRenderer.handle_mime(None, data, False) is None


def test_a_row_shows_a_verdict_only_where_a_cell_produced_it(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    claims = [
        claim("decided"),
        claim("undecided"),
        claim("number", verdict="quoted", note="Theirs: E4 and E99."),
    ]
    made = publication(tmp_path, record("decided", verdict="partly"), claims=claims)
    built = build(made, errata="# Errata\n\n(erratum-e4)=\n## E4\n\nText.\n")
    page = built["ledger"]
    tags = re.findall(r"<tr[^>]*data-verdict[^>]*>", page)
    verdicts = {re.search('id="row-([^"]+)', tag)[1]: re.search('verdict="([^"]+)', tag)[1] for tag in tags}
    assert verdicts == {"decided": "partly", "undecided": "planned", "number": "quoted"}
    assert 'href="backpropagation.html#claim-decided"' in page
    assert 'href="errata.html#erratum-e4"' in page
    assert "1 of 3" in text_of(page)
    assert r"\(\|x\|^2\)" in page
    assert not built.warnings


def test_a_claims_link_leads_to_its_cell_and_shows_the_verdict(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    made = publication(tmp_path, record("a-claim"), claims=[claim("a-claim")])
    built = build(made, errata="# Errata\n\nSee {claim}`a-claim`.\n\n```{claim-box} a-claim\n```\n")
    assert 'href="backpropagation.html#claim-a-claim"' in built["errata"]
    assert 'id="claim-a-claim"' not in built["errata"]
    assert not built.warnings


def test_a_page_may_not_speak_of_a_claim_that_no_cell_decides(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    made = publication(tmp_path, claims=[claim("a-claim")])
    built = build(made, errata="# Errata\n\nSee {claim}`a-claim`.\n")
    assert "no cell decides the claim a-claim" in built.warnings
    assert "planned" in text_of(built["errata"])


def test_a_check_without_a_row_is_a_warning(tmp_path: Path, build: Callable[..., Built]) -> None:
    assert "row-stray" in build(publication(tmp_path, record("stray"), claims=[claim("other")])).warnings


def test_the_map_links_chapters_that_stand_and_says_which_do_not(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    made = publication(
        tmp_path, record("a-claim"), claims=[claim("a-claim"), claim("b", chapter="sgd", section="5.1")]
    )
    built = build(made, index="# Map\n\n```{survey-map}\n```\n\n```{ledger-summary}\n```\n")
    page = built["index"]
    assert 'href="backpropagation.html"' in page
    assert 'href="sgd.html"' not in page
    assert "not written yet · 1 claim" in text_of(page)
    assert "1 of 1 claim decided" in text_of(page)
    assert page.count("map-tile--planned") == sum(len(part.chapters) for part in PARTS) - 1
    assert 'href="ledger.html#section-5-1"' in page
    assert 'aria-label="§5.1 SGD and step-size schedules: 1 planned"' in page
    assert not built.warnings


def test_the_status_page_tells_what_the_runs_took(tmp_path: Path, build: Callable[..., Built]) -> None:
    made = publication(tmp_path, record("a-claim"), claims=[claim("a-claim")], alone="it measures times")
    page = text_of(build(made, status="# Status\n\n```{status}\n```\n")["status"])
    assert "12.3 s 321 MB 2 1 2024-05-06 07:08 ✓ kept executed alone: it measures times" in page
    assert "numpy 1.2.3" in page


def test_the_status_page_tells_who_exceeds_the_budget(tmp_path: Path, build: Callable[..., Built]) -> None:
    made = publication(tmp_path, claims=[], run={**RUN, "seconds": 75.0, "memory_mb": 3000.0})
    page = text_of(build(made, status="# Status\n\n```{status}\n```\n")["status"])
    assert "✗ over its 60 s and over its 2048 MB" in page


def test_a_tagged_equation_of_several_lines_keeps_its_tag_outside_of_split(
    tmp_path: Path, build: Callable[..., Built]
) -> None:
    text = "# T\n\n(eq-8)=\n$$\n\\begin{aligned} a &= b \\\\ c &= d \\end{aligned} \\tag{8}\n$$\n\nBy [(8)](#eq-8).\n"
    built = build(publication(tmp_path, claims=[]), page=text)
    assert r"\begin{split}" not in built["page"]
    assert r"\tag{8}\]" in built["page"].replace(" ", "").replace("\n", "")
    assert not built.warnings


def test_every_page_counts_its_figures_from_one(tmp_path: Path, build: Callable[..., Built]) -> None:
    picture = "```{figure} https://example.org/p.png\n:name: fig-%s\nCaption.\n```\n"
    pages = {name: f"# T\n\n{picture % name}\nSee {{numref}}`fig-{name}`.\n" for name in ("first", "second")}
    contents = "# Ledger\n\n```{toctree}\nfirst\nsecond\n```\n\n```{ledger}\n```\n"
    built = build(publication(tmp_path, claims=[]), ledger=contents, **pages)
    for name in pages:
        assert "Fig. 1" in text_of(built[name])
        assert "See Fig. 1" in text_of(built[name])


@pytest.mark.parametrize(
    ("measured", "shown"),
    [
        (4, "4"), (1234567, "1 234 567"), (0.126, "0.126"), (0.95214, "0.9521"), (-12.5, "−12.5"), (0.0, "0"),
        (3.21e-9, "3.21 × 10−9"), (12345.6, "12 346"), (2.5e8, "2.50 × 108"), ("inf", "∞"), ("nan", "not a number"),
        ("none", "none"), (True, "True"), (9999.6, "10 000"),
    ],
)  # fmt: skip
def test_numbers_are_shown_for_readers(measured: float | int | str, shown: str) -> None:
    text = "".join(node.astext() for node in value(measured))
    assert text.replace("\N{NARROW NO-BREAK SPACE}", " ") == shown


def test_prose_finds_formulas_and_code_and_nothing_else() -> None:
    found = prose("a*b*c, `x_1` and $e_l^\\top$ <b>")
    assert [type(node) for node in found] == [nodes.Text, nodes.literal, nodes.Text, nodes.math, nodes.Text]
    assert found[3].astext() == "e_l^\\top"
    assert "".join(node.astext() for node in found) == "a*b*c, x_1 and e_l^\\top <b>"


def test_every_row_of_the_ledger_has_its_section_and_its_chapter() -> None:
    stems = {chapter.stem for part in PARTS for chapter in part.chapters}
    for row in rows():
        assert section_of(row.section) in SECTIONS
        assert row.chapter in stems, row.id


def test_a_section_belongs_to_the_longest_heading_that_fits() -> None:
    assert section_of("6.3.2").number == "6.3.2"
    assert section_of("6.2.1").number == "6.2"
    assert section_of("3.2").number == "3"
    with pytest.raises(ValueError, match="no section"):
        section_of("9")


def test_a_chapter_is_shown_with_its_own_words_and_the_outputs_of_its_run(tmp_path: Path) -> None:
    made = publication(tmp_path, record("a-claim"), claims=[])
    shown = json.loads(made.with_outputs(made.chapters[0]))
    assert "newer words" in "".join(shown["cells"][0]["source"])
    assert shown["cells"][1]["outputs"][0]["metadata"]["dlopt"]["id"] == "a-claim"


def test_pages_are_read_again_when_what_they_show_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "ROOT", tmp_path)
    made = publication(tmp_path, record("a-claim"), claims=[])
    outputs = made.outputs_digest(made.chapters[0])

    def stale(**metadata: dict[str, str]) -> set[str]:
        app = SimpleNamespace(bookkit=made, confdir=tmp_path, config=SimpleNamespace(bibtex_bibfiles=[]))
        env = SimpleNamespace(metadata=metadata, all_docs=dict.fromkeys(metadata, 0))
        return site.changed_pages(app, env, set(), set(), set())

    current = {"backpropagation": {OUTPUTS: outputs}, "ledger": {GENERATED: made.digest}, "notation": {}}
    assert stale(**current) == set()
    assert stale(**{**current, "ledger": {GENERATED: "older"}}) == {"ledger"}
    assert stale(**{**current, "backpropagation": {OUTPUTS: "older"}}) == {"backpropagation"}


def test_the_api_page_finds_modules_by_looking(tmp_path: Path) -> None:
    package = tmp_path / "dlopt"
    (package / "tricks").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "training.py").write_text('"""One loop.\n\nMore words.\n"""\n')
    (package / "tricks" / "__init__.py").write_text("")
    (package / "tricks" / "backpropagation.py").write_text('"""The passes."""\n')
    found = api_page.modules(package)
    assert [(module.name, module.summary) for module in found] == [
        ("dlopt.training", "One loop."),
        ("dlopt.tricks.backpropagation", "The passes."),
    ]


def test_mathematics_in_docstrings_is_no_markup() -> None:
    lines = ["the norm |x| of orthogonal_ and ``a_ |b|``, :func:`f_`"]
    api_page._plain_marks(None, "function", "f", None, None, lines)
    assert lines == [r"the norm \|x\| of orthogonal\_ and ``a_ |b|``, :func:`f_`"]
