"""Runs the benchmarks: each measures ours beside a peer or a limit, in one process, and prints the ratio."""

from __future__ import annotations

import subprocess
import sys

from bookkit.chapters import ROOT
from bookkit.errors import UserError

FOLDER = ROOT / "benchmarks"
SHARED = "harness"
"""The module that the benchmarks import: not one of them."""


def bench(only: str | None = None) -> None:
    """Run every benchmark, or the one called ``only``, one after another.

    Raises:
        UserError: there is no such benchmark, or one failed.
    """
    found = {file.stem: file for file in sorted(FOLDER.glob("*.py")) if file.stem != SHARED}
    if only and only not in found:
        raise UserError(f"There is no benchmark {only!r}; there are {', '.join(found)}.")
    for name, file in found.items():
        if only in (None, name):
            print(f"{name}:")
            if subprocess.run([sys.executable, str(file)], cwd=ROOT, check=False).returncode:
                raise UserError(f"The benchmark {name} failed: its messages are above.")
