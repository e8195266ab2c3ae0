"""Prints the figures of an evaluation as tables on the terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.evaluate.measures.repeats import Estimate
from stream.evaluate.measures.scoring import PERCENTILES
from stream.evaluate.report.results import Result, is_system, rows_of

LATENCIES = {
    "word_to_shown": "end of a word → shown",
    "word_to_commit": "end of a word → committed",
    "word_to_final": "end of a word → final",
    "speech_end_to_final": "end of speech → final",
    "speech_start_to_partial": "start of speech → first partial",
    "word_start_error": "error of words' starts",
    "word_end_error": "error of words' ends",
}


def table(title: str, *columns: str) -> Table:
    """Return an empty table; the first column is left-aligned, the others are right-aligned."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def print_tables(summary: dict[str, Any], results: Sequence[Result], console: Console) -> None:
    """Print the tables of a summary, then each violation and failure."""
    for name, suite in summary["suites"].items():
        console.print(accuracy(name, suite))
        if (made := inventions(name, suite)).row_count:
            console.print(made)
    for name, suite in summary["suites"].items():
        if "stability" in suite:
            for made in (latency(name, suite), stability(name, suite), calibration(name, suite)):
                if made.row_count:
                    console.print(made)
    again = summary.get("repeats", {"suites": {}})
    for name, suite in again["suites"].items():
        console.print(repeats(name, suite, again["count"]))
        if suite["median_ms"]:
            console.print(repeated_latency(name, suite))
    if summary.get("cost"):
        console.print(cost(summary["cost"]))
    if summary.get("targets"):
        console.print(targets(summary["targets"]))
    for result in results:
        name = result.played.recording.name
        for problem in (*result.played.violations, result.played.failure):
            if problem:
                console.print(f"[red]{name}[/red]: {problem}", soft_wrap=True)


