"""Sums up the results of an evaluation by condition and suite, and turns them into JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from stream.evaluate.measures.calibration import calibration, expected_calibration_error
from stream.evaluate.measures.hallucination import Repetitions, repetitions, words_per_hour
from stream.evaluate.measures.invented import Invented, Turns, looped_words, outside_turns
from stream.evaluate.measures.latency import Latencies, latencies
from stream.evaluate.measures.record import Finished, Transcript
from stream.evaluate.measures.scoring import (
    WordErrors,
    judged,
    normalised,
    percentiles,
    word_errors,
)
from stream.evaluate.measures.stability import Stability, ages, erased_at, stability
from stream.evaluate.playback import Played

STREAMED = "streamed"


@dataclass(frozen=True, slots=True)
class Result:
    """A recording that was played, and the transcripts that each system made of it."""

    played: Played
    offline: dict[str, tuple[Transcript, ...]] = field(default_factory=dict)
    """The transcript of each channel, by the name of the offline system."""

    @property
    def transcripts(self) -> dict[str, tuple[Transcript, ...]]:
        """The transcript of each channel that is scored, by the name of the system, ours first."""
        return {STREAMED: self.played.transcripts, **self.offline}

    def texts(self, system: str) -> list[tuple[str, str]]:
        """Return the reference and the transcript of each channel whose text is known."""
        references, found = self.played.recording.texts, self.transcripts[system]
        pairs = zip(references, found, strict=True)
        return [(reference, one.text) for reference, one in pairs if reference is not None]

    def errors(self) -> dict[str, WordErrors]:
        """Return each system's word errors; empty if the text is unknown or there is no speech."""
        if not self.played.recording.text:
            return {}
        return {
            name: sum((word_errors(*pair) for pair in self.texts(name)), WordErrors())
            for name in self.transcripts
        }

    def repetitions(self, system: str) -> Repetitions:
        """Return the repeated 5-grams of a system, within each channel."""
        pairs = [(normalised(said), normalised(found)) for said, found in self.texts(system)]
        return sum((repetitions(*pair) for pair in pairs), Repetitions())

    def inventions(self) -> dict[str, Invented]:
        """Return the words that each system invented in speech, counted by kind.

        The result is empty if neither the text nor the turns are known.
        """
        recording = self.played.recording
        if not (recording.text or recording.turns):
            return {}
        errors = self.errors()
        return {
            name: Invented(inserted=errors[name].insertions if errors else 0)
            + sum(map(self.invented_on, recording.turns_by_channel, found), Invented())
            for name, found in self.transcripts.items()
        }

    def invented_on(self, turns: Turns, found: Transcript) -> Invented:
        """Count the words of one channel, those outside of its turns, and those in a loop."""
        words = normalised(found.text).split()
        outside = outside_turns(found.words, turns) if self.played.recording.turns else 0
        return Invented(recognised=len(words), outside=outside, looped=looped_words(words))

    def invented(self) -> dict[str, int]:
        """Return the number of words that each system recognised in a recording without speech.

        The result is empty if the recording has speech, or if its text is not known.
        """
        if self.played.recording.text != "":
            return {}
        return {
            name: sum(len(normalised(one.text).split()) for one in found)
            for name, found in self.transcripts.items()
        }

    def went_well(self) -> bool:
        """Return whether there was no violation, no failure, and no word in silence."""
        invented = self.played.recording.kind == "silence" and self.played.text
        return not (self.played.violations or self.played.failure or invented)


