"""The same model offline, plainly decoded at full padding: what streaming is measured against."""

from stream.evaluate.adapters import Transcribe
from stream.evaluate.adapters.offline_text import offline_text


def load(model: str) -> Transcribe:
    """Load the model, warm. Raises `CheckpointError` where it is not to be had."""
    from stream.engine.whisper_transcriber import WhisperTranscriber

    transcriber = WhisperTranscriber(model)
    transcriber.warm_up()
    return lambda audio: offline_text(transcriber, audio)
