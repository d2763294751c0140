"""Plants wrong formulas, one at a time, and demands that a claim or a test notices each.

``tests/mutants.yml`` is a list of mutants: ``file``, the ``line`` as it is, the line as it would be ``wrong``, the
``chapter`` whose subject it is (or ``ground-floor``), and what must fail: a ``claim`` (the chapter is executed and
that claim must raise) or a ``test`` (a pytest node).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from bookkit.chapters import ROOT
from bookkit.errors import UserError
from bookkit.execute import THREADS

PATH = ROOT / "tests" / "mutants.yml"
_COPIED = ("src", "tests", "book", "_toc.yml", "requirements.txt", "pyproject.toml")


@dataclass(frozen=True)
class Mutant:
    """One wrong formula."""

    chapter: str
    file: str
    line: str
    wrong: str
    claim: str = ""
    test: str = ""

    @property
    def noticed_by(self) -> str:
        return f"claim {self.claim}" if self.claim else f"test {self.test}"


def read_mutants(path: Path = PATH) -> list[Mutant]:
    """The mutants of the list.

    Raises:
        UserError: an entry is malformed, or its line does not stand exactly once in its file.
    """
    try:
        entries = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise UserError(f"{path.name} is not YAML: {' '.join(str(error).split())}.") from None
    found = []
    for number, entry in enumerate(entries, start=1):
        try:
            mutant = Mutant(**entry)
        except TypeError as error:
            raise UserError(f"mutants.yml, entry {number}: {error}.") from None
        if bool(mutant.claim) == bool(mutant.test):
            raise UserError(
                f"mutants.yml, entry {number}: name the claim or the test that must fail, one of the two."
            )
        lines = [line.strip() for line in (ROOT / mutant.file).read_text().splitlines()]
        if lines.count(mutant.line.strip()) != 1:
            raise UserError(
                f"mutants.yml, entry {number}: {mutant.line.strip()!r} must stand exactly once in {mutant.file}."
            )
        found.append(mutant)
    return found


def mutants(chapter: str | None = None) -> None:
    """Plant every mutant of ``chapter`` (None: of all) in a copy of the book and run what must notice it.

    Raises:
        UserError: a mutant survived.
    """
    survivors = []
    listed = read_mutants()
    chosen = [mutant for mutant in listed if chapter in (None, mutant.chapter)]
    if not chosen:
        known = ", ".join(dict.fromkeys(mutant.chapter for mutant in listed))
        raise UserError(f"There are no wrong formulas for {chapter!r}; there are for {known}.")
    with tempfile.TemporaryDirectory() as name:
        copy = Path(name)
        for entry in _COPIED:
            source = ROOT / entry
            if source.is_dir():
                shutil.copytree(
                    source, copy / entry, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info")
                )
            else:
                shutil.copy(source, copy / entry)
        for mutant in chosen:
            noticed = _noticed(mutant, copy)
            print(f"  {'noticed' if noticed else 'SURVIVED':<9} {mutant.file}: {mutant.wrong.strip()}")
            if not noticed:
                survivors.append(mutant)
    if survivors:
        named = "\n".join(
            f"{mutant.file}: {mutant.wrong.strip()} ({mutant.noticed_by})" for mutant in survivors
        )
        raise UserError(f"{len(survivors)} wrong formulas went unnoticed:\n{named}")
    print(f"All {len(chosen)} wrong formulas were noticed.")


def _noticed(mutant: Mutant, copy: Path) -> bool:
    """Whether what must notice the mutant fails with it planted in ``copy``."""
    file = copy / mutant.file
    sound = file.read_text()
    file.write_text(_planted(sound, mutant))
    environment = {
        **os.environ,
        **dict.fromkeys(THREADS, "1"),
        "PYTHONPATH": str(copy / "src"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    if mutant.test:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", mutant.test]
    else:
        notebook = copy / "book" / f"{mutant.chapter}.ipynb"
        command = [sys.executable, "-m", "bookkit.execute", str(notebook), str(copy / "executed.ipynb")]
    try:
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    finally:
        file.write_text(sound)
    if mutant.test:
        return (
            done.returncode == 1
        )  # pytest's status for failed tests; others mean that it did not get that far
    return done.returncode != 0 and f"[{mutant.claim}]" in done.stdout.splitlines()[-1]


def _planted(source: str, mutant: Mutant) -> str:
    """``source`` with the mutant's line in place of the sound one, at the same indentation."""
    lines = source.splitlines()
    for index, line in enumerate(lines):
        if line.strip() == mutant.line.strip():
            lines[index] = line[: len(line) - len(line.lstrip())] + mutant.wrong.strip()
    return "\n".join(lines) + "\n"
