"""Transcribes windows to hypotheses, in batches.

A window is encoded at its own length and a margin of silence, not at Whisper's 30 s. If a guard
finds its words implausible, it is decoded again at 30 s, and the better reading is used. Speech
that the words do not cover, after the last of them or between two, is decoded separately.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isinf

import numpy as np
import torch
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import SessionTuning, for_memory
from stream.core.windows import (
    DecodingOptions,
    EngineTiming,
    Hypothesis,
    Window,
    WindowKind,
)
from stream.engine.checkpoints.checkpoint import Checkpoint, load_checkpoint
from stream.engine.cores import (
    SharedCores,
    calm_blas,
    give_back_memory,
    tune_malloc,
    usable_cores,
)
from stream.engine.memories import EncoderMemories, default_budget
from stream.engine.network.encoder_memory import EncoderMemory, most_bytes
from stream.engine.network.ways import as_setting, make
from stream.engine.network.whisper import Precision
from stream.engine.recognizer import Recall, Recognizer, Stopwatch, n_samples
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import AudioSpan, parts, uncovered_spans
from stream.engine.words.joining import join
from stream.engine.words.reading import Fault, Reading, better, without_invented_words
from stream.errors import UsageError

logger = logging.getLogger(__name__)

LEAST_S = 8.0
"""Least seconds to encode. With only 2 s of silence, one in six windows of 1.5 or 3 s made the
decoder loop; filled up to 8 s with silence, five of 180 did (docs/decisions/002)."""
FULL_S = 30.0
"""The length of Whisper's training examples, and the most seconds that it encodes at once."""
SHORTEST_S = 0.1
"""Seconds. Shorter audio cannot hold a word, and is not decoded."""
SAMPLING_HELPS = frozenset({Fault.LOOP, Fault.COMPRESSION, Fault.UNSURE, Fault.CROWDED})
"""Faults for which a final is decoded again at higher temperatures."""


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """How much silence is added, and how implausible words are handled."""

    margin_s: float
    """Seconds of silence after the audio; 30 pads to the full length."""
    least_s: float = LEAST_S
    """Least seconds to encode, including silence."""
    guards: bool = True
    """Whether implausible readings are decoded again, and words that are still implausible are
    removed."""
    padded_retries: bool = True
    """Whether implausible readings are decoded again at 30 s, if `guards` are on."""
    cover: bool = True
    """Whether speech that the words do not cover is decoded separately."""
    temperatures: tuple[float, ...] = (0.2, 0.4)
    """Temperatures that are tried in turn for a final whose words at 30 s have low confidence or
    are a loop."""
    refresh_s: float = 4.0
    """Seconds before the end of a window that are encoded again although the memory has them."""
    reach_s: float = 10.0
    """Seconds of the memory before these, to which their positions attend."""
    memory_margin_s: float = 2.0
    """Seconds of silence after the audio of a window that is encoded with memory."""
    finals_from_memory: bool = False
    """Whether finals are encoded with memory as well."""


OFFLINE = TranscribeOptions(margin_s=FULL_S, guards=False, cover=False)
"""Plain greedy decoding at full padding; it is the reference of every evaluation."""


