"""The list of wrong formulas is well formed; `make mutants` plants them."""

from __future__ import annotations

import re
from collections import Counter

import pytest
import yaml

from bookkit.chapters import ROOT, all_chapters
from bookkit.errors import UserError
from bookkit.ledger import rows
from bookkit.mutants import _planted, read_mutants


def test_every_line_of_the_list_stands_where_it_says_and_each_chapter_has_five():
    counts = Counter(mutant.chapter for mutant in read_mutants())
    assert [chapter.name for chapter in all_chapters() if counts[chapter.name] < 5] == []


def test_what_must_notice_a_mutant_is_there():
    claims = {row.id for row in rows()}
    for mutant in read_mutants():
        file, *names = mutant.test.split("::")
        text = (ROOT / file).read_text() if names else ""
        missing = [name for name in names if not re.search(rf"(def|class) {name.partition('[')[0]}\b", text)]
        assert mutant.claim in claims or (names and not missing), mutant.noticed_by


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"line": "no such line"}, "must stand exactly once"),
        ({"claim": ""}, "one of the two"),
        ({"test": "tests/test_claims.py"}, "one of the two"),
        ({"extra": 1}, "extra"),
    ],
)
def test_a_malformed_entry_is_refused(tmp_path, change, message):
    entry = {
        "chapter": "one", "file": "src/dlopt/runtime.py", "line": "return number + int(offset)",
        "wrong": "return number", "claim": "a",
    }  # fmt: skip
    path = tmp_path / "mutants.yml"
    path.write_text(yaml.safe_dump([entry]))
    (mutant,) = read_mutants(path)
    assert "        return number\n" in _planted("def f():\n        return number + int(offset)\n", mutant)
    path.write_text(yaml.safe_dump([{**entry, **change}]))
    with pytest.raises(UserError, match=message):
        read_mutants(path)
