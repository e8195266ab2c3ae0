"""Transcribes with the same model offline, at full padding: the baseline for streaming."""

from stream.evaluate.adapters import Transcribe
from stream.evaluate.adapters.offline_text import offline_transcript


def load(model: str) -> Transcribe:
    """Load the model and warm it up.

    Raises:
        CheckpointError: the model is not available.
    """
    from stream.engine.whisper_transcriber import WhisperTranscriber

    transcriber = WhisperTranscriber(model)
    transcriber.warm_up()
    return lambda audio: offline_transcript(transcriber, audio)
