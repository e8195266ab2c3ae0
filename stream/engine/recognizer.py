"""Recognises spans of audio with a loaded model: features, encoder, decode loop, word times.

It decodes each span once; the result is a `Reading`. `whisper_transcriber` decides which spans are
decoded again.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch.nn.utils.rnn import pad_sequence

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window
from stream.engine.checkpoints.calibration import calibration_of
from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.decoding import loop
from stream.engine.decoding.assistant import Assistant
from stream.engine.decoding.keyterms import BoostKeyterms
from stream.engine.decoding.rows import DecodeRequest
from stream.engine.network.cross_attention import KeptAudio
from stream.engine.network.encoder_memory import EncoderMemory, encode_with_memory
from stream.engine.network.features import log_mel, log_power, scaled
from stream.engine.network.quantization import coarsen
from stream.engine.network.shortlist import Shortlist
from stream.engine.network.transfers import send
from stream.engine.network.ways import as_setting, make
from stream.engine.network.whisper import Precision, Whisper
from stream.engine.words.alignment import SAMPLES_PER_POSITION
from stream.engine.words.coverage import MAX_SAMPLES, AudioSpan
from stream.engine.words.reading import Reading, read
from stream.engine.words.token_bytes import bytes_of
from stream.errors import UsageError

PAST_SPEECH_SLACK = 25
"""Encoder positions (half a second) after the end of the speech to which a word may attend."""
TOKENS_PER_S = 16
"""Maximum of tokens for a second of audio: twice as many as a fast speaker of English needs, and
enough for scripts that need many tokens."""
EXTRA_TOKENS = 16
"""Tokens that are added to the maximum of any window."""
OPENING_TOKENS = 4
"""Number of special tokens before the words (start, language, task, no timestamps). The prompt
before them takes at most half of the context."""


@dataclass(slots=True)
class Stopwatch:
    """What the transcription of a batch has taken so far, with all attempts."""

    encode_ms: float = 0.0
    """Milliseconds, of the whole batch."""
    decode_ms: float = 0.0
    passes: Counter[Window] = field(default_factory=Counter)
    """Decoder passes of each window."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The encoder output of a batch of spans."""

    audio: torch.Tensor
    """(batch, n_positions, d_model)"""
    n_positions: torch.Tensor
    """(batch,) long: number of positions of each row that are not padding."""
    assistant_audio: torch.Tensor
    """(batch, n_positions, assistant's d_model): `audio` itself if the encoder is shared."""
    kept: tuple[tuple[KeptAudio, ...] | None, ...] = ()
    """By row, what the decoder need not project again; empty if that is nothing for any row."""

    def rows(self, rows: Sequence[int]) -> "Encoded":
        """Return the encoder output of these rows only."""
        chosen = list(rows)
        return Encoded(self.audio[chosen], self.n_positions[chosen], self.assistant_audio[chosen])


@dataclass(frozen=True, slots=True, eq=False)
class Recall:
    """What the encoder remembers of spans."""

    memories: Sequence[EncoderMemory | None]
    """By span; None if it is encoded in full and leaves nothing."""
    refresh: int = 0
    """Positions before the end of a span that are encoded in any case."""
    margin_s: float = 0.0
    """Seconds of silence after a span of which something is remembered."""

    @property
    def n_settled(self) -> list[int]:
        """How many positions of each span are remembered."""
        return [0 if memory is None else memory.n_settled for memory in self.memories]


