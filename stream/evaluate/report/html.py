"""Writes the results of an evaluation as one HTML page, without scripts or external files."""

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from stream.evaluate.measures.record import Finished, Shown, SpeechBegan, SpeechOver
from stream.evaluate.measures.scoring import PERCENTILES
from stream.evaluate.report.plots import (
    calibration_plot,
    error_plot,
    flicker_plot,
    latency_plot,
    level_plot,
    timeline_choice,
    timeline_plot,
)
from stream.evaluate.report.results import Result, by_suite, is_system, rows_of
from stream.evaluate.report.tables import INVENTED, LATENCIES, shown

STYLE = """
:root { color-scheme: light dark; --ink: #1d2026; --paper: #fcfcfd; --soft: #6b7280;
  --rule: #e3e5ea; --s0: #2f6fde; --s1: #d9822b; --s2: #2b9d69; --s3: #a34fc4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8ec; --paper: #15171b; --soft: #9aa1ac;
  --rule: #2c3038; --s0: #6fa2ff; --s1: #f0a95c; --s2: #5cc795; --s3: #c98be2; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--rule); }
p.note, figcaption { color: var(--soft); max-width: 44rem; }
figure { margin: 1rem 0; } svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); } .grid { stroke: var(--rule); }
.line { fill: none; stroke-width: 2; }
.s0 { --c: var(--s0); } .s1 { --c: var(--s1); } .s2 { --c: var(--s2); } .s3 { --c: var(--s3); }
.spoken { --c: #8a93a355; } .partial { --c: #8a93a388; } .honest { --c: var(--soft); }
.line { stroke: var(--c); } .dot, .bar { fill: var(--c); }
.partial.line { stroke-width: 1; stroke-dasharray: 2 3; }
.honest.line { stroke-dasharray: 4; }
.wide { overflow-x: auto; } table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .15rem .5rem; text-align: right; border-bottom: 1px solid var(--rule);
  white-space: nowrap; } th:first-child, td:first-child { text-align: left; }
td.text { white-space: normal; text-align: left; } .tentative { color: var(--soft); }
.bad { color: #c0392b; }
"""

Cell = str | float | int | None


def write_html(summary: dict[str, Any], results: Sequence[Result], path: Path) -> None:
    """Write the page to a file."""
    path.write_text(page(summary, results))


def page(summary: dict[str, Any], results: Sequence[Result]) -> str:
    """Return the page as HTML."""
    title = f"{summary.get('manifest') or 'Silence'}, {summary.get('model', '')}"
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f"<h1>distil-stream evaluate: {escape(title)}</h1>",
        table(["setting", "value"], settings(summary)),
        *problems(results),
        *targets(summary.get("targets", [])),
    ]
    results_of = by_suite(results)
    for name, suite in summary["suites"].items():
        parts += [f"<h2>{escape(name)}</h2>", *accuracy(name, suite, summary["suites"])]
        if "latency_ms" in suite:
            parts += [*behaviour(suite, results_of[name])]
    parts += repeats(summary)
    chosen = timeline_choice(results)
    if chosen is not None:
        parts += timeline(chosen)
    if summary.get("cost"):
        columns = list(dict.fromkeys(key for run in summary["cost"] for key in run))
        rows = [[run.get(key) for key in columns] for run in summary["cost"]]
        parts += ["<h2>Cost</h2>", table([c.replace("_", " ") for c in columns], rows)]
    return "\n".join(parts)


def settings(summary: dict[str, Any]) -> list[list[Cell]]:
    """Return the rows of the settings: all plain values of the summary."""
    plain = (str, int, float)
    return [[k, v] for k, v in summary.items() if isinstance(v, plain) and not isinstance(v, bool)]


