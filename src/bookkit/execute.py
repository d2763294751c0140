"""Executes chapters: each in a process of its own, one per core, one thread each.

An executed notebook is kept in ``_build/executed/CHAPTER/KEY.ipynb`` with a record of the run beside it; the key
is a hash of everything that the run depends on (:func:`bookkit.chapters.execution_key`), so that a chapter runs
again when, and only when, one of those changed.  An interrupted build resumes with what is there.
"""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from bookkit.chapters import ROOT, Chapter, execution_key, hash_of_code
from bookkit.drawings import compact
from bookkit.errors import UserError

EVERYTHING, NOTHING = "", "-"
"""In place of a chapter's name: which chapters a build may execute."""

STORE = ROOT / "_build" / "executed"
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
CELL_TIMEOUT = 600
"""Seconds after which a cell is taken to hang."""
KEPT = 3
"""Runs of a chapter that are kept, so that going back to an earlier state costs nothing."""

SECONDS_BUDGET, MEMORY_BUDGET_MB = 60.0, 2048.0
"""What a chapter may take; one whose subject is long training says so in its metadata (``seconds``)."""


class ChapterError(Exception):
    """A chapter did not run to its end; the message names chapter and cell and shows the traceback."""


@dataclass(frozen=True)
class Executed:
    """A chapter's executed notebook."""

    chapter: Chapter
    key: str
    notebook: Path
    record: dict[str, Any]


def executed(chapter: Chapter) -> Executed | None:
    """The stored run of the chapter as it is now, if there is one."""
    key = execution_key(chapter)
    notebook = STORE / chapter.name / f"{key}.ipynb"
    try:
        record = json.loads(notebook.with_suffix(".json").read_text())
    except (OSError, ValueError):
        return None
    return Executed(chapter, key, notebook, record) if notebook.exists() else None


def ensure(
    chapters: Iterable[Chapter], *, only: str = EVERYTHING, progress: Callable[[str], None] = print
) -> dict[str, Executed]:
    """Execute what has no stored run, and return the stored runs by chapter name.

    Args:
        chapters: the chapters wanted.
        only: execute this chapter alone, or :data:`NOTHING`; another one is returned if its stored run is current,
            else left out.
        progress: is given one line a chapter, indented, and one that says how many are executed.

    Raises:
        ChapterError: a cell failed; chapters that were running are stopped, those that had finished are kept.
    """
    found: dict[str, Executed] = {}
    stale: list[Chapter] = []
    for chapter in chapters:
        if run := executed(chapter):
            found[chapter.name] = run
            if only in (EVERYTHING, chapter.name):
                progress(_line(run, "unchanged"))
        elif only in (EVERYTHING, chapter.name):
            stale.append(chapter)
    if len(stale) > 1:
        progress(f"Executing {len(stale)} chapters, {os.cpu_count()} at a time, about a minute each ...")
    elif stale:
        progress(f"Executing {stale[0].name}, about a minute ...")
    for run in run_all(stale):
        found[run.chapter.name] = run
        progress(_line(run, "executed"))
    return found


def run_all(
    chapters: list[Chapter], *, folder: Path = STORE, extra: dict[str, str] | None = None
) -> Iterator[Executed]:
    """Execute ``chapters`` anew and yield each as it is done.

    One chapter a core, but those marked ``alone`` in their metadata one after another at the end.

    Args:
        chapters: what to execute.
        folder: where executed notebooks and records are kept.
        extra: environment variables to add; the runs then belong in a folder of their own.
    """
    alone = [chapter for chapter in chapters if "alone" in chapter.metadata]
    shared = [chapter for chapter in chapters if "alone" not in chapter.metadata]
    running: set[subprocess.Popen] = set()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        futures = [pool.submit(_run, chapter, running, folder, extra) for chapter in shared]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in list(running):
                process.terminate()
            raise
    for chapter in alone:
        yield _run(chapter, running, folder, extra)


