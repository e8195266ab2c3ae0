"""The systems that `bench engine` times: our engine in variants, faster-whisper, transformers.

All have the same weights, transcribe the same windows, and decode greedily and without timestamps.
faster-whisper and transformers pad to 30 s, as in the original Whisper, and have neither drafts nor
batches of windows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Literal

import torch

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Hypothesis, Window
from stream.engine.checkpoints.checkpoint import Checkpoint, load_checkpoint, locate_checkpoint
from stream.engine.whisper_transcriber import OFFLINE, TranscribeOptions, WhisperTranscriber
from stream.errors import UsageError
from stream.evaluate.adapters.faster_whisper import load_whisper
from stream.evaluate.material.windows import beginning

Draft = Literal["none", "right", "last", "wrong"]
"""The draft of a window: nothing, its own tokens, those of the same window shorter by a hop, or
those of another window."""

HOP_S = 0.5
"""Seconds of new audio from one partial of an utterance to the next."""


@dataclass(frozen=True, slots=True)
class WindowResult:
    """The result of transcribing a window."""

    text: str
    tokens: tuple[int, ...] = ()
    passes: int | None = None
    """Decoder passes; None if a system does not report them."""
    drafted: int = 0
    accepted: int = 0
    decode_ms: float | None = None
    """This window's share of its batch's time in the decoder; None if a system does not report
    it."""


Transcribe = Callable[[Sequence[Window]], list[WindowResult]]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One system with its settings, ready to be timed."""

    system: str
    precision: str
    batch: int
    draft: str
    transcribe: Transcribe
    windows: tuple[Window, ...]
    """The windows with their drafts."""
    expected: tuple[tuple[int, ...], ...] | None = None
    """The tokens that the result of each window must have; None if they are not checked."""
    prepare: Callable[[], None] = lambda: None
    """Called before each round, and not timed."""


def ours(
    transcriber: WhisperTranscriber,
    windows: Sequence[Window],
    batches: Sequence[int],
    drafts: Sequence[Draft],
) -> list[Contender]:
    """Return our engine with each batch size and each kind of draft.

    The expected tokens are those of each window alone, without a draft.
    """
    plain = in_batches(transcriber, 1)
    own = [result.tokens for result in plain(windows)]
    earlier = [beginning(w, len(w.samples) / SAMPLE_RATE - HOP_S) for w in windows]
    drafted: dict[Draft, list[tuple[int, ...]]] = {
        "none": [() for _ in own],
        "right": own,
        "last": [result.tokens for result in plain(earlier)],
        "wrong": [*own[1:], *own[:1]],
    }
    return [
        Contender(
            system="ours",
            precision=transcriber.precision,
            batch=batch,
            draft=draft,
            transcribe=in_batches(transcriber, batch),
            windows=tuple(
                replace(w, draft=tokens) for w, tokens in zip(windows, drafted[draft], strict=True)
            ),
            expected=tuple(own),
        )
        for draft in drafts
        for batch in batches
    ]


def ours_remembering(
    transcriber: WhisperTranscriber, windows: Sequence[Window], batches: Sequence[int]
) -> list[Contender]:
    """Return our engine with the encoder's memory, with each batch size.

    Each window is a stream of its own, of which all but the last hop was transcribed before; the
    tokens of that are the draft. The words may differ from those of a full encoding, so tokens are
    not checked.
    """
    streams = [replace(w, session=f"{w.session} {i}") for i, w in enumerate(windows)]
    earlier = [beginning(w, len(w.samples) / SAMPLE_RATE - HOP_S) for w in streams]
    plain = in_batches(transcriber, 1)

    def prepare() -> None:
        for window in streams:
            transcriber.memories.forget(window.session)
        plain(earlier)

    drafts = [result.tokens for result in plain(earlier)]
    drafted = tuple(replace(w, draft=tokens) for w, tokens in zip(streams, drafts, strict=True))
    return [
        Contender(
            system="ours, memory",
            precision=transcriber.precision,
            batch=batch,
            draft="last",
            transcribe=in_batches(transcriber, batch),
            windows=drafted,
            prepare=prepare,
        )
        for batch in batches
    ]


def ours_padded(transcriber: WhisperTranscriber, windows: Sequence[Window]) -> Contender:
    """Return our engine as plain Whisper: one window at a time, padded to 30 s, no guards."""
    transcribe = in_batches(transcriber, 1, OFFLINE)
    return Contender("ours, 30 s", transcriber.precision, 1, "none", transcribe, tuple(windows))


def ours_assisted(
    transcriber: WhisperTranscriber,
    windows: Sequence[Window],
    batches: Sequence[int],
    expected: tuple[tuple[int, ...], ...] | None,
) -> list[Contender]:
    """Return our engine with an assistant; the tokens must be those of the model alone."""
    return [
        Contender(
            "ours, assisted",
            transcriber.precision,
            batch,
            "none",
            in_batches(transcriber, batch),
            tuple(windows),
            expected,
        )
        for batch in batches
    ]


