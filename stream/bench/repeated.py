"""`bench repeated`: counts the copies of repeated speech that are recognised, and their cost.

Repeated speech (`speech.repeated`) is streamed on the audio clock and transcribed as files. Each
phrase is also transcribed alone: a repetition should have at most as many errors as the phrase
alone, times the number of copies. The cost, in CPU time and decoder passes, is compared with that
of varied speech of the same phrases and pauses.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stream.bench.audio_clock import CachedTranscriber
from stream.bench.rehearsal import rehearse
from stream.bench.repeats import Louder
from stream.bench.speech.repeated import Repetition, phrases, repeat, repetitions, varied
from stream.bench.variants import AS_IT_IS, VARIANTS
from stream.core.windows import Hypothesis, Window
from stream.engine.transcriber import Transcriber
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.recordings import Recording, at_16_khz, read_manifest
from stream.evaluate.measures.record import transcript
from stream.evaluate.measures.scoring import errors_between, normalised
from stream.recordings.options import FileOptions
from stream.recordings.transcribing import Transcribing

N_SENTENCES = 12
LONGEST_SENTENCE_S = 12.0
"""A longer sentence of a manifest is not used."""


@dataclass(frozen=True, slots=True)
class Row:
    """The copies and errors of the repetitions of one sort."""

    sort: str
    mode: str
    """`streamed` or `file`."""
    seconds: float
    copies: int
    """Copies that were played."""
    found: int
    """Copies that were recognised."""
    wrong: int
    """Repetitions of which more or fewer copies were recognised than were played."""
    repetitions: int
    words: int
    errors: int
    errors_alone: int
    """Errors of the phrases alone, multiplied by the number of copies."""


@dataclass(slots=True)
class Work:
    """The cost of transcribing some audio."""

    seconds: float = 0.0
    """Seconds of audio."""
    cpu_s: float = 0.0
    passes: int = 0
    """Decoder passes."""

    def per_minute(self) -> tuple[float, float]:
        """Return CPU seconds and decoder passes for a minute of audio."""
        return 60 * self.cpu_s / self.seconds, 60 * self.passes / self.seconds


class Counting:
    """A transcriber that adds up the work of another."""

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self.name, self.languages = transcriber.name, transcriber.languages
        self.memories, self.token_bytes = transcriber.memories, transcriber.token_bytes
        self.at_once = 1
        self.work = Work()

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """Return a hypothesis for each window."""
        began_s = time.process_time()
        found = self._transcriber.transcribe(windows)
        self.work.cpu_s += time.process_time() - began_s
        self.work.passes += sum(hypothesis.timing.decoder_passes for hypothesis in found)
        return found

    def begin(self) -> Work:
        """Replace `work` by a new object that counts from zero, and return that object."""
        self.work = Work()
        return self.work


def run(
    manifest: Path | None = None,
    model: str = "base",
    minutes: float = 6.0,
    seed: int = 0,
    ways: str = "default",
    louder: int = 0,
    show: bool = False,
) -> None:
    """Print a table of the copies for each sort of repetition, one of the work, and a JSON line.

    Parameters
    ----------
    manifest
        Manifest (JSON lines) of sentences; without one, only prompts of the telephone system are
        repeated, which a Debian package contains.
    model
        Name of the model.
    minutes
        Minutes of repeated speech, which are streamed and also transcribed as files.
    seed
        Seed of the choice of phrases, copies and pauses.
    ways
        Kernels of the CPU, as in `serve --ways`. The default is fixed, so that words do not depend
        on what is fastest on this machine.
    louder
        Make all audio louder by this number of millionths.
    show
        Also print each repetition with more errors than its phrase alone, or a wrong number of
        copies.
    """
    if not minutes > 0:
        raise UsageError(f"minutes is {minutes:g}; use a number above 0.")
    transcriber = Louder(WhisperTranscriber(model, device="cpu", ways=ways), louder)
    known = phrases(sentences(manifest) if manifest else [])
    chosen = list(repetitions(known, 60 * minutes, seed))
    counting = Counting(transcriber)
    rows: list[Row] = []
    work: dict[str, dict[str, Work]] = {}
    for mode, play in (("streamed", play_stream), ("file", play_file)):
        counting.begin()  # the phrases alone are no part of the comparison
        alone = {one.phrase: "" for one in chosen}
        for phrase in alone:
            recording = repeat(phrase, 1, 0.0, f"alone: {phrase.text}").recording
            alone[phrase] = play(recording, counting)
        spent = counting.begin()
        texts = [play(one.recording, counting) for one in chosen]
        other = counting.begin()
        for recording in varied(chosen, seed):
            play(recording, counting)
        work[mode] = {"repeated": spent, "varied": other}
        results = [
            Result(one, text, alone[one.phrase]) for one, text in zip(chosen, texts, strict=True)
        ]
        rows += rows_of(mode, results)
        if show:
            show_faults(mode, results)
    print_table(rows)
    print_work(work)
    summary = {"command": "bench repeated", "model": model, "minutes": minutes, "seed": seed}
    totals = [asdict(row) for row in rows]
    print(json.dumps({**summary, "rows": totals, "work": as_json(work)}))


def sentences(manifest: Path) -> list[Recording]:
    """Return sentences of a manifest, spread evenly over it.

    Raises:
        UsageError: the manifest has no short recording with known text.
    """
    usable = [one for one in read_manifest(manifest) if one.text]
    usable = [one for one in usable if one.read().seconds <= LONGEST_SENTENCE_S]
    if not usable:
        raise UsageError(f"{manifest} has no recording with text of {LONGEST_SENTENCE_S:g} s.")
    return usable[:: -(-len(usable) // N_SENTENCES)]


def play_stream(recording: Recording, counting: Counting) -> str:
    """Stream a recording on the audio clock; return the text of its finals."""
    audio = recording.read()
    counting.work.seconds += audio.seconds
    cached = CachedTranscriber(counting)
    detector = choose_detector("silero")
    return transcript(rehearse(recording.name, audio, VARIANTS[AS_IT_IS], cached, detector))


def play_file(recording: Recording, counting: Counting) -> str:
    """Transcribe a recording as a file; return its text."""
    audio = recording.read()
    counting.work.seconds += audio.seconds
    sounds = [at_16_khz(audio)[None]]
    detector = choose_detector("silero")
    transcribing = Transcribing(sounds, 1, counting, detector, FileOptions(language="en"), 1)
    return " ".join(segment.text for segment in transcribing)


@dataclass(frozen=True, slots=True)
class Result:
    """The transcript of a repetition, and that of its phrase alone."""

    repetition: Repetition
    text: str
    text_alone: str

    @property
    def found(self) -> int:
        """Number of copies that were recognised, estimated from the number of words."""
        words = compared(self.text_alone) or compared(self.repetition.phrase.text)
        return round(len(compared(self.text).split()) / len(words.split()))

    @property
    def errors(self) -> int:
        """Word errors of the repetition."""
        return errors(self.repetition.recording.text or "", self.text)

    @property
    def errors_alone(self) -> int:
        """Word errors of the phrase alone, multiplied by the number of copies."""
        return self.repetition.copies * errors(self.repetition.phrase.text, self.text_alone)

    @property
    def wrong(self) -> bool:
        """Whether more or fewer copies were recognised than were played."""
        return self.found != self.repetition.copies


def compared(text: str) -> str:
    """Return the normalised text with each digit as a word.

    The normaliser joins digits to numbers, so "one one, one one" would be a single word, and writes
    a lone "1" as "one".
    """
    digits = re.sub(r"\d", r" \g<0> ", re.sub(r"\bone\b", "1", normalised(text)))
    return " ".join(digits.split())


def errors(reference: str, text: str) -> int:
    """Return the number of word errors; each digit is a word."""
    return errors_between(compared(reference), compared(text)).errors


def rows_of(mode: str, results: Sequence[Result]) -> Iterator[Row]:
    """Yield the sums of each sort, and those of all."""
    sorts = list(dict.fromkeys(one.repetition.phrase.sort for one in results))
    for sort in [*sorts, "all"]:
        own = [one for one in results if sort in (one.repetition.phrase.sort, "all")]
        yield Row(
            sort=sort,
            mode=mode,
            seconds=round(sum(one.repetition.recording.read().seconds for one in own), 1),
            copies=sum(one.repetition.copies for one in own),
            found=sum(one.found for one in own),
            wrong=sum(one.wrong for one in own),
            repetitions=len(own),
            words=sum(len(compared(one.repetition.recording.text or "").split()) for one in own),
            errors=sum(one.errors for one in own),
            errors_alone=sum(one.errors_alone for one in own),
        )


def show_faults(mode: str, results: Iterable[Result]) -> None:
    """Print the repetitions with a wrong number of copies or more errors than the phrase alone."""
    for one in results:
        if one.wrong or one.errors > one.errors_alone:
            repetition = one.repetition
            print(
                f"{mode}: {repetition.phrase.sort}, {repetition.copies} copies, "
                f"{repetition.pause_s:g} s apart; found {one.found}, errors {one.errors}, alone "
                f"{one.errors_alone}\n  phrase: {repetition.phrase.text}\n  alone: "
                f"{one.text_alone}\n  text: {one.text}"
            )


def print_table(rows: Iterable[Row]) -> None:
    """Print the copies and errors of each sort."""
    print(
        "| sort | mode | seconds | copies played | recognised | wrong counts | words | errors "
        "| errors alone |\n|---|---|---|---|---|---|---|---|---|"
    )
    for row in rows:
        print(
            f"| {row.sort} | {row.mode} | {row.seconds:.0f} | {row.copies} | {row.found} "
            f"| {row.wrong} of {row.repetitions} | {row.words} | {row.errors} "
            f"| {row.errors_alone} |"
        )


def print_work(work: dict[str, dict[str, Work]]) -> None:
    """Print the work of repeated and of varied speech, and the ratio of the two."""
    print("\n| mode | speech | CPU s a minute | decoder passes a minute |\n|---|---|---|---|")
    for mode, spent in work.items():
        both = [one.per_minute() for one in spent.values()]
        for speech, (cpu_s, passes) in zip(spent, both, strict=True):
            print(f"| {mode} | {speech} | {cpu_s:.1f} | {passes:.0f} |")
        cpu, passes = (first / second for first, second in zip(*both, strict=True))
        print(f"| {mode} | ratio | {cpu:.2f} | {passes:.2f} |")


def as_json(work: dict[str, dict[str, Work]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the work as JSON objects."""
    return {
        mode: {speech: asdict(one) for speech, one in spent.items()} for mode, spent in work.items()
    }
