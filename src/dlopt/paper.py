"""Run a chapter's experiments at paper scale: ``python -m dlopt.paper CHAPTER``.

The chapter's own code cells run in order as one plain Python program with DLOPT_SCALE=paper; what ``verify``
decides is written to ``results/CHAPTER.json``.  It needs Python, torch, numpy, scipy, matplotlib, scikit-learn and
tqdm, for the compiled loops of section 5 Numba too, but no Jupyter and no network:
``PYTHONPATH=src python -m dlopt.paper backpropagation`` from the repository's root.

A run that is stopped resumes: each value that a chapter computes through :func:`dlopt.runtime.resumable` is kept
under ``results/.partial`` until the chapter has finished.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["main", "run_chapter"]


def run_chapter(notebook: Path) -> dict[str, Any]:
    """Execute the code cells of ``notebook`` at the scale in the environment and collect its claims.

    Args:
        notebook: path of the chapter; its folder becomes the working directory.

    Returns:
        claims (id -> verdict, relation, control, measured), scale, seed offset, versions, hardware, commit, seconds.

    Raises:
        Exception: whatever a cell raises; a claim that does not hold raises :class:`dlopt.claims.ClaimError`.
    """
    import matplotlib

    matplotlib.use("agg")
    from dlopt import claims, runtime

    cells = [
        cell
        for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        if cell["cell_type"] == "code"
    ]
    start = time.perf_counter()
    names: dict[str, Any] = {"__name__": "__main__"}
    before = Path.cwd()
    os.chdir(notebook.parent)
    try:
        with claims.collected() as records:
            for number, cell in enumerate(cells, start=1):
                source = "".join(cell["source"])
                exec(compile(source, f"{notebook.stem}, code cell {number}", "exec"), names)
    finally:
        os.chdir(before)
    return {
        "chapter": notebook.stem,
        "scale": runtime.scale(),
        "seed_offset": runtime.seed(0),
        "device": str(runtime.device()),
        "claims": {record.pop("id"): record for record in records},
        "seconds": round(time.perf_counter() - start, 1),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        **runtime.environment(),
    }


def _commit() -> str:
    """The commit of the working tree, or ``unknown``."""
    try:
        done = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def main(arguments: list[str] | None = None) -> int:
    """Run one chapter; 0 when its claims held and the results are written."""
    parser = argparse.ArgumentParser(
        prog="python -m dlopt.paper", description="Run a chapter at paper scale."
    )
    parser.add_argument("chapter", help="the stem of the chapter's file")
    parser.add_argument(
        "--folder", type=Path, default=Path("."), help="the repository's root (default: here)"
    )
    chosen = parser.parse_args(arguments)
    notebook = chosen.folder / "book" / f"{chosen.chapter}.ipynb"
    if not notebook.exists():
        known = ", ".join(sorted(file.stem for file in notebook.parent.glob("*.ipynb"))) or "none"
        print(
            f"There is no chapter {chosen.chapter!r} in {notebook.parent}: there is {known}.", file=sys.stderr
        )
        return 2
    os.environ.setdefault("DLOPT_SCALE", "paper")
    from dlopt import runtime

    try:
        runtime.check_settings()
    except runtime.SettingError as error:
        print(error, file=sys.stderr)
        return 2
    results = chosen.folder.resolve() / "results"
    partial = results / ".partial" / chosen.chapter
    os.environ["DLOPT_PARTIAL"] = str(partial)
    found = run_chapter(notebook)
    results.mkdir(exist_ok=True)
    target = results / f"{chosen.chapter}.json"
    part = target.with_suffix(".part")
    part.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    part.replace(target)
    shutil.rmtree(partial, ignore_errors=True)
    print(f"{len(found['claims'])} claims of {chosen.chapter} held at {found['scale']} scale: {target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
