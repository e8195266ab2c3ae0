"""`bench confidence`: measures the calibration of the confidences of a stream's finals.

The session and the model are real and are rehearsed on the audio clock. A word is right if it is
aligned with an equal word of the reference.
"""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from stream.bench.audio_clock import TRAILING_S, CachedTranscriber, Rehearsal
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.material.recordings import Recording, read_manifest
from stream.evaluate.measures.calibration import Judged, calibration, expected_calibration_error
from stream.evaluate.measures.record import Finished, Stamped
from stream.evaluate.measures.scoring import judged


def run(*manifests: Path, model: str = "base", every: int = 1) -> None:
    """Print the share of correct words by confidence as a table, and one JSON line.

    Parameters
    ----------
    manifests
        Manifests (JSON lines) of recordings with text.
    model
        Name of the model.
    every
        Use every n-th recording.
    """
    cached = CachedTranscriber(WhisperTranscriber(model, device="cpu"))
    words: list[Judged] = []
    for manifest in manifests:
        for recording in read_manifest(manifest)[::every]:
            if recording.text:
                found = [word for final in finals(recording, cached) for word in final.words]
                words += judged(recording.text, found)
    bins = calibration(words)
    print("| confidence | words | mean | right |")
    print("|---|---|---|---|")
    for one in bins:
        print(
            f"| {one.low:.1f} to {one.high:.1f} | {one.words} "
            f"| {one.confidence:.2f} | {one.right:.0%} |"
        )
    error = expected_calibration_error(bins)
    right = sum(word.right for word in words) / max(1, len(words))
    print(f"| all | {len(words)} | expected error {error:.3f} | {right:.1%} |")
    print(json.dumps({"confidence": [asdict(b) for b in bins], "expected_error": round(error, 4)}))


def finals(recording: Recording, cached: CachedTranscriber) -> list[Finished]:
    """Rehearse a recording as a stream, and return its finals."""
    audio = recording.read()
    silence = np.zeros(round(TRAILING_S * audio.rate), np.int16)
    settings = StreamSettings(sample_rate=audio.rate)
    session = Session(recording.name, settings, SessionTuning(), choose_detector("silero"))
    cached.begin(recording.name)
    shown: list[Stamped] = Rehearsal(session, cached.transcribe).play(
        np.concatenate([audio.samples, silence])
    )
    return [stamped.event for stamped in shown if isinstance(stamped.event, Finished)]
