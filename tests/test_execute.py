"""Chapters run when, and only when, something that they depend on changed."""

from __future__ import annotations

import json

import nbformat
import pytest


def test_a_second_run_executes_nothing(small_book, executed_lines):
    first, second = small_book.ensure(), small_book.ensure()
    assert executed_lines(first) == {"one": "executed", "two": "executed"}
    assert first.stdout.startswith("Executing 2 chapters")
    assert executed_lines(second) == {"one": "unchanged", "two": "unchanged"}
    assert "Executing" not in second.stdout


def test_a_change_in_a_module_reaches_the_chapters_that_import_it(small_book, executed_lines):
    small_book.ensure()
    module = small_book.root / "src" / "dlopt" / "claims.py"
    module.write_text(module.read_text() + "\nEXTRA = 1\n")
    assert executed_lines(small_book.ensure()) == {"one": "executed", "two": "unchanged"}


def test_prose_alone_executes_nothing_and_code_executes_its_chapter(small_book, executed_lines):
    small_book.ensure()
    small_book.write("two", "print(2)", prose="other words")
    assert executed_lines(small_book.ensure()) == {"one": "unchanged", "two": "unchanged"}
    small_book.write("two", "print(3)")
    assert executed_lines(small_book.ensure()) == {"one": "unchanged", "two": "executed"}


def test_requirements_settings_and_files_read_execute_again(small_book, executed_lines):
    (small_book.root / "book" / "notes.txt").write_text("first")
    small_book.write("two", "print(open('notes.txt').read())", metadata={"reads": ["notes.txt"]})
    small_book.ensure()
    (small_book.root / "book" / "notes.txt").write_text("second")
    assert executed_lines(small_book.ensure()) == {"one": "unchanged", "two": "executed"}
    assert set(executed_lines(small_book.ensure(DLOPT_SEED_OFFSET="7")).values()) == {"executed"}
    requirements = small_book.root / "requirements.txt"
    requirements.write_text(requirements.read_text() + "# another\n")
    assert set(executed_lines(small_book.ensure()).values()) == {"executed"}


def test_a_failing_cell_is_named_with_its_traceback_every_time(small_book):
    small_book.write("two", "print(2)", "def broken():\n    return 1 / 0\n\nbroken()")
    for _ in range(2):
        done = small_book.ensure()
        assert done.returncode == 1
        assert "two: code cell 2 of 2 failed" in done.stderr
        assert "ZeroDivisionError" in done.stderr
        assert "return 1 / 0" in done.stderr


def test_a_killed_kernel_is_an_error_and_not_a_result(small_book):
    small_book.write("two", "import os", "os.kill(os.getpid(), 9)")
    done = small_book.ensure()
    assert done.returncode == 1
    assert "two: code cell 2 of 2 failed" in done.stderr


def test_chapters_that_finished_before_a_failure_are_kept(small_book, executed_lines):
    small_book.write("one", "print(1)", metadata={})
    small_book.write("two", "import time; time.sleep(6); 1 / 0")
    assert small_book.ensure().returncode == 1
    small_book.write("two", "print(2)")
    assert executed_lines(small_book.ensure()) == {"one": "unchanged", "two": "executed"}


def test_every_chapter_has_one_thread_and_the_record_says_what_it_took(small_book):
    small_book.write("two", "import os; print(os.environ['OMP_NUM_THREADS'])")
    small_book.ensure()
    (stored,) = (small_book.root / "_build" / "executed" / "two").glob("*.ipynb")
    assert nbformat.read(stored, as_version=4).cells[1].outputs[0].text == "1\n"
    record = json.loads(stored.with_suffix(".json").read_text())
    assert 0 < record["seconds"] < 60
    assert 10 < record["memory_mb"] < 2048
    assert record["versions"]["torch"]
    assert record["scale"] == "book"


def test_chapters_marked_alone_run_after_the_others(small_book, executed_lines):
    small_book.write("one", "print(1)", metadata={"alone": "it times things"})
    assert list(executed_lines(small_book.ensure())) == ["two", "one"]


def test_storing_outputs_is_repeatable_to_the_byte_and_keeps_prose(small_book):
    small_book.write("two", "print(2)\nprint(3)", prose="kept")
    assert small_book.python("-m", "bookkit", "run", "two").returncode == 0
    first = small_book.path("two").read_bytes()
    assert small_book.python("-m", "bookkit", "run", "two").returncode == 0
    assert small_book.path("two").read_bytes() == first
    notebook = nbformat.read(small_book.path("two"), as_version=4)
    assert "kept" in notebook.cells[0].source
    assert notebook.cells[1].outputs[0].text == "2\n3\n"
    assert notebook.metadata.dlopt.code_hash


def test_building_leaves_the_chapters_files_as_they_are(small_book):
    before = small_book.path("two").read_bytes()
    small_book.ensure()
    assert small_book.path("two").read_bytes() == before


def test_a_run_that_fails_stores_nothing(small_book):
    small_book.write("two", "1 / 0")
    before = small_book.path("two").read_bytes()
    assert small_book.python("-m", "bookkit", "run", "two").returncode == 1
    assert small_book.path("two").read_bytes() == before


def test_an_unknown_chapter_is_one_sentence_and_status_two(small_book):
    for command in ("book", "test", "run", "robust"):
        done = small_book.python("-m", "bookkit", command, "three")
        assert done.returncode == 2
        assert done.stderr.strip() == "There is no chapter 'three'; the chapters are one, two."


def test_a_chapter_that_the_contents_name_but_nobody_wrote_is_said(small_book):
    small_book.path("two").unlink()
    done = small_book.ensure()
    assert done.returncode == 1
    assert "neither book/two.ipynb nor book/two.md" in done.stderr


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"cells": [{"cell_type": "m'])
def test_a_file_that_is_no_notebook_is_one_sentence_that_says_how_to_get_it_back(small_book, content):
    small_book.path("two").write_text(content)
    done = small_book.python("-m", "bookkit", "run", "two")
    assert done.returncode == 2
    assert done.stderr.startswith("book/two.ipynb cannot be read as a notebook (")
    assert done.stderr.endswith("by `git checkout book/two.ipynb`.\n")
    assert done.stderr.count("\n") == 1
    assert small_book.path("two").read_text() == content


@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("book", "DLOPT_SCALE", "huge"),
        ("test", "DLOPT_DEVICE", "cuda:99"),
        ("run", "DLOPT_SEED_OFFSET", "-1"),
        ("robust", "DLOPT_DATA", "no/such/folder"),
    ],
)
def test_a_setting_under_which_nothing_can_run_is_one_sentence_first(small_book, command, name, value):
    done = small_book.python("-m", "bookkit", command, **{name: value})
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"{name} is {value!r}")
    assert done.stderr.count("\n") == 1
