"""The systems that `bench longform` compares: ours, faster-whisper, and transformers.

All have the same weights, are set to English, and decode greedily. Each divides long recordings in
its own way: faster-whisper's batched pipeline removes silence and fills windows of 30 s; the
pipeline of transformers uses chunks of a fixed length and joins their overlaps.
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
"""Seconds in a chunk, as Distil-Whisper's authors recommend; the strides are a sixth of it, the
default of the pipeline."""

END_OF_TEXT = "<|endoftext|>"

Transcribe = Callable[[NDArray[np.float32]], str]
"""Returns the text of a recording, (n_samples,) at 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class LongContender:
    """One system with its settings, for whole recordings."""

    system: str
    precision: str
    batch: int
    """Number of windows in a batch."""
    transcribe: Transcribe


def ours(
    transcriber: WhisperTranscriber, options: FileOptions, batch: int, system: str
) -> LongContender:
    """Return our transcription of recordings with some options."""
    detector = choose_detector("silero")

    def transcribe(samples: NDArray[np.float32]) -> str:
        blocks = in_blocks(samples)
        segments = Transcribing(blocks, 1, transcriber, detector, options, batch)
        return " ".join(segment.text for segment in segments)

    reported = 1 if options.long_form == "sequential" else batch
    return LongContender(system, transcriber.precision, reported, transcribe)


def in_blocks(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (1, n_samples) of one second, like a reader of files."""
    for start in range(0, len(samples), SAMPLE_RATE):
        yield samples[None, start : start + SAMPLE_RATE]


def faster_whisper_batched(model: str, batch: int) -> LongContender:
    """Return faster-whisper's batched pipeline.

    Raises:
        UsageError: faster-whisper is not installed.
    """
    whisper = load_whisper(model)
    from faster_whisper import BatchedInferencePipeline

    pipeline = BatchedInferencePipeline(whisper)

    def transcribe(samples: NDArray[np.float32]) -> str:
        segments, _ = pipeline.transcribe(
            samples, language="en", beam_size=1, temperature=0.0, batch_size=batch
        )
        return " ".join(segment.text.strip() for segment in segments)

    kind = str(whisper.model.compute_type)
    return LongContender("faster-whisper, batched", kind, batch, transcribe)


def transformers_chunked(model: str, device: str, batches: tuple[int, ...]) -> list[LongContender]:
    """Return the pipeline of transformers with each batch size.

    Raises the errors of `load_transformers`.
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

    def with_batch(batch: int) -> Transcribe:
        @torch.inference_mode()
        def transcribe(samples: NDArray[np.float32]) -> str:
            found = pipeline(
                samples.copy(),
                chunk_length_s=TRANSFORMERS_CHUNK_S,
                batch_size=batch,
                ignore_warning=True,
                generate_kwargs=loaded.english,
            )
            return str(found["text"])

        return transcribe

    return [LongContender("transformers", "float32", n, with_batch(n)) for n in batches]
