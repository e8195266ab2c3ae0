"""Windows in, hypotheses out, in batches: features, encoder, decode loop, word times, guards.

A window is encoded at its own length and a margin of silence, not at Whisper's 30 s. Where a
guard says that the words cannot be right, it is decoded once more at 30 s and the better of the
two stays. Where the words end and the speech goes on, the rest is decoded as a window of its own.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import (
    DecodingOptions,
    EngineTiming,
    Hypothesis,
    Window,
    WindowKind,
)
from stream.engine.alignment import SAMPLES_PER_POSITION
from stream.engine.checkpoints import Checkpoint, load_checkpoint
from stream.engine.decoding import DecodeRequest, decode
from stream.engine.features import log_mel
from stream.engine.hearing import (
    MAX_SAMPLES,
    Fault,
    Heard,
    Stretch,
    better,
    read,
    rest_of,
    without_invention,
)
from stream.engine.keyterms import BoostKeyterms
from stream.engine.threads import use_usable_cores
from stream.engine.whisper import Precision, Whisper

logger = logging.getLogger(__name__)

MARGIN_S = {"tiny.en": 2.0, "base": 2.0}
"""Seconds of silence after the speech, by model: measured (`margins.py`)."""
DEFAULT_MARGIN_S = 2.0
"""For a model that was not measured."""
LEAST_S = 8.0
"""Seconds that are encoded at least. Of windows of 1.5 s and 3 s with 2 s of silence every fourth
and every twelfth went into a loop; filled up to 8 s, next to none (docs/measurements.md). Filling
up costs 40 ms, decoding again at 30 s ten times that."""
FULL_S = 30.0
"""What Whisper was trained on, and the most it can hear at once."""

PAST_SPEECH_SLACK = 25
"""Encoder positions (half a second) past the speech that a word's end may listen to."""
SHORTEST_S = 0.1
"""Shorter audio holds no word, and costs nothing."""
TOKENS_PER_S = 16
"""Budget: twice what a fast speaker of English needs, and enough for dense scripts."""
TOKENS_BESIDE = 16


class Transcriber(Protocol):
    """What turns windows into hypotheses."""

    name: str
    languages: tuple[str, ...]

    def transcribe(self, windows: Sequence[Window]) -> list[Hypothesis]:
        """One hypothesis a window, in order; a window that fails gets one that says so."""


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """How much care to take, and how much silence to add."""

    margin_s: float
    """Silence after the audio; 30 pads to the full length."""
    guards: bool = True
    """Decode what cannot be right once more at 30 s, and cut what stays wrong."""
    cover: bool = True
    """Decode speech that the words leave out."""
    temperatures: tuple[float, ...] = (0.2, 0.4)
    """Tried in turn, on a final, where even 30 s left a guess or a repetition."""
    timestamps: bool = False
    """Let the model write timestamps; the words are the same or nearly so."""


OFFLINE = TranscribeOptions(margin_s=FULL_S, guards=False, cover=False)
"""Plain greedy decoding at full padding: the reference of every evaluation."""
FULL = OFFLINE
"""Padding of a second attempt."""


@dataclass(slots=True)
class Stopwatch:
    """What a batch has cost so far."""

    encode_ms: float = 0.0
    decode_ms: float = 0.0


