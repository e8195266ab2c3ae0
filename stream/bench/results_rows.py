"""The rows of the tables in docs/benchmarks.md: one function for each table.

Each takes the summary of a run (the JSON object that its command printed) and yields the rows as
texts. A cell is empty if a run does not have the figure: runs that were copied from text have only
the figures of the text.
"""

from collections.abc import Iterator
from typing import Any

from stream.evaluate.measures.repeats import Estimate
from stream.evaluate.report.results import rows_of
from stream.evaluate.report.tables import LATENCIES

Row = list[str]


def figure(value: float | None, template: str = "{:g}") -> str:
    """Return a figure formatted with a template; "" for None."""
    return "" if value is None else template.format(value)


def found(summary: dict[str, Any], *path: str) -> Any:
    """Return the value at a path of names in a summary; None if it is missing or empty."""
    for name in path:
        summary = summary.get(name) or {}
    return summary or None


def errors(score: dict[str, Any] | None) -> Row:
    """Return two cells: a word error rate, and substitutions/deletions/insertions.

    Each may be a mean over repeats.
    """
    if not score:
        return ["", ""]
    counts = [score.get(kind) for kind in ("substitutions", "deletions", "insertions")]
    kinds = "" if None in counts else "/".join(f"{mean_of(count):g}" for count in counts)
    rate = score.get("wer", score.get("word_error_rate"))
    return [estimate(rate) if isinstance(rate, dict) else figure(rate, "{:.2f}"), kinds]


def mean_of(value: Any) -> float:
    """Return a number, or the mean of an estimate."""
    return round(float(value["mean"] if isinstance(value, dict) else value), 2)


def repeats_of(summary: dict[str, Any]) -> int:
    """Return how many times the recordings of an evaluation were played."""
    return int(found(summary, "repeats", "count") or 1)


def system(row: dict[str, Any]) -> str:
    """Return the name of a system as the page shows it: "ours, int8" → "distil-stream, int8"."""
    name, *variant = row["system"].split(", ")
    return ", ".join([SYSTEMS.get(name, name), *variant])


SYSTEMS = {"ours": "distil-stream", "usual": "faster-whisper, simple server"}
"""Names that the commands print → names on the page."""


