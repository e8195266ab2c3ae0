"""Plots are drawn where their numbers say."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.evaluate.report.svg import Axis, Plot, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 100, [0, 20, 40, 60, 80, 100]), (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]), (3, 3, [3])],
)
def test_ticks(low, high, expected):
    assert ticks(low, high) == expected


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_within_and_few(low, span):
    found = ticks(low, low + span)
    assert all(low - 1e-6 * span <= tick <= low + span * (1 + 1e-6) for tick in found)
    assert len(found) <= 8


def test_a_plot_is_well_formed_and_its_text_is_escaped():
    plot = Plot(Axis(0, 10, "a < b"), Axis(0, 1, names=[(0.5, "<script>")]))
    plot.line([(0, 0), (10, 1)], "s0", "a & b")
    plot.bar((1, 0), (2, 0.5), "s1", "<title>")
    plot.dot((5, 0.5), "s0", "dot")
    plot.text((1, 1), "<i>")
    root = ET.fromstring(plot.svg())
    assert {element.tag for element in root.iter()} >= {"polyline", "rect", "circle", "text"}
    assert "<script>" not in plot.svg()


def test_the_vertical_axis_points_up_and_nothing_leaves_the_plot():
    plot = Plot(Axis(0, 10), Axis(0, 1))
    assert plot.y(1) < plot.y(0)
    assert plot.x(-5) == plot.x(0) < plot.x(10) == plot.x(99)