@dataclass(frozen=True, slots=True)
class Score:
    """The accuracy of a group of recordings."""

    recordings: int
    seconds: float
    silent_s: float
    """Seconds of the recordings without words."""
    errors: dict[str, WordErrors]
    """Word errors by system."""
    invented: dict[str, int]
    """Words recognised in recordings without words, by system; they do not count as errors."""
    repetitions: dict[str, Repetitions]
    """Repeated 5-grams by system."""
    inventions: dict[str, Invented]
    """Words invented in speech, by system."""

    @classmethod
    def of(cls, results: Sequence[Result]) -> "Score":
        """Sum up the results of some recordings."""
        errors: dict[str, WordErrors] = {}
        invented: dict[str, int] = {}
        repeated: dict[str, Repetitions] = {}
        inventions: dict[str, Invented] = {}
        for result in results:
            for name, found in result.errors().items():
                errors[name] = errors.get(name, WordErrors()) + found
                repeated[name] = repeated.get(name, Repetitions()) + result.repetitions(name)
            for name, words in result.inventions().items():
                inventions[name] = inventions.get(name, Invented()) + words
            for name, count in result.invented().items():
                invented[name] = invented.get(name, 0) + count
        silent = [r.played.seconds for r in results if r.played.recording.text == ""]
        seconds = sum(r.played.seconds for r in results)
        return cls(len(results), seconds, sum(silent), errors, invented, repeated, inventions)

    def as_json(self) -> dict[str, Any]:
        """Return the figures by name; the price of streaming is streamed minus offline."""
        found: dict[str, Any] = {
            "recordings": self.recordings,
            "minutes": round(self.seconds / 60, 2),
        }
        if self.errors:
            found["words"] = self.errors[STREAMED].words
            for name, errors in self.errors.items():
                found[name] = {
                    "wer": round(errors.rate, 2),
                    "substitutions": errors.substitutions,
                    "deletions": errors.deletions,
                    "insertions": errors.insertions,
                    "insertion_rate": round(errors.insertion_rate, 2),
                    "repeated_5_grams": self.repetitions[name].transcript,
                }
            found["repeated_5_grams_said"] = self.repetitions[STREAMED].reference
            if "same-model" in self.errors:
                price = self.errors[STREAMED].rate - self.errors["same-model"].rate
                found["price_of_streaming"] = round(price, 2)
        if self.inventions:
            found["inventions"] = {name: asdict(words) for name, words in self.inventions.items()}
        if self.invented:
            found["words_invented"] = self.invented
            found["words_per_hour"] = {
                name: round(words_per_hour(count, self.silent_s), 1)
                for name, count in self.invented.items()
            }
        return found


def groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results by condition (or kind and source), in the order in which they were played."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.played.recording.group, []).append(result)
    return found


