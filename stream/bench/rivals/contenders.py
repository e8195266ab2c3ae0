"""What `bench engine` times: our engine in its variations, faster-whisper, and transformers.

Each has the same weights and hears the same windows. All decode greedily and without timestamps;
the other two pad to 30 s, as Whisper is made, and know neither drafts nor batches of windows.
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
"""What a window brings along: nothing, its own words, those of the window before it (shorter by a
hop), or another window's."""

HOP_S = 0.5
"""New audio from one partial of an utterance to the next."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was heard in a window."""

    text: str
    tokens: tuple[int, ...] = ()
    passes: int | None = None
    """Of the decoder; None where a system does not say."""
    drafted: int = 0
    accepted: int = 0
    decode_ms: float | None = None
    """This window's share of its batch's time in the decoder; None where a system does not say."""


Hear = Callable[[Sequence[Window]], list[Said]]


@dataclass(frozen=True, slots=True, eq=False)
class Contender:
    """One way of transcribing, ready to be timed."""

    system: str
    precision: str
    batch: int
    draft: str
    hear: Hear
    windows: tuple[Window, ...]
    """With their drafts."""
    expected: tuple[tuple[int, ...], ...] | None = None
    """The tokens that must come out of each window; None where another system hears."""


def ours(
    transcriber: WhisperTranscriber,
    windows: Sequence[Window],
    batches: Sequence[int],
    drafts: Sequence[Draft],
) -> list[Contender]:
    """Return our engine with every size of batch and every kind of draft.

    What must come out is what comes out of each window alone and without a draft.
    """
    plain = hearer(transcriber, 1)
    own = [said.tokens for said in plain(windows)]
    earlier = [beginning(w, len(w.samples) / SAMPLE_RATE - HOP_S) for w in windows]
    drafted: dict[Draft, list[tuple[int, ...]]] = {
        "none": [() for _ in own],
        "right": own,
        "last": [said.tokens for said in plain(earlier)],
        "wrong": [*own[1:], *own[:1]],
    }
    return [
        Contender(
            system="ours",
            precision=transcriber.precision,
            batch=batch,
            draft=draft,
            hear=hearer(transcriber, batch),
            windows=tuple(
                replace(w, draft=tokens) for w, tokens in zip(windows, drafted[draft], strict=True)
            ),
            expected=tuple(own),
        )
        for draft in drafts
        for batch in batches
    ]


def ours_padded(transcriber: WhisperTranscriber, windows: Sequence[Window]) -> Contender:
    """Return our engine without its own habits: one window at a time, padded, no guards."""
    hear = hearer(transcriber, 1, OFFLINE)
    return Contender("ours, 30 s", transcriber.precision, 1, "none", hear, tuple(windows))


def ours_assisted(
    transcriber: WhisperTranscriber,
    windows: Sequence[Window],
    batches: Sequence[int],
    expected: tuple[tuple[int, ...], ...] | None,
) -> list[Contender]:
    """Return our engine with an assistant, which must say what the model says alone."""
    return [
        Contender(
            "ours, assisted",
            transcriber.precision,
            batch,
            "none",
            hearer(transcriber, batch),
            tuple(windows),
            expected,
        )
        for batch in batches
    ]


def hearer(
    transcriber: WhisperTranscriber, batch: int, options: TranscribeOptions | None = None
) -> Hear:
    """Return what transcribes windows, so many at a time."""

    def hear(windows: Sequence[Window]) -> list[Said]:
        batches = [windows[i : i + batch] for i in range(0, len(windows), batch)]
        return [
            said(hypothesis, len(together))
            for together in batches
            for hypothesis in transcriber.transcribe(together, options)
        ]

    return hear


def said(hypothesis: Hypothesis, batch: int) -> Said:
    """Return the words of a hypothesis, and what they took in a batch of so many windows."""
    timing = hypothesis.timing
    return Said(
        "".join(word.text for word in hypothesis.words),
        tuple(token for word in hypothesis.words for token in word.tokens),
        timing.decoder_passes,
        timing.drafted_tokens,
        timing.accepted_tokens,
        timing.decode_ms / batch,
    )


def faster_whisper(model: str, windows: Sequence[Window]) -> Contender:
    """Return CTranslate2's engine at its leanest: one temperature, no timestamps, one beam.

    Raises `UsageError` where it is not installed.
    """
    whisper = load_whisper(model)

    def hear(windows: Sequence[Window]) -> list[Said]:
        return [Said(transcript(window)) for window in windows]

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
    return Contender("faster-whisper", kind, 1, "none", hear, tuple(windows))


@dataclass(frozen=True, slots=True, eq=False)
class Transformers:
    """A model of transformers with all that it takes to use it; the library has no types."""

    whisper: Any
    extract: Any
    """Its feature extractor."""
    tokenizer: Any
    """Of the tokenizers library."""
    end_of_text: int
    english: dict[str, str]
    """What `generate` is told, so that it hears English."""


def transformers(model: str, device: str, windows: Sequence[Window]) -> Contender:
    """Return transformers' own Whisper: what every other implementation is held against.

    Raises as `load_transformers` does.
    """
    loaded = load_transformers(model, device)

    def hear(windows: Sequence[Window]) -> list[Said]:
        return [transcript(window) for window in windows]

    @torch.inference_mode()
    def transcript(window: Window) -> Said:
        mel = loaded.extract(window.samples, sampling_rate=SAMPLE_RATE, return_tensors="pt")
        ids = loaded.whisper.generate(mel.input_features.to(device), **loaded.english)[0].tolist()
        text = [token for token in ids if token < loaded.end_of_text]
        return Said(str(loaded.tokenizer.decode(text)), passes=len(text) + 1)

    return Contender("transformers", "float32", 1, "none", hear, tuple(windows))


def load_transformers(model: str, device: str) -> Transformers:
    """Load a model as transformers has it, in float32.

    Raises `CheckpointError` where the model is not to be had, and `UsageError` where it is not in
    transformers' layout.
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
        raise UsageError(f"transformers does not read {folder}: {error}") from error
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
    """Return what transformers is to know of a model's tokens: converted models lack most of it."""
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
        # A table of languages, empty or not, makes it listen for one, and tell the decoder.
        **({"lang_to_id": languages, "task_to_id": tasks} if languages else {}),
        suppress_tokens=list(vocabulary.suppressed),
        begin_suppress_tokens=list(vocabulary.suppressed_at_start),
        max_length=checkpoint.dims.max_tokens,
    )


def untyped_transformers() -> Any:
    """Return the library, whose annotations do not hold."""
    return import_module("transformers")
