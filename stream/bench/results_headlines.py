"""The five main figures of a page of benchmarks."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from stream.bench.results_rows import found, repeats_of
from stream.bench.runs import Run


@dataclass(frozen=True, slots=True)
class Headline:
    """One of the main figures, with a figure to compare it with."""

    question: str
    answer: str
    comparison: str
    run: Run


def headlines(runs: Sequence[Run]) -> Iterator[Headline]:
    """Yield the main figures, each from the newest run that has it."""
    if run := newest(runs, "evaluate", lambda s: found(s, "suites", "speech", "total", "streamed")):
        speech = run.summary["suites"]["speech"]
        total = speech["total"]
        words = f"of {total['words'] // repeats_of(run.summary)}, streamed"
        offline = f"{total['same-model']['wer']:.2f} %: the same model offline (target: +0.5)"
        answer = f"{total['streamed']['wer']:.2f} %"
        yield Headline(f"Wrong words ({words})", answer, offline, run)
        committed = speech["latency_ms"]["word_to_commit"]["p50"] / 1000
        question = "Time from the end of a word until it is committed, median"
        yield Headline(question, f"{committed:.1f} s", "target: 2 s", run)
        erasure = speech["stability"]["normalised_erasure"]
        question = "Flicker: shown words that later changed, per final word"
        yield Headline(question, f"{erasure:.2f}", "target: 0.15", run)
    if run := newest(runs, "bench load", lambda s: found(s, "carried")):
        ours, usual = run.summary["carried"]["ours"], run.summary["carried"].get("usual")
        comparison = "" if usual is None else f"{usual}: faster-whisper behind a simple server"
        tried = max(row["streams"] for row in run.summary["rows"] if row["system"] == "ours")
        answer = f"{ours} or more" if ours == tried else str(ours)
        question = "Concurrent streams whose finals arrive within 1 s of the endpoint"
        yield Headline(question, answer, comparison, run)
    if run := newest(runs, "bench longform", lambda s: s["rows"]):
        ours, *others = run.summary["rows"]
        theirs = next((row for row in others if "faster-whisper" in row["system"]), None)
        comparison = "" if theirs is None else f"{theirs['wall_s']:.0f} s: faster-whisper, batched"
        question = "Time to transcribe a recording of an hour"
        yield Headline(question, f"{ours['wall_s']:.0f} s", comparison, run)


def newest(runs: Sequence[Run], kind: str, has: Callable[[dict[str, Any]], Any]) -> Run | None:
    """Return the newest run of a command for whose summary `has` is true; None if there is none."""
    fit = [run for run in runs if run.kind == kind and has(run.summary)]
    return max(reversed(fit), key=lambda run: run.date, default=None)  # the last of a day
