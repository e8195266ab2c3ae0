"""Draws the plots of an evaluation as SVG."""

from collections.abc import Sequence
from typing import Any

from stream.evaluate.measures.latency import appearances
from stream.evaluate.measures.record import Caption, captions
from stream.evaluate.report.results import Result, all_latencies, is_system
from stream.evaluate.report.svg import Axis, Plot

SHOWN, COMMITTED, FINAL, SPOKEN = "s0", "s1", "s2", "spoken"
TIMELINE_S = 15.0
"""The preferred length of the recording in the timeline: it fills a page and can be read."""
MOST_ROWS = 80
"""Greatest number of words in a timeline, unless its first utterance has more."""


def latency_plot(results: Sequence[Result]) -> str:
    """Draw the cumulative distributions of the latencies of words: shown, committed, final."""
    found = all_latencies(results)
    series = [
        (found.word_to_shown, SHOWN, "shown"),
        (found.word_to_commit, COMMITTED, "committed"),
        (found.word_to_final, FINAL, "final"),
    ]
    values = sorted(ms for data, _, _ in series for ms in data)
    if not values:
        return ""
    low, high = min(0.0, values[len(values) // 100]), values[-1 - len(values) // 100]
    plot = Plot(Axis(low, high, "ms after the end of the word"), Axis(0, 100, "% of words"))
    for data, style, name in series:
        # A curve of a hundred points looks the same as one of ten thousand, in a smaller file.
        ordered = sorted(data)
        if ordered:
            last = len(ordered) - 1
            points = [(ordered[round(p / 100 * last)], float(p)) for p in range(101)]
            plot.line(points, style, name)
    return plot.svg()


def error_plot(suite: dict[str, Any]) -> str:
    """Draw each system's word error rate, a bar for each group of recordings."""
    rows = [
        (group, [(name, v["wer"]) for name, v in score.items() if is_system(v)])
        for group, score in suite["groups"].items()
    ]
    rows = [(group, bars) for group, bars in rows if bars]
    if not rows:
        return ""
    systems = list(dict.fromkeys(name for _, bars in rows for name, _ in bars))
    most = max(wer for _, bars in rows for _, wer in bars) or 1.0
    each = len(systems) + 1
    n = each * len(rows)
    names = [(n - each * i - len(systems) / 2, group) for i, (group, _) in enumerate(rows)]
    plot = Plot(
        Axis(0, most * 1.08, "word error rate, %"),
        Axis(0, n, names=names),
        height=84 + 16 * n,
        left=210,
    )
    for i, (group, bars) in enumerate(rows):
        for name, wer in bars:
            k = systems.index(name)
            top = n - each * i - k
            plot.bar((0, top), (wer, top - 0.9), f"s{k}", f"{group}, {name}: {wer:g} %")
            plot.text((wer, top - 0.5), f"{wer:g}")
            plot.name(f"s{k}", name)
    return plot.svg()


def level_plot(suites: dict[str, Any], name: str, label: str) -> str:
    """Draw each system's word error rate from the clean recordings to the hardest condition."""
    steps = {}
    if "speech" in suites:
        steps["clean"] = suites["speech"]["total"]
    steps |= suites[name]["groups"]
    systems = dict.fromkeys(k for score in steps.values() for k, v in score.items() if is_system(v))
    if not systems:
        return ""
    most = max(score[s]["wer"] for score in steps.values() for s in systems if s in score)
    names = [(float(i), step) for i, step in enumerate(steps)]
    plot = Plot(Axis(-0.3, len(steps) - 0.7, label, names), Axis(0, most * 1.08 or 1, "WER %"))
    for k, system in enumerate(systems):
        points = [
            (float(i), float(score[system]["wer"]))
            for i, score in enumerate(steps.values())
            if system in score
        ]
        plot.line(points, f"s{k}", system)
        for at in points:
            plot.dot(at, f"s{k}", f"{system}: {at[1]:g} %")
    return plot.svg()


def flicker_plot(stability: dict[str, Any]) -> str:
    """Draw the words erased in each second of an utterance's age."""
    rows = stability["erased_by_age"]
    if not rows:
        return ""
    most = max(row[1] for row in rows) or 1.0
    plot = Plot(
        Axis(0, len(rows), "seconds since the utterance was first shown"),
        Axis(0, most * 1.08, "words/s"),
    )
    for age, count, alive in rows:
        title = f"second {age:g}: {count:g} words in each of {alive:g} utterances"
        plot.bar((age + 0.1, 0), (age + 0.9, count), SHOWN, title)
    return plot.svg()


def calibration_plot(calibration: dict[str, Any]) -> str:
    """Draw the share of right words against their confidence; the diagonal is perfect."""
    bins = calibration["bins"]
    if not bins:
        return ""
    plot = Plot(Axis(0, 1, "confidence"), Axis(0, 1, "right"), width=420, height=380)
    plot.line([(0, 0), (1, 1)], "honest", "honest")
    plot.line([(b["confidence"], b["right"]) for b in bins], SHOWN, "words")
    most = max(b["words"] for b in bins)
    for b in bins:
        title = f"{b['words']:g} words at {b['confidence']:.2f}: {100 * b['right']:.1f} % right"
        size = 3 + 8 * (b["words"] / most) ** 0.5
        plot.dot((b["confidence"], b["right"]), SHOWN, title, size)
    return plot.svg()


def timeline_choice(results: Sequence[Result]) -> Result | None:
    """Return the recording with speech and words whose length is nearest to `TIMELINE_S`."""
    spoken = [r for r in results if r.played.recording.text and r.played.words]
    return min(spoken, key=lambda r: abs(r.played.seconds - TIMELINE_S), default=None)


def timeline_plot(result: Result) -> str:
    """Draw a row for each word: the times at which it was spoken, shown, committed and final."""
    drawn = first_captions(result)
    words = [word for caption in drawn if caption.final for word in caption.final.words]
    end_s = max(caption.final_at_s for caption in drawn) + 0.2
    rows = [(len(words) - i - 0.5, word.text) for i, word in enumerate(words)]
    plot = Plot(
        Axis(0, end_s, "seconds of audio"),
        Axis(0, len(words), names=rows),
        height=80 + 15 * len(words),
        left=120,
    )
    top = len(words)
    for caption in drawn:
        top -= timeline_rows(plot, caption, top)
    plot.name(SPOKEN, "spoken")
    plot.name(SHOWN, "shown")
    plot.name(COMMITTED, "committed")
    plot.name(FINAL, "final")
    return plot.svg()


def first_captions(result: Result) -> list[Caption]:
    """Return the first utterances of a recording: at most `MOST_ROWS` words, but at least one."""
    chosen: list[Caption] = []
    rows = 0
    for caption in captions(result.played.events):
        if caption.final and caption.final.words:
            rows += len(caption.final.words)
            if chosen and rows > MOST_ROWS:
                break
            chosen.append(caption)
    return chosen


def timeline_rows(plot: Plot, caption: Caption, top: int) -> int:
    """Draw the words of an utterance from the row `top` down; return the number of words."""
    assert caption.final is not None
    words = caption.final.words
    for at_s, _ in caption.shown:
        plot.line([(at_s, top), (at_s, top - len(words))], "partial", "partials")
    shown_s, commit_s = appearances(caption)
    for i, word in enumerate(words):
        y = top - i - 0.5
        plot.bar((word.start_s, y - 0.3), (word.end_s, y + 0.3), SPOKEN, word.text)
        for style, what, at_s in (
            (SHOWN, "shown", shown_s.get(i, caption.final_at_s)),
            (COMMITTED, "committed", commit_s.get(i, caption.final_at_s)),
            (FINAL, "final", caption.final_at_s),
        ):
            plot.dot((at_s, y), style, f"{word.text}: {what} at {at_s:.2f} s", 4)
    return len(words)
