"""`bench guards`: measures which results the guards against guesses and babble remove.

Speech, noise and babble are streamed without partials, and each window of a final is decoded before
guards remove words. For speech, the words are aligned with the reference. So the words that a guard
removes at each limit can be counted: right words of speech, which are its cost, and wrong words and
words without any speech, which are its benefit. The limit against babble depends on the model's
alignment heads: it is calibrated with this command for each model.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import numpy as np

from stream.bench.audio_clock import CHUNKS_PER_S
from stream.core.audio import SAMPLE_RATE
from stream.core.session import Session
from stream.core.settings import StreamSettings
from stream.core.windows import Hypothesis, Window, Word
from stream.engine.decoding.guards import may_be_speech
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.engine.words.coverage import length_s
from stream.engine.words.reading import Fault, Reading, without_invented_words
from stream.errors import UsageError
from stream.evaluate.material.recordings import NO_SPEECH, Recording, read_manifest
from stream.evaluate.material.suites import Suite, recordings_of
from stream.evaluate.measures.record import TimedWord
from stream.evaluate.measures.scoring import judged

LIMITS_NATS = tuple(4.0 + 0.1 * step for step in range(16))
MOST_LOST = 0.015
"""The share of recognised speech that the chosen limit may remove (docs/decisions/007)."""
TRAILING_S = 1.0


@dataclass(frozen=True, slots=True)
class Case:
    """One decoded window."""

    group: str
    """`speech`, `babble and music`, `noise` or `silence`."""
    name: str
    text: str
    tokens: int
    mean_log_probability: float
    diffusion_nats: float
    speech_s: float
    faults: tuple[str, ...]
    right: int
    """Right words; 0 if nobody spoke."""
    wrong: int

    @property
    def unsure(self) -> bool:
        """Whether the words are guesses, because of their low log-probability."""
        return Fault.UNSURE.code in self.faults

    @property
    def recognised(self) -> bool:
        """Whether at least half of the words are right."""
        return self.right > 0 and self.right >= self.wrong


def run(
    speech: Path,
    noise: Path,
    model: str = "base",
    limit: int | None = None,
    every: int = 1,
    minutes: float = 2.0,
    suites: tuple[Suite, ...] = ("speech", "noise-levels", "far"),
    ways: str = "default",
    show: bool = False,
) -> None:
    """Print tables of the words that the guards remove at each limit, and one JSON line.

    Parameters
    ----------
    speech
        Manifest (JSON lines) of sentences with text.
    noise
        Manifest of recordings without words.
    model
        Name of the model.
    limit
        Number of recordings of each manifest.
    every
        Use every n-th recording of each manifest.
    minutes
        Minutes of each generated sound and of babble.
    suites
        How the speech is changed, as in `evaluate`.
    ways
        Kernels of the CPU, as in `serve --ways`.
    show
        Print each result that a guard can remove.
    """
    spoken = [one for one in read_manifest(speech)[::every][:limit] if one.text]
    if not spoken:
        raise UsageError(f"{speech} has no recording with known text.")
    noises = read_manifest(noise)[::every][:limit]
    played = recordings_of((*suites, "silence"), spoken, noises, minutes)
    transcriber = WhisperTranscriber(model, device="cpu", ways=ways)
    cases = [
        case
        for one in played
        if one.text or one.kind in NO_SPEECH
        for case in cases_of(one, transcriber)
    ]
    if show:
        show_cases(cases)
    print_limits(cases)
    print_guesses(cases, transcriber.recognizer.calibration.diffuse_nats)
    summary = {"command": "bench guards", "model": model, "limit_nats": chosen_limit(cases)}
    print(json.dumps({**summary, "cases": [asdict(case) for case in cases]}))


def cases_of(recording: Recording, transcriber: WhisperTranscriber) -> Iterator[Case]:
    """Stream a recording, and yield the reading of each window of a final that has words."""
    audio = recording.read()
    settings = StreamSettings(sample_rate=audio.rate, partials=False)
    session = Session(recording.name, settings, detector=choose_detector("silero"))
    step = audio.rate // CHUNKS_PER_S
    silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
    samples = np.concatenate([audio.samples, silence])
    for start in range(0, len(samples) + step, step):
        if start < len(samples):
            session.receive_audio(samples[start : start + step].tobytes())
        else:
            session.receive_eof()
        for window in session.windows_to_transcribe():
            words: tuple[Word, ...] = ()
            if window.speech:
                reading = transcriber.attempt([window])[0]
                if reading.words:
                    yield case_of(recording, window, reading)
                words = without_invented_words(reading, window.speech).words
            session.receive_hypothesis(Hypothesis(window, words))


def case_of(recording: Recording, window: Window, reading: Reading) -> Case:
    """Return the measures of a reading, and how many of its words are right."""
    timed = [
        TimedWord(
            word.text.strip(),
            word.start_sample / SAMPLE_RATE,
            word.end_sample / SAMPLE_RATE,
            word.confidence,
        )
        for word in reading.words
    ]
    marks = [one.right for one in judged(recording.text, timed)] if recording.text else []
    return Case(
        group="speech" if recording.text else recording.kind,
        name=f"{recording.name} {recording.condition}".strip(),
        text=" ".join(word.text for word in timed),
        tokens=sum(len(word.tokens) for word in reading.words),
        mean_log_probability=round(reading.result.mean_log_probability, 3),
        diffusion_nats=round(reading.diffusion_nats, 3)
        if isfinite(reading.diffusion_nats)
        else 0.0,
        speech_s=round(length_s(window.speech), 2),
        faults=tuple(sorted(fault.code for fault in reading.faults)),
        right=sum(marks),
        wrong=len(marks) - sum(marks) if recording.text else len(timed),
    )


def show_cases(cases: Iterable[Case]) -> None:
    """Print the cases that the guards against guesses and babble can remove."""
    for case in cases:
        if case.unsure or case.diffusion_nats > LIMITS_NATS[0]:
            print(
                f"{case.group}: {case.name}: log-probability {case.mean_log_probability}, "
                f"{case.diffusion_nats} nats, {case.tokens} tokens in {case.speech_s} s of speech, "
                f"{case.right} right, {case.wrong} wrong, {', '.join(case.faults)}: {case.text}"
            )


def removed(cases: Sequence[Case], limit_nats: float) -> list[Case]:
    """Return the cases that are more diffuse than the limit, and are no guesses."""
    return [case for case in cases if case.diffusion_nats > limit_nats and not case.unsure]


def chosen_limit(cases: Sequence[Case]) -> float | None:
    """Return the least limit that removes at most `MOST_LOST` of the recognised speech."""
    speech = [case for case in cases if case.recognised]
    for limit_nats in LIMITS_NATS:
        if len(removed(speech, limit_nats)) <= MOST_LOST * len(speech):
            return round(limit_nats, 2)
    return None


def print_limits(cases: Sequence[Case]) -> None:
    """Print the results and words that the guard against babble removes at each limit."""
    speech = [case for case in cases if case.group == "speech"]
    noise = [case for case in cases if case.group != "speech"]
    print(f"{len(speech)} results in speech, {len(noise)} without speech\n")
    print(
        "| limit, nats | results of speech removed | right words | wrong words "
        "| invented words left |"
    )
    print("|---|---|---|---|---|")
    sure_noise = [case for case in noise if not case.unsure]
    for limit_nats in LIMITS_NATS:
        gone = removed(speech, limit_nats)
        left = sum(case.wrong for case in sure_noise)
        left -= sum(case.wrong for case in removed(sure_noise, limit_nats))
        print(
            f"| {limit_nats:.1f} | {len(gone)} | {sum(case.right for case in gone)} "
            f"| {sum(case.wrong for case in gone)} | {left} |"
        )


def print_guesses(cases: Sequence[Case], limit_nats: float) -> None:
    """Print the results that are left if all guesses are removed, and if some are kept.

    The guesses that are kept are those that may be speech.

    Args:
        cases: the results.
        limit_nats: the limit against babble in use.
    """
    print(f"\n| audio, limit {limit_nats:g} nats | guesses | results left | right words | wrong |")
    print("|---|---|---|---|---|")
    for group in dict.fromkeys(case.group for case in cases):
        narrow = [c for c in cases if c.group == group and not c.diffusion_nats > limit_nats]
        for rule, left in (
            ("removed", [case for case in narrow if not case.unsure]),
            ("kept if they may be speech", [c for c in narrow if stays(c, limit_nats)]),
        ):
            right, wrong = sum(case.right for case in left), sum(case.wrong for case in left)
            print(f"| {group} | {rule} | {len(left)} | {right} | {wrong} |")


def stays(case: Case, limit_nats: float) -> bool:
    """Return whether the guard against guesses keeps a result."""
    nats = case.diffusion_nats
    return not case.unsure or may_be_speech(case.tokens, case.speech_s, nats, limit_nats)
