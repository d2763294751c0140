"""The list of references: sorted by author, each with one link to the work."""

from __future__ import annotations

from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style as PlainStyle
from pybtex.style.template import first_of, optional, sentence
from sphinx.application import Sphinx


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


def setup(app: Sphinx) -> None:
    register_plugin("pybtex.style.formatting", "book", BookStyle)
