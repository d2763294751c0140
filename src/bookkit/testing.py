"""``make test``: style, unit tests, the chapters against their stored outputs, the site."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from bookkit.build import book
from bookkit.chapters import ROOT, Chapter, all_chapters, find, modules_used
from bookkit.errors import UserError
from bookkit.execute import THREADS

SITE_TESTS = "tests/test_site.py"


def run_tests(only: str | None = None) -> None:
    """Run every check of the book, or those of one chapter.

    Raises:
        UserError: a step failed; the steps before it passed.
    """
    chapters = [find(only)] if only else all_chapters()
    _step(
        "style",
        [
            [sys.executable, "-m", "ruff", "check", "."],
            [sys.executable, "-m", "ruff", "format", "--check", "."],
        ],
    )
    _step("unit tests", [_pytest(*_unit_tests(only), "-n", "2", "--dist", "worksteal")])
    _step("chapters", _nbval(chapters))
    start = time.perf_counter()
    book(execute=False)  # nbval has just compared the stored outputs with fresh ones
    print(f"  passed     site ({time.perf_counter() - start:.0f} s)")
    _step("site tests", [_pytest(SITE_TESTS)])


def _unit_tests(only: str | None) -> list[str]:
    """The test files: all but the site's, or those of the modules that one chapter uses, the house and the ledger."""
    if only is None:
        return ["tests", f"--ignore={SITE_TESTS}"]
    names = {file.stem for file in modules_used(find(only))} | {"house", "ledger", "notebooks"}
    return sorted(str(file) for file in (ROOT / "tests").rglob("test_*.py") if file.stem[5:] in names)


def _nbval(chapters: list[Chapter]) -> list[list[str]]:
    """nbval's commands: two chapters at once, those that must run alone one by one."""
    alone = [str(chapter.path) for chapter in chapters if "alone" in chapter.metadata]
    shared = [str(chapter.path) for chapter in chapters if "alone" not in chapter.metadata]
    options = ("--nbval", "--nbval-current-env", "--nbval-cell-timeout=600")
    commands = []
    if shared:
        commands.append(_pytest(*options, *shared, "-n", "2", "--dist", "loadfile"))
    return commands + [_pytest(*options, path) for path in alone]


def _pytest(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", *arguments]


def _step(name: str, commands: list[list[str]]) -> None:
    """Run ``commands`` one after another; say how the step went."""
    start = time.perf_counter()
    environment = {**os.environ, **dict.fromkeys(THREADS, "1")}
    for command in commands:
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode:
            raise UserError(f"The step {name!r} failed: its messages are above.")
    print(f"  passed     {name} ({time.perf_counter() - start:.0f} s)")
