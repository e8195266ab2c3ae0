"""Shows the figures of `bench load` on the terminal, and as a page with plots."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from rich.console import Console

from stream.evaluate.report import html
from stream.evaluate.report.svg import Axis, Plot
from stream.evaluate.report.tables import table

CONTINUOUS = {
    "cpu_s_per_audio_s": "all",
    "partials_per_s": "partials/s",
    "word_error_rate": "WER %",
}
"""Figures of the whole stream of speech without pauses, and their labels."""

STYLES = {"ours": "s0", "usual": "s1"}


def print_tables(summary: dict[str, Any], console: Console) -> None:
    """Print all figures of a summary."""
    made = table(
        "streams at the pace of speech",
        "", "streams", "CPU/audio", "final p50", "p95", "late p95", "partials/s", "WER %",
        "queue p95", "batch", "loop p99", "player", "MiB", "others",
    )  # fmt: skip
    made.caption = (
        "CPU/audio: CPU seconds for a second of audio; final: from the end of speech, ms; late: "
        "beyond endpointing;\nqueue: wait of a final's window for the engine; batch: windows; "
        "loop, player: lateness of both event loops, ms;\nothers: cores used by other processes"
    )
    made.caption_justify = "left"
    for row in summary["rows"]:
        made.add_row(*cells(row))
    console.print(made)
    if summary["continuous"]:
        made = table("CPU s / audio s of speech that never pauses", "second", *systems(summary))
        for start, costs in by_start(summary).items():
            made.add_row(
                start, *(f"{costs[s]:.3f}" if s in costs else "" for s in systems(summary))
            )
        made.add_section()
        for figure, label in CONTINUOUS.items():
            made.add_row(label, *(f"{talk[figure]:.3g}" for talk in summary["continuous"]))
        console.print(made)
    for system, streams in summary["carried"].items():
        console.print(f"{system}: {streams} streams within {summary['bar_s']:g} s of endpointing")


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of the table for one row of the summary."""
    server = row["server"]

    def ms(figures: dict[str, float], name: str) -> str:
        return f"{figures[name]:.0f}" if name in figures else ""

    return [
        row["system"],
        str(row["streams"]),
        f"{row['cpu_s_per_audio_s']:.3f}",
        ms(row["final_ms"], "p50"),
        ms(row["final_ms"], "p95"),
        "" if row["late_ms"] is None else f"{row['late_ms']:.0f}",
        f"{row['partials_per_s']:.2f}",
        f"{row['word_error_rate']:.2f}",
        ms(row["queue_ms"], "p95"),
        f"{server['windows_in_a_batch']:.1f}" if "windows_in_a_batch" in server else "",
        f"{server['loop_late_p99_ms']:.1f}" if "loop_late_p99_ms" in server else "",
        f"{row['player_late_p99_ms']:.1f}",
        str(row["peak_mib"]),
        f"{row['other_cores']:.1f}",
    ]


def systems(summary: dict[str, Any]) -> list[str]:
    """Return the systems that were measured."""
    return list(summary["carried"])


def by_start(summary: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the cost of continuous speech by the second where a part begins, then by system."""
    found: dict[str, dict[str, float]] = {}
    for talk in summary["continuous"]:
        for age in talk["ages"]:
            start = f"{age['from_s']:.0f}"
            found.setdefault(start, {})[talk["system"]] = age["cpu_s_per_audio_s"]
    return found


def write_page(summary: dict[str, Any], path: Path) -> None:
    """Write the page to a file; it has no scripts and needs no other file."""
    path.write_text("\n".join(page(summary)))


def page(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the parts of the page as HTML."""
    title = f"distil-stream bench load: {summary['model']}, {summary['cores']} cores"
    yield "<!doctype html><html lang='en'><meta charset='utf-8'>"
    yield f"<title>{escape(title)}</title><style>{html.STYLE}</style><h1>{escape(title)}</h1>"
    bar_ms = 1000 * summary["bar_s"]
    late = {name: points(summary, name, "late_ms") for name in systems(summary)}
    yield html.figure(
        by_streams(late, "ms", bar_ms),
        "From the end of speech to its final, beyond endpointing, at the 95th percentile.",
    )
    cost = {name: points(summary, name, "cpu_s_per_audio_s") for name in systems(summary)}
    yield html.figure(by_streams(cost, "CPU s"), "CPU seconds for a second of audio.")
    if summary["continuous"]:
        yield html.figure(by_age(summary), "The same for one stream without pauses, by its age.")
    columns = list(summary["rows"][0])
    yield html.table(
        [column.replace("_", " ") for column in columns],
        [[shown(row[column]) for column in columns] for row in summary["rows"]],
    )


def points(summary: dict[str, Any], system: str, name: str) -> list[tuple[float, float]]:
    """Return the points (number of streams, figure) of a system, without missing figures."""
    rows = [row for row in summary["rows"] if row["system"] == system]
    return [(float(row["streams"]), row[name]) for row in rows if row[name] is not None]


def by_streams(
    lines: dict[str, list[tuple[float, float]]], label: str, bar: float | None = None
) -> str:
    """Draw a line for each system, and the limit if there is one."""
    everything = [point for line in lines.values() for point in line]
    if not everything:
        return ""
    most_streams = max(x for x, _ in everything)
    # Values far above the limit would make the others indistinguishable.
    most = max(y for _, y in everything) if bar is None else 3 * bar
    plot = Plot(Axis(0, most_streams + 1, "streams"), Axis(0, most * 1.08, label))
    if bar is not None:
        plot.line([(0, bar), (most_streams + 1, bar)], "honest", "the bar")
    for name, line in lines.items():
        plot.line(line, STYLES[name], name)
        for x, y in line:
            plot.dot((x, y), STYLES[name], f"{name}, {x:g} streams: {y:g}")
    return plot.svg()


def by_age(summary: dict[str, Any]) -> str:
    """Draw the cost of a second of continuous speech by the age of the stream."""
    talks = summary["continuous"]
    end_s = max(age["to_s"] for talk in talks for age in talk["ages"])
    most = max(age["cpu_s_per_audio_s"] for talk in talks for age in talk["ages"])
    plot = Plot(Axis(0, end_s, "seconds of speech"), Axis(0, most * 1.08, "CPU s"))
    for talk in talks:
        middle = [
            ((age["from_s"] + age["to_s"]) / 2, age["cpu_s_per_audio_s"]) for age in talk["ages"]
        ]
        plot.line(middle, STYLES[talk["system"]], talk["system"])
    return plot.svg()


def shown(value: Any) -> html.Cell:
    """Return a figure, or several figures by name, as a cell of the page."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {figure:g}" for name, figure in value.items())
    return None if value is None else value if isinstance(value, str) else round(value, 3)
