"""The commands behind the Makefile: ``python -m bookkit COMMAND [CHAPTER]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from bookkit.chapters import all_chapters, check_settings, find
from bookkit.errors import UserError
from bookkit.execute import ChapterError, store


def _chapters(name: str | None):
    return [find(name)] if name else all_chapters()


def _book(name: str | None) -> None:
    from bookkit.build import book

    book(name)


def _test(name: str | None) -> None:
    from bookkit.testing import run_tests

    run_tests(name)


def _run(name: str | None) -> None:
    for chapter in _chapters(name):
        done = store(chapter)
        print(f"  stored     {chapter.name:<28} {done.record['seconds']:6.1f} s")


def _robust(name: str | None) -> None:
    from bookkit.robust import robust

    robust(_chapters(name))


def _mutants(name: str | None) -> None:
    from bookkit.mutants import mutants

    mutants(name)


def _bench(name: str | None) -> None:
    from bookkit.bench import bench

    bench(name)


def _student(folder: str) -> None:
    from bookkit.student import student

    files = student(all_chapters(), Path(folder))
    print(f"{len(files)} chapters without their solutions are in {folder}.")


_CHAPTER = ("chapter", "one only, by the stem of its file")

COMMANDS = {
    "book": (_book, "execute what needs it and build the site", _CHAPTER),
    "test": (_test, "run every check", _CHAPTER),
    "run": (_run, "execute chapters anew and store their outputs", _CHAPTER),
    "robust": (_robust, "demand the same verdicts under other arithmetic and other seeds", _CHAPTER),
    "mutants": (_mutants, "plant wrong formulas and demand that each is noticed", _CHAPTER),
    "bench": (_bench, "measure ours beside theirs", ("benchmark", "one file only, by its stem")),
    "student": (_student, "write the chapters without their solutions", ("folder", "a new one, for them")),
}
"""By name: what it does, in code and in words, and the argument that it takes."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; 0 when it passed, 1 when a chapter failed, 2 when something else must be mended."""
    parser = argparse.ArgumentParser(prog="bookkit", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, (_, description, (argument, meaning)) in COMMANDS.items():
        command = commands.add_parser(name, help=description, description=description)
        needed = None if name == "student" else "?"
        command.add_argument("argument", metavar=argument, nargs=needed, help=meaning)
    chosen = parser.parse_args(arguments)
    sys.stdout.reconfigure(line_buffering=True)  # through a pipe, too, each line comes as it is printed
    try:
        check_settings()
        COMMANDS[chosen.command][0](chosen.argument or None)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except ChapterError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\nInterrupted: what had finished is kept, the same command goes on from there.", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