class Recognizer:
    """A Whisper or Distil-Whisper model on one device."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: str,
        precision: Precision,
        assistant: Checkpoint | None = None,
        ways: str | None = None,
    ) -> None:
        """Build the network of the model, and that of its assistant.

        Args:
            checkpoint: weights and configuration of the model.
            device: torch device on which the model runs.
            precision: precision of the weights.
            assistant: a smaller model that proposes tokens; it is computed in the same ways.
            ways: how the CPU computes each operation, as in `Whisper.from_checkpoint`.

        Raises:
            UsageError: the assistant's tokens are not those of the model.
        """
        self.device = device
        self._half = precision == "int8"
        self.model = Whisper.from_checkpoint(checkpoint, device, precision, ways)
        self.tokenizer = checkpoint.tokenizer
        self.vocabulary = checkpoint.vocabulary
        self.alignment_heads = checkpoint.alignment_heads
        self.calibration = calibration_of(checkpoint)
        self.assistant: Whisper | None = None
        if assistant is not None:
            check_same_tokens(checkpoint, assistant)
            same = as_setting(self.model.ways)
            self.assistant = Whisper.from_checkpoint(assistant, device, precision, same)
            if same_encoder(checkpoint, assistant):
                self.assistant.encoder = self.model.encoder
            if assistant.shortlist:
                embedding = self.assistant.decoder.embed_tokens.weight
                embedding = embedding.float() if precision == "int8" else embedding
                suppressed = set(self.vocabulary.suppressed)
                likely = [token for token in assistant.shortlist if token not in suppressed]
                self.assistant.decoder.project = Shortlist(
                    likely, embedding, make("decoder_linear", self.model.ways)
                )
            if precision == "int8":
                coarsen(self.assistant.decoder)

    def encode(
        self,
        spans: Sequence[AudioSpan],
        margin_s: float,
        least_s: float,
        watch: Stopwatch,
        recall: "Recall | None" = None,
    ) -> Encoded:
        """Encode spans, each with silence after it.

        Args:
            spans: spans of any lengths.
            margin_s: seconds of silence after each span; the total is limited to Whisper's 30 s.
            least_s: least seconds to encode, including silence.
            watch: stopwatch whose `encode_ms` is increased.
            recall: memories of the streams of these spans, which are read and extended; an
                assistant's own encoder has no memory.
        """
        began = time.perf_counter()
        recall = recall or Recall([None] * len(spans))
        padded = [
            self._padded(span, margin_s if row == 0 else recall.margin_s, least_s)
            for span, row in zip(spans, recall.n_settled, strict=True)
        ]
        if any(memory is not None for memory in recall.memories):
            settled = [n_samples(span) // SAMPLES_PER_POSITION - recall.refresh for span in spans]
            audio, n_positions = self._continue(padded, recall.memories, settled)
        else:
            audio, n_positions = self._encode(self.model, padded)
        if self.assistant is None or self.assistant.encoder is self.model.encoder:
            assistant_audio = audio
        else:
            assistant_audio, _ = self._encode(self.assistant, padded)
        watch.encode_ms += 1000 * (time.perf_counter() - began)
        kept = tuple(None if memory is None else memory.audio for memory in recall.memories)
        return Encoded(audio, n_positions, assistant_audio, kept)

    def _continue(
        self,
        padded: Sequence[torch.Tensor],
        memories: Sequence[EncoderMemory | None],
        settled: Sequence[int],
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode samples from memory; returns what `_encode` does.

        Args:
            padded: samples of each row.
            memories: of each row.
            settled: by row, how many positions are old enough to be kept.
        """
        mels, owned = [], []
        for samples, given in zip(padded, memories, strict=True):
            memory = given or self.new_memory(0, reach=0)
            power = log_power(samples, self.model.dims.n_mels, memory.first_frame)
            peak = power.max() if memory.peak is None else torch.maximum(power.max(), memory.peak)
            memory.peak = peak
            mels.append(scaled(power, peak))
            owned.append(memory)
        keep = [
            0 if memory is None else max(n, memory.n_settled)
            for memory, n in zip(memories, settled, strict=True)
        ]
        encoder = self.model.encoder
        if torch.device(self.device).type == "cpu":
            rows = [
                encode_with_memory(encoder, [mel], [memory], [n])[0]
                for mel, memory, n in zip(mels, owned, keep, strict=True)
            ]
        else:
            rows = encode_with_memory(encoder, mels, owned, keep)
        return pad_sequence(rows, batch_first=True), torch.tensor([len(row) for row in rows])

    def new_memory(self, start_sample: int, reach: int) -> EncoderMemory:
        """Return an empty memory for windows that begin at a sample.

        Args:
            start_sample: of the windows.
            reach: how many settled positions are attended to.
        """
        layers = self.model.dims.decoder_layers
        kept = tuple(KeptAudio() for _ in range(layers))
        dtype = torch.float16 if self._half else self.model.dtype
        return EncoderMemory(start_sample, reach, kept, dtype)

    def _encode(
        self, model: Whisper, padded: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encode samples: (batch, n_positions, d_model), and the real positions of each row."""
        mels = [log_mel(samples, model.dims.n_mels) for samples in padded]
        n_frames = torch.tensor([mel.shape[1] for mel in mels])
        if torch.device(self.device).type == "cpu":
            # Rows are encoded one by one: one row fits into the caches, and needs no padding.
            rows = [
                model.encode(mel[None], n[None])[0] for mel, n in zip(mels, n_frames, strict=True)
            ]
            return pad_sequence(rows, batch_first=True), (n_frames + 1) // 2
        mel = torch.zeros(len(mels), model.dims.n_mels, int(n_frames.max()), device=self.device)
        for i, row in enumerate(mels):
            mel[i, :, : row.shape[1]] = row
        return model.encode(mel, n_frames), (n_frames + 1) // 2

    def _padded(self, span: AudioSpan, margin_s: float, least_s: float) -> torch.Tensor:
        """Return the samples of a span and silence, (n_samples,), in whole encoder positions."""
        n = span.end_sample - span.start_sample
        length = round(max(n / SAMPLE_RATE + margin_s, least_s) * SAMPLE_RATE)
        length = min(length, MAX_SAMPLES)
        padded = torch.zeros(-(-length // SAMPLES_PER_POSITION) * SAMPLES_PER_POSITION)
        padded[:n] = torch.from_numpy(span.samples)
        return send(padded, torch.device(self.device))

    def decode(
        self,
        spans: Sequence[AudioSpan],
        encoded: Encoded,
        watch: Stopwatch,
        temperature: float = 0.0,
    ) -> list[Reading]:
        """Decode encoded spans, and return the reading of each, in order."""
        began = time.perf_counter()
        assistant = None
        if self.assistant is not None and not temperature:
            assistant = Assistant(self.assistant, encoded.assistant_audio, encoded.n_positions)
        results = loop.decode(
            self.model,
            self.vocabulary,
            encoded.audio,
            encoded.n_positions,
            [self._request(span) for span in spans],
            self.alignment_heads,
            temperature=temperature,
            assistant=assistant,
            kept=encoded.kept,
        )
        for span, result in zip(spans, results, strict=True):
            watch.passes[span.window] += result.passes
        timestamp_begin = self.vocabulary.timestamp_begin
        readings = [
            read(s, r, self._text, timestamp_begin, self.calibration.diffuse_nats)
            for s, r in zip(spans, results, strict=True)
        ]
        watch.decode_ms += 1000 * (time.perf_counter() - began)
        return readings

    def _request(self, span: AudioSpan) -> DecodeRequest:
        """Return the request for the decode loop that decodes a span."""
        n = span.end_sample - span.start_sample
        options = span.options
        speech_end = span.speech[-1][1] - span.start_sample
        prompt = options.prompt.strip()
        return DecodeRequest(
            max_new_tokens=min(
                EXTRA_TOKENS + TOKENS_PER_S * n // SAMPLE_RATE,
                self.model.dims.max_tokens // 2 - OPENING_TOKENS,
            ),
            language=options.language,
            expected_language=options.expected_language,
            language_from=own_speech_offset(span) // SAMPLES_PER_POSITION,
            task=options.task,
            prompt=tuple(self._tokens(f" {prompt}")) if prompt else (),
            draft=span.draft,
            timestamps=options.timestamps,
            rules=(BoostKeyterms(options.keyterms, self._tokens),) if options.keyterms else (),
            speech_positions=speech_end // SAMPLES_PER_POSITION + PAST_SPEECH_SLACK,
        )

    def _tokens(self, text: str) -> list[int]:
        """Encode text as tokens, without special ones."""
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes that a token spells; none for one that does not exist."""
        return bytes_of(self.tokenizer.id_to_token(token) or "")

    def _text(self, tokens: Sequence[int]) -> str:
        """Decode tokens as text, including a leading space."""
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=False))


