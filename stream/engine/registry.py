"""From a model's name to a transcriber that is ready to serve."""

import logging
from typing import TYPE_CHECKING, Literal

from stream.engine.engine import Transcriber
from stream.engine.partials import PartialsByAssistant
from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.engine.capacity import Capacity

SCRIPTED = "scripted"
"""Name of a transcriber that finds numbers in any speech, for tests of everything but a model."""

log = logging.getLogger(__name__)


def load_transcriber(
    name: str,
    precision: Literal["auto", "int8", "float32", "float16", "bfloat16"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    assistant: str | None = None,
    partials: Literal["model", "assistant"] = "model",
    ways: str | None = None,
    encoder_memory_mb: int = 0,
) -> Transcriber:
    """Return a transcriber that is warm.

    Args:
        name: of the model, as `load_checkpoint` takes it, or `scripted`.
        precision: of the weights.
        device: where the model runs.
        assistant: name of a smaller model that proposes tokens, which the model verifies.
        partials: whether the model or its assistant alone decodes partials.
        ways: how the CPU computes each operation, as `Whisper.from_checkpoint` takes it.
        encoder_memory_mb: megabytes that the encoder may remember of all streams; 0 for
            none.

    Raises:
        UsageError: a model cannot be loaded, the two have different tokens, or the assistant is to
            decode partials and none is named.
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
        memory_bytes=encoder_memory_mb << 20,
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
