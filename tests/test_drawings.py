"""A stored drawing is lighter and shows the same."""

from __future__ import annotations

import io
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib import pyplot as plt

from bookkit.drawings import compact


@pytest.fixture(scope="module")
def svg() -> str:
    figure, axes = plt.subplots()
    axes.loglog(np.geomspace(1, 1e3, 40), np.geomspace(1e-3, 1, 40) ** 1.5, "o-")
    axes.imshow(np.eye(3), extent=(1, 10, 1e-2, 1e-1))
    axes.set(xlabel="$x$", xlim=(1, 1e3), ylim=(1e-4, 1))
    file = io.StringIO()
    figure.savefig(file, format="svg")
    plt.close(figure)
    return file.getvalue()


def test_a_compact_drawing_is_well_formed_and_in_a_notebook_a_third_lighter(svg):
    ElementTree.fromstring(compact(svg))
    light, heavy = (len(json.dumps(text.splitlines(keepends=True), indent=8)) for text in (compact(svg), svg))
    assert light < 0.67 * heavy


def test_every_reference_still_leads_somewhere(svg):
    light = compact(svg)
    names = set(re.findall(r'\bid="([^"]*)"', light))
    references = set(re.findall(r'href="#([^"]*)"', light)) | set(re.findall(r"url\(#([^)]*)\)", light))
    assert references
    assert references <= names


def test_coordinates_move_by_less_than_a_hundredth_of_a_point(svg):
    numbers = [
        [
            float(n)
            for path in re.findall(r'\sd="([^"]*)"', text)
            for n in re.findall(r"-?\d+(?:\.\d+)?", path)
        ]
        for text in (svg, compact(svg))
    ]
    np.testing.assert_allclose(*numbers, atol=0.00501)


def test_images_are_the_same_and_what_is_compact_stays_as_it_is(svg):
    images = [
        ["".join(data.split()) for data in re.findall(r';base64,([^"]*)', text)]
        for text in (svg, compact(svg))
    ]
    assert images[0]
    assert images[0] == images[1]
    assert compact(compact(svg)) == compact(svg)
