"""From a model's name to a transcriber that is ready to serve."""

import logging
from typing import Literal

from stream.engine.engine import Transcriber
from stream.engine.partials import PartialsByAssistant
from stream.errors import UsageError

SCRIPTED = "scripted"
"""Hears numbers in any speech: to try everything but a model."""

log = logging.getLogger(__name__)


def load_transcriber(
    name: str,
    precision: Literal["auto", "int8", "float32", "float16", "bfloat16"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    assistant: str | None = None,
    partials: Literal["model", "assistant"] = "model",
    ways: str | None = None,
) -> Transcriber:
    """Return the model of that name, warm, with its assistant, who may hear the partials alone.

    Raises `UsageError` where one of them is missing or not to be had, or they do not go together.
    """
    if name == SCRIPTED:
        from stream.engine.scripted import ScriptedTranscriber, counting

        return ScriptedTranscriber(counting())
    if partials == "assistant" and assistant is None:
        raise UsageError("partials is 'assistant'; name the assistant with --assistant.")
    log.info("loading %s", f"{name}, assisted by {assistant}" if assistant else name)
    from stream.engine.whisper_transcriber import WhisperTranscriber  # it imports torch

    transcriber = WhisperTranscriber(
        name,
        None if precision == "auto" else precision,
        None if device == "auto" else device,
        assistant=assistant,
        ways=ways,
    )
    log.info("warming up on %s, %s", transcriber.device, transcriber.precision)
    transcriber.warm_up()
    if partials == "model" or assistant is None:
        return transcriber
    alone = transcriber.assistant_alone(assistant)
    alone.warm_up()
    return PartialsByAssistant(transcriber, alone)
