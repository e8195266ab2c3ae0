"""The tracks of a call, side by side: packets with timestamps in, interleaved channels out.

Each packet says when its audio belongs. A track that has nothing for a while, or lost a packet, is
silent there; what comes after its place was already passed on is left out. Both are counted. A
stretch is passed on as soon as every track has it, or once one is `PATIENCE_MS` ahead of the rest.
"""

import numpy as np

PATIENCE_MS = 200
"""Milliseconds of audio that one track may be ahead before the others are taken to be silent: more
than the jitter of a telephone line, less than the silence that ends an utterance."""

TOLERANCE_MS = 10
"""Milliseconds by which a packet's timestamp may miss the end of the packet before it: half of one
of 20 ms. Smaller steps are the rounding of clocks, and filling them would be heard as clicks."""

MAX_GAP_MS = 60_000
"""A timestamp that is further ahead than a minute is a mistake: a connection does not live through
such a gap, and to hear an hour of silence at once would keep the other streams waiting."""

SILENCE = 0xFF
"""Of mu-law: +0."""


class Lanes:
    """Aligns tracks of mu-law at 8 kHz; a sample is a byte."""

    def __init__(self, tracks: tuple[str, ...], sample_rate: int = 8_000) -> None:
        self.tracks = tracks
        self.sample_rate = sample_rate
        self.filled = 0
        """Samples of silence, of all tracks, in place of what did not come."""
        self.late = 0
        """Samples that came after their place had been passed on, and were left out."""
        self._per_ms = sample_rate // 1000
        self._waiting = {track: bytearray() for track in tracks}
        self._passed = 0
        """Samples of each track that have been passed on."""

    def put(self, track: str, timestamp_ms: int, audio: bytes) -> bytes:
        """Take a packet, and return the stretch that is complete by now, channels interleaved."""
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
        """Return all that waits: nothing more comes."""
        return self._pass_on(max(self.end(track) for track in self._waiting))

    def end(self, track: str) -> int:
        """How far a track has come, in samples."""
        return self._passed + len(self._waiting[track])

    def _pass_on(self, until: int) -> bytes:
        n_samples = until - self._passed
        if n_samples <= 0:
            return b""
        lanes = np.full((len(self._waiting), n_samples), SILENCE, np.uint8)
        for lane, waiting in zip(lanes, self._waiting.values(), strict=True):
            ready = bytes(waiting[:n_samples])
            del waiting[:n_samples]
            lane[: len(ready)] = np.frombuffer(ready, np.uint8)
            self.filled += n_samples - len(ready)
        self._passed = until
        return lanes.T.tobytes()
