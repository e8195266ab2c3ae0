"""Where a stream says that words begin and end, against where they do.

The session and the model are the real ones, rehearsed on the audio clock: a word has the times of
the window in which it was committed, often a partial's. Three kinds of speech have known edges:
espeak-ng reports them, people's prompts are joined with known silences, and PocketSphinx aligns
read sentences with their text.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.bench.audio_clock import Memory, Rehearsal
from stream.bench.speech.edges import EdgeErrors, bias_ms, close, median_ms
from stream.bench.speech.espeak import speak
from stream.bench.speech.forced import Aligner
from stream.bench.speech.prompts import joined, prompts
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.material.mixing import chance
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
"""Voices of espeak-ng, and words a minute."""

SENTENCES = 24
PROMPTS_EACH = 5
PAUSES_S = (0.08, 0.6)
"""Between two prompts."""
LEAD_S = 0.5
TRAILING_S = 1.2
FLOOR_DBFS = -60.0
"""Noise under all that is made, as a quiet room has: digital silence would be too easy."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Speech whose edges are known."""

    name: str
    audio: Audio
    words: tuple[TimedWord, ...]
    """An edge that is not known is not a number."""


@dataclass(frozen=True, slots=True)
class TimesRow:
    """How far the edges of one kind of speech are off; milliseconds."""

    speech: str
    minutes: float
    said: int
    found: int
    start_median: float
    start_p90: float
    start_bias: float
    """Late where positive."""
    end_median: float
    end_p90: float
    end_bias: float
    within_100_ms: float
    """Of all edges, 0..1."""
    backwards: int
    """Words that overlap the one before, or run backwards."""


def run(
    data: Path | None = None, model: str = "base", every: int = 6, sentences: int = SENTENCES
) -> None:
    """Print the table and one JSON line.

    Parameters
    ----------
    data
        The folder that holds `dev.jsonl`, to align its sentences; without it, made speech only.
    model
        Its name.
    every
        Take only every so manyth recording of `dev.jsonl`.
    sentences
        How many sentences are joined of prompts.
    """
    memory = Memory(WhisperTranscriber(model, device="cpu"))
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
            row = measure(kind, references(), memory)
        except UsageError as error:
            print(f"| {kind} | left out: {error} |")
            continue
        rows.append(row)
        print(as_line(row), flush=True)
    print(json.dumps({"word_times": [asdict(row) for row in rows]}))


def measure(kind: str, references: Iterator[Reference], memory: Memory) -> TimesRow:
    """Stream the references, and compare the finals' words with theirs."""
    errors = EdgeErrors()
    seconds = 0.0
    for reference in references:
        errors.add(reference.words, streamed(reference, memory))
        seconds += reference.audio.seconds
    return TimesRow(
        speech=kind,
        minutes=round(seconds / 60, 1),
        said=errors.said,
        found=errors.found,
        start_median=round(median_ms(errors.starts)),
        start_p90=round(median_ms(errors.starts, 90)),
        start_bias=round(bias_ms(errors.starts)),
        end_median=round(median_ms(errors.ends)),
        end_p90=round(median_ms(errors.ends, 90)),
        end_bias=round(bias_ms(errors.ends)),
        within_100_ms=round(close(errors.starts + errors.ends), 3),
        backwards=errors.backwards,
    )


def streamed(reference: Reference, memory: Memory) -> list[TimedWord]:
    """Return the words of the finals of a stream, in order."""
    audio = reference.audio
    session = Session(
        reference.name,
        StreamSettings(sample_rate=audio.rate),
        SessionTuning(),
        choose_detector("silero"),
    )
    shown = Rehearsal(session, memory.hear).play(audio.samples)
    return [word for one in shown if isinstance(one.event, Finished) for word in one.event.words]


def spoken() -> Iterator[Reference]:
    """Yield each passage as each voice says it."""
    for voice, pace in VOICES:
        for number, passage in enumerate(PASSAGES):
            name = f"{voice} {pace} {number}"
            yield in_a_room(name, *speak(passage, voice, pace))


def prompted(sentences: int) -> Iterator[Reference]:
    """Yield sentences of people's prompts, with silences of chance between them."""
    # Short ones: of a longer one only both ends are known. Single letters are heard as words.
    short = [p for p in prompts("en") if len(p.text.split()) <= 4 and len(p.text) > 2]
    for number in range(sentences):
        rng = chance(0, "prompts", str(number))
        chosen = [short[i] for i in rng.choice(len(short), PROMPTS_EACH, replace=False)]
        pauses = [0.0, *rng.uniform(*PAUSES_S, PROMPTS_EACH - 1)]
        yield in_a_room(f"prompts {number}", *joined(chosen, pauses))


def aligned(manifest: Path, every: int) -> Iterator[Reference]:
    """Yield the recordings of a manifest whose words the aligner knows."""
    aligner = Aligner()
    for recording in read_manifest(manifest)[::every]:
        audio = recording.read()
        words = aligner.align(audio, recording.text or "")
        if words:
            silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
            audio = Audio(np.concatenate([audio.samples, silence]), audio.rate)
            yield Reference(recording.name, audio, words)


def in_a_room(name: str, audio: Audio, words: Sequence[TimedWord]) -> Reference:
    """Return speech with a lead and a tail, over the noise of a quiet room."""
    lead = round(LEAD_S * audio.rate)
    padded = np.pad(audio.samples, (lead, round(TRAILING_S * audio.rate)))
    floor: NDArray[np.float64] = noise(len(padded), 0.5, FLOOR_DBFS, chance(0, name))
    samples = to_int16(padded / 32_768 + floor)
    lead_s = lead / audio.rate
    later = (TimedWord(w.text, w.start_s + lead_s, w.end_s + lead_s) for w in words)
    return Reference(name, Audio(samples, audio.rate), tuple(later))


def as_line(row: TimesRow) -> str:
    """Return a row of the table."""
    return (
        f"| {row.speech} | {row.minutes} | {row.said} | {row.found} "
        f"| {row.start_median:.0f} | {row.start_p90:.0f} | {row.start_bias:+.0f} "
        f"| {row.end_median:.0f} | {row.end_p90:.0f} | {row.end_bias:+.0f} "
        f"| {row.within_100_ms:.0%} | {row.backwards} |"
    )
