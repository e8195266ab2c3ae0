"""Brings audio of several channels into one, and Opus packets into samples, before a session."""

from stream.core.audio import Gap, StreamDecoder
from stream.core.mixdown import Mixdown, mixed
from stream.protocols.interface import PacketDecoder


class Mixer:
    """Mixes interleaved channels of samples into one channel of 32-bit floats."""

    def __init__(self, encoding: str, channels: int) -> None:
        """Take the encoding and the number of the channels that arrive."""
        self._decoder = StreamDecoder(encoding, channels)
        self._mixdown = Mixdown(channels)

    def mix(self, audio: bytes) -> bytes:
        """Return the complete samples as `pcm_f32le` of one channel.

        No audio waits for the next message; the polarity of the channels is remembered.
        """
        sounds = [one for one in self._decoder.decode(audio) if not isinstance(one, Gap)]
        blocks = [*map(self._mixdown.feed, sounds), self._mixdown.flush()]
        return b"".join(block.astype("<f4").tobytes() for block in blocks)


def unpacked(decoder: PacketDecoder, packet: bytes, *, to_mono: bool) -> bytes:
    """Return the samples of a packet as `pcm_f32le`: one channel, or the channels interleaved."""
    samples = decoder.decode(packet)  # (channels, n_samples)
    samples = mixed(samples) if to_mono else samples
    return samples.T.astype("<f4").tobytes()