def accuracy(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row of word errors, streamed and offline, for each group of recordings."""
    for suite_name, suite in summary["suites"].items():
        rows = rows_of(suite)
        if suite_name != "speech" or len(suite["groups"]) == 1:
            rows.pop("total")  # other suites play the same recordings several times
        for name, score in rows.items():
            if "streamed" in score:
                words = str(score["words"] // repeats_of(summary))
                means = found(summary, "repeats", "suites", suite_name, "scores", name) or score
                yield [name, words, *errors(means["streamed"]), *errors(means.get("same-model"))]


def latency(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row of percentiles in milliseconds for each latency.

    The median is a mean over repeats, if there are several.
    """
    measured = found(summary, "suites", "speech", "latency_ms") or {}
    medians = found(summary, "repeats", "suites", "speech", "median_ms") or {}
    for key, label in LATENCIES.items():
        row = measured.get(key) or {}
        if "p50" in row and "error" not in key:
            cells = [figure(row.get(p), "{:.0f}") for p in ("p50", "p90", "p95")]
            if key in medians:
                cells[0] = Estimate(**medians[key]).shown(0)
            yield [label, *cells]


def flicker(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row with the normalised erasure, the ratio of unstable words, and the number of
    violations of the protocol; no row for a run that was played fast."""
    measured = found(summary, "suites", "speech", "stability")
    if measured and summary.get("pace") != "fast":
        erasure, unstable = measured["normalised_erasure"], "unstable_partial_word_ratio"
        ratio = figure(measured.get(unstable), "{:.3f}")
        yield [figure(erasure, "{:.3f}"), ratio, str(summary["violations"])]


def silence(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each kind of audio without words: minutes, recognised words in an hour."""
    for name, score in (found(summary, "suites", "silence", "groups") or {}).items():
        rates = score.get("words_per_hour")
        if rates:
            yield [name, f"{score['minutes']:.0f}", *(figure(rates.get(s)) for s in SILENT)]


SILENT = ("streamed", "faster-whisper")


def streaming_cost(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each system of an evaluation: CPU time for a second of audio, and memory."""
    for row in summary.get("cost", ()):
        cpu = figure(row.get("cpu_s_per_audio_s"), "{:.2f}")
        yield [f"{row['system']}, {row['suite']}", cpu, figure(row.get("peak_mib"))]


def engine(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each contender of `bench engine`: times and decoder passes for a window."""
    for row in summary["rows"]:
        yield [
            f"{system(row)}, {row['precision']}",
            figure(row["window_s"]),
            str(row["batch"]),
            row["draft"],
            figure(row.get("wall_ms"), "{:.0f}"),
            figure(row.get("cpu_ms"), "{:.0f}"),
            figure(row.get("cpu_ratio"), "{:.2f}"),
            figure(row.get("decode_ms"), "{:.0f}"),
            figure(row.get("passes"), "{:.1f}"),
        ]


def longform(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each system of `bench longform`: word errors, CPU seconds and elapsed seconds
    for an hour of audio, and its speed relative to faster-whisper and transformers."""
    for row in summary["rows"]:
        yield [
            system(row),
            str(row["batch"]),
            *errors(row),
            figure(row["cpu_s"], "{:.0f}"),
            figure(row["wall_s"], "{:.0f}"),
            figure(row.get("faster_whisper"), "{:.2f}"),
            figure(row.get("transformers"), "{:.1f}"),
        ]


def load(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each system and number of streams: CPU time, partials, latencies, errors."""
    for row in summary["rows"]:
        yield [
            system(row),
            str(row["streams"]),
            figure(row["cpu_s_per_audio_s"], "{:.2f}"),
            figure(row.get("partials_per_s"), "{:.2f}"),
            figure(row["final_ms"].get("p50"), "{:.0f}"),
            figure(row["late_ms"], "{:.0f}"),
            figure(row["word_error_rate"], "{:.2f}"),
        ]


def continuous(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each system: CPU time, partials and errors of speech without pauses."""
    for row in summary.get("continuous", ()):
        yield [
            system(row),
            figure(row["cpu_s_per_audio_s"], "{:.3f}"),
            figure(row["partials_per_s"], "{:.2f}"),
            figure(row["word_error_rate"], "{:.2f}"),
        ]


def rehearsal(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each variant of the settings, for each set of ways to compute."""
    names = list(dict.fromkeys(played["ways"] for played in summary["sets"]))
    for played in summary["sets"]:
        ways = f", ways {names.index(played['ways']) + 1}" if len(names) > 1 else ""
        ways += f", {played['condition']}" if played.get("condition") else ""
        yield [f"offline{ways}", estimate(played["offline"]), *[""] * 7]
        for row in played["rehearsal"]:
            mean = row["mean"]
            counts = (mean[kind] for kind in ("substitutions", "deletions", "insertions"))
            yield [
                row["variant"] + ways,
                estimate(row["word_error_rate"]),
                estimate(row["price"]),
                "/".join(f"{count:g}" for count in counts),
                figure(mean["erasure"], "{:.3f}"),
                *(figure(mean[f"{name}_ms"], "{:.0f}") for name in TIMES),
                figure(mean["cpu_s_per_audio_s"], "{:.2f}"),
            ]


TIMES = ("shown", "committed", "first_partial")


def estimate(value: dict[str, Any]) -> str:
    """Return a mean as text, with its standard error, if it has one."""
    return f"{Estimate(**value)}"


def student(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row each for the teacher, the teacher with its student's drafts, and the student."""
    for row in summary["distil"]:
        yield [
            row["system"],
            str(row["batch"]),
            figure(row["wer"], "{:.2f}"),
            figure(row.get("accepted_percent"), "{:.0f}"),
            figure(row.get("tokens_per_pass"), "{:.2f}"),
            figure(row["decode_s"], "{:.2f}"),
        ]


def page(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield the row of median latencies of the captions page, in milliseconds."""
    names = ("spoken_to_committed", "page", "sound_to_sent", "message_to_painted")
    yield [figure(summary["median_ms"].get(name), "{:.0f}") for name in names]


def readers(summary: dict[str, Any]) -> Iterator[Row]:
    """Yield a row for each number of readers of a room: delivered share, lateness, CPU cores."""
    for row in summary["readers"]:
        yield [
            str(row["readers"]),
            figure(row["delivered"], "{:.0%}"),
            *(figure(row[name], "{:.1f}") for name in ("median_ms", "p95_ms", "worst_ms")),
            figure(row["server_cpu"], "{:.3f}"),
        ]