class WhisperTranscriber:
    """A Whisper or Distil-Whisper model on one device."""

    def __init__(
        self,
        name: str,
        precision: Precision | None = None,
        device: str | None = None,
        options: TranscribeOptions | None = None,
        *,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Load a model.

        Args:
            name: as `load_checkpoint` takes it.
            precision: int8 on the CPU and float16 on CUDA unless told.
            device: CUDA where there is one unless told.
            options: the model's measured margin and all guards unless told.
            checkpoint: already loaded, else it is by its name.

        Raises:
            CheckpointError: the model is not to be had.
        """
        self.name = name
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        on_cpu = torch.device(self.device).type == "cpu"
        self.precision: Precision = precision or ("int8" if on_cpu else "float16")
        if on_cpu:
            use_usable_cores()
        checkpoint = checkpoint or load_checkpoint(name)
        self.model = Whisper.from_checkpoint(checkpoint, self.device, self.precision)
        self.tokenizer = checkpoint.tokenizer
        self.vocabulary = checkpoint.vocabulary
        self.alignment_heads = checkpoint.alignment_heads
        self.languages: tuple[str, ...] = tuple(checkpoint.vocabulary.languages) or ("en",)
        self.options = options or TranscribeOptions(MARGIN_S.get(name, DEFAULT_MARGIN_S))

    def warm_up(self) -> None:
        """Run one window through, so that the first real one does not wait for allocations."""
        samples = np.random.default_rng(0).normal(0, 0.01, 5 * SAMPLE_RATE).astype(np.float32)
        self.offline(samples)

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Transcribe up to 30 s, (n_samples,), plainly: greedy, fully padded, without guards."""
        options = DecodingOptions(language=language)
        speech = ((0, len(samples)),)
        window = Window("offline", 0, 0, 0, WindowKind.FINAL, 0, samples, speech, options=options)
        return self.transcribe([window], OFFLINE)[0]

    def transcribe(
        self, windows: Sequence[Window], options: TranscribeOptions | None = None
    ) -> list[Hypothesis]:
        """One hypothesis a window, in order; a window that fails gets one that says so."""
        options = options or self.options
        try:
            return self._transcribe(windows, options)
        except Exception as error:
            # One strange window must not lose its neighbours: each on its own, then.
            if len(windows) == 1:
                logger.exception("a window of %d samples failed", len(windows[0].samples))
                return [Hypothesis(windows[0], (), failure=f"The model failed: {error}")]
            return [self.transcribe([window], options)[0] for window in windows]

    @torch.inference_mode()
    def _transcribe(
        self, windows: Sequence[Window], options: TranscribeOptions
    ) -> list[Hypothesis]:
        watch = Stopwatch()
        heard: dict[int, list[Heard]] = {i: [] for i in range(len(windows))}
        pending = {i: Stretch(w, w.start_sample, w.draft) for i, w in enumerate(windows)}
        while pending := {i: stretch for i, stretch in pending.items() if worth_decoding(stretch)}:
            for i, found in zip(
                pending, self._hear(list(pending.values()), options, watch), strict=True
            ):
                heard[i].append(found)
            rests = {i: rest_of(stretch, heard[i][-1]) for i, stretch in pending.items()}
            pending = {i: rest for i, rest in rests.items() if rest and options.cover}
        return [hypothesis(w, heard[i], watch) for i, w in enumerate(windows)]

    def _hear(
        self, stretches: Sequence[Stretch], options: TranscribeOptions, watch: Stopwatch
    ) -> list[Heard]:
        """Decode stretches; where a guard fires, once more with all the padding there is."""
        heard = self._decode(stretches, self._encode(stretches, options, watch), watch)
        if not options.guards:
            return heard
        doubtful = [i for i, h in enumerate(heard) if h.faults and tries(h, stretches[i], 0)]
        if doubtful:
            drafted = [replace(stretches[i], draft=heard[i].result.tokens) for i in doubtful]
            encoded = self._encode(drafted, FULL, watch)
            for temperature in (0.0, *options.temperatures):
                rows = [
                    k for k, i in enumerate(doubtful) if tries(heard[i], drafted[k], temperature)
                ]
                if rows:
                    again = self._decode(
                        [drafted[k] for k in rows], encoded.rows(rows), watch, temperature
                    )
                    for k, second in zip(rows, again, strict=True):
                        heard[doubtful[k]] = better(heard[doubtful[k]], second)
        return [without_invention(h) for h in heard]

    def _encode(
        self, stretches: Sequence[Stretch], options: TranscribeOptions, watch: Stopwatch
    ) -> "Encoded":
        """Encode stretches, each with its own silence after it and at most 30 s long."""
        began = time.perf_counter()
        mels = [
            log_mel(self._padded(stretch, options), self.model.dims.n_mels) for stretch in stretches
        ]
        n_frames = torch.tensor([mel.shape[1] for mel in mels])
        mel = torch.zeros(
            len(mels), self.model.dims.n_mels, int(n_frames.max()), device=self.device
        )
        for i, row in enumerate(mels):
            mel[i, :, : row.shape[1]] = row
        audio = self.model.encode(mel, n_frames)  # (batch, n_positions, d_model)
        watch.encode_ms += 1000 * (time.perf_counter() - began)
        return Encoded(audio, (n_frames + 1) // 2)

    def _padded(self, stretch: Stretch, options: TranscribeOptions) -> torch.Tensor:
        """The samples of a stretch and silence, (n_samples,), in whole encoder positions."""
        n = stretch.end_sample - stretch.start_sample
        wanted = round(max(n / SAMPLE_RATE + options.margin_s, options.least_s) * SAMPLE_RATE)
        wanted = min(wanted, MAX_SAMPLES)
        padded = torch.zeros(-(-wanted // SAMPLES_PER_POSITION) * SAMPLES_PER_POSITION)
        padded[:n] = torch.from_numpy(stretch.samples)
        return padded.to(self.device)

    def _decode(
        self,
        stretches: Sequence[Stretch],
        encoded: "Encoded",
        watch: Stopwatch,
        temperature: float = 0.0,
    ) -> list[Heard]:
        """Decode encoded stretches and read their words."""
        began = time.perf_counter()
        results = decode(
            self.model,
            self.vocabulary,
            encoded.audio,
            encoded.n_positions,
            [self._request(stretch) for stretch in stretches],
            self.alignment_heads,
            temperature=temperature,
        )
        end_of_text = self.vocabulary.end_of_text
        heard = [
            read(s, r, self._text, end_of_text) for s, r in zip(stretches, results, strict=True)
        ]
        watch.decode_ms += 1000 * (time.perf_counter() - began)
        return heard

    def _request(self, stretch: Stretch) -> DecodeRequest:
        """What the decode loop is to do for a stretch."""
        n = stretch.end_sample - stretch.start_sample
        options = stretch.options
        spoken_to = stretch.speech[-1][1] - stretch.start_sample
        return DecodeRequest(
            max_new_tokens=min(
                TOKENS_BESIDE + TOKENS_PER_S * n // SAMPLE_RATE, self.model.dims.max_tokens // 2
            ),
            language=options.language,
            expected_language=options.expected_language,
            task=options.task,
            prompt=self._prompt(options),
            draft=stretch.draft,
            rules=(BoostKeyterms(options.keyterms, self._tokens),) if options.keyterms else (),
            speech_positions=spoken_to // SAMPLES_PER_POSITION + PAST_SPEECH_SLACK,
        )

    def _prompt(self, options: DecodingOptions) -> tuple[int, ...]:
        """Text tokens of the key terms and the prompt, which is nearer and so stronger."""
        texts = [", ".join(options.keyterms), options.prompt.strip()]
        text = "".join(f" {text}" for text in texts if text)
        return tuple(self._tokens(text)) if text else ()

    def _tokens(self, text: str) -> list[int]:
        """Text as tokens, without special ones."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def _text(self, tokens: Sequence[int]) -> str:
        """The text of tokens, its leading space kept."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False))


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Encoded stretches."""

    audio: torch.Tensor
    """(batch, n_positions, d_model)"""
    n_positions: torch.Tensor
    """(batch,) long: the positions of each row that are real."""

    def rows(self, rows: Sequence[int]) -> "Encoded":
        """Some of the rows."""
        return Encoded(self.audio[list(rows)], self.n_positions[list(rows)])


def worth_decoding(stretch: Stretch) -> bool:
    """Whether there is speech, and enough audio for a word."""
    long_enough = stretch.end_sample - stretch.start_sample >= SHORTEST_S * SAMPLE_RATE
    return long_enough and bool(stretch.speech)


def tries(heard: Heard, stretch: Stretch, temperature: float) -> bool:
    """Whether a doubtful stretch is decoded at 30 s at this temperature.

    A partial that is merely unsure breaks off in mid-word, and the next one will know. Sampling
    helps against guesses and repetitions only, and only a final is worth its time.
    """
    if stretch.window.kind is WindowKind.PARTIAL:
        return temperature == 0 and heard.faults != {Fault.UNSURE}
    sampled = {Fault.LOOP, Fault.COMPRESSION, Fault.UNSURE, Fault.CROWDED}
    return temperature == 0 or bool(heard.faults & sampled)


def hypothesis(window: Window, heard: Sequence[Heard], watch: Stopwatch) -> Hypothesis:
    """Join what was heard in a window's stretches."""
    timing = EngineTiming(
        encode_ms=watch.encode_ms,
        decode_ms=watch.decode_ms,
        decoder_passes=sum(h.result.passes for h in heard),
        drafted_tokens=sum(h.result.drafted for h in heard),
        accepted_tokens=sum(h.result.accepted for h in heard),
    )
    words = tuple(word for h in heard for word in h.words)
    language = heard[0].result.language if heard else window.options.language
    return Hypothesis(window, words, language, timing)
