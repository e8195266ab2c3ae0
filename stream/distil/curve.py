"""The learning curve of a run, as a picture that needs nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stream.evaluate.report.svg import Axis, Plot

STYLE = """<style>
svg { background: #fff; font: 12px sans-serif; }
.grid { stroke: #ddd; } .line { fill: none; stroke-width: 2; }
.s0 { stroke: #2b9d69; fill: #2b9d69; } .s1 { stroke: #d9822b; fill: #d9822b; }
.s2 { stroke: #2f6fde; fill: #2f6fde; } .line.s0, .line.s1, .line.s2 { fill: none; }
</style>"""
SERIES = (
    ("agreement", "s0", "agrees with the teacher, %"),
    ("accepted", "s2", "drafts accepted, %"),
    ("word_error_rate", "s1", "words unlike the teacher's, %"),
)


def learning_curve(validations: Sequence[Mapping[str, Any]]) -> str:
    """Draw what validation found over the passes, as SVG; the rows are the journal's."""
    last = max((row["passes"] for row in validations), default=1) or 1
    plot = Plot(Axis(0, last, "passes over the examples"), Axis(0, 100), width=760)
    for key, style, name in SERIES:
        points = [(row["passes"], min(row[key], 100.0)) for row in validations]
        plot.line(points, style, name)
        for at, row in zip(points, validations, strict=True):
            plot.dot(at, style, f"{name}: {row[key]:g} at step {row['step']}")
    svg = plot.svg().replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return svg.replace(">", f">{STYLE}", 1)


def write_curve(path: Path, validations: Sequence[Mapping[str, Any]]) -> None:
    """Write the picture."""
    path.write_text(learning_curve(validations), encoding="utf-8")
