"""The sample clock, and the bytes of a client's audio made into samples.

Knows the four encodings and how channels are interleaved. Does not know sample rates: the samples
that come out are at the rate the client sends.
"""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stream.core.settings import StreamSettings, one_of

SAMPLE_RATE = 16_000
"""Hertz. Everything behind the resampler counts samples at this rate."""

SAMPLES_PER_MS = SAMPLE_RATE // 1000


def samples_of_ms(ms: float) -> int:
    """Return a duration in samples of the 16 kHz clock."""
    return round(ms * SAMPLES_PER_MS)


PCM16_SCALE = 1 / 32_768
"""One step of 16-bit audio, where full scale is 1."""


def mulaw_table() -> NDArray[np.float32]:
    """Return the sample of each mu-law byte, (256,) in -1..1, by ITU-T G.711's formula.

    A byte is sent inverted and holds a sign, three bits of exponent and four of mantissa, over a
    bias of 33 steps of 14-bit audio: 132 of 16-bit.
    """
    code = ~np.arange(256) & 0xFF
    magnitude = (((code & 0x0F) << 3) + 132 << (code >> 4 & 7)) - 132
    return (np.where(code & 0x80, -magnitude, magnitude) * PCM16_SCALE).astype(np.float32)


def alaw_table() -> NDArray[np.float32]:
    """Return the sample of each A-law byte, (256,) in -1..1, by ITU-T G.711's formula.

    Even bits are sent inverted. Exponent 0 is linear, so it has no leading one in its mantissa and
    the step of exponent 1; the 8 is half a step.
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


class AudioDecoder(Protocol):
    """What makes samples of a stream's bytes: `StreamDecoder`, or what the server brings along."""

    @property
    def leftover(self) -> int:
        """Bytes of an incomplete sample frame, kept for the next call."""

    @property
    def problem(self) -> str:
        """What keeps the bytes from being decoded, a sentence; empty where nothing does."""

    def forget_leftover(self) -> None:
        """Forget the incomplete sample frame: the client begins it anew."""

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Return the samples that are complete by now, (channels, n_samples) in -1..1."""

    def flush(self) -> NDArray[np.float32]:
        """Return the samples that only the end completes, (channels, n_samples)."""


class StreamDecoder:
    """Decodes one stream's audio, cut into messages anywhere."""

    def __init__(self, encoding: str, channels: int) -> None:
        """Raise `SettingsError` for an encoding that is not known."""
        one_of("encoding", encoding, tuple(BYTES_PER_SAMPLE))
        StreamSettings(channels=channels).check()
        self.encoding = encoding
        self.channels = channels
        self.frame_bytes = BYTES_PER_SAMPLE[encoding] * channels
        self._kept = b""

    @property
    def leftover(self) -> int:
        """Bytes of an incomplete sample frame, kept for the next call."""
        return len(self._kept)

    def forget_leftover(self) -> None:
        """Forget the incomplete sample frame: the client begins it anew."""
        self._kept = b""

    @property
    def problem(self) -> str:
        """Any byte is a sample of these encodings."""
        return ""

    def flush(self) -> NDArray[np.float32]:
        """Return no samples, (channels, 0): whole ones are decoded as they come."""
        return np.zeros((self.channels, 0), np.float32)

    def decode(self, data: bytes) -> NDArray[np.float32]:
        """Return the samples that are complete by now, (channels, n_samples) in -1..1."""
        if self._kept:
            data = self._kept + data
        whole = len(data) - len(data) % self.frame_bytes
        self._kept = bytes(data[whole:])
        interleaved = self._samples(memoryview(data)[:whole])  # (n_samples * channels,)
        if self.channels == 1:
            return interleaved.reshape(1, -1)
        return np.ascontiguousarray(interleaved.reshape(-1, self.channels).T)

    def _samples(self, data: memoryview) -> NDArray[np.float32]:
        match self.encoding:
            case "pcm_s16le":
                return np.frombuffer(data, "<i2").astype(np.float32) * np.float32(PCM16_SCALE)
            case "mulaw":
                return MULAW[np.frombuffer(data, np.uint8)]
            case "alaw":
                return ALAW[np.frombuffer(data, np.uint8)]
        samples = np.frombuffer(data, "<f4").astype(np.float32)
        # One NaN would silence the model for a whole window: what is no number is no sound.
        samples[~np.isfinite(samples)] = 0.0
        return np.clip(samples, -1.0, 1.0, out=samples)
