"""Draws plots as SVG: axes, lines, dots and bars. A page with them needs no script or library.

Colours are CSS classes (`s0`, `s1`, … for series), which the page must define.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

Point = tuple[float, float]

LEFT, RIGHT, TOP, BOTTOM = 64, 16, 28, 44
"""Pixels around the plot, for labels."""


def ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Return about `about` round numbers within [low, high]."""
    span = high - low
    if span <= 0:
        return [low]
    rough = span / about
    power = 10.0 ** floor(log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, floor(high / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear axis."""

    low: float
    high: float
    label: str = ""
    names: Sequence[tuple[float, str]] | None = None
    """Places on the axis and their names; None: round numbers."""

    def marks(self) -> Sequence[tuple[float, str]]:
        """Return the values that are marked on the axis, each with its label."""
        return self.names or [(t, f"{t:g}") for t in ticks(self.low, self.high)]

    def part(self, value: float) -> float:
        """Return the position of a value along the axis, 0..1; values beyond an end are at it."""
        return min(max((value - self.low) / ((self.high - self.low) or 1), 0), 1)


class Plot:
    """A plot with two linear axes; values outside of their ranges are drawn at the edge."""

    def __init__(
        self, x: Axis, y: Axis, *, width: int = 720, height: int = 300, left: int = LEFT
    ) -> None:
        """Draw the axes into `width` by `height` pixels, with `left` pixels for the names on y."""
        self.width, self.height, self.left = width, height, left
        self.x_axis, self.y_axis = x, y
        self.parts: list[str] = []
        self.legend: list[tuple[str, str]] = []
        for value, name in x.marks():
            at = self.x(value)
            self.parts.append(
                f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" '
                f'y2="{height - BOTTOM}"/><text x="{at:.1f}" y="{height - BOTTOM + 16}" '
                f'text-anchor="middle">{escape(name)}</text>'
            )
        for value, name in y.marks():
            at = self.y(value)
            self.parts.append(
                f'<line class="grid" x1="{left}" x2="{width - RIGHT}" y1="{at:.1f}" '
                f'y2="{at:.1f}"/><text x="{left - 6}" y="{at + 4:.1f}" '
                f'text-anchor="end">{escape(name)}</text>'
            )
        self.parts.append(
            f'<text x="{(left + width - RIGHT) / 2}" y="{height - 8}" '
            f'text-anchor="middle">{escape(x.label)}</text>'
            f'<text x="4" y="14">{escape(y.label)}</text>'
        )

    def x(self, value: float) -> float:
        """Return the pixel of a value on the horizontal axis."""
        part = self.x_axis.part(value)
        return self.left + part * (self.width - self.left - RIGHT)

    def y(self, value: float) -> float:
        """Return the pixel of a value on the vertical axis, which points up."""
        part = self.y_axis.part(value)
        return self.height - BOTTOM - part * (self.height - TOP - BOTTOM)

    def line(self, points: Sequence[Point], style: str, name: str = "") -> None:
        """Draw a line through points; if it has a name, add it to the legend."""
        path = " ".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in points)
        self.parts.append(f'<polyline class="line {style}" points="{path}"/>')
        self._name(style, name)

    def dot(self, at: Point, style: str, title: str = "", size: float = 3.5) -> None:
        """Draw a dot; the title is shown when the pointer is over it."""
        self.parts.append(
            f'<circle class="dot {style}" cx="{self.x(at[0]):.1f}" cy="{self.y(at[1]):.1f}" '
            f'r="{size:.1f}"><title>{escape(title)}</title></circle>'
        )

    def bar(self, low: Point, high: Point, style: str, title: str = "") -> None:
        """Draw a box from one corner to the opposite one."""
        x0, x1 = sorted((self.x(low[0]), self.x(high[0])))
        y0, y1 = sorted((self.y(low[1]), self.y(high[1])))
        self.parts.append(
            f'<rect class="bar {style}" x="{x0:.1f}" y="{y0:.1f}" width="{max(x1 - x0, 0.5):.1f}" '
            f'height="{max(y1 - y0, 0.5):.1f}"><title>{escape(title)}</title></rect>'
        )

    def text(self, at: Point, text: str) -> None:
        """Write text beside a point."""
        self.parts.append(
            f'<text x="{self.x(at[0]) + 4:.1f}" y="{self.y(at[1]) + 4:.1f}">{escape(text)}</text>'
        )

    def name(self, style: str, name: str) -> None:
        """Add a style and its name to the legend."""
        self._name(style, name)

    def svg(self) -> str:
        """Return the plot as an SVG element."""
        at, named = float(self.left), []
        for style, name in self.legend:
            named.append(
                f'<rect class="bar {style}" x="{at:.0f}" y="4" width="10" height="10"/>'
                f'<text x="{at + 14:.0f}" y="14">{escape(name)}</text>'
            )
            at += 30 + 6.6 * len(name)
        # The legend is moved to the right, past the label of the vertical axis.
        return (
            f'<svg viewBox="0 0 {self.width} {self.height}" role="img">'
            f'<g transform="translate(0 2)">{"".join(self.parts)}</g>'
            f'<g transform="translate(90 0)">{"".join(named)}</g></svg>'
        )

    def _name(self, style: str, name: str) -> None:
        if name and (style, name) not in self.legend:
            self.legend.append((style, name))
