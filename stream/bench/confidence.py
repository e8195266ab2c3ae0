"""What a stream's confidences mean: of the words at about 0.9, how many are right?

The session and the model are the real ones, rehearsed on the audio clock; a word is right where it
stands in the reference.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stream.bench.audio_clock import TRAILING_S, Memory, Rehearsal
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.material.recordings import Recording, read_manifest
from stream.evaluate.measures.calibration import Judged, calibration, expected_calibration_error
from stream.evaluate.measures.record import Finished, Stamped
from stream.evaluate.measures.scoring import judged


def run(*manifests: Path, model: str = "base", every: int = 1) -> None:
    """Print the table and one JSON line.

    Parameters
    ----------
    manifests
        JSON lines of recordings with their text.
    model
        Its name.
    every
        Take only every so manyth recording.
    """
    memory = Memory(WhisperTranscriber(model, device="cpu"))
    words: list[Judged] = []
    for manifest in manifests:
        for recording in read_manifest(manifest)[::every]:
            if recording.text:
                heard = [word for final in finals(recording, memory) for word in final.words]
                words += judged(recording.text, heard)
    bins = calibration(words)
    print("| confidence | words | mean | right |")
    print("|---|---|---|---|")
    for found in bins:
        print(
            f"| {found.low:.1f} to {found.high:.1f} | {found.words} "
            f"| {found.confidence:.2f} | {found.right:.0%} |"
        )
    error = expected_calibration_error(bins)
    right = sum(word.right for word in words) / max(1, len(words))
    print(f"| all | {len(words)} | expected error {error:.3f} | {right:.1%} |")
    print(json.dumps({"confidence": [asdict(b) for b in bins], "expected_error": round(error, 4)}))


def finals(recording: Recording, memory: Memory) -> list[Finished]:
    """Stream a recording, and return its finals."""
    audio = recording.read()
    silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
    settings = StreamSettings(sample_rate=audio.rate)
    session = Session(recording.name, settings, SessionTuning(), choose_detector("silero"))
    shown: list[Stamped] = Rehearsal(session, memory.hear).play(
        np.concatenate([audio.samples, silence])
    )
    return [stamped.event for stamped in shown if isinstance(stamped.event, Finished)]
