"""The student edition has every exercise and no solution, and its code still knows every name that it uses."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import nbformat
import pytest

from bookkit.chapters import ROOT, Chapter, all_chapters
from bookkit.errors import UserError
from bookkit.student import STUDENT, student, without_solutions

START = "````{solution-start} ex-%s\n:class: dropdown\n````"
END = "````{solution-end}\n````"


def chapter(folder, *cells: str | tuple[str]) -> Chapter:
    """A chapter of prose (a text) and code (a text in a tuple)."""
    made = [
        nbformat.v4.new_code_cell(cell[0], id=f"cell{number}")
        if isinstance(cell, tuple)
        else nbformat.v4.new_markdown_cell(cell, id=f"cell{number}")
        for number, cell in enumerate(cells)
    ]
    path = folder / "one.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return Chapter("one", path)


def sources(one: Chapter) -> list[str]:
    return [cell.source for cell in without_solutions(one).cells]


def test_prose_and_code_between_start_and_end_go_and_all_else_stays(tmp_path):
    one = chapter(
        tmp_path,
        "# Title",
        ("x = 1",),
        f"Exercise one.\n\n{START % 'one'}\n\nBecause",
        ("answer = 1",),
        "it is so.",
        f"And so.\n\n{END}\n\nExercise two.\n\n{START % 'two'}\n\nShort.\n\n{END}\n\nExercise three.",
        ("y = 2",),
        f"{START % 'three'}",
        f"Long.\n\n{END}",
        "## Pointers",
    )
    assert sources(one) == [
        "# Title",
        "x = 1",
        "Exercise one.",
        "Exercise two.\n\nExercise three.",
        "y = 2",
        "## Pointers",
    ]


def test_a_stored_run_stays_one_and_code_edited_since_is_still_noticed(tmp_path):
    one = chapter(tmp_path, "# Title", ("x = 1",), START % "one", ("answer = 1",), END)
    for stored in (one.code_hash, "another"):
        one.notebook.metadata["dlopt"] = {"code_hash": stored}
        nbformat.write(one.notebook, one.path)
        edition = without_solutions(one).metadata["dlopt"]
        left = hashlib.sha256(b"x = 1\0").hexdigest()[:16]
        assert edition == {"edition": STUDENT, "code_hash": left if stored == one.code_hash else "another"}


def test_a_solution_in_one_block_goes_too(tmp_path):
    one = chapter(
        tmp_path, "# Title\n\n````{solution} ex-one\n```python\nanswer = 1\n```\n````\n\n## Pointers"
    )
    assert sources(one) == ["# Title\n\n## Pointers"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f"{START % 'one'}", "the last solution-start has no solution-end"),
        (f"{START % 'one'}\n\n{START % 'two'}\n\n{END}", "begins before the one before it has ended"),
        (f"{END}", "ends but has not begun"),
    ],
)
def test_gates_that_do_not_pair_are_refused_and_nothing_is_written(tmp_path, text, problem):
    with pytest.raises(UserError, match=problem):
        student([chapter(tmp_path, "# Title", text)], tmp_path / "edition")
    assert not (tmp_path / "edition").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    one = chapter(tmp_path, "# Title")
    before = one.path.read_bytes()
    with pytest.raises(UserError, match="name a new folder"):
        student([one], tmp_path)
    assert one.path.read_bytes() == before


def test_the_books_own_student_edition_has_exercises_but_no_solutions_and_no_unknown_names(tmp_path):
    files = student(all_chapters(), tmp_path / "edition")
    assert len(files) == len(all_chapters())
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "{exercise" in text, file.name
        assert "{solution" not in text, file.name
        nbformat.validate(nbformat.read(file, as_version=4))
    undefined = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F821", str(tmp_path / "edition")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert undefined.returncode == 0, undefined.stdout


def test_the_command_says_what_it_wrote(tmp_path):
    command = [sys.executable, "-m", "bookkit", "student"]
    done = subprocess.run(
        [*command, str(tmp_path / "edition")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "chapters without their solutions are in" in done.stdout
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "folder" in done.stderr
