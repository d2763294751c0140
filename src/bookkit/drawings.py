"""Drawings are stored light: an SVG without what nobody sees.

Matplotlib gives each tick a group with a name of its own, each segment of a line a line of text, and each coordinate
six decimals.  In a notebook's JSON every line of text costs a dozen characters more.  Without all that a chapter
weighs a third less, and its pictures are the same to within a hundredth of a point.
"""

from __future__ import annotations

import re

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_PATH = re.compile(r'(?<=\sd=")[^"]*')
_IMAGE = re.compile(r'(?<=;base64,)[^"]*')
_LONG_DECIMAL = re.compile(r"-?\d+\.\d{3,}(?![\de])")
_GROUP_NAME = re.compile(r'<g id="[^"]*"')


def compact(svg: str) -> str:
    """``svg`` with the same picture in fewer characters.

    Comments, names of groups, which nothing refers to, and white space between elements are left out; coordinates
    in paths keep two decimals.  Names of paths, markers and clips stay: they are referred to.
    """
    svg = _GROUP_NAME.sub("<g", _COMMENT.sub("", svg))
    svg = _PATH.sub(lambda path: " ".join(_LONG_DECIMAL.sub(_rounded, path.group()).split()), svg)
    svg = _IMAGE.sub(lambda data: "".join(data.group().split()), svg)
    return re.sub(r">\s+<", "><", svg)


def _rounded(number: re.Match) -> str:
    return f"{float(number.group()):.2f}".rstrip("0").rstrip(".")
