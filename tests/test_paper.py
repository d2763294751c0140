"""A chapter runs as a plain program at paper scale, resumes, and writes its results whole."""

from __future__ import annotations

import json
import os

CLAIM = (
    "from dlopt.claims import verify\nfrom dlopt import runtime\n"
    "n = runtime.at_scale(book=1, paper=2)\n"
    "verify('a-claim', 'n is as it should be', holds=n == 2, control={'n at book scale': n == 1}, measured={'n': n})"
)


def test_the_claims_of_a_chapter_are_written_with_where_they_come_from(small_book):
    small_book.write("two", CLAIM)
    done = small_book.python("-m", "dlopt.paper", "two")
    assert done.returncode == 0, done.stderr
    found = json.loads((small_book.root / "results" / "two.json").read_text())
    assert found["claims"]["a-claim"]["verdict"] == "reproduced"
    assert found["claims"]["a-claim"]["measured"] == {"n": 2}
    assert found["scale"] == "paper"
    assert found["versions"]["torch"]
    assert os.listdir(small_book.root / "results") == ["two.json"]


def test_a_claim_that_does_not_hold_writes_nothing(small_book):
    small_book.write("two", CLAIM)
    done = small_book.python("-m", "dlopt.paper", "two", DLOPT_SCALE="book")
    assert done.returncode != 0
    assert "[a-claim] does not hold" in done.stderr
    assert not (small_book.root / "results" / "two.json").exists()


def test_a_stopped_run_resumes_with_what_it_had_computed(small_book):
    slow = "value = runtime.resumable('slow', lambda: print('computing') or 7)"
    small_book.write("two", "from dlopt import runtime", slow, "raise SystemExit('stopped')")
    assert "computing" in small_book.python("-m", "dlopt.paper", "two").stdout
    small_book.write("two", "from dlopt import runtime", slow, "print(value)")
    done = small_book.python("-m", "dlopt.paper", "two")
    assert done.returncode == 0, done.stderr
    assert "computing" not in done.stdout
    assert done.stdout.startswith("7\n")


def test_a_finished_run_leaves_nothing_that_a_later_one_would_take_for_its_own(small_book):
    small_book.write(
        "two", "from dlopt import runtime", "runtime.resumable('slow', lambda: print('computing') or 7)"
    )
    for _ in range(2):
        assert "computing" in small_book.python("-m", "dlopt.paper", "two").stdout


def test_an_unknown_chapter_is_one_sentence(small_book):
    done = small_book.python("-m", "dlopt.paper", "three")
    assert done.returncode == 2
    assert done.stderr.strip() == "There is no chapter 'three' in book: there is one, two."


def test_a_setting_that_cannot_be_followed_is_said_before_anything_runs(small_book):
    small_book.write("two", "print('ran')")
    done = small_book.python("-m", "dlopt.paper", "two", DLOPT_SCALE="huge")
    assert done.returncode == 2
    assert done.stderr == "DLOPT_SCALE is 'huge': use book or paper.\n"
    assert "ran" not in done.stdout
