"""`bench word-times`: measures the errors of the word times of a stream.

The session and the model are real and are rehearsed on the audio clock: a word has the times of the
window in which it was committed, often that of a partial. There are three kinds of speech with
known word edges: espeak-ng reports them, people's prompts are joined with known silences, and
PocketSphinx aligns read sentences with their text.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.bench.audio_clock import CachedTranscriber, Rehearsal
from stream.bench.speech.edges import EdgeErrors, bias_ms, close, percentile_ms
from stream.bench.speech.espeak import speak
from stream.bench.speech.forced import Aligner
from stream.bench.speech.prompts import joined, prompts
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.mixing import seeded_rng
from stream.evaluate.material.recordings import Audio, read_manifest, to_int16
from stream.evaluate.material.sounds import noise
from stream.evaluate.measures.record import Finished, TimedWord

PASSAGES = (
    "The old ferry leaves the harbour every morning, and comes back before dark. Nobody on the "
    "island can remember a winter without it.",
    "When the baker opened her shop on Tuesday, there was a letter under the door. She read it "
    "twice, folded it carefully, and went on kneading bread.",
    "Please send the red boxes to the warehouse, and keep the green ones here until the manager "
    "has counted them. After that, we can talk about the garden.",
)
VOICES = (("en-us", 150), ("en-gb", 175), ("en-gb-scotland", 160), ("en-us", 200))
"""Voices of espeak-ng, with words in a minute."""

SENTENCES = 24
PROMPTS_EACH = 5
PAUSES_S = (0.08, 0.6)
"""Shortest and longest pause between two prompts."""
LEAD_S = 0.5
TRAILING_S = 1.2
FLOOR_DBFS = -60.0
"""Level of the noise under synthesised and joined speech, like that of a quiet room; digital
silence would be unrealistically easy."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Speech with known word edges."""

    name: str
    audio: Audio
    words: tuple[TimedWord, ...]
    """The words; an edge that is not known is NaN."""


@dataclass(frozen=True, slots=True)
class TimesRow:
    """Errors of the word edges of one kind of speech, in milliseconds."""

    speech: str
    minutes: float
    said: int
    """Words of the reference."""
    found: int
    """Words of the reference that were recognised."""
    start_median: float
    start_p90: float
    start_bias: float
    """Median of the signed error; positive if word starts are too late."""
    end_median: float
    end_p90: float
    end_bias: float
    within_100_ms: float
    """Share of all edges, 0..1."""
    backwards: int
    """Words that begin before the word before them ends, or end before they begin."""


