"""The site is built when something changed, and a failure fails every time."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bookkit.chapters import ROOT


@pytest.fixture
def site(small_book):
    """The small book with the real book's configuration, ledger and bibliography."""
    shutil.copy(ROOT / "_config.yml", small_book.root / "_config.yml")
    for name in ("claims.yml", "references.bib"):
        shutil.copy(ROOT / "book" / name, small_book.root / "book" / name)
    shutil.copytree(ROOT / "book" / "_static", small_book.root / "book" / "_static")
    return small_book


def build(site, *arguments: str) -> subprocess.CompletedProcess[str]:
    return site.python("-m", "bookkit", "book", *arguments)


def page(site, name: str) -> str:
    return (site.root / "_build" / "html" / "book" / f"{name}.html").read_text()


def test_a_build_does_what_changed_and_nothing_else(site):
    first = build(site)
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stdout.count("  executed ") == 2
    assert "The book is in" in first.stdout
    assert "words" in page(site, "two")
    assert "two has new code: `make run CHAPTER=two` stores its outputs." in first.stdout

    second = build(site)
    assert second.returncode == 0
    assert second.stdout.startswith("Nothing changed since the last build.")

    site.write("two", "print(2)", prose="other prose")
    third = build(site)
    assert third.returncode == 0, third.stdout + third.stderr
    assert "  executed " not in third.stdout
    assert "other prose" in page(site, "two")

    one = build(site, "two")
    assert one.returncode == 0, one.stdout + one.stderr


def test_a_page_is_written_again_when_it_or_a_number_that_it_may_refer_to_changed(site):
    picture = "```{figure} _static/favicon.svg\n:name: fig-%s\n:alt: a picture\n\nA caption.\n```\n\n"
    one = site.root / "_build" / "html" / "book" / "one.html"
    site.write("one", "print(1)", prose="See {numref}`fig-two`.\n\n" + picture % "one")
    written = []
    for prose in ("words", "other words", picture % "new"):
        site.write("two", "print(2)", prose=f"{prose}\n\n{picture % 'two'}")
        done = build(site)
        assert done.returncode == 0, done.stdout + done.stderr
        written.append((one.stat().st_mtime_ns, "Fig. 2" in one.read_text()))
    assert written[0] == written[1]
    assert [new for _, new in written] == [False, False, True]


def test_a_failing_cell_stops_the_build_and_the_next_one_too(site):
    site.write("two", "1 / 0")
    for _ in range(2):
        done = build(site)
        assert done.returncode == 1
        assert "two: code cell 1 of 1 failed" in done.stderr
        assert "ZeroDivisionError" in done.stderr
        assert "The book is in" not in done.stdout


def test_a_warning_is_an_error_and_stays_one(site):
    site.write("two", "print(2)", prose="A link to [nowhere](#no-such-target).")
    for _ in range(2):
        done = build(site)
        assert done.returncode == 2
        assert "no-such-target" in done.stdout + done.stderr
        assert "The site was not built" in done.stderr
    site.write("two", "print(2)", prose="No link.")
    assert build(site).returncode == 0


def test_a_malformed_ledger_stops_the_build_in_one_sentence(site):
    (site.root / "book" / "claims.yml").write_text("- id: a-claim\n")
    done = build(site)
    assert done.returncode == 2
    assert "claims.yml, row 1 (a-claim)" in done.stdout + done.stderr


def test_a_claim_without_a_row_stops_the_build_in_one_sentence(site):
    site.write(
        "two", "from dlopt.claims import verify", 'verify("stray", "two is two", holds=2 == 2, control={})'
    )
    for _ in range(2):
        done = build(site)
        assert done.returncode == 2
        assert done.stderr == "two: stray is checked, but claims.yml has no row for it.\n"


def test_jupyter_book_itself_builds_the_same_site(site):
    program = str(Path(sys.executable).with_name("jupyter-book"))
    runner = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    done = site.python("-c", runner, program, "build", ".", "-W", "-n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "executed" in done.stdout
    assert "words" in page(site, "two")
