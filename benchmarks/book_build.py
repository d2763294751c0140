"""Building the book: ours beside Jupyter Book's own execution and cache, each in a copy of the repository.

Cold (nothing built), warm (nothing changed), and after a change in prose alone.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import yaml

from bookkit.chapters import ROOT, all_chapters

JUPYTER_BOOK = str(Path(sys.executable).with_name("jupyter-book"))


def copied(folder: Path) -> Path:
    """A copy of the repository without what was built, as git would clone it."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def without_bookkit(folder: Path) -> None:
    """Make the copy one of the chapters alone, executed and cached by Jupyter Book itself."""
    config = yaml.safe_load((folder / "_config.yml").read_text())
    config["execute"] = {"execute_notebooks": "cache", "timeout": 600}
    config["sphinx"]["config"]["extensions"].remove("bookkit.site")
    config["sphinx"]["config"].pop("bibtex_default_style", None)
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    (folder / "book" / "index.md").write_text("# Chapters\n")
    chapters = [{"file": f"book/{chapter.name}"} for chapter in all_chapters()]
    (folder / "_toc.yml").write_text(
        yaml.safe_dump({"format": "jb-book", "root": "book/index", "chapters": chapters})
    )


def change_prose(folder: Path) -> None:
    """Add a word to the first text cell of the first chapter."""
    path = folder / "book" / f"{all_chapters()[0].name}.ipynb"
    notebook = json.loads(path.read_text())
    next(cell for cell in notebook["cells"] if cell["cell_type"] == "markdown")["source"] += ["\n\nOne word."]
    path.write_text(json.dumps(notebook, indent=1))


def seconds(folder: Path, *command: str) -> float:
    environment = {**os.environ, "PYTHONPATH": str(folder / "src"), "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        ours, theirs = copied(Path(first)), copied(Path(second))
        without_bookkit(theirs)
        nothing: Callable[[Path], None] = lambda _: None  # noqa: E731
        for name, change in (("cold", nothing), ("warm", nothing), ("after a change in prose", change_prose)):
            change(ours)
            change(theirs)
            mine = seconds(ours, sys.executable, "-m", "bookkit", "book")
            peer = seconds(theirs, JUPYTER_BOOK, "build", ".", "-q")
            print(f"  {name}: ours {mine:.1f} s, theirs {peer:.1f} s, ratio {mine / peer:.2f}", flush=True)

        chapter = all_chapters()[-1]
        source, target = str(chapter.path), str(Path(first) / "executed.ipynb")
        mine = seconds(ours, sys.executable, "-m", "bookkit.execute", source, target)
        execute = str(Path(sys.executable).with_name("jupyter-execute"))
        peer = seconds(theirs, execute, f"--output={target}", source)
        print(
            f"  executing {chapter.name}: ours {mine:.1f} s, theirs {peer:.1f} s, ratio {mine / peer:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
