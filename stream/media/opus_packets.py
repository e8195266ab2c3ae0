"""Decodes Opus packets that come without a container, such as those of RTP or of a Discord bot."""

import av
import numpy as np
from numpy.typing import NDArray

from stream.errors import PeerError

OPUS_RATE = 48_000
"""Hertz; a decoder of Opus returns samples at this rate, whatever was encoded (RFC 6716)."""

NOT_OPUS = "A packet is not Opus; send one whole Opus packet in each message."


class OpusPackets:
    """The decoder of one stream; implements `protocols.interface.PacketDecoder`."""

    sample_rate = OPUS_RATE

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self._codec = av.AudioCodecContext.create("opus", "r")
        self._codec.sample_rate = OPUS_RATE
        self._codec.layout = "mono" if channels == 1 else "stereo"
        self._resampler = av.AudioResampler("fltp", self._codec.layout, OPUS_RATE)

    def decode(self, packet: bytes) -> NDArray[np.float32]:
        """Return the samples of a packet, (channels, n_samples) in -1..1."""
        if not packet:
            return np.zeros((self.channels, 0), np.float32)
        try:
            frames = self._codec.decode(av.Packet(packet))
            blocks = [
                planes.to_ndarray() for one in frames for planes in self._resampler.resample(one)
            ]
        except (av.error.FFmpegError, ValueError) as error:
            raise PeerError("malformed", NOT_OPUS, None) from error
        return np.concatenate([np.zeros((self.channels, 0), np.float32), *blocks], axis=1)