def n_samples(span: AudioSpan) -> int:
    """Return the length of a span."""
    return span.end_sample - span.start_sample


def own_speech_offset(span: AudioSpan) -> int:
    """Return the samples of context at the start of a span, before the window's own utterance."""
    return min(max(0, span.window.own_sample - span.start_sample), len(span.samples))


def check_same_tokens(teacher: Checkpoint, assistant: Checkpoint) -> None:
    """Raise `UsageError` unless the two models have the same tokens.

    The assistant may have fewer languages: a student may have been trained on a few only.
    """
    if (
        teacher.dims.vocab_size != assistant.dims.vocab_size
        or teacher.vocabulary.multilingual != assistant.vocabulary.multilingual
        or not assistant.vocabulary.languages.items() <= teacher.vocabulary.languages.items()
    ):
        raise UsageError(
            f"{assistant.name} cannot assist {teacher.name}: their vocabularies differ "
            f"({assistant.dims.vocab_size} and {teacher.dims.vocab_size} tokens). Choose an "
            "assistant that was distilled from this model."
        )


def same_encoder(one: Checkpoint, other: Checkpoint) -> bool:
    """Return whether two models have equal encoder weights, as student and teacher usually do."""
    weights = {name: w for name, w in one.state.items() if ".encoder." in name}
    theirs = {name: w for name, w in other.state.items() if ".encoder." in name}
    return weights.keys() == theirs.keys() and all(
        torch.equal(weight, theirs[name]) for name, weight in weights.items()
    )