def accuracy(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of word errors or hallucinated words, by condition and system."""
    total = suite["total"]
    systems = [key for key, value in total.items() if is_system(value)]
    columns = [c for s in systems for c in (f"{s} %", "sub/del/ins", "5-dup")]
    others = ["price"] if "price_of_streaming" in total else []
    silent = list(total.get("words_per_hour", {}))
    made = table(
        f"{name}: word errors" if systems else f"{name}: words invented",
        "", "files", "min", "words", *columns, *others, *(f"{s} words/hour" for s in silent),
    )  # fmt: skip
    rows, sums = rows_of(suite), len(suite["groups"])
    for number, (group, score) in enumerate(rows.items()):
        row = [str(score["recordings"]), f"{score['minutes']:.1f}", str(score.get("words", ""))]
        for system in systems:
            if errors := score.get(system):
                kinds = [errors[kind] for kind in ("substitutions", "deletions", "insertions")]
                row += [f"{errors['wer']:.2f}", "/".join(map(str, kinds))]
                row.append(str(errors["repeated_5_grams"]))
            else:
                row += ["", "", ""]
        row += [
            f"{score[f'{c}_of_streaming']:+.2f}" if score.get(systems[0]) else "" for c in others
        ]
        row += [
            f"{score['words_per_hour'][s]:g}" if "words_per_hour" in score else "" for s in silent
        ]
        if number == sums:
            made.add_section()
        made.add_row(group, *row, style="bold" if number >= sums else "")
    return made


INVENTED = ("recognised", "inserted", "outside", "looped")


def inventions(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of words that were not spoken, by condition and system."""
    systems = list(suite["total"].get("inventions", {}))
    columns = [f"{system} {kind}" for system in systems for kind in INVENTED]
    made = table(f"{name}: words that were not spoken", "", "files", "min", *columns)
    for group, score in rows_of(suite).items():
        if found := score.get("inventions"):
            cells = [
                str(found[s][kind]) if s in found else "" for s in systems for kind in INVENTED
            ]
            made.add_row(group, str(score["recordings"]), f"{score['minutes']:.1f}", *cells)
    return made


def repeats(name: str, suite: dict[str, Any], count: int) -> Table:
    """Return the table of means over repeats, with their standard errors."""
    total = suite["scores"]["total"]
    systems = [key for key, value in total.items() if is_system(value)]
    kinds = ("wer", "substitutions", "deletions", "insertions")
    short = ("%", "sub", "del", "ins")
    made = table(
        f"{name}: means of {count} repeats ± standard error",
        "",
        *(f"{system} {kind}" for system in systems for kind in short),
        *(["price"] if "price_of_streaming" in total else []),
        *(f"{system} words/hour" for system in total.get("words_per_hour", {})),
    )
    for group, score in suite["scores"].items():
        cells = [shown(score.get(system, {}).get(kind)) for system in systems for kind in kinds]
        if "price_of_streaming" in total:
            cells.append(shown(score.get("price_of_streaming")))
        silent = score.get("words_per_hour", {})
        cells += [shown(silent.get(system)) for system in total.get("words_per_hour", {})]
        made.add_row(group, *cells, style="bold" if group == "total" else "")
    return made


def repeated_latency(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of medians of latencies: means over repeats."""
    made = table(f"{name}: medians in milliseconds", "", "mean ± standard error")
    for key, label in LATENCIES.items():
        if found := suite["median_ms"].get(key):
            made.add_row(label, shown(found, 0))
    return made


def shown(estimate: dict[str, Any] | None, digits: int = 2) -> str:
    """Return a mean with its standard error; "" if there is none."""
    return "" if estimate is None else Estimate(**estimate).shown(digits)


def latency(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of latency percentiles, with the durations that the server reports."""
    found = suite["latency_ms"]
    origin = f"; word times from the {found['word_times_from']}" if found["word_times_from"] else ""
    made = table(f"{name}: milliseconds{origin}", "", *(f"p{p}" for p in PERCENTILES), "count")
    rows = {label: found[key] for key, label in LATENCIES.items()}
    rows |= {f"server: {key}": row for key, row in found["by_server"].items()}
    for label, row in rows.items():
        if row["count"]:
            made.add_row(label, *(f"{row[f'p{p}']:.0f}" for p in PERCENTILES), str(row["count"]))
    return made


def stability(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of stability measures."""
    found = suite["stability"]
    made = table(f"{name}: stability", "", "for each final word")
    made.add_row("normalised erasure", f"{found['normalised_erasure']:.3f}")
    made.add_row("… with case and punctuation", f"{found['normalised_erasure_as_shown']:.3f}")
    made.add_row("unstable partial words", f"{found['unstable_partial_word_ratio']:.3f}")
    return made


def calibration(name: str, suite: dict[str, Any]) -> Table:
    """Return the table of calibration: confidence and share of right words."""
    found = suite["calibration"]
    error = found["expected_calibration_error"]
    made = table(
        f"{name}: confidences (off by {100 * error:.1f} points)",
        "confidence", "words", "mean %", "right %",
    )  # fmt: skip
    for b in found["bins"]:
        made.add_row(
            f"{b['low']:.1f} to {b['high']:.1f}",
            f"{b['words']:.0f}",
            f"{100 * b['confidence']:.1f}",
            f"{100 * b['right']:.1f}",
        )
    return made


def targets(found: Sequence[dict[str, Any]]) -> Table:
    """Return the table of targets and measured values."""
    made = table("targets", "", "at most", "measured", "met")
    for row in found:
        met = "[green]yes[/green]" if row["met"] else "[red]no[/red]"
        made.add_row(row["target"], f"{row['at_most']:g}", f"{row['measured']:g}", met)
    return made


def cost(runs: Sequence[dict[str, Any]]) -> Table:
    """Return the table of the cost of each system."""
    made = table("cost", "", "audio s", "CPU s / audio s", "peak MiB", "GPU %", "GPU peak MiB")
    for run in runs:
        keys = ("audio_s", "cpu_s_per_audio_s", "peak_mib", "gpu_percent", "gpu_peak_mib")
        made.add_row(
            f"{run['system']}: {run['suite']}", *(f"{run[k]:g}" if k in run else "" for k in keys)
        )
    return made
