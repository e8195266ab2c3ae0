"""The families of models that the server can load, and how each is loaded.

A new family, or an engine on another machine, is a row of `FAMILIES` and a function that returns a
`Transcriber`.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from stream.engine.partials import PartialsByAssistant
from stream.engine.transcriber import Transcriber
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.engine.capacity import Capacity

SCRIPTED = "scripted"
"""Name of a transcriber that returns numbers for any speech, for tests without a model."""

log = logging.getLogger(__name__)


def load_transcriber(
    name: str,
    precision: Literal["auto", "int8", "float32", "float16", "bfloat16"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    assistant: str | None = None,
    partials: Literal["model", "assistant"] = "model",
    ways: str | None = None,
    encoder_memory_mb: int = 0,
    padded_retries: Literal["auto", "never"] = "auto",
) -> Transcriber:
    """Load a transcriber and warm it up.

    On the CPU, a warning is logged if the machine is too slow for one live stream.

    Args:
        name: name of the model, as for `load_checkpoint`, or `scripted`.
        precision: precision of the weights.
        device: device on which the model runs.
        assistant: name of a smaller model that proposes tokens, which the model verifies.
        partials: whether the model or its assistant alone decodes partials.
        ways: how the CPU computes each operation, as in `Whisper.from_checkpoint`.
        encoder_memory_mb: megabytes for the encoder's memory of all streams; 0 for none.
        padded_retries: whether improbable words are decoded again at 30 s of padding.

    Raises:
        UsageError: a model cannot be loaded, the two models have different tokens, or `partials` is
            `assistant` and no assistant is named.
    """
    family = name if name in FAMILIES else "whisper"
    return FAMILIES[family](
        name, precision, device, assistant, partials, ways, encoder_memory_mb, padded_retries
    )


def load_scripted(*options: object) -> Transcriber:
    """Return the transcriber for tests; it has no options."""
    from stream.engine.scripted import ScriptedTranscriber, counting

    return ScriptedTranscriber(counting())


def load_whisper(
    name: str,
    precision: Literal["auto", "int8", "float32", "float16", "bfloat16"],
    device: Literal["auto", "cpu", "cuda"],
    assistant: str | None,
    partials: Literal["model", "assistant"],
    ways: str | None,
    encoder_memory_mb: int,
    padded_retries: Literal["auto", "never"],
) -> Transcriber:
    """Return a Whisper model that is warm; the options are those of `load_transcriber`."""
    if partials == "assistant" and assistant is None:
        raise UsageError("partials is 'assistant'; name the assistant with --assistant.")
    log.info("loading %s", f"{name}, assisted by {assistant}" if assistant else name)
    # These import torch.
    from stream.engine.capacity import measure_capacity
    from stream.engine.whisper_transcriber import WhisperTranscriber

    by_assistant = assistant is not None and partials == "assistant"
    # Only windows of partials follow each other; finals are encoded in full.
    budget = encoder_memory_mb << 20
    transcriber = WhisperTranscriber(
        name,
        None if precision == "auto" else precision,
        None if device == "auto" else device,
        assistant=assistant,
        ways=ways,
        memory_bytes=0 if by_assistant else budget,
    )
    transcriber.options = replace(transcriber.options, padded_retries=padded_retries == "auto")
    log.info("warming up on %s, %s", transcriber.device, transcriber.precision)
    transcriber.warm_up()
    if transcriber.device == "cpu":
        warn_if_too_slow(name, measure_capacity(transcriber.recognizer.model))
    remembering = transcriber
    if by_assistant:
        remembering = transcriber.assistant_alone(str(assistant), budget)
        remembering.warm_up()
    log.info("%s", remembering.memory_in_words())
    return PartialsByAssistant(transcriber, remembering) if by_assistant else transcriber


FAMILIES: Mapping[str, Callable[..., Transcriber]] = {
    SCRIPTED: load_scripted,
    "whisper": load_whisper,
}
"""Loader of each family, called with the options of `load_transcriber`. A name that is none of
these is a model of Whisper: a folder, an embedded model or an id of the hub."""


def warn_if_too_slow(model: str, capacity: "Capacity") -> None:
    """Log a warning, with a remedy, if the machine is too slow for the speech of one stream."""
    if capacity.streams() < 1:
        log.warning(
            "this machine is too slow for one live stream with %s: a second of speech takes about "
            "%.1f CPU seconds, and there are %g cores. %s`distil-stream doctor` shows the details.",
            model,
            capacity.load(),
            capacity.cores,
            "Try `make run MODEL=tiny.en` (English only). " if model != "tiny.en" else "",
        )