def targets(found: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield the table of targets and measured values."""
    if found:
        rows = [
            [r["target"], r["at_most"], r["measured"], "yes" if r["met"] else "no"] for r in found
        ]
        yield "<h2>Targets</h2>" + table(["", "at most", "measured", "met"], rows)


def problems(results: Sequence[Result]) -> Iterator[str]:
    """Yield a line for each protocol violation and each failure."""
    for result in results:
        for problem in (*result.played.violations, result.played.failure):
            if problem:
                name = escape(result.played.recording.name)
                yield f"<p class='bad'>{name}: {escape(problem)}</p>"


def accuracy(name: str, suite: dict[str, Any], suites: dict[str, Any]) -> Iterator[str]:
    """Yield the word errors, or the hallucinated words, of each group of recordings."""
    total = suite["total"]
    systems = [k for k, v in total.items() if is_system(v)]
    if systems:
        label = "noise, decibels below the speech" if name == "noise-levels" else "packets lost"
        if name in ("noise-levels", "phone"):
            yield figure(level_plot(suites, name, label), "Word error rate by condition.")
        else:
            yield figure(error_plot(suite), "Word error rate by kind and source.")
        columns = ["", "system", "files", "min", "words", "WER %"]
        columns += ["sub", "del", "ins", "ins %", "5-dup", "price of streaming"]
        rows = [
            row
            for group, score in rows_of(suite).items()
            for row in error_rows(group, score, systems)
        ]
        yield table(columns, rows)
        count = total["repeated_5_grams_said"]
        yield f"<p class='note'>5-dup: repeated 5-grams; the reference has {count}.</p>"
    if "inventions" in total:
        yield "<h3>Words that were not spoken</h3>"
        rows = [
            [group, system, score["recordings"], score["minutes"], *(found[k] for k in INVENTED)]
            for group, score in rows_of(suite).items()
            for system, found in score.get("inventions", {}).items()
        ]
        yield table(["", "system", "files", "min", *INVENTED], rows)
    if "words_per_hour" in total:
        names = list(total["words_per_hour"])
        rows = [
            [group, score["minutes"], *(score["words_per_hour"].get(s) for s in names)]
            for group, score in rows_of(suite).items()
            if "words_per_hour" in score
        ]
        yield table(["audio without words", "min", *(f"{s}, words/hour" for s in names)], rows)


def error_rows(group: str, score: dict[str, Any], systems: Sequence[str]) -> Iterator[list[Cell]]:
    """Yield a row for each system that transcribed a group of recordings; ours is the first."""
    for system in systems:
        if errors := score.get(system):
            yield [
                group,
                system,
                *(score[key] for key in ("recordings", "minutes", "words")),
                *(errors[key] for key in ("wer", "substitutions", "deletions", "insertions")),
                *(errors[key] for key in ("insertion_rate", "repeated_5_grams")),
                score.get("price_of_streaming") if system == systems[0] else None,
            ]


def behaviour(suite: dict[str, Any], results: Sequence[Result]) -> Iterator[str]:
    """Yield the sections about latency, stability and calibration of a suite."""
    found = suite["latency_ms"]
    rows = [
        [label, *(found[key].get(f"p{p}") for p in PERCENTILES), found[key]["count"]]
        for key, label in LATENCIES.items()
        if found[key]["count"]
    ]
    if rows:
        origin = f"Word times are from the {found['word_times_from']}."
        yield "<h3>Latency</h3>" + figure(latency_plot(results), origin)
        yield table(["milliseconds", *(f"p{p}" for p in PERCENTILES), "count"], rows)
    stable = suite["stability"]
    yield "<h3>Stability</h3>" + figure(
        flicker_plot(stable), "Words erased in a second, by the age of the utterance."
    )
    keys = ("normalised_erasure", "normalised_erasure_as_shown", "unstable_partial_word_ratio")
    yield table(["for each final word", ""], [[k.replace("_", " "), stable[k]] for k in keys])
    calibration = suite["calibration"]
    if calibration["bins"]:
        off = 100 * calibration["expected_calibration_error"]
        note = f"Share of right words by confidence; the mean distance is {off:.1f} points."
        yield "<h3>Confidence</h3>" + figure(calibration_plot(calibration), note)


def repeats(summary: dict[str, Any]) -> Iterator[str]:
    """Yield the means over repeats, with their standard errors."""
    again = summary.get("repeats", {"suites": {}})
    for name, suite in again["suites"].items():
        yield f"<h2>{escape(name)}: means of {again['count']} repeats ± standard error</h2>"
        rows: list[list[Cell]] = [
            [group, system, *(shown(estimate) for estimate in found.values())]
            for group, score in suite["scores"].items()
            for system, found in score.items()
            if is_system(found)
        ]
        rows += [
            [group, "price of streaming", shown(score["price_of_streaming"])]
            for group, score in suite["scores"].items()
            if "price_of_streaming" in score
        ]
        yield table(["", "", "%", "sub", "del", "ins"], rows)
        medians = [
            [LATENCIES[key], shown(found, 0)]
            for key, found in suite["median_ms"].items()
            if key in LATENCIES
        ]
        if medians:
            yield table(["median, milliseconds", ""], medians)


def timeline(result: Result) -> list[str]:
    """Return the section about one recording: a plot with a row for each word, and all events."""
    rows = []
    for stamped in result.played.events:
        match stamped.event:
            case Shown(_, committed, tentative):
                cell = f"{escape(' '.join(committed))} <span class='tentative'>"
                cell += f"{escape(' '.join(tentative))}</span>"
            case Finished(text=text):
                cell = f"<b>{escape(text)}</b>"
            case SpeechBegan(time_s=time_s):
                cell = f"<i>speech began at {time_s:.2f} s</i>"
            case SpeechOver(time_s=time_s):
                cell = f"<i>speech ended at {time_s:.2f} s</i>"
            case _:
                continue
        rows.append(f"<tr><td>{stamped.at_s:.2f} s</td><td class='text'>{cell}</td></tr>")
    name = escape(result.played.recording.name)
    return [
        "<h2>One recording</h2>",
        figure(timeline_plot(result), name),
        f"<details><summary>Every message</summary><table>{''.join(rows)}</table></details>",
    ]


def figure(svg: str, caption: str) -> str:
    """Return a plot with its caption; "" if there is no plot."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>" if svg else ""


def table(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> str:
    """Return an HTML table."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{cell_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<div class='wide'><table><tr>{head}</tr>{body}</table></div>"


def cell_text(cell: Cell) -> str:
    """Return the text of a cell; "" for None."""
    return "" if cell is None else escape(f"{cell:g}" if isinstance(cell, float) else str(cell))
