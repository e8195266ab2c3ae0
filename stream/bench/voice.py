"""`bench voice`: measures false alarms and missed speech of the VADs with endpointing, no model.

In noise without speech every utterance is a false alarm. In speech, an utterance must begin before
the first vowel, early enough for a consonant, and end after the last vowel. The same recordings are
used at full level, 20 and 30 dB quieter, with a constant offset, in noise of the same level, and
over a telephone line.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.endpointing import Endpoint, Endpointer, Onset
from stream.core.high_pass import HighPass
from stream.core.settings import SessionTuning, StreamSettings
from stream.core.silero_gate import ENTER, LEAVE, SileroGate
from stream.core.vad import MakeDetector, VoiceDetector, webrtc_vad
from stream.engine.checkpoints.silero_weights import DISTRIBUTION, read_weights, weights_file
from stream.engine.voice_detectors import silero_gate
from stream.errors import UsageError
from stream.evaluate.material.mixing import seeded_rng, with_noise
from stream.evaluate.material.phone import phone_line
from stream.evaluate.material.recordings import Audio, Recording, at_16_khz, read_manifest, to_int16
from stream.evaluate.material.sounds import SILENCE, made_sounds
from stream.evaluate.measures.speech_times import Span, spoken_spans

Samples = NDArray[np.float32]

QUIETER_DB = (-20, -30)
OFFSET_LEVEL_DB, OFFSET = -12, 0.03
"""A microphone whose audio is 12 dB quieter, and has a constant offset of 3 % of full scale."""
NOISE_RATIOS_DB = (10, 0)
LONGEST_S = 60
"""Seconds of each recording that are used."""

CONSONANT_MS = 100
"""An utterance must begin at least this long before its first vowel, or it loses a consonant."""

PAUSE_MS = 300
"""A span of vowels after a longer pause begins with an onset."""

NOT_NOISE = "rir"
"""Part of the names of impulse responses, which are in the manifest of noise."""


@dataclass(frozen=True, slots=True)
class Case:
    """Audio for the detectors, and the spans of speech in it."""

    group: str
    samples: Samples
    """(n_samples,) at 16 kHz."""
    spoken: Sequence[Span] = ()
    rate: int = SAMPLE_RATE
    """Sample rate of the source, in hertz."""
    filtered: bool = True
    """Whether the samples pass the high-pass filter of a session before the detectors."""


@dataclass(slots=True)
class VoiceRow:
    """The figures of one detector for one group of cases."""

    group: str
    detector: str
    heard_s: float = 0.0
    """Seconds of audio."""
    utterances: int = 0
    utterances_s: float = 0.0
    """Seconds within utterances."""
    spoken_s: float = 0.0
    """Seconds of speech, from vowel to vowel."""
    missed_s: float = 0.0
    """Seconds of speech that are in no utterance."""
    spans: int = 0
    """Spans of vowels without a pause."""
    lost: int = 0
    """Spans of which more than half is in no utterance."""
    onsets: int = 0
    """Spans after a pause."""
    clipped: int = 0
    """Onsets whose utterance began too late for a consonant."""
    judged_s: float = 0.0
    """Seconds of audio that the network ran on; audio that was replayed counts again."""
    cpu_s: float = 0.0

    @property
    def per_hour(self) -> float:
        """Number of utterances for an hour of audio."""
        return self.utterances * 3600 / self.heard_s


def run(
    data: Path,
    limit: int | None = 36,
    seed: int = 0,
    enter: float = ENTER,
    leave: float = LEAVE,
) -> None:
    """Print false alarms in noise and missed speech as tables, and one JSON line.

    Parameters
    ----------
    data
        Folder with `noise.jsonl`, `dev.jsonl`, `phone.jsonl`, `stories.jsonl` and `noisy.jsonl`.
    limit
        Number of recordings of each set of speech; `none` for all.
    seed
        Seed of the choice of noise that speech is mixed with.
    enter
        Probability of the network at which speech begins.
    leave
        Probability of the network below which speech ends.
    """
    path = weights_file()
    if path is None:
        raise UsageError(f"There is nothing to compare: pip install {DISTRIBUTION}.")
    detectors: dict[str, MakeDetector] = {
        "webrtc": webrtc_vad,
        "silero": partial(silero_gate, read_weights(path), enter=enter, leave=leave),
    }
    rows: dict[tuple[str, str], VoiceRow] = {}
    for case in cases(data, limit, seed):
        for name, detector in detectors.items():
            row = rows.setdefault((case.group, name), VoiceRow(case.group, name))
            add(row, case, detector)
    print_table(list(rows.values()))
    print(json.dumps({"command": "bench voice", "rows": [asdict(row) for row in rows.values()]}))


def cases(data: Path, limit: int | None, seed: int) -> Iterator[Case]:
    """Yield all cases, group by group."""
    noises = [r for r in read_manifest(data / "noise.jsonl") if NOT_NOISE not in r.name]
    for noise in noises:
        yield Case("noise", beginning(noise.read()))
    for sound in made_sounds(1.0, seed):
        if sound.name in SILENCE:
            yield Case("silence and tones", beginning(sound.read()))
    for recording in spread(read_manifest(data / "dev.jsonl"), limit):
        yield from read_speech(recording, noises, seed)
    for name in ("phone", "stories"):
        for recording in spread(read_manifest(data / f"{name}.jsonl"), limit):
            audio = recording.read()
            samples = beginning(audio)
            yield Case(name, samples, spoken_spans(samples), audio.rate)
    yield from noisy_twins(read_manifest(data / "noisy.jsonl"))


def read_speech(recording: Recording, noises: Sequence[Recording], seed: int) -> Iterator[Case]:
    """Yield a recording as it is, quieter, in noise, and over a telephone line."""
    samples = beginning(recording.read())
    spoken = spoken_spans(samples)
    yield Case("dev", samples, spoken)
    for level in QUIETER_DB:
        quiet = to_int16(samples * 10 ** (level / 20)).astype(np.float32)
        yield Case(f"dev {level} dB", quiet * np.float32(1 / 32_768), spoken)
    shifted = samples * np.float32(10 ** (OFFSET_LEVEL_DB / 20)) + np.float32(OFFSET)
    yield Case("dev with an offset", shifted, spoken)
    yield Case("dev with an offset, unfiltered", shifted, spoken, filtered=False)
    for ratio in NOISE_RATIOS_DB:
        rng = seeded_rng(seed, recording.name, str(ratio))
        mixed = at_16_khz(with_noise(recording.read(), noises, ratio, rng))
        yield Case(f"dev in noise, {ratio} dB", mixed[: len(samples)], spoken)
    line = phone_line(recording.read(), 0.0, seeded_rng(seed, recording.name))
    yield Case("dev over a telephone", at_16_khz(line)[: len(samples)], spoken, line.rate)


def noisy_twins(recordings: Sequence[Recording]) -> Iterator[Case]:
    """Yield the noisy recording of each pair, with the speech spans of the clean one."""
    clean = {Path(r.name).name: r for r in recordings if "ground_truth" in r.name}
    for recording in recordings:
        if "ground_truth" not in recording.name:
            spoken = spoken_spans(beginning(clean[Path(recording.name).name].read()))
            yield Case("noisy", beginning(recording.read()), spoken)


def spread(recordings: Sequence[Recording], limit: int | None) -> list[Recording]:
    """Return at most `limit` recordings, taken evenly from the whole list.

    Neighbours in a list often have the same speaker.
    """
    n = len(recordings) if limit is None else min(limit, len(recordings))
    return [recordings[i * len(recordings) // n] for i in range(n)]


def beginning(audio: Audio) -> Samples:
    """Return the first `LONGEST_S` seconds of a recording, (n_samples,) at 16 kHz."""
    return at_16_khz(audio)[: LONGEST_S * SAMPLE_RATE]


def add(row: VoiceRow, case: Case, make_detector: MakeDetector) -> None:
    """Run a new detector on a case, and add the figures to its row."""
    detector = make_detector(case.rate)
    began = time.thread_time()
    samples = HighPass().feed(case.samples) if case.filtered else case.samples
    found = utterances(samples, detector)
    row.cpu_s += time.thread_time() - began
    inside = np.zeros(len(case.samples), bool)  # whether a sample is in an utterance
    for start, end in found:
        inside[start:end] = True
        row.utterances += 1
    row.heard_s += len(case.samples) / SAMPLE_RATE
    row.utterances_s += int(inside.sum()) / SAMPLE_RATE
    if isinstance(detector, SileroGate):
        row.judged_s += detector.windows_judged * detector.frame_samples / SAMPLE_RATE
    last_end = -SAMPLE_RATE
    for start, end in case.spoken:
        missed = int((~inside[start:end]).sum())
        row.spoken_s += (end - start) / SAMPLE_RATE
        row.missed_s += missed / SAMPLE_RATE
        row.spans += 1
        if 2 * missed > end - start:
            row.lost += 1
        elif start - last_end > PAUSE_MS * SAMPLE_RATE // 1000:
            consonant = max(start - CONSONANT_MS * SAMPLE_RATE // 1000, 0)
            row.onsets += 1
            row.clipped += not inside[consonant : start + 1].all()
        last_end = end


def utterances(samples: Samples, detector: VoiceDetector) -> list[Span]:
    """Return the spans of samples (n_samples,) that are transcribed with the default settings."""
    tuning = SessionTuning()
    size = detector.frame_samples
    endpointer = Endpointer(
        tuning.pre_roll_ms, tuning.onset_ms, StreamSettings().endpointing_ms, size
    )
    tail = tuning.tail_ms * SAMPLE_RATE // 1000
    spans, began = [], 0
    for first in range(0, len(samples) - size + 1, size):
        match endpointer.feed(detector.is_speech(samples[first : first + size])):
            case Onset(start_sample=began):
                pass
            case Endpoint(speech_end_sample=end, decided_sample=decided):
                spans.append((began, min(decided, end + tail)))
    if endpointer.force_end():
        spans.append((began, len(samples)))
    return spans


def print_table(rows: Sequence[VoiceRow]) -> None:
    """Print the table of false alarms in noise, then the table of missed speech."""
    print("| without speech | detector | minutes | utterances/h | seconds/h | network ran | CPU |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        if not row.spans:
            seconds = row.utterances_s * 3600 / row.heard_s
            print(
                f"| {row.group} | {row.detector} | {row.heard_s / 60:.1f} | {row.per_hour:.0f} "
                f"| {seconds:.0f} | {cost(row)} |"
            )
    print()
    print("| speech | detector | missed | lost spans | clipped onsets | network ran | CPU |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        if row.spans:
            print(
                f"| {row.group} | {row.detector} | {row.missed_s / row.spoken_s:.2%} "
                f"| {row.lost} of {row.spans} | {row.clipped} of {row.onsets} | {cost(row)} |"
            )


def cost(row: VoiceRow) -> str:
    """Return two cells: the share of the audio that the network ran on, and CPU time / duration."""
    return f"{row.judged_s / row.heard_s:.0%} | {row.cpu_s / row.heard_s:.2%}"
