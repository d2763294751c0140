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
from bookkit.execute import ensure
from bookkit.ledger import rows

SITE = ROOT / "_build" / "html"
_PASSED = ROOT / "_build" / "passed"
"""Holds the fingerprint of the last build that passed."""
_INPUTS = ("_config.yml", "_toc.yml", "requirements.txt", "pyproject.toml", "README.md")
_FOLDERS = ("book", "src", "results")


def book(only: str | None = None) -> None:
    """Build the site in ``_build/html``.

    Args:
        only: execute this chapter alone; the others are shown as their last run or their stored outputs left them.

    Raises:
        UserError: the ledger is malformed, the site has warnings, or there is no such chapter.
        ChapterError: a chapter's cell failed.
    """
    start = time.perf_counter()
    if only:
        find(only)
    fingerprint = _fingerprint(only)
    if _last_passed() == fingerprint:
        print("Nothing changed since the last build.")
    else:
        passed_before = _last_passed() is not None
        _PASSED.unlink(missing_ok=True)
        rows()
        ensure(all_chapters(), only=only)
        _pages(only, everything=not passed_before)
        _PASSED.parent.mkdir(exist_ok=True)
        _PASSED.write_text(fingerprint)
    print(f"The book is in {SITE / 'index.html'} ({time.perf_counter() - start:.0f} s).")


def _pages(only: str | None, *, everything: bool) -> None:
    """Run Jupyter Book; after a build that did not pass it reads every page again, or it would forget warnings."""
    program = Path(sys.executable).with_name("jupyter-book")
    command = [str(program), "build", str(ROOT), "-q", "-W", "-n", "--keep-going"]
    if everything:
        command.append("--all")
    environment = {**os.environ, "BOOKKIT_ONLY": only or ""}
    if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode:
        raise UserError("The site was not built: Jupyter Book's messages above say why.")


def _last_passed() -> str | None:
    if not (SITE / "index.html").exists():
        return None
    return _PASSED.read_text() if _PASSED.exists() else None


def _fingerprint(only: str | None) -> str:
    """A hash of everything that the site is made of."""
    digest = hashlib.sha256()
    for file in _inputs():
        digest.update(f"{file.relative_to(ROOT).as_posix()}\0".encode() + file.read_bytes() + b"\0")
    names = (*SETTINGS, "GITHUB_SERVER_URL", "GITHUB_REPOSITORY")
    settings = {name: os.environ.get(name, "") for name in names}
    origin = subprocess.run(
        ["git", "config", "--get", "remote.origin.url"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout
    digest.update(repr((only, sys.version_info[:2], settings, origin)).encode())
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
