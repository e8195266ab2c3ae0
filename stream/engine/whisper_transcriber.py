"""Windows in, hypotheses out, in batches.

A window is encoded at its own length and a margin of silence, not at Whisper's 30 s. Where a
guard says that the words cannot be right, it is decoded once more at 30 s and the better of the
two stays. Speech that the words leave out, after the last of them or between, is decoded as a
window of its own.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from stream.core.audio import SAMPLE_RATE
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
from stream.engine.network.ways import as_setting, make
from stream.engine.network.whisper import Precision
from stream.engine.recognizer import Recognizer, Stopwatch
from stream.engine.words.coverage import Stretch, unheard
from stream.engine.words.reading import Fault, Heard, better, without_invention
from stream.errors import UsageError

logger = logging.getLogger(__name__)

MARGIN_S = {"tiny.en": 2.0, "base": 2.0}
"""Seconds of silence after the speech, by model: measured, docs/decisions/001."""
DEFAULT_MARGIN_S = 2.0
"""For a model that was not measured."""
LEAST_S = 8.0
"""Seconds that are encoded at least. With 2 s of silence every sixth window of 1.5 or 3 s repeated
itself; filled up to 8 s, five of 180 did (docs/decisions/002)."""
FULL_S = 30.0
"""What Whisper was trained on, and the most it can hear at once."""
SHORTEST_S = 0.1
"""Shorter audio holds no word, and costs nothing."""
SAMPLING_HELPS = frozenset({Fault.LOOP, Fault.COMPRESSION, Fault.UNSURE, Fault.CROWDED})


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """How much care to take, and how much silence to add."""

    margin_s: float
    """Silence after the audio; 30 pads to the full length."""
    least_s: float = LEAST_S
    """What is encoded at least, silence included."""
    guards: bool = True
    """Decode what cannot be right once more at 30 s, and cut what stays wrong."""
    cover: bool = True
    """Decode speech that the words leave out."""
    temperatures: tuple[float, ...] = (0.2, 0.4)
    """Tried in turn, on a final, where even 30 s left a guess or a repetition."""


OFFLINE = TranscribeOptions(margin_s=FULL_S, guards=False, cover=False)
"""Plain greedy decoding at full padding: the reference of every evaluation."""


class WhisperTranscriber:
    """A Whisper or Distil-Whisper model on one device."""

    def __init__(
        self,
        name: str,
        precision: Precision | None = None,
        device: str | None = None,
        options: TranscribeOptions | None = None,
        *,
        assistant: str | Checkpoint | None = None,
        checkpoint: Checkpoint | None = None,
        ways: str | None = None,
    ) -> None:
        """Load a model.

        Args:
            name: as `load_checkpoint` takes it.
            precision: int8 on the CPU and float16 on CUDA unless told.
            device: CUDA where there is one unless told.
            options: the model's measured margin and all guards unless told.
            assistant: a smaller model that drafts what this one verifies.
            checkpoint: already loaded, else it is by its name.
            ways: how the CPU computes, as `Whisper.from_checkpoint` takes it.

        Raises:
            CheckpointError: the model or its assistant is not to be had.
            UsageError: the assistant does not speak the model's tokens.
        """
        self.name = name
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        on_cpu = torch.device(self.device).type == "cpu"
        self.precision: Precision = precision or ("int8" if on_cpu else "float16")
        tune_malloc()
        calm_blas()
        self.at_once = usable_cores() if on_cpu else 1
        checkpoint = checkpoint or load_checkpoint(name)
        if isinstance(assistant, str):
            assistant = load_checkpoint(assistant)
        self.recognizer = Recognizer(checkpoint, self.device, self.precision, assistant, ways)
        urgent_cores = make("threads", self.recognizer.model.ways)(usable_cores())
        self._cores = SharedCores(usable_cores(), urgent_cores)
        self.languages: tuple[str, ...] = tuple(checkpoint.vocabulary.languages) or ("en",)
        del checkpoint, assistant  # the weights as they were read, larger than those in use
        give_back_memory()
        self.options = options or TranscribeOptions(MARGIN_S.get(name, DEFAULT_MARGIN_S))

    def assistant_alone(self, name: str) -> "WhisperTranscriber":
        """Return a transcriber of the assistant of that name; a shared encoder stays shared."""
        assistant, model = self.recognizer.assistant, self.recognizer.model
        ways = as_setting(model.ways)
        alone = WhisperTranscriber(name, self.precision, self.device, ways=ways)
        if assistant is not None and assistant.encoder is model.encoder:
            alone.recognizer.model.encoder = model.encoder
        return alone

    def warm_up(self) -> None:
        """Run one window through, so that the first real one does not wait for allocations.

        Raises:
            UsageError: this machine cannot compute the model, or not in the ways that are pinned.
        """
        samples = np.random.default_rng(0).normal(0, 0.01, 5 * SAMPLE_RATE).astype(np.float32)
        if failure := self.offline(samples).failure:
            pinned = as_setting(self.recognizer.model.ways)
            hint = f". The ways to compute are {pinned}; `auto` takes those that work here."
            raise UsageError(failure + (hint if self.precision == "int8" else ""))

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
            with self._cores.share(urgent=urgent(windows)):
                return self._transcribe(windows, options)
        except Exception as error:
            # One strange window must not lose its neighbours: each on its own, then.
            if len(windows) == 1:
                logger.exception("a window of %d samples failed", len(windows[0].samples))
                return [Hypothesis(windows[0], (), failure=f"The model failed: {error}")]
            return [self.transcribe([window], options)[0] for window in windows]
        finally:
            # A recording's batch is the largest there is, and the next one takes seconds as well.
            if windows and windows[0].kind is WindowKind.FILE:
                give_back_memory()

    @torch.inference_mode()
    def _transcribe(
        self, windows: Sequence[Window], options: TranscribeOptions
    ) -> list[Hypothesis]:
        watch = Stopwatch()
        heard: dict[int, list[Heard]] = {i: [] for i in range(len(windows))}
        pending = [(i, Stretch(w, w.start_sample, w.draft)) for i, w in enumerate(windows)]
        while pending := [(i, stretch) for i, stretch in pending if worth_decoding(stretch)]:
            found = self._hear([stretch for _, stretch in pending], options, watch)
            left: list[tuple[int, Stretch]] = []
            for (i, stretch), part in zip(pending, found, strict=True):
                # With timestamps the next window begins where this one's segments end.
                cover = options.cover and not stretch.options.timestamps
                if cover and (alone := own_speech(stretch, part)):
                    left.append((i, alone))  # instead of what was heard in two languages
                    continue
                heard[i].append(part)
                if cover:
                    left += [(i, rest) for rest in unheard(stretch, part.words)]
            pending = left
        return [hypothesis(w, heard[i], watch) for i, w in enumerate(windows)]

    def _hear(
        self, stretches: Sequence[Stretch], options: TranscribeOptions, watch: Stopwatch
    ) -> list[Heard]:
        """Decode stretches, and once more those that a guard doubts; cut what stays wrong."""
        encoded = self.recognizer.encode(stretches, options.margin_s, options.least_s, watch)
        heard = self.recognizer.decode(stretches, encoded, watch)
        if not options.guards:
            return heard
        doubtful = [i for i, h in enumerate(heard) if h.faults and tries(h, stretches[i], 0.0)]
        if doubtful:
            second = self._hear_again(
                [stretches[i] for i in doubtful], [heard[i] for i in doubtful], options, watch
            )
            for i, h in zip(doubtful, second, strict=True):
                heard[i] = h
        return [without_invention(h) for h in heard]

    def _hear_again(
        self,
        stretches: Sequence[Stretch],
        heard: Sequence[Heard],
        options: TranscribeOptions,
        watch: Stopwatch,
    ) -> list[Heard]:
        """The better of what was heard and what is heard with all the padding there is."""
        best = list(heard)
        # What was heard is the draft: up to where it went wrong it costs nothing again.
        drafted = [replace(s, draft=h.result.tokens) for s, h in zip(stretches, heard, strict=True)]
        encoded = self.recognizer.encode(drafted, FULL_S, FULL_S, watch)
        for temperature in (0.0, *options.temperatures):
            rows = [i for i, h in enumerate(best) if tries(h, drafted[i], temperature)]
            if not rows:
                break
            again = self.recognizer.decode(
                [drafted[i] for i in rows],
                encoded.rows(rows),
                watch,
                temperature,
            )
            for i, h in zip(rows, again, strict=True):
                best[i] = better(best[i], h)
        return best


def urgent(windows: Sequence[Window]) -> bool:
    """Whether somebody waits for a batch: for a final, for first words, for a recording's window.

    Of a recording's batch the other parts are transcribed beside this one.
    """
    if any(window.kind is WindowKind.FINAL or window.awaited for window in windows):
        return True
    return len(windows) == 1 and windows[0].kind is WindowKind.FILE


def own_speech(stretch: Stretch, heard: Heard) -> Stretch | None:
    """What is new in a stretch, where that is in another language than what was said before.

    A stretch is decoded in one language: of two it makes words that neither has.
    """
    own, expected = stretch.window.own_sample, stretch.options.expected_language
    if expected in ("", heard.result.language) or not stretch.start_sample < own:
        return None
    alone = Stretch(stretch.window, own)
    return alone if worth_decoding(alone) else None


def worth_decoding(stretch: Stretch) -> bool:
    """Whether there is speech, and enough audio for a word."""
    long_enough = stretch.end_sample - stretch.start_sample >= SHORTEST_S * SAMPLE_RATE
    return long_enough and bool(stretch.speech)


def tries(heard: Heard, stretch: Stretch, temperature: float) -> bool:
    """Whether a doubtful stretch is decoded at 30 s at this temperature.

    A partial that is merely a guess breaks off in mid-word, and the next one will know; where the
    model is not sure, it is worth the time for a final alone. Sampling helps against guesses and
    repetitions only, and only a final is worth its time. A crowd of voices stays one, however it is
    heard.
    """
    kind, faults = stretch.window.kind, heard.faults
    if temperature > 0:
        worth = kind is not WindowKind.PARTIAL and Fault.DIFFUSE not in faults
        return worth and bool(faults & SAMPLING_HELPS)
    if faults <= {Fault.DOUBTFUL}:
        return kind is WindowKind.FINAL
    if kind is WindowKind.PARTIAL:
        return Fault.DIFFUSE not in faults and not faults <= {Fault.DOUBTFUL, Fault.UNSURE}
    return True


def hypothesis(window: Window, heard: Sequence[Heard], watch: Stopwatch) -> Hypothesis:
    """Join what was heard in a window's stretches, which were decoded in any order."""
    timing = EngineTiming(
        encode_ms=watch.encode_ms,
        decode_ms=watch.decode_ms,
        decoder_passes=sum(h.result.passes for h in heard),
        drafted_tokens=sum(h.result.drafted for h in heard),
        accepted_tokens=sum(h.result.accepted for h in heard),
    )
    in_order = sorted((h for h in heard if h.words), key=lambda h: h.words[0].start_sample)
    words = tuple(word for h in in_order for word in h.words)
    language = heard[0].result.language if heard else window.options.language
    cut = heard[-1].cut if heard else None
    return Hypothesis(window, words, language, timing, cut)
