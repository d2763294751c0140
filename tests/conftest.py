"""Fixtures that several test files share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import torch
from hypothesis import settings

from bookkit.chapters import ROOT, SETTINGS

settings.register_profile("the same examples in every run", derandomize=True, deadline=None, database=None)
settings.load_profile("the same examples in every run")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "cuda: needs a CUDA device, and is skipped where there is none")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("cuda") and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")


@pytest.fixture(autouse=True)
def plain_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the reader's reaches a test."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def on_the_cpu(monkeypatch: pytest.MonkeyPatch, plain_settings: None) -> None:
    """Networks that are given no device are on the CPU, also where there is a GPU."""
    monkeypatch.setenv("DLOPT_DEVICE", "cpu")


@pytest.fixture(autouse=True)
def the_same_draws() -> None:
    """Modules of torch.nn draw their weights from the global generator."""
    torch.manual_seed(0)


class SmallBook:
    """A book of two small chapters in a folder of its own, to build, break and mend."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
        shutil.copytree(ROOT / "src", root / "src", ignore=ignore)
        for name in ("requirements.txt", "pyproject.toml"):
            shutil.copy(ROOT / name, root / name)
        (root / "book").mkdir()
        (root / "_toc.yml").write_text(
            "format: jb-book\nroot: book/index\nchapters:\n- file: book/one\n- file: book/two\n"
        )
        (root / "book" / "index.md").write_text("# A small book\n")
        self.write("one", "from dlopt.claims import VERDICTS", "print(len(VERDICTS))")
        self.write("two", "print(2)")

    def write(self, name: str, *code: str, prose: str = "words", metadata: dict | None = None) -> None:
        """A chapter with ``code`` cells after a title and some ``prose``."""
        cells = [nbformat.v4.new_markdown_cell(f"# Chapter {name}\n\n{prose}", id="prose")]
        cells += [nbformat.v4.new_code_cell(source, id=f"code{n}") for n, source in enumerate(code)]
        notebook = nbformat.v4.new_notebook(
            cells=cells, metadata={"dlopt": metadata or {}, "language_info": {"name": "python"}}
        )
        nbformat.write(notebook, self.path(name))

    def path(self, name: str) -> Path:
        return self.root / "book" / f"{name}.ipynb"

    def python(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run Python with this book's packages."""
        environment = {**os.environ, "PYTHONPATH": str(self.root / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env={**environment, **settings},
            capture_output=True,
            text=True,
            check=False,
        )

    def ensure(self, **settings: str) -> subprocess.CompletedProcess[str]:
        """Execute what needs it."""
        return self.python(
            "-c",
            "import sys; from bookkit import chapters, execute\n"
            "try: execute.ensure(chapters.all_chapters())\n"
            "except (execute.ChapterError, chapters.UserError) as error: sys.exit(str(error))",
            **settings,
        )


@pytest.fixture
def small_book(tmp_path: Path) -> SmallBook:
    return SmallBook(tmp_path)


@pytest.fixture
def executed_lines() -> Callable[[subprocess.CompletedProcess[str]], dict[str, str]]:
    """What a run said of each chapter: name -> ``executed`` or ``unchanged``."""

    def lines(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
        assert done.returncode == 0, done.stderr
        said = [line.split() for line in done.stdout.splitlines() if line.startswith("  ")]
        return {name: what for what, name, *_ in said}

    return lines