def _run(
    chapter: Chapter, running: set[subprocess.Popen], folder: Path, extra: dict[str, str] | None
) -> Executed:
    """Execute ``chapter`` in a process of its own; ``running`` holds that process while it lives."""
    environment = {**os.environ, **dict.fromkeys(THREADS, "1"), **(extra or {})}
    key = execution_key(chapter)
    target = folder / chapter.name / f"{key}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "bookkit.execute", str(chapter.path), str(target)]
    process = subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    running.add(process)
    try:
        output, errors = process.communicate()
    except BaseException:
        process.terminate()
        raise
    finally:
        running.discard(process)
    if process.returncode:
        raise ChapterError(output.strip() or errors.strip() or f"{chapter.name}: the run was stopped.")
    _forget_old(target.parent)
    return Executed(chapter, key, target, _completed(target.with_suffix(".json")))


def _completed(file: Path) -> dict[str, Any]:
    """The record in ``file``, to which scale, versions and hardware are added: they are the same for all."""
    from dlopt.runtime import (
        environment,
        scale,
    )  # imports torch, which a build without executions does not need

    record = {**json.loads(file.read_text()), "scale": scale(), **environment()}
    write_atomically(file, json.dumps(record, indent=1) + "\n")
    return record


def _forget_old(folder: Path) -> None:
    """Keep the newest runs of a chapter only."""
    runs = sorted(folder.glob("*.ipynb"), key=lambda file: file.stat().st_mtime, reverse=True)
    for notebook in runs[KEPT:]:
        notebook.unlink(missing_ok=True)
        notebook.with_suffix(".json").unlink(missing_ok=True)


def _line(run: Executed, what: str) -> str:
    seconds, memory = run.record["seconds"], run.record["memory_mb"]
    line = f"  {what:<10} {run.chapter.name:<28} {seconds:6.1f} s {memory:6.0f} MB"
    return f"{line}   {warning}" if (warning := over_budget(run)) else line


def over_budget(run: Executed) -> str:
    """What the run took beyond its budget, in words; empty when it kept to it."""
    seconds = run.chapter.metadata.get("seconds", SECONDS_BUDGET)
    over = []
    if run.record["seconds"] > seconds:
        over.append(f"over its {seconds:.0f} s")
    if run.record["memory_mb"] > MEMORY_BUDGET_MB:
        over.append(f"over its {MEMORY_BUDGET_MB:.0f} MB")
    return " and ".join(over)


def normalized(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """``notebook`` without what differs from run to run for no reason, and with its drawings compact."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        for output in cell.get("outputs", []):
            if drawing := output.get("data", {}).get("image/svg+xml"):
                output.data["image/svg+xml"] = compact(drawing)
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.setdefault("dlopt", {})["code_hash"] = hash_of_code(notebook)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    return notebook


def write_atomically(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` whole or not at all."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def store(chapter: Chapter) -> Executed:
    """Execute the chapter anew and write its outputs to its own file: the one way in which they are stored."""
    (done,) = run_all([chapter])
    write_atomically(chapter.path, done.notebook.read_text(encoding="utf-8"))
    return done


def _execute(source: Path, target: Path) -> None:
    """What the process of one chapter does: execute ``source`` and write ``target`` and its record.

    Raises:
        ChapterError: a cell failed, hung, or killed the kernel.
    """
    notebook = nbformat.read(source, as_version=4)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    started: list[int] = []
    client = NotebookClient(
        notebook,
        on_cell_start=lambda cell, cell_index: started.append(cell_index),
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(source.parent)}},
    )
    start = time.perf_counter()
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        raise ChapterError(_report(source.stem, notebook, started, error)) from None
    seconds = time.perf_counter() - start
    record = {
        "seconds": round(seconds, 2),
        "memory_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / _MAXRSS_PER_MB, 1),
        "cells": sum(cell.cell_type == "code" for cell in notebook.cells),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    write_atomically(target, nbformat.writes(normalized(notebook)) + "\n")
    write_atomically(target.with_suffix(".json"), json.dumps(record, indent=1) + "\n")


_MAXRSS_PER_MB = 2**20 if sys.platform == "darwin" else 2**10  # the unit differs by system


def _report(name: str, notebook: nbformat.NotebookNode, started: list[int], error: Exception) -> str:
    """Which cell of which chapter failed, and its traceback."""
    code = [
        index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code" and cell.source.strip()
    ]
    number = code.index(started[-1]) + 1 if started else 1
    traceback = re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip()
    return f"{name}: code cell {number} of {len(code)} failed.\n\n{traceback}"


def main(arguments: list[str]) -> int:
    source, target = map(Path, arguments)
    try:
        _execute(source, target)
    except (ChapterError, UserError) as error:
        print(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
