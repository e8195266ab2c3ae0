"""From a model's name to a transcriber that is ready to serve."""

import logging
from typing import Literal

from stream.engine.worker import Transcriber

SCRIPTED = "scripted"
"""Hears numbers in any speech: to try everything but a model."""

log = logging.getLogger(__name__)


def load_transcriber(
    name: str,
    precision: Literal["auto", "int8", "float32", "float16", "bfloat16"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    assistant: str | None = None,
) -> Transcriber:
    """Return the model of that name, warm, with its assistant.

    Raises `UsageError` where one of them is not to be had, or they do not go together.
    """
    if name == SCRIPTED:
        from stream.engine.scripted import ScriptedTranscriber, counting

        return ScriptedTranscriber(counting())
    log.info("loading %s", f"{name}, assisted by {assistant}" if assistant else name)
    from stream.engine.transcriber import WhisperTranscriber  # it imports torch

    transcriber = WhisperTranscriber(
        name,
        None if precision == "auto" else precision,
        None if device == "auto" else device,
        assistant=assistant,
    )
    log.info("warming up on %s, %s", transcriber.device, transcriber.precision)
    transcriber.warm_up()
    return transcriber
