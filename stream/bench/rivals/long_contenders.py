"""What `bench longform` holds against each other: ours, faster-whisper, and transformers.

Each has the same weights, is told that the language is English, and decodes greedily. The other two
are left what they do with long recordings: faster-whisper's batched pipeline cuts out the silence
and fills windows of 30 s, transformers' chunks by the clock and joins what overlaps.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from stream.bench.rivals.contenders import load_transformers, untyped_transformers
from stream.core.audio import SAMPLE_RATE
from stream.engine.voice_detectors import choose_detector
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.evaluate.adapters.faster_whisper import load_whisper
from stream.recordings.options import FileOptions
from stream.recordings.transcribing import Transcribing

TRANSFORMERS_CHUNK_S = 15.0
"""As Distil-Whisper's authors recommend; the strides are a sixth of it, the pipeline's default."""

END_OF_TEXT = "<|endoftext|>"

Read = Callable[[NDArray[np.float32]], str]
"""The text of a recording, (n_samples,) at 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class LongContender:
    """One way of transcribing whole recordings."""

    system: str
    precision: str
    batch: int
    """Windows that are heard at once."""
    read: Read


def ours(
    transcriber: WhisperTranscriber, options: FileOptions, batch: int, system: str
) -> LongContender:
    """Return our files under some options."""
    detector = choose_detector("silero")

    def read(samples: NDArray[np.float32]) -> str:
        blocks = in_blocks(samples)
        segments = Transcribing(blocks, 1, transcriber, detector, options, batch)
        return " ".join(segment.text for segment in segments)

    batch_told = 1 if options.long_form == "sequential" else batch
    return LongContender(system, transcriber.precision, batch_told, read)


def in_blocks(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield (1, n_samples) a second at a time, as a file is read."""
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[None, start : start + SAMPLE_RATE]


def faster_whisper_batched(model: str, batch: int) -> LongContender:
    """Return faster-whisper's batched pipeline.

    Raises `UsageError` where it is not installed.
    """
    whisper = load_whisper(model)
    from faster_whisper import BatchedInferencePipeline

    pipeline = BatchedInferencePipeline(whisper)

    def read(samples: NDArray[np.float32]) -> str:
        segments, _ = pipeline.transcribe(
            samples, language="en", beam_size=1, temperature=0.0, batch_size=batch
        )
        return " ".join(segment.text.strip() for segment in segments)

    kind = str(whisper.model.compute_type)
    return LongContender("faster-whisper, batched", kind, batch, read)


def transformers_chunked(model: str, device: str, batches: tuple[int, ...]) -> list[LongContender]:
    """Return transformers' pipeline with each size of batch.

    Raises as `load_transformers` does.
    """
    library = untyped_transformers()
    loaded = load_transformers(model, device)
    pipeline = library.AutomaticSpeechRecognitionPipeline(
        loaded.whisper,
        feature_extractor=loaded.extract,
        tokenizer=library.WhisperTokenizerFast(
            tokenizer_object=loaded.tokenizer, pad_token=END_OF_TEXT
        ),
        device=device,
        ignore_warning=True,
    )

    def reader(batch: int) -> Read:
        @torch.inference_mode()
        def read(samples: NDArray[np.float32]) -> str:
            heard = pipeline(
                samples.copy(),
                chunk_length_s=TRANSFORMERS_CHUNK_S,
                batch_size=batch,
                ignore_warning=True,
                generate_kwargs=loaded.english,
            )
            return str(heard["text"])

        return read

    return [LongContender("transformers", "float32", batch, reader(batch)) for batch in batches]
