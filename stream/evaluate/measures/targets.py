"""Compares the figures of a run with the project's targets."""

from typing import Any

MAX_PRICE = 0.5
"""Price of streaming: WER minus that of the same model offline, percentage points."""
MAX_SILENT_WORDS = 0.0
"""Words recognised in an hour of silence, tones and stationary noise."""
MAX_BABBLE_WORDS = 5.0
"""Words recognised in an hour of babble and music."""
MAX_ERASURE = 0.15
"""Words erased for each final word."""
MAX_FIRST_PARTIAL_MS = 1000.0
MAX_COMMIT_MS = 2000.0


def targets(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each target that the run has figures for.

    A row has the target's name, its limit, the measured value, and whether the target was met.
    """
    suites = summary["suites"]
    rows: list[tuple[str, float, float | None]] = []
    for kind, score in _of(suites, "speech", "kinds").items():
        rows.append(
            (f"price of streaming, {kind} speech", MAX_PRICE, score.get("price_of_streaming"))
        )
    silent = _of(suites, "silence", "kinds")
    for kind, most in (("silence", MAX_SILENT_WORDS), ("babble and music", MAX_BABBLE_WORDS)):
        rate = _of(silent.get(kind, {}), "words_per_hour").get("streamed")
        rows.append((f"words an hour, {kind}", most, rate))
    speech = _of(suites, "speech")
    # If recordings are played fast, there are few partials, and flicker is not representative.
    steady = {} if summary.get("pace") == "fast" else _of(speech, "stability")
    erasure = steady.get("normalised_erasure")
    rows.append(("normalised erasure, speech", MAX_ERASURE, erasure))
    rows.append(
        (
            "violations: committed words that changed, samples not accounted for",
            0,
            summary["violations"],
        )
    )
    for name, most, key in (
        (
            "start of speech → first partial, ms at the median",
            MAX_FIRST_PARTIAL_MS,
            "speech_start_to_partial",
        ),
        ("end of a word → committed, ms at the median", MAX_COMMIT_MS, "word_to_commit"),
    ):
        rows.append((name, most, _of(speech, "latency_ms", key).get("p50")))
    return [
        {"target": name, "at_most": most, "measured": found, "met": found <= most}
        for name, most, found in rows
        if found is not None
    ]


def _of(found: dict[str, Any], *path: str) -> dict[str, Any]:
    """Return the nested object at a path of names; empty if it does not exist."""
    for name in path:
        found = found.get(name, {})
    return found
