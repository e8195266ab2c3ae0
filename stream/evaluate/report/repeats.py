"""Means over the repeats of an evaluation, with their standard errors."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stream.evaluate.measures.repeats import Estimate
from stream.evaluate.report.results import Result, by_suite, is_system, rows_of, suite_json

COUNTS = ("wer", "substitutions", "deletions", "insertions")


def by_repeat(results: Sequence[Result]) -> list[list[Result]]:
    """Group results by repeat, in the order in which they were played."""
    found: dict[int, list[Result]] = {}
    for result in results:
        found.setdefault(result.played.recording.repeat, []).append(result)
    return list(found.values())


def repeats_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the means over repeats for each suite: word errors, and medians of the latencies.

    Each figure is an object of `mean` and `error`, the standard error of the mean.
    """
    runs = [by_suite(run) for run in by_repeat(results)]
    return {
        "count": len(runs),
        "suites": {name: estimates([suite_json(run[name]) for run in runs]) for name in runs[0]},
    }


def estimates(suites: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of one suite, given its figures in each repeat."""
    rows = [rows_of(suite) for suite in suites]
    found: dict[str, Any] = {
        "scores": {name: score_estimates([row[name] for row in rows]) for name in rows[0]}
    }
    latencies = [suite.get("latency_ms", {}) for suite in suites]
    medians = {
        key: [one[key]["p50"] for one in latencies]
        for key in latencies[0]
        if all("p50" in as_object(one[key]) for one in latencies)
    }
    found["median_ms"] = {key: estimate(values) for key, values in medians.items()}
    return found


def score_estimates(scores: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of one group of recordings, given its score in each repeat."""
    first = scores[0]
    found: dict[str, Any] = {
        system: {kind: estimate([score[system][kind] for score in scores]) for kind in COUNTS}
        for system in first
        if is_system(first[system])
    }
    if "price_of_streaming" in first:
        found["price_of_streaming"] = estimate([score["price_of_streaming"] for score in scores])
    if "inventions" in first:
        found["inventions"] = {
            system: {
                kind: estimate([score["inventions"][system][kind] for score in scores])
                for kind in first["inventions"][system]
            }
            for system in first["inventions"]
        }
    if "words_per_hour" in first:
        found["words_per_hour"] = {
            system: estimate([score["words_per_hour"][system] for score in scores])
            for system in first["words_per_hour"]
        }
    return found


def estimate(values: Sequence[float]) -> dict[str, float | None]:
    """Return the mean of one value for each repeat, and its standard error."""
    found = asdict(Estimate.of(values))
    return {name: None if value is None else round(value, 4) for name, value in found.items()}


def as_object(value: Any) -> dict[str, Any]:
    """Return a value if it is an object, otherwise an empty one."""
    return value if isinstance(value, dict) else {}
