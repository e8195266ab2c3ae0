"""The results of an evaluation as tables, as one JSON line, and recording by recording."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from stream.evaluate.playback import Played
from stream.evaluate.scoring import WordErrors, normalised, percentiles, word_errors


@dataclass(frozen=True, slots=True)
class Result:
    """A recording's transcripts and their errors."""

    played: Played
    offline_text: str | None = None
    """None where the offline reference was not asked for."""

    @property
    def streamed(self) -> WordErrors | None:
        """The errors of the finals; None where no text is known or nothing is said."""
        text = self.played.recording.text
        return word_errors(text, self.played.text) if text else None

    @property
    def words_heard(self) -> int:
        """Words in the stream's finals."""
        return len(normalised(self.played.text).split())

    @property
    def offline(self) -> WordErrors | None:
        """The errors of the offline reference, where there is one."""
        text = self.played.recording.text
        return (
            word_errors(text, self.offline_text) if text and self.offline_text is not None else None
        )


@dataclass(frozen=True, slots=True)
class Score:
    """The results of a group of recordings added up."""

    recordings: int
    seconds: float
    words_heard: int
    words_invented: int
    """Heard in recordings that hold no speech; they do not count against those that do."""
    streamed: WordErrors
    offline: WordErrors | None

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Score":
        """Add up."""
        streamed = [errors for r in results if (errors := r.streamed) is not None]
        offline = [errors for r in results if (errors := r.offline) is not None]
        return cls(
            recordings=len(results),
            seconds=sum(r.played.seconds for r in results),
            words_heard=sum(r.words_heard for r in results),
            words_invented=sum(r.words_heard for r in results if r.played.recording.text == ""),
            streamed=sum(streamed, WordErrors()),
            offline=sum(offline, WordErrors()) if offline else None,
        )


def latencies(results: Sequence[Result]) -> dict[str, dict[str, float]]:
    """Return how long finals took, in milliseconds, at the percentiles.

    `after_speech` and `after_speech_by_client` are for utterances that silence ended, by the
    server's and by the client's clock (real time only); `beyond_endpoint` is for all: what came on
    top of the silence that the endpoint needs.
    """
    finals = [final.latency for r in results for final in r.played.finals]
    return {
        "after_speech": percentiles(
            latency.total_ms for r in results for latency in r.played.ended_by_silence
        ),
        "after_speech_by_client": percentiles(ms for r in results for ms in r.played.delays_ms),
        "beyond_endpoint": percentiles(f.total_ms - f.endpoint_ms for f in finals),
        "queue": percentiles(f.queue_ms for f in finals),
        "encode": percentiles(f.encode_ms for f in finals),
        "decode": percentiles(f.decode_ms for f in finals),
    }


def print_tables(results: Sequence[Result], console: Console) -> None:
    """Print word errors by source with a total, latencies, and what went wrong."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        recording = result.played.recording
        groups.setdefault((recording.kind, recording.source), []).append(result)
    table = Table(title="Word errors", title_justify="left")
    table.add_column("kind: source")
    for name in ("files", "min", "words", "invented", "streamed %", "sub/del/ins"):
        table.add_column(name, justify="right")
    for name in ("offline %", "sub/del/ins", "diff"):
        table.add_column(name, justify="right")
    for (kind, source), group in sorted(groups.items()):
        table.add_row(f"{kind}: {source}", *cells(Score.of(group)))
    table.add_section()
    table.add_row("total", *cells(Score.of(results)), style="bold")
    console.print(table)

    times = Table(title="Finals, milliseconds", title_justify="left")
    for name in ("", "p50", "p90", "p99", "count"):
        times.add_column(name, justify="right" if name else "left")
    for name, row in latencies(results).items():
        if row["count"]:
            values = [f"{row[p]:.0f}" for p in ("p50", "p90", "p99", "count")]
            times.add_row(name.replace("_", " "), *values)
    if times.row_count:
        console.print(times)
    for result in results:
        for wrong in (*result.played.violations, result.played.failure):
            if wrong:
                console.print(f"[red]{result.played.recording.name}[/red]: {wrong}", soft_wrap=True)


def cells(score: Score) -> list[str]:
    """Return the cells of a group's row."""
    row = [str(score.recordings), f"{score.seconds / 60:.1f}", str(score.streamed.words)]
    row.append(str(score.words_invented))
    for errors in (score.streamed, score.offline):
        if errors is None or not errors.words:
            row += ["", ""]
        else:
            kinds = f"{errors.substitutions}/{errors.deletions}/{errors.insertions}"
            row += [f"{errors.rate:.2f}", kinds]
    row.append(f"{score.streamed.rate - score.offline.rate:+.2f}" if score.offline else "")
    return row


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the totals as one JSON object."""
    score = Score.of(results)
    summary: dict[str, Any] = {
        "recordings": score.recordings,
        "minutes": round(score.seconds / 60, 2),
        "words": score.streamed.words,
        "words_heard": score.words_heard,
        "words_invented": score.words_invented,
        "streamed": errors_as_json(score.streamed),
    }
    if score.offline:
        summary["offline"] = errors_as_json(score.offline)
        summary["difference"] = round(score.streamed.rate - score.offline.rate, 2)
    summary["partials"] = sum(r.played.partials for r in results)
    summary["finals"] = sum(len(r.played.finals) for r in results)
    summary["violations"] = sum(len(r.played.violations) for r in results)
    summary["failures"] = sum(bool(r.played.failure) for r in results)
    summary["latency_ms"] = latencies(results)
    return summary


def errors_as_json(errors: WordErrors) -> dict[str, float]:
    """Return the word error rate and what it is made of."""
    return {
        "wer": round(errors.rate, 2),
        "substitutions": errors.substitutions,
        "deletions": errors.deletions,
        "insertions": errors.insertions,
    }


def write_report(results: Sequence[Result], path: Path) -> None:
    """Write JSON lines: each recording, its texts, its errors, what went wrong."""
    with path.open("w") as file:
        for result in results:
            played = result.played
            line = {
                "name": played.recording.name,
                "kind": played.recording.kind,
                "source": played.recording.source,
                "seconds": round(played.seconds, 2),
                "text": played.recording.text,
                "streamed_text": played.text,
                "offline_text": result.offline_text,
                "streamed": errors_as_json(result.streamed) if result.streamed else None,
                "offline": errors_as_json(result.offline) if result.offline else None,
                "utterances": [[final.start, final.end, final.text] for final in played.finals],
                "violations": played.violations,
                "failure": played.failure,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
