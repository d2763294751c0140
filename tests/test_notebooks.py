"""Every chapter keeps the contract of CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
import subprocess

import pytest

from bookkit.chapters import ROOT, Chapter, all_chapters
from bookkit.execute import SECONDS_BUDGET
from bookkit.student import STUDENT

FIRST_CELL = """\
try:
    from dlopt import figures
except ModuleNotFoundError as missing:
    raise SystemExit(
        f"{missing}: install the book's package with `pip install -e .` in a clone of its repository, "
        "then restart the kernel."
    ) from None
figures.use_style()"""
LONGEST_CELL = 40
EXCUSES = {"nbval-ignore-output", "nbval-skip", "nbval-raises-exception", "raises-exception"}

chapters = pytest.mark.parametrize("chapter", all_chapters(), ids=lambda chapter: chapter.name)


def code_cells(chapter: Chapter) -> list:
    return [cell for cell in chapter.notebook.cells if cell.cell_type == "code"]


def prose(chapter: Chapter) -> str:
    return "\n\n".join(cell.source for cell in chapter.notebook.cells if cell.cell_type == "markdown")


@chapters
def test_the_stored_run_is_of_the_code_as_it_is(chapter):
    """A chapter never executed, or edited since, is refused."""
    mend = f"the code changed since its outputs were stored: make run CHAPTER={chapter.name}"
    assert chapter.is_stored, mend


@chapters
def test_the_stored_run_went_from_top_to_bottom(chapter):
    counts = [cell.execution_count for cell in code_cells(chapter) if cell.source.strip()]
    assert counts == list(range(1, len(counts) + 1)), f"make run CHAPTER={chapter.name} stores a whole run"


@chapters
def test_no_stored_output_is_a_warning_an_error_or_noise(chapter):
    for cell in code_cells(chapter):
        for output in cell.outputs:
            assert output.output_type != "error", cell.source
            assert output.get("name") != "stderr", output.text


@chapters
def test_a_chapter_opens_with_its_title_and_its_first_code_says_what_to_install(chapter):
    title, first = chapter.notebook.cells[:2]
    assert title.source.startswith("# ")
    assert first.source == FIRST_CELL
    assert "remove-input" in first.metadata.tags


@chapters
def test_no_cell_is_longer_than_a_screen(chapter):
    assert [cell.source for cell in code_cells(chapter) if len(cell.source.splitlines()) > LONGEST_CELL] == []


@chapters
def test_every_figure_has_a_caption_a_name_and_alternative_text(chapter):
    names = []
    for cell in code_cells(chapter):
        if any("image/" in kind for output in cell.outputs for kind in output.get("data", {})):
            options = cell.metadata.get("mystnb", {})
            assert len(options.get("figure", {}).get("caption", "")) > 40, cell.source
            assert len(options.get("image", {}).get("alt", "")) > 40, cell.source
            names.append(options["figure"]["name"])
    assert len(names) == len(set(names)) >= 3


@chapters
def test_a_cell_excused_from_comparison_says_why(chapter):
    for cell in code_cells(chapter):
        marked = re.search(r"#\s*(NBVAL|PYTEST_VALIDATE)", cell.source)
        if marked or EXCUSES & set(cell.metadata.get("tags", [])):
            assert cell.metadata.get("dlopt", {}).get("excused"), cell.source


@chapters
def test_a_chapter_that_takes_longer_or_runs_alone_says_why(chapter):
    seconds = chapter.metadata.get("seconds", SECONDS_BUDGET)
    assert seconds <= 2 * SECONDS_BUDGET
    assert seconds == SECONDS_BUDGET or len(chapter.metadata.get("why", "")) > 20
    assert "alone" not in chapter.metadata or len(chapter.metadata["alone"]) > 20


@chapters
def test_three_exercises_or_more_each_with_its_solution(chapter):
    """The student edition has none."""
    text = prose(chapter)
    exercises = re.findall(
        r"^`{3,}\{exercise(?:-start)?\}.*\n(?::class:.*\n)?:label: (\S+)", text, flags=re.M
    )
    solutions = re.findall(r"\{solution(?:-start)?\} (\S+)", text)
    assert len(exercises) >= 3
    assert sorted(solutions) == ([] if chapter.metadata.get("edition") == STUDENT else sorted(exercises))
    assert text.count("{solution-start}") == text.count("{solution-end}")


@chapters
def test_a_chapter_asks_a_question_and_says_what_came_since(chapter):
    text = prose(chapter)
    assert "?" in text[:1500], "it does not open with a question"
    assert "Before you read" in text, "it has no box 'Before you read, and after'"
    assert "{admonition} Since the survey" in text, "it has no box 'Since the survey'"


@chapters
def test_a_chapter_reads_no_environment_variable_and_no_bookkit(chapter):
    for cell in code_cells(chapter):
        for node in ast.walk(ast.parse(cell.source)):
            names = [alias.name for alias in getattr(node, "names", []) if isinstance(alias, ast.alias)]
            module = getattr(node, "module", None) or ""
            assert not any(name.split(".")[0] in ("bookkit", "os") for name in [*names, module])


def test_nothing_in_the_repository_is_a_leftover():
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    stems = {name.removeprefix("book/").removesuffix(".ipynb") for name in listed if name.endswith(".ipynb")}
    chapters = {chapter.name for chapter in all_chapters()}
    assert chapters - stems == set(), "chapters of _toc.yml that git does not know: git add"
    assert stems - chapters == set(), "notebooks that _toc.yml does not name"
    assert not [name for name in listed if re.search(r"(~|\.orig|\.rej|\.bak|\.pyc|\.part)$", name)]