def kinds(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results by kind, in the order in which they were played."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.played.recording.kind, []).append(result)
    return found


def by_suite(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Group results by suite, in the order in which they were played."""
    found: dict[str, list[Result]] = {}
    for result in results:
        found.setdefault(result.played.recording.suite, []).append(result)
    return found


def all_latencies(results: Sequence[Result]) -> Latencies:
    """Return the latencies of the recordings that were played in real time."""
    found = (
        latencies(r.played.events, r.played.recording.words) for r in results if r.played.real_time
    )
    return sum(found, Latencies())


def latency_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the percentiles of each latency, in milliseconds, and the origin of the word times."""
    found = all_latencies(results)
    timed = {bool(r.played.recording.words) for r in results if r.played.real_time}
    origin = {True: "manifest", False: "finals"}
    by_server: dict[str, list[float]] = {}
    for result in results:
        for stamped in result.played.events:
            if isinstance(stamped.event, Finished) and stamped.event.by_silence:
                for name, ms in stamped.event.server_ms.items():
                    by_server.setdefault(name, []).append(ms)
    return {
        "word_times_from": " and ".join(origin[t] for t in sorted(timed)) or None,
        **{f.name: percentiles(getattr(found, f.name)) for f in fields(Latencies)},
        "by_server": {name: percentiles(values) for name, values in by_server.items()},
        "feeder_late_ms": round(max((r.played.late_ms for r in results), default=0.0), 1),
    }


def stability_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the measures of stability."""
    total = sum((stability(r.played.events) for r in results), Stability())
    return {
        "normalised_erasure": round(total.normalised_erasure, 4),
        "normalised_erasure_as_shown": round(total.normalised_erasure_as_shown, 4),
        "unstable_partial_word_ratio": round(total.unstable_partial_word_ratio, 4),
        "revisions": total.revisions,
        "final_words": total.final_words,
        "erased_by_age": flicker(results),
    }


def flicker(results: Sequence[Result], seconds: int = 30) -> list[list[float]]:
    """Return the words erased in each second of an utterance's age.

    There is a row for each second: the age, the words erased in that second for each utterance that
    reached the age, and the number of such utterances.
    """
    erasures = [e for r in results for e in erased_at(r.played.events)]
    lived = np.array([age for r in results for age in ages(r.played.events)])
    rows = []
    for age in range(seconds):
        alive = int((lived > age).sum())
        if alive:
            count = sum(words for at_s, words in erasures if age <= at_s < age + 1)
            rows.append([age, round(count / alive, 3), alive])
    return rows


def calibration_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the calibration of the words of all recordings whose text is known."""
    words = [
        word
        for r in results
        for reference, found in zip(r.played.recording.texts, r.played.transcripts, strict=True)
        if reference
        for word in judged(reference, found.words)
    ]
    bins = calibration(words)
    return {
        "expected_calibration_error": round(expected_calibration_error(bins), 4),
        "bins": [{k: round(v, 4) for k, v in asdict(b).items()} for b in bins],
    }


def suite_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return all figures of a suite."""
    found: dict[str, Any] = {
        "total": Score.of(results).as_json(),
        "kinds": {name: Score.of(kind).as_json() for name, kind in kinds(results).items()},
        "groups": {name: Score.of(group).as_json() for name, group in groups(results).items()},
    }
    if any(r.played.recording.text for r in results):
        found["latency_ms"] = latency_json(results)
        found["stability"] = stability_json(results)
        found["calibration"] = calibration_json(results)
    return found


def rows_of(suite: dict[str, Any]) -> dict[str, Any]:
    """Return the scores of the groups, of the kinds if there are several, and the total."""
    kinds = suite["kinds"] if len(suite["kinds"]) > 1 else {}
    sums = {f"all of {kind}": score for kind, score in kinds.items()}
    return {**suite["groups"], **sums, "total": suite["total"]}


def is_system(value: Any) -> bool:
    """Return whether an entry of a score has the errors of a system."""
    return isinstance(value, dict) and "wer" in value


def as_json(results: Sequence[Result]) -> dict[str, Any]:
    """Return the figures of all suites as one JSON object."""
    return {
        "suites": {name: suite_json(found) for name, found in by_suite(results).items()},
        "violations": sum(len(r.played.violations) for r in results),
        "failures": sum(bool(r.played.failure) for r in results),
    }


def recording_json(result: Result) -> dict[str, Any]:
    """Return one recording: its texts, its errors, all events, violations and failure."""
    played = result.played
    return {
        "name": played.recording.name,
        "suite": played.recording.suite,
        "group": played.recording.group,
        "repeat": played.recording.repeat,
        "seconds": round(played.seconds, 2),
        "text": played.recording.text,
        "text_by_channel": played.recording.text_by_channel,
        "transcripts": {
            name: [one.text for one in found] for name, found in result.transcripts.items()
        },
        "errors": {
            name: {**asdict(errors), "wer": round(errors.rate, 2)}
            for name, errors in result.errors().items()
        },
        "events": [
            {
                "at_s": round(stamped.at_s, 3),
                "event": type(stamped.event).__name__,
                **asdict(stamped.event),
            }
            for stamped in played.events
        ],
        "violations": played.violations,
        "failure": played.failure,
    }


def write_json(summary: dict[str, Any], results: Sequence[Result], path: Path) -> None:
    """Write the summary and all recordings to a file."""
    whole = {**summary, "recordings": [recording_json(result) for result in results]}
    path.write_text(json.dumps(whole, ensure_ascii=False, indent=1))