def in_batches(
    transcriber: WhisperTranscriber, batch: int, options: TranscribeOptions | None = None
) -> Transcribe:
    """Return a function that transcribes windows in batches of `batch` windows."""

    def transcribe(windows: Sequence[Window]) -> list[WindowResult]:
        batches = [windows[i : i + batch] for i in range(0, len(windows), batch)]
        return [
            result_of(hypothesis, len(together))
            for together in batches
            for hypothesis in transcriber.transcribe(together, options)
        ]

    return transcribe


def result_of(hypothesis: Hypothesis, batch: int) -> WindowResult:
    """Return the result of a window from its hypothesis and the size of its batch."""
    timing = hypothesis.timing
    return WindowResult(
        "".join(word.text for word in hypothesis.words),
        tuple(token for word in hypothesis.words for token in word.tokens),
        timing.decoder_passes,
        timing.drafted_tokens,
        timing.accepted_tokens,
        timing.decode_ms / batch,
    )


def faster_whisper(model: str, windows: Sequence[Window]) -> Contender:
    """Return faster-whisper with its fastest settings: one temperature, no timestamps, one beam.

    Raises:
        UsageError: faster-whisper is not installed.
    """
    whisper = load_whisper(model)

    def transcribe(windows: Sequence[Window]) -> list[WindowResult]:
        return [WindowResult(transcript(window)) for window in windows]

    def transcript(window: Window) -> str:
        segments, _ = whisper.transcribe(
            window.samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            without_timestamps=True,
            condition_on_previous_text=False,
        )
        return "".join(segment.text for segment in segments)

    kind = str(whisper.model.compute_type)
    return Contender("faster-whisper", kind, 1, "none", transcribe, tuple(windows))


@dataclass(frozen=True, slots=True, eq=False)
class Transformers:
    """A model of transformers, its feature extractor and tokenizer; the library has no types."""

    whisper: Any
    extract: Any
    """The feature extractor."""
    tokenizer: Any
    """A tokenizer of the tokenizers library."""
    end_of_text: int
    english: dict[str, str]
    """The arguments of `generate` that set the language to English."""


def transformers(model: str, device: str, windows: Sequence[Window]) -> Contender:
    """Return Whisper as transformers implements it: the reference for the words of the others.

    Raises the errors of `load_transformers`.
    """
    loaded = load_transformers(model, device)

    def transcribe(windows: Sequence[Window]) -> list[WindowResult]:
        return [transcript(window) for window in windows]

    @torch.inference_mode()
    def transcript(window: Window) -> WindowResult:
        mel = loaded.extract(window.samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        ids = loaded.whisper.generate(mel.input_features.to(device), **loaded.english)[0].tolist()
        text = [token for token in ids if token < loaded.end_of_text]
        return WindowResult(str(loaded.tokenizer.decode(text)), passes=len(text) + 1)

    return Contender("transformers", "float32", 1, "none", transcribe, tuple(windows))


def load_transformers(model: str, device: str) -> Transformers:
    """Load a model with transformers, in float32.

    Raises:
        CheckpointError: the model is not available.
        UsageError: it is not in the format of transformers.
    """
    library = untyped_transformers()
    library.logging.set_verbosity_error()
    library.logging.disable_progress_bar()
    checkpoint = load_checkpoint(model)
    folder, _ = locate_checkpoint(model)
    try:
        whisper = library.WhisperForConditionalGeneration.from_pretrained(
            folder, dtype=torch.float32
        )
    except OSError as error:
        raise UsageError(f"transformers cannot read {folder}: {error}") from error
    whisper.eval().to(device)
    whisper.generation_config = generation_config(checkpoint)
    return Transformers(
        whisper=whisper,
        extract=library.WhisperFeatureExtractor(feature_size=checkpoint.dims.n_mels),
        tokenizer=checkpoint.tokenizer,
        end_of_text=checkpoint.vocabulary.end_of_text,
        english={"language": "en", "task": "transcribe"} if checkpoint.vocabulary.languages else {},
    )


def generation_config(checkpoint: Checkpoint) -> Any:
    """Return the generation settings of a model; converted models lack most of them."""
    vocabulary = checkpoint.vocabulary
    languages = {f"<|{code}|>": token for code, token in vocabulary.languages.items()}
    tasks = {"transcribe": vocabulary.transcribe, "translate": vocabulary.translate}
    return untyped_transformers().GenerationConfig(
        decoder_start_token_id=vocabulary.start_of_transcript,
        bos_token_id=vocabulary.end_of_text,
        eos_token_id=vocabulary.end_of_text,
        pad_token_id=vocabulary.end_of_text,
        no_timestamps_token_id=vocabulary.no_timestamps,
        prev_sot_token_id=vocabulary.start_of_previous,
        is_multilingual=vocabulary.multilingual,
        # If a table of languages is given, even an empty one, generate() detects the language and
        # adds it to the prompt.
        **({"lang_to_id": languages, "task_to_id": tasks} if languages else {}),
        suppress_tokens=list(vocabulary.suppressed),
        begin_suppress_tokens=list(vocabulary.suppressed_at_start),
        max_length=checkpoint.dims.max_tokens,
    )


def untyped_transformers() -> Any:
    """Return the library as `Any`, since its annotations are not correct."""
    return import_module("transformers")