def run(
    data: Path | None = None, model: str = "base", every: int = 6, sentences: int = SENTENCES
) -> None:
    """Print the errors of word times as a table, and one JSON line.

    Parameters
    ----------
    data
        Folder with `dev.jsonl`, whose sentences PocketSphinx aligns with their text. Without it,
        only synthesised speech and joined telephone prompts are used.
    model
        Name of the model.
    every
        Use every n-th recording of `dev.jsonl`.
    sentences
        Number of sentences that are joined from recorded telephone prompts.
    """
    cached = CachedTranscriber(WhisperTranscriber(model, device="cpu"))
    kinds: dict[str, Callable[[], Iterator[Reference]]] = {
        "espeak-ng": spoken,
        "people's prompts": lambda: prompted(sentences),
    }
    if data is not None:
        kinds["read sentences, aligned"] = lambda: aligned(data / "dev.jsonl", every)
    print(
        "| speech | min | words | found | start | p90 | bias | end | p90 | bias | ≤ 100 ms | back |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    rows = []
    for kind, references in kinds.items():
        try:
            row = measure(kind, references(), cached)
        except UsageError as error:
            print(f"| {kind} | left out: {error} |")
            continue
        rows.append(row)
        print(as_line(row), flush=True)
    print(json.dumps({"word_times": [asdict(row) for row in rows]}))


def measure(kind: str, references: Iterator[Reference], cached: CachedTranscriber) -> TimesRow:
    """Stream the references, and compare the words of the finals with the reference words."""
    errors = EdgeErrors()
    seconds = 0.0
    for reference in references:
        errors.add(reference.words, streamed(reference, cached))
        seconds += reference.audio.seconds
    return TimesRow(
        speech=kind,
        minutes=round(seconds / 60, 1),
        said=errors.said,
        found=errors.found,
        start_median=round(percentile_ms(errors.starts)),
        start_p90=round(percentile_ms(errors.starts, 90)),
        start_bias=round(bias_ms(errors.starts)),
        end_median=round(percentile_ms(errors.ends)),
        end_p90=round(percentile_ms(errors.ends, 90)),
        end_bias=round(bias_ms(errors.ends)),
        within_100_ms=round(close(errors.starts + errors.ends), 3),
        backwards=errors.backwards,
    )


def streamed(reference: Reference, cached: CachedTranscriber) -> list[TimedWord]:
    """Rehearse a stream, and return the words of its finals in order."""
    audio = reference.audio
    session = Session(
        reference.name,
        StreamSettings(sample_rate=audio.rate),
        SessionTuning(),
        choose_detector("silero"),
    )
    cached.begin(session.id)
    shown = Rehearsal(session, cached.transcribe).play(audio.samples)
    return [word for one in shown if isinstance(one.event, Finished) for word in one.event.words]


def spoken() -> Iterator[Reference]:
    """Yield each passage in each voice of espeak-ng."""
    for voice, pace in VOICES:
        for number, passage in enumerate(PASSAGES):
            name = f"{voice} {pace} {number}"
            yield in_a_room(name, *speak(passage, voice, pace))


def prompted(sentences: int) -> Iterator[Reference]:
    """Yield sentences of random prompts, with pauses of random length between them."""
    # Longer prompts have too few known edges; single letters are recognised as words.
    short = [p for p in prompts("en") if len(p.text.split()) <= 4 and len(p.text) > 2]
    for number in range(sentences):
        rng = seeded_rng(0, "prompts", str(number))
        chosen = [short[i] for i in rng.choice(len(short), PROMPTS_EACH, replace=False)]
        pauses = [0.0, *rng.uniform(*PAUSES_S, PROMPTS_EACH - 1)]
        yield in_a_room(f"prompts {number}", *joined(chosen, pauses))


def aligned(manifest: Path, every: int) -> Iterator[Reference]:
    """Yield the recordings of a manifest that PocketSphinx can align, each with a silence after."""
    aligner = Aligner()
    for recording in read_manifest(manifest)[::every]:
        audio = recording.read()
        words = aligner.align(audio, recording.text or "")
        if words:
            silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
            audio = Audio(np.concatenate([audio.samples, silence]), audio.rate)
            yield Reference(recording.name, audio, words)


def in_a_room(name: str, audio: Audio, words: Sequence[TimedWord]) -> Reference:
    """Return speech with silence before and after it, over the noise of a quiet room."""
    lead = round(LEAD_S * audio.rate)
    padded = np.pad(audio.samples, (lead, round(TRAILING_S * audio.rate)))
    floor: NDArray[np.float64] = noise(len(padded), 0.5, FLOOR_DBFS, seeded_rng(0, name))
    samples = to_int16(padded / 32_768 + floor)
    lead_s = lead / audio.rate
    later = (TimedWord(w.text, w.start_s + lead_s, w.end_s + lead_s) for w in words)
    return Reference(name, Audio(samples, audio.rate), tuple(later))


def as_line(row: TimesRow) -> str:
    """Return a row as a line of the table."""
    return (
        f"| {row.speech} | {row.minutes} | {row.said} | {row.found} "
        f"| {row.start_median:.0f} | {row.start_p90:.0f} | {row.start_bias:+.0f} "
        f"| {row.end_median:.0f} | {row.end_p90:.0f} | {row.end_bias:+.0f} "
        f"| {row.within_100_ms:.0%} | {row.backwards} |"
    )
