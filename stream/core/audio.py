"""The sample clock, and decoders of a client's bytes to samples.

The module decodes the four raw encodings and separates interleaved channels. It does not resample:
decoded samples are at the rate that the client sends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream.core.settings import StreamSettings, one_of

SAMPLE_RATE = 16_000
"""Hertz. Everything after the resampler counts samples at this rate."""

SAMPLES_PER_MS = SAMPLE_RATE // 1000


def samples_of_ms(ms: float) -> int:
    """Return the number of 16 kHz samples, rounded, in a duration in milliseconds."""
    return round(ms * SAMPLES_PER_MS)


BRIDGED = samples_of_ms(200)
"""16 kHz samples. A gap of at most this length (ten lost packets of a call) is filled with silence
and does not end the utterance; a longer gap ends it."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A part of a stream's time for which there is no audio, such as that of lost packets."""

    samples: int
    """Length in samples of each channel, at the rate of the audio around the gap."""


PCM16_SCALE = 1 / 32_768
"""Factor that converts a 16-bit sample to the range -1..1."""


def mulaw_table() -> NDArray[np.float32]:
    """Return a table of the sample for each mu-law byte (ITU-T G.711), (256,) in -1..1.

    A byte holds a sign, three bits of exponent and four of mantissa, all bits inverted. The encoder
    added a bias of 33 on the 14-bit scale, which is 132 on the 16-bit scale.
    """
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) * PCM16_SCALE).astype(np.float32)


def alaw_table() -> NDArray[np.float32]:
    """Return a table of the sample for each A-law byte (ITU-T G.711), (256,) in -1..1.

    Every second bit of a byte is inverted. With exponent 0 the mantissa has no leading one, and its
    step is that of exponent 1. The 8 that is added is half a step, the middle of the interval.
    """
    code = np.arange(256) ^ 0x55
    exponent = code >> 4 & 7
    mantissa = ((code & 0x0F) << 4) + 8 + np.where(exponent > 0, 256, 0)
    magnitude = mantissa << np.maximum(exponent - 1, 0)
    signed: NDArray[np.int64] = np.where(code & 0x80, magnitude, -magnitude)
    return (signed * PCM16_SCALE).astype(np.float32)


MULAW = mulaw_table()
ALAW = alaw_table()

BYTES_PER_SAMPLE = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}


Sound = NDArray[np.float32] | Gap
"""Either samples in -1..1, (channels, n_samples), or a gap between samples."""


class AudioDecoder(Protocol):
    """Interface of `StreamDecoder` and of the container decoders: a stream's bytes to samples."""

    @property
    def leftover(self) -> int:
        """Number of bytes of an incomplete sample frame that wait for the next call."""

    @property
    def owes_sounds(self) -> bool:
        """Whether audio is still being decoded, which the caller will pass to `receive_sounds`."""

    def take_problems(self) -> list[str]:
        """Return a sentence for each decoding error that no earlier call has returned."""

    def forget_leftover(self) -> None:
        """Drop the bytes of the incomplete sample frame; the client sends that frame again."""

    def decode(self, data: bytes) -> Sequence[Sound]:
        """Return the samples that are complete now, and the gaps between them, in order."""

    def flush(self) -> Sequence[Sound]:
        """Return the remaining samples and gaps, because no more bytes follow."""


class StreamDecoder:
    """Decodes the raw audio of one stream, whose bytes may be divided at any point."""

    def __init__(self, encoding: str, channels: int) -> None:
        """Raise `SettingsError` for an unknown encoding or an unsupported number of channels."""
        one_of("encoding", encoding, tuple(BYTES_PER_SAMPLE))
        StreamSettings(channels=channels).check()
        self.encoding = encoding
        self.channels = channels
        self.frame_bytes = BYTES_PER_SAMPLE[encoding] * channels
        self.owes_sounds = False
        self._leftover = b""

    @property
    def leftover(self) -> int:
        """Number of bytes of an incomplete sample frame that wait for the next call."""
        return len(self._leftover)

    def forget_leftover(self) -> None:
        """Drop the bytes of the incomplete sample frame; the client sends that frame again."""
        self._leftover = b""

    def take_problems(self) -> list[str]:
        """Return no problem: any bytes are samples in these encodings."""
        return []

    def flush(self) -> list[Sound]:
        """Return nothing: complete samples have been decoded already."""
        return []

    def decode(self, data: bytes) -> list[Sound]:
        """Return the samples that are complete now, (channels, n_samples) in -1..1."""
        if self._leftover:
            data = self._leftover + data
        whole = len(data) - len(data) % self.frame_bytes
        self._leftover = bytes(data[whole:])
        interleaved = self._samples(memoryview(data)[:whole])  # (n_samples * channels,)
        if self.channels == 1:
            return [interleaved.reshape(1, -1)]
        return [np.ascontiguousarray(interleaved.reshape(-1, self.channels).T)]

    def _samples(self, data: memoryview) -> NDArray[np.float32]:
        match self.encoding:
            case "pcm_s16le":
                return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(PCM16_SCALE)
            case "mulaw":
                return MULAW[np.frombuffer(data, np.uint8)]
            case "alaw":
                return ALAW[np.frombuffer(data, np.uint8)]
        samples = np.frombuffer(data, "<f4").astype(np.float32)
        # One NaN would spoil the model's output for a whole window, so NaN becomes silence.
        samples[~np.isfinite(samples)] = 0.0
        return np.clip(samples, -1.0, 1.0, out=samples)
