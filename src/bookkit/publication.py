"""What one build publishes: the chapters, the notebooks that this build executed, and what their cells decided."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import nbformat
from sphinx.environment import BuildEnvironment

from bookkit.chapters import Chapter
from bookkit.errors import UserError
from bookkit.execute import Executed
from bookkit.ledger import Check, checks
from dlopt.claims import Claim

OUTPUTS, GENERATED = "bookkit-outputs", "bookkit-generated"
"""Under these names a page's metadata holds the digest of what it was made from."""


@dataclass
class Publication:
    """Everything that generated pages read; nothing on them comes from elsewhere."""

    chapters: list[Chapter]
    runs: dict[str, Executed] = field(default_factory=dict)
    """By the chapter's name.  Where a build was asked for one chapter only, others may be missing."""
    claims: list[Claim] = field(default_factory=list)
    errata: frozenset[str] = frozenset()
    """Numbers of the errata that have an entry, e.g. ``E4``."""

    def notebook(self, chapter: Chapter) -> Path:
        """Where the chapter's outputs are: in its run, else in the file itself."""
        run = self.runs.get(chapter.name)
        return run.notebook if run else chapter.path

    @cached_property
    def decided(self) -> dict[str, tuple[Chapter, Check]]:
        """For every claim that a cell decided, the chapter and the outcome, by the claim's id."""
        return {
            name: (chapter, check)
            for chapter in self.chapters
            for name, check in checks(self.notebook(chapter)).items()
        }

    def refuse_checks_without_a_row(self) -> None:
        """See that every claim that a cell decides is in the ledger.

        Raises:
            UserError: one is not.
        """
        known = {claim.id for claim in self.claims}
        for name, (chapter, _) in self.decided.items():
            if name not in known:
                raise UserError(f"{chapter.name}: {name} is checked, but claims.yml has no row for it.")

    def verdict(self, claim: Claim) -> str:
        """The verdict to show: the one that a cell produced, else that there is none yet."""
        if claim.id in self.decided:
            return self.decided[claim.id][1].verdict
        return "quoted" if claim.verdict == "quoted" else "planned"

    def chapter(self, name: str) -> Chapter | None:
        return next((chapter for chapter in self.chapters if chapter.name == name), None)

    @cached_property
    def digest(self) -> str:
        """Changes with anything that a generated page may show."""
        parts: list[object] = [self.claims, sorted(self.errata)]
        for chapter in self.chapters:
            run = self.runs.get(chapter.name)
            parts += [
                chapter.name,
                chapter.title,
                chapter.metadata,
                self.outputs_digest(chapter),
                run and run.record,
            ]
        return _digest(map(repr, parts))

    def outputs_digest(self, chapter: Chapter) -> str:
        """Changes with the chapter's outputs, and only with them."""
        return _digest(self.notebook(chapter).read_text(encoding="utf-8").splitlines())

    def with_outputs(self, chapter: Chapter) -> str:
        """The chapter as it is now (prose, captions, code), with the outputs of its run.

        A run is kept while the code stays the same, so its prose may be an older one.
        """
        if chapter.name not in self.runs:
            return chapter.path.read_text(encoding="utf-8")
        notebook = nbformat.read(chapter.path, as_version=4)
        run = nbformat.read(self.notebook(chapter), as_version=4)
        executed = (cell for cell in run.cells if cell.cell_type == "code")
        for cell in notebook.cells:
            if cell.cell_type == "code":
                done = next(executed)
                cell.outputs, cell.execution_count = done.outputs, done.execution_count
        return nbformat.writes(notebook)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:20]


def mark_generated(env: BuildEnvironment) -> Publication:
    """The publication; notes that the page being read shows it, so that it is read again when it changes."""
    publication: Publication = env.app.bookkit
    env.metadata[env.docname][GENERATED] = publication.digest
    return publication
