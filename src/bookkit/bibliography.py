"""The list of references: sorted by author, each with one link to the work."""

from __future__ import annotations

import dataclasses

import sphinxcontrib.bibtex.plugin
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.template import first_of, optional, sentence
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.style.referencing import BracketStyle
from sphinxcontrib.bibtex.style.referencing.author_year import AuthorYearReferenceStyle


class BookStyle(PlainStyle):
    """Pybtex's plain style, but with one link: the DOI, else the arXiv number, else the address."""

    def format_web_refs(self, e):
        return sentence[
            optional[
                first_of[
                    optional[self.format_doi(e)],
                    optional[self.format_eprint(e)],
                    optional[self.format_url(e)],
                ]
            ]
        ]


def _round() -> BracketStyle:
    return BracketStyle(left="(", right=")")


@dataclasses.dataclass
class BookReferenceStyle(AuthorYearReferenceStyle):
    """Author and year with round brackets: Hanin and Rolnick (2018), or (Hanin and Rolnick, 2018)."""

    bracket_parenthetical: BracketStyle = dataclasses.field(default_factory=_round)
    bracket_textual: BracketStyle = dataclasses.field(default_factory=_round)
    bracket_author: BracketStyle = dataclasses.field(default_factory=_round)
    bracket_label: BracketStyle = dataclasses.field(default_factory=_round)
    bracket_year: BracketStyle = dataclasses.field(default_factory=_round)


def setup(app: Sphinx) -> None:
    register_plugin("pybtex.style.formatting", "book", BookStyle)
    sphinxcontrib.bibtex.plugin.register_plugin(
        "sphinxcontrib.bibtex.style.referencing", "book", BookReferenceStyle
    )
