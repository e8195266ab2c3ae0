"""Aligns the tracks of a call: packets with timestamps in, interleaved channels out.

The timestamp of a packet gives the position of its audio. Where a track has no audio, because none
was sent or a packet was lost, silence is filled in; audio that arrives after its position has been
passed on is left out. Both are counted. Audio is passed on as soon as every track has it, or when
one track is `PATIENCE_MS` ahead of the others.
"""

import numpy as np

PATIENCE_MS = 200
"""Milliseconds by which one track may be ahead before the others count as silent: more than the
jitter of a telephone line, less than the silence that ends an utterance."""

TOLERANCE_MS = 10
"""Milliseconds by which a packet's timestamp may miss the end of the packet before it: half of one
of 20 ms. Smaller differences come from the rounding of clocks, and filling them would insert
clicks."""

MAX_GAP_MS = 60_000
"""A timestamp that is more than a minute ahead is an error of the sender: a connection does not
survive such a gap, and an hour of silence at once would delay all other streams."""

SILENCE = 0xFF
"""The mu-law byte of +0."""


class TrackMixer:
    """Aligns tracks of mu-law; a sample is a byte, and `sample_rate` is in hertz."""

    def __init__(self, tracks: tuple[str, ...], sample_rate: int = 8_000) -> None:
        self.tracks = tracks
        self.sample_rate = sample_rate
        self.filled = 0
        """Samples of silence that were filled in, of all tracks together."""
        self.late = 0
        """Samples that arrived after their position had been passed on, and were left out."""
        self._per_ms = sample_rate // 1000
        self._waiting = {track: bytearray() for track in tracks}
        self._passed = 0
        """Samples of each track that have been passed on."""

    def add(self, track: str, timestamp_ms: int, audio: bytes) -> bytes:
        """Take a packet, and return the audio that is complete by now, channels interleaved."""
        waiting = self._waiting[track]
        gap = timestamp_ms * self._per_ms - self.end(track)
        if abs(gap) <= TOLERANCE_MS * self._per_ms or gap > MAX_GAP_MS * self._per_ms:
            gap = 0
        if gap > 0:
            self.filled += gap
            waiting += bytes([SILENCE]) * gap
        elif gap < 0:
            self.late += min(-gap, len(audio))
            audio = audio[-gap:]
        waiting += audio
        ends = [self.end(track) for track in self._waiting]
        return self._pass_on(max(min(ends), max(ends) - PATIENCE_MS * self._per_ms))

    def flush(self) -> bytes:
        """Return all audio that waits; no more packets follow."""
        return self._pass_on(max(self.end(track) for track in self._waiting))

    def end(self, track: str) -> int:
        """Return the end of the audio of a track, in samples."""
        return self._passed + len(self._waiting[track])

    def _pass_on(self, until: int) -> bytes:
        n_samples = until - self._passed
        if n_samples <= 0:
            return b""
        mixed = np.full((len(self._waiting), n_samples), SILENCE, np.uint8)
        for channel, waiting in zip(mixed, self._waiting.values(), strict=True):
            ready = bytes(waiting[:n_samples])
            del waiting[:n_samples]
            channel[: len(ready)] = np.frombuffer(ready, np.uint8)
            self.filled += n_samples - len(ready)
        self._passed = until
        return mixed.T.tobytes()
