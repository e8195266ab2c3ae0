"""From a model's name to a transcriber that is ready to serve."""

import logging
from typing import TYPE_CHECKING, Literal

from stream.engine.engine import Transcriber
from stream.engine.partials import PartialsByAssistant
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.engine.capacity import Capacity

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
    # These import torch.
    from stream.engine.capacity import measure_capacity
    from stream.engine.whisper_transcriber import WhisperTranscriber

    transcriber = WhisperTranscriber(
        name,
        None if precision == "auto" else precision,
        None if device == "auto" else device,
        assistant=assistant,
        ways=ways,
    )
    log.info("warming up on %s, %s", transcriber.device, transcriber.precision)
    transcriber.warm_up()
    if transcriber.device == "cpu":
        warn_if_too_slow(name, measure_capacity(transcriber.recognizer.model))
    if partials == "model" or assistant is None:
        return transcriber
    alone = transcriber.assistant_alone(assistant)
    alone.warm_up()
    return PartialsByAssistant(transcriber, alone)


def warn_if_too_slow(model: str, capacity: "Capacity") -> None:
    """Say at start if the captions of a single speaker will lag, and what helps."""
    if capacity.streams() < 1:
        log.warning(
            "this machine is too slow for one live stream with %s: a second of speech takes about "
            "%.1f s of its %g cores. %s`distil-stream doctor` shows why.",
            model,
            capacity.load(),
            capacity.cores,
            "Try `make run MODEL=tiny.en` (English only). " if model != "tiny.en" else "",
        )
