"""Colours that every reader can tell apart: computed contrast, and distances as a colour-blind eye sees them."""

import re
from importlib import resources
from itertools import combinations

import numpy as np
import pytest

from ambidex.report import theme

# Machado, Oliveira & Fernandes, IEEE TVCG 15 (2009): complete deficiency, acting on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
FIRST = theme.PALETTE[:6]
APART = 15.0
"""CIELAB distance; about 2.3 is just noticeable side by side"""
XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])


def linear(colour):
    """sRGB '#rrggbb' -> linear RGB [3]."""
    value = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def lab(rgb):
    """Linear RGB -> CIELAB."""
    scaled = XYZ @ np.clip(rgb, 0, 1) / WHITE
    f = np.where(scaled > 216 / 24389, np.cbrt(scaled), (24389 / 27 * scaled + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast(one, other):
    """WCAG contrast ratio of two colours."""
    low, high = sorted(float(linear(c) @ XYZ[1]) for c in (one, other))
    return (high + 0.05) / (low + 0.05)


def distance(one, other, deficiency):
    return np.linalg.norm(lab(deficiency @ linear(one)) - lab(deficiency @ linear(other)))


def test_the_measures_are_those_of_the_literature():
    assert contrast("#000000", "#ffffff") == pytest.approx(21, abs=1e-3)
    np.testing.assert_allclose(lab(linear("#ff0000")), [53.24, 80.09, 67.20], atol=0.02)
    red_green = [distance("#d03020", "#5a8a20", DEFICIENCIES[name]) for name in ("none", "deuteranopia")]
    assert red_green[1] < red_green[0] / 3


@pytest.mark.parametrize("name", DEFICIENCIES)
def test_six_modalities_and_the_fused_model_are_told_apart_by_colour(name):
    close = [
        (one, other, distance(one, other, DEFICIENCIES[name]))
        for one, other in combinations((*FIRST, theme.FUSED), 2)
    ]
    assert min(close, key=lambda pair: pair[2])[2] > APART
    marks = distance(theme.GOOD, theme.BAD, DEFICIENCIES[name])
    assert marks > APART


def test_every_modality_has_a_second_cue():
    for cue in (theme.marker, theme.hatch, theme.colour, theme.line):
        assert len({str(cue(i)) for i in range(12)}) == 12
    edges = {theme.dot(i)["markeredgecolor"] for i in range(12)}
    assert edges == {theme.INK}
    assert contrast(theme.INK, "#ffffff") > 7


def test_text_in_charts_is_readable_on_white():
    for colour in (theme.INK, theme.GREY, theme.GOOD, theme.BAD, theme.FUSED):
        assert contrast(colour, "#ffffff") >= 4.5, colour


def test_text_on_the_page_is_readable_in_light_dark_and_print():
    css = resources.files("ambidex.report").joinpath("style.css").read_text()
    schemes = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.S)
    ]
    assert len(schemes) == 3
    assert schemes[0] == schemes[2]
    for scheme in schemes:
        for text in ("ink", "soft", "accent", "good", "bad", "danger"):
            assert contrast(scheme[text], scheme["paper"]) >= 4.5, text
        for paper in ("wash", "warning-paper", "note-paper", "danger-paper"):
            assert contrast(scheme["ink"], scheme[paper]) >= 7, paper
        assert contrast(scheme["soft"], scheme["wash"]) >= 4.5
