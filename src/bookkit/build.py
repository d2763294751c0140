"""Builds the site: executes what needs it, then lets Jupyter Book turn it into pages, with warnings as errors."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bookkit.chapters import ROOT, SETTINGS, all_chapters, find
from bookkit.errors import UserError
from bookkit.execute import EVERYTHING, NOTHING, ensure
from bookkit.ledger import rows
from bookkit.publication import Publication

SITE = ROOT / "_build" / "html"
_PASSED = ROOT / "_build" / "passed"
"""Holds the fingerprint of the last build that passed."""
_INPUTS = ("_config.yml", "_toc.yml", "requirements.txt", "pyproject.toml", "README.md")
_FOLDERS = ("book", "src", "results")


def book(only: str | None = None, *, execute: bool = True) -> None:
    """Build the site in ``_build/html``.

    Args:
        only: execute this chapter alone; the others are shown as their last run or their stored outputs left them.
        execute: False to execute no chapter, and show all of them so.

    Raises:
        UserError: the ledger is malformed or lacks a row, the site has warnings, or there is no such chapter.
        ChapterError: a chapter's cell failed.
    """
    start = time.perf_counter()
    executed = NOTHING if not execute else find(only).name if only else EVERYTHING
    passed = _last_passed()
    if passed == _fingerprint(executed) or (executed == NOTHING and passed == _fingerprint(EVERYTHING)):
        print("Nothing changed since the last build.")
    else:
        _PASSED.unlink(missing_ok=True)
        claims, chapters = rows(), all_chapters()
        runs = ensure(chapters, only=executed)
        Publication(chapters, runs, claims).refuse_checks_without_a_row()
        print("Building the pages ...")
        _pages(executed, everything=passed is None)
        _PASSED.parent.mkdir(exist_ok=True)
        _PASSED.write_text(_fingerprint(executed))
        for chapter in chapters:
            if not chapter.is_stored:
                print(f"{chapter.name} has new code: `make run CHAPTER={chapter.name}` stores its outputs.")
    print(f"The book is in {SITE / 'index.html'} ({time.perf_counter() - start:.0f} s).")


def _pages(executed: str, *, everything: bool) -> None:
    """Run Jupyter Book; after a build that did not pass it reads every page again, or it would forget warnings."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(ROOT), "-q", "-W", "-n", "--keep-going"]
    if everything:
        command.append("--all")
    environment = {**os.environ, "BOOKKIT_ONLY": executed}
    done = subprocess.run(
        command,
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"{done.stdout}\nThe site was not built: Jupyter Book's messages above say why.")


def _last_passed() -> str | None:
    if not (SITE / "index.html").exists():
        return None
    return _PASSED.read_text() if _PASSED.exists() else None


def _fingerprint(executed: str) -> str:
    """A hash of everything that the site is made of, and of which chapters were to be executed."""
    digest = hashlib.sha256()
    for file in _inputs():
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    names = (*SETTINGS, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY")
    settings = {name: os.environ.get(name, "") for name in names}
    origin = subprocess.run(
        ["git", "config", "--get", "remote.origin.url"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    digest.update(repr((executed, sys.version_info[:2], settings, origin)).encode())
    return digest.hexdigest()


def _inputs() -> Iterator[Path]:
    yield from (ROOT / name for name in _INPUTS if (ROOT / name).exists())
    for folder in _FOLDERS:
        for file in sorted((ROOT / folder).rglob("*")):
            hidden = any(
                part.startswith(".") or part == "__pycache__" for part in file.parts[len(ROOT.parts) :]
            )
            if file.is_file() and not hidden and not any(part.endswith(".egg-info") for part in file.parts):
                yield file
