"""Limits how much audio a client gets decoded, by the bytes that it sends and the time that passes.

Some formats hold an hour of audio in a kilobyte: frames of constant samples at a low sample rate.
Each second of it costs the server as much as a second of silence does. Speech needs far more than
`BYTES_PER_SECOND`; digital silence can need less. So a stream that exceeds its budget is slowed
down, which silence at the pace of speech never does, and a recording is cut off.

Pure: the time is passed in, in seconds of any monotonic clock.
"""

BYTES_PER_SECOND = 100
"""Bytes that pay for a second of one channel: Opus and AMR take 600 or more for speech; FLAC takes
50 for digital silence at 16 kHz."""

STREAM_FREE_S = 60.0
"""Seconds of one channel that any stream may hold."""

STREAM_PACE = 8.0
"""Seconds of one channel that a second of time pays for: eight channels of silence, live."""

RECORDING_FREE_S = 600.0
"""Seconds of one channel that any recording may hold."""

PIECE_S = 0.1
"""Seconds of one channel that are passed on at once; voice detection takes 2 ms for them."""


class SampleBudget:
    """What is left to decode for one stream or recording; audio is in seconds of one channel."""

    def __init__(self, free_s: float, pace: float = 0.0, now: float = 0.0) -> None:
        """Begin with `free_s` seconds; each second after `now` adds `pace` seconds."""
        self._left_s = free_s
        self._pace = pace
        self._now = now

    def receive_bytes(self, n_bytes: int) -> None:
        """Add what these bytes of the client pay for."""
        self._left_s += n_bytes / BYTES_PER_SECOND

    def spend(self, audio_s: float, now: float = 0.0) -> float:
        """Take some audio from the budget; return how many seconds of audio it is overdrawn by."""
        self._left_s += (now - self._now) * self._pace - audio_s
        self._now = now
        return max(-self._left_s, 0.0)
