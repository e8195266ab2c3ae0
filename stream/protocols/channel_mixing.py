"""Brings audio of several channels into one, and Opus packets into samples, before a session."""

import numpy as np

from stream.core.audio import StreamDecoder
from stream.protocols.interface import PacketDecoder


class Mixer:
    """Mixes interleaved channels of samples into one channel of 32-bit floats."""

    def __init__(self, encoding: str, channels: int) -> None:
        """Take the encoding and the number of the channels that arrive."""
        self._decoder = StreamDecoder(encoding, channels)

    def mix(self, audio: bytes) -> bytes:
        """Return what is complete, as `pcm_f32le` of one channel."""
        mixed = self._decoder.decode(audio).mean(0, dtype=np.float32)
        return bytes(mixed.astype("<f4").tobytes())


def unpacked(decoder: PacketDecoder, packet: bytes, *, mixed: bool) -> bytes:
    """Return the samples of a packet as `pcm_f32le`: one channel, or the channels interleaved."""
    samples = decoder.decode(packet)  # (channels, n_samples)
    samples = samples.mean(0, keepdims=True) if mixed else samples
    return samples.T.astype("<f4").tobytes()
