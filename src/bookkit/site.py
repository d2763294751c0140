"""The Sphinx extension of the book.

It executes what needs it (the same way for ``make book`` and for ``jupyter-book build .``), shows each chapter
with the outputs of its run, builds the pages that are generated from the ledger and the runs, and lets links to
the repository follow the fork's own address.
"""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util import logging

from bookkit import api_page, bibliography, elements, ledger_page, numbering, overview, status_page
from bookkit.chapters import ROOT, Chapter, all_chapters, check_settings
from bookkit.errors import UserError
from bookkit.execute import EVERYTHING, ChapterError, ensure
from bookkit.ledger import rows
from bookkit.publication import GENERATED, OUTPUTS, Publication
from bookkit.repository import find_repository

logger = logging.getLogger(__name__)


class BuildError(SphinxError):
    """A chapter failed, or a file of the book is not as it must be."""

    category = "The book was not built"


def link_repository(app: Sphinx, config: Config) -> None:
    """Buttons and links for the repository that builds the book; none where it has no address."""
    options = config.html_theme_options
    options["launch_buttons"] = {}
    options.pop("repository_url", None)
    repository = find_repository(ROOT)
    if repository is None:
        return
    if repository.provider:
        options.update(
            repository_url=repository.url,
            repository_branch=repository.branch,
            repository_provider=repository.provider,
            use_repository_button=True,
            use_issues_button=repository.provider in ("github", "gitlab"),
        )
    else:
        link = {
            "name": "Repository",
            "url": repository.url,
            "icon": "fa-solid fa-code-branch",
            "type": "fontawesome",
        }
        options["icon_links"] = [*(options.get("icon_links") or []), link]
    if repository.launchable:
        options["launch_buttons"] = {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
        }


def gather(app: Sphinx) -> None:
    """Execute the chapters that need it and read the ledger."""
    try:
        check_settings()
        chapters = all_chapters()
        runs = ensure(chapters, only=os.environ.get("BOOKKIT_ONLY", EVERYTHING), progress=logger.info)
        publication = Publication(chapters, runs, rows(), _errata())
        publication.refuse_checks_without_a_row()
    except (UserError, ChapterError) as error:
        raise BuildError(str(error)) from None
    app.bookkit = publication


def _errata() -> frozenset[str]:
    page = ROOT / "book" / "errata.md"
    targets = (
        re.findall(r"^\(erratum-([ej]\d+)\)=$", page.read_text(encoding="utf-8"), re.MULTILINE)
        if page.exists()
        else []
    )
    return frozenset(target.upper() for target in targets)


def changed_pages(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> set[str]:
    """Pages to read again although their own file is as it was: what they show has changed."""
    publication: Publication = app.bookkit
    outputs = {_docname(chapter): publication.outputs_digest(chapter) for chapter in publication.chapters}
    stale = {
        name
        for name, made in env.metadata.items()
        if made.get(GENERATED, publication.digest) != publication.digest
    }
    stale |= {
        name for name, made in env.metadata.items() if OUTPUTS in made and made[OUTPUTS] != outputs.get(name)
    }
    bibliography = hashlib.sha256(b"".join(path.read_bytes() for path in _bibliography(app))).hexdigest()
    if getattr(env, "bookkit_bibliography", bibliography) != bibliography:
        stale |= {citation.docname for citation in env.get_domain("cite").citation_refs}
    env.bookkit_bibliography = bibliography
    return stale & env.all_docs.keys()


def _bibliography(app: Sphinx) -> list[Path]:
    files = (Path(app.confdir, name) for name in app.config.bibtex_bibfiles)
    return [file for file in files if file.exists()]


def insert_outputs(app: Sphinx, docname: str, source: list[str]) -> None:
    """Give a chapter the outputs of its run before it is parsed."""
    publication: Publication = app.bookkit
    for chapter in publication.chapters:
        if _docname(chapter) == docname:
            source[0] = publication.with_outputs(chapter)
            app.env.metadata[docname][OUTPUTS] = publication.outputs_digest(chapter)


def _docname(chapter: Chapter) -> str:
    return chapter.path.relative_to(ROOT).with_suffix("").as_posix()


def _version() -> int:
    """A number that changes with this package: pages made by another state of it are all read again."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return int(hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:12], 16)


def setup(app: Sphinx) -> dict[str, object]:
    """Called by Sphinx."""
    app.connect("config-inited", link_repository)
    app.connect("builder-inited", gather)
    app.connect("env-get-outdated", changed_pages)
    app.connect("source-read", insert_outputs)
    for part in (elements, bibliography, numbering, ledger_page, overview, status_page, api_page):
        part.setup(app)
    return {
        "version": "1",
        "env_version": _version(),
        "parallel_read_safe": True,
        "parallel_write_safe": True,
    }
