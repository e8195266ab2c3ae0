"""Aligns the tracks of a call: turns packets with timestamps into interleaved channels.

The timestamp of a packet gives the position of its audio. If a track has no audio at a position,
because none was sent or a packet was lost, silence is inserted; audio that arrives after its
position has been returned is dropped. Both are counted. Audio is returned as soon as every track
has it, or when one track is `PATIENCE_MS` ahead of the others.
"""

import numpy as np

PATIENCE_MS = 200
"""Milliseconds by which one track may be ahead before silence is inserted into the others: more
than the jitter of a telephone line, less than the silence that ends an utterance."""

TOLERANCE_MS = 10
"""Milliseconds by which the timestamp of a packet may differ from the end of the packet before it
(half of a packet of 20 ms). Such differences come from the rounding of clocks, and inserting
silence for them would cause clicks."""

MAX_GAP_MS = 60_000
"""A timestamp that is further ahead than this is an error of the sender and is ignored: no
connection survives such a gap, and the silence for an hour would delay all other streams."""

SILENCE = 0xFF
"""The mu-law byte of +0."""


class TrackMixer:
    """Aligns tracks of mu-law audio, one byte for each sample; `sample_rate` is in hertz."""

    def __init__(self, tracks: tuple[str, ...], sample_rate: int = 8_000) -> None:
        self.tracks = tracks
        self.sample_rate = sample_rate
        self.filled = 0
        """Samples of silence that were inserted, in all tracks together."""
        self.late = 0
        """Samples that were dropped because they arrived after their position was returned."""
        self._per_ms = sample_rate // 1000
        self._waiting = {track: bytearray() for track in tracks}
        self._passed = 0
        """Number of samples of each track that have been returned."""

    def add(self, track: str, timestamp_ms: int, audio: bytes) -> bytes:
        """Add a packet, and return the audio that is now complete, channels interleaved.

        Args:
            track: name of the track.
            timestamp_ms: position of the packet from the start of the call.
            audio: mu-law audio.
        """
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
        """Return the rest of the audio, when no more packets follow."""
        return self._pass_on(max(self.end(track) for track in self._waiting))

    def end(self, track: str) -> int:
        """Return the number of samples of a track so far, returned or not."""
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