class WhisperTranscriber:
    """A Whisper or Distil-Whisper model on one device."""

    def __init__(
        self,
        model: str | Checkpoint,
        precision: Precision | None = None,
        device: str | None = None,
        options: TranscribeOptions | None = None,
        *,
        assistant: str | Checkpoint | None = None,
        ways: str | None = None,
        memory_bytes: int | None = None,
    ) -> None:
        """Load a model.

        Args:
            model: its name, as for `load_checkpoint`, or its checkpoint.
            precision: precision of the weights; by default int8 on the CPU and float16 on CUDA.
            device: torch device; by default CUDA if there is a CUDA device, else the CPU.
            options: how windows are decoded; by default with the margin that was measured for the
                model, and with all guards.
            assistant: a smaller model that proposes tokens, which this model verifies.
            ways: how the CPU computes each operation, as in `Whisper.from_checkpoint`.
            memory_bytes: most bytes of the encoder's memory of all streams; `default_budget` if
                not given, and 0 encodes every window in full.

        Raises:
            CheckpointError: the model or its assistant cannot be loaded.
            UsageError: the assistant's tokens are not those of the model.
        """
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        on_cpu = torch.device(self.device).type == "cpu"
        self.precision: Precision = precision or ("int8" if on_cpu else "float16")
        tune_malloc()
        calm_blas()
        self.at_once = usable_cores() if on_cpu else 1
        checkpoint = load_checkpoint(model) if isinstance(model, str) else model
        self.name = checkpoint.name
        if isinstance(assistant, str):
            assistant = load_checkpoint(assistant)
        self.recognizer = Recognizer(checkpoint, self.device, self.precision, assistant, ways)
        urgent_cores = make("threads", self.recognizer.model.ways)(usable_cores())
        self._cores = SharedCores(usable_cores(), urgent_cores)
        self.languages: tuple[str, ...] = tuple(checkpoint.vocabulary.languages) or ("en",)
        del model, checkpoint, assistant  # the weights as read are larger than those in use
        give_back_memory()
        calibration = self.recognizer.calibration
        if isinf(calibration.diffuse_nats):
            logger.info(
                "%s: words that are invented in babble are not removed, "
                "because the guard against babble was not calibrated for these weights",
                self.name,
            )
        self.options = options or TranscribeOptions(calibration.margin_s)
        budget = default_budget() if memory_bytes is None else memory_bytes
        reach = positions_of(self.options.reach_s)
        self.memories: EncoderMemories = EncoderMemories(
            budget, lambda start_sample: self.recognizer.new_memory(start_sample, reach)
        )

    def assistant_alone(self, name: str, memory_bytes: int | None = None) -> "WhisperTranscriber":
        """Load the assistant, by its name, as a transcriber that works without the model.

        If model and assistant share an encoder, the two transcribers share it as well.
        `memory_bytes` is that of the constructor.
        """
        assistant, model = self.recognizer.assistant, self.recognizer.model
        ways = as_setting(model.ways)
        alone = WhisperTranscriber(
            name, self.precision, self.device, ways=ways, memory_bytes=memory_bytes
        )
        if assistant is not None and assistant.encoder is model.encoder:
            alone.recognizer.model.encoder = model.encoder
        return alone

    def warm_up(self) -> None:
        """Transcribe a window of noise, so that the first real one is not delayed by allocations.

        Raises:
            UsageError: this machine cannot compute the model, or cannot use the ways that are set.
        """
        samples = np.random.default_rng(0).normal(0, 0.01, 5 * SAMPLE_RATE).astype(np.float32)
        if failure := self.offline(samples).failure:
            pinned = as_setting(self.recognizer.model.ways)
            hint = f". The ways to compute are {pinned}; `--ways auto` chooses ways that work here."
            raise UsageError(failure + (hint if self.precision == "int8" else ""))

    def memory_in_words(self) -> str:
        """Return a sentence about how much the encoder remembers of streams."""
        if not self.memories.budget_bytes:
            return "The encoder remembers nothing of a stream: each window is encoded in full."
        longest_s = for_memory(SessionTuning()).max_partial_s - self.options.refresh_s
        one = most_bytes(
            self.recognizer.model.dims, positions_of(longest_s), positions_of(self.options.reach_s)
        )
        return (
            f"The encoder remembers up to {one / 1e6:.0f} MB of a stream, and "
            f"{self.memories.budget_bytes / 1e6:.0f} MB of all."
        )

    def offline(self, samples: NDArray[np.float32], language: str = "en") -> Hypothesis:
        """Transcribe up to 30 s, (n_samples,), by greedy decoding at 30 s without guards."""
        options = DecodingOptions(language=language)
        speech = ((0, len(samples)),)
        window = Window("offline", 0, 0, 0, WindowKind.FINAL, 0, samples, speech, options=options)
        return self.transcribe([window], OFFLINE)[0]

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token of the model spells."""
        return self.recognizer.token_bytes(token)

    def transcribe(
        self, windows: Sequence[Window], options: TranscribeOptions | None = None
    ) -> list[Hypothesis]:
        """Return one hypothesis for each window, in order; `failure` is set if a window failed.

        `options` replace those of the constructor.
        """
        options = options or self.options
        try:
            with self._cores.share(urgent=urgent(windows)):
                return self._transcribe(windows, options)
        except Exception as error:
            # One window must not make the others fail, so each is transcribed separately.
            if len(windows) == 1:
                logger.exception("a window of %d samples failed", len(windows[0].samples))
                return [Hypothesis(windows[0], (), failure=f"The model failed: {error}")]
            return [self.transcribe([window], options)[0] for window in windows]
        finally:
            # Batches of recordings are the largest, and each takes seconds.
            if windows and windows[0].kind is WindowKind.FILE:
                give_back_memory()

    @torch.inference_mode()
    def _transcribe(
        self, windows: Sequence[Window], options: TranscribeOptions
    ) -> list[Hypothesis]:
        watch = Stopwatch()
        readings: dict[int, list[Reading]] = {i: [] for i in range(len(windows))}
        pending = [(i, AudioSpan(w, w.start_sample, w.draft)) for i, w in enumerate(windows)]
        memories: list[EncoderMemory | None] | None = None
        while pending := [(i, span) for i, span in pending if has_speech(span)]:
            spans = [span for _, span in pending]
            first = memories is None
            # Only whole windows have a memory, not what is decoded again of them.
            memories = [self._memory_of(s, options) if first else None for s in spans]
            found = self._recognise(spans, options, watch, memories)
            for span, memory in zip(spans, memories, strict=True):
                if memory is not None:
                    self.memories.put(span.window, memory)
            left: list[tuple[int, AudioSpan]] = []
            for (i, span), reading in zip(pending, found, strict=True):
                # With timestamps, the next window begins where the segments of this one end.
                cover = options.cover and not span.options.timestamps
                instead = other_spans(span, reading) if cover else ()
                if instead:
                    left += [(i, other) for other in instead]
                    continue
                readings[i].append(reading)
                if cover:
                    left += [(i, uncovered) for uncovered in uncovered_spans(span, reading.words)]
            pending = left
        return [join_readings(w, readings[i], watch) for i, w in enumerate(windows)]

    def _memory_of(self, span: AudioSpan, options: TranscribeOptions) -> EncoderMemory | None:
        """Take the memory for a whole window; None if it is encoded in full and leaves none."""
        window = span.window
        if options is not self.options or n_samples(span) < len(window.samples):
            return None
        if window.kind is WindowKind.FINAL and not options.finals_from_memory:
            return None
        return self.memories.take(window, positions_of(options.refresh_s))

    def _recognise(
        self,
        spans: Sequence[AudioSpan],
        options: TranscribeOptions,
        watch: Stopwatch,
        memories: Sequence[EncoderMemory | None],
    ) -> list[Reading]:
        """Return the readings of spans, without words that are implausible at 30 s, too."""
        readings = self._attempt(spans, options, watch, memories)
        if not options.guards:
            return readings
        return [
            without_invented_words(reading, span.speech)
            for span, reading in zip(spans, readings, strict=True)
        ]

    @torch.inference_mode()
    def attempt(self, windows: Sequence[Window]) -> list[Reading]:
        """Return the best reading of each window as a whole, before guards remove words.

        The windows must hold speech.
        """
        spans = [AudioSpan(window, window.start_sample) for window in windows]
        return self._attempt(spans, self.options, Stopwatch(), [None] * len(spans))

    def _attempt(
        self,
        spans: Sequence[AudioSpan],
        options: TranscribeOptions,
        watch: Stopwatch,
        memories: Sequence[EncoderMemory | None],
    ) -> list[Reading]:
        """Decode spans, and implausible ones again at 30 s; return the best reading of each."""
        recall = Recall(memories, positions_of(options.refresh_s), options.memory_margin_s)
        encoded = self.recognizer.encode(spans, options.margin_s, options.least_s, watch, recall)
        readings = self.recognizer.decode(spans, encoded, watch)
        if not options.guards:
            return readings
        retried = [
            i
            for i, r in enumerate(readings)
            if r.faults
            and options.padded_retries
            and should_retry_padded(r, spans[i], 0.0)
            and not (options.cover and other_spans(spans[i], r))
        ]
        if retried:
            second = self._recognise_padded(
                [spans[i] for i in retried], [readings[i] for i in retried], options, watch
            )
            for i, reading in zip(retried, second, strict=True):
                readings[i] = reading
        return readings

    def _recognise_padded(
        self,
        spans: Sequence[AudioSpan],
        readings: Sequence[Reading],
        options: TranscribeOptions,
        watch: Stopwatch,
    ) -> list[Reading]:
        """Decode spans at 30 s, at rising temperatures; return the best reading of each."""
        best = list(readings)
        # The first reading is the draft: its tokens up to the first difference cost one pass.
        drafted = [replace(s, draft=r.result.tokens) for s, r in zip(spans, readings, strict=True)]
        encoded = self.recognizer.encode(drafted, FULL_S, FULL_S, watch)
        for temperature in (0.0, *options.temperatures):
            rows = [
                i for i, r in enumerate(best) if should_retry_padded(r, drafted[i], temperature)
            ]
            if not rows:
                break
            again = self.recognizer.decode(
                [drafted[i] for i in rows],
                encoded.rows(rows),
                watch,
                temperature,
            )
            for i, reading in zip(rows, again, strict=True):
                best[i] = better(best[i], reading)
        return best


def positions_of(seconds: float) -> int:
    """Return how many encoder positions so many seconds are."""
    return round(seconds * SAMPLE_RATE) // SAMPLES_PER_POSITION


def urgent(windows: Sequence[Window]) -> bool:
    """Return whether a client waits for this batch, so that it gets all free cores.

    That is true for a final, for the first words of an utterance, and for a single window of a
    recording. Other batches of recordings use one core each, and several run in parallel.
    """
    if any(window.kind is WindowKind.FINAL or window.awaited for window in windows):
        return True
    return len(windows) == 1 and windows[0].kind is WindowKind.FILE


def other_spans(span: AudioSpan, reading: Reading) -> tuple[AudioSpan, ...]:
    """Return the spans that are decoded in place of one, whose reading is not used; often none.

    A span with timestamps is never replaced.
    """
    if span.options.timestamps:
        return ()
    if own := speech_in_new_language(span, reading):
        return (own,)  # instead of a reading of two languages
    return parts(span) if reading.repeats else ()


def speech_in_new_language(span: AudioSpan, reading: Reading) -> AudioSpan | None:
    """Return the span without its context, if its language differs from that of the context.

    A span is decoded in one language, and a span in two languages yields wrong words. Returns None
    if the languages are equal, or if nothing remains without the context.
    """
    own, expected = span.window.own_sample, span.options.expected_language
    if expected in ("", reading.result.language) or not span.start_sample < own:
        return None
    alone = AudioSpan(span.window, own)
    return alone if has_speech(alone) else None


def has_speech(span: AudioSpan) -> bool:
    """Return whether a span holds speech and is at least `SHORTEST_S` long."""
    long_enough = span.end_sample - span.start_sample >= SHORTEST_S * SAMPLE_RATE
    return long_enough and bool(span.speech)


def should_retry_padded(reading: Reading, span: AudioSpan, temperature: float) -> bool:
    """Return whether a low-confidence span is decoded again at full padding.

    Low confidence alone is a reason only for a final: a partial often ends in the middle of a word,
    and the next partial corrects it. Sampling helps only against guesses and loops, and is not
    worth its time for a partial. Diffuse attention, a sign of many voices, is not a reason, because
    it does not change with the padding.

    Args:
        reading: reading of the span so far.
        span: the span that may be decoded again.
        temperature: temperature of the new attempt; above 0, tokens are sampled.
    """
    kind, faults = span.window.kind, reading.faults - {Fault.REPEATED}
    if not faults:
        return False  # the copies are removed
    if reading.repeats and (temperature > 0 or span.stop_sample is not None):
        return False  # the guards remove the copies that have no audio
    if temperature > 0:
        worth = kind is not WindowKind.PARTIAL and Fault.DIFFUSE not in faults
        return worth and bool(faults & SAMPLING_HELPS)
    if faults <= {Fault.DOUBTFUL}:
        return kind is WindowKind.FINAL
    if kind is WindowKind.PARTIAL:
        return Fault.DIFFUSE not in faults and not faults <= {Fault.DOUBTFUL, Fault.UNSURE}
    return True


def join_readings(window: Window, readings: Sequence[Reading], watch: Stopwatch) -> Hypothesis:
    """Return the hypothesis of a window from its readings, in the order of decoding."""
    timing = EngineTiming(
        encode_ms=watch.encode_ms,
        decode_ms=watch.decode_ms,
        decoder_passes=watch.passes[window],
        drafted_tokens=sum(r.result.drafted for r in readings),
        accepted_tokens=sum(r.result.accepted for r in readings),
    )
    words = join(reading.words for reading in readings)
    language = readings[0].result.language if readings else window.options.language
    cut = readings[-1].cut if readings else None
    dropped = tuple(word for reading in readings for word in reading.dropped)
    problems = tuple(sorted({code for reading in readings for code in reading.problems}))
    return Hypothesis(window, words, language, timing, cut, dropped, problems)
