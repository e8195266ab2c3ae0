"""A stream that is part of a room: the labels of its channels, and the mapping of its times.

The clock of a stream is the count of its samples. It stops while the client sends no audio, for
example while a page is paused, or before a client starts to record. A member therefore has anchors:
an anchor holds a time of the stream, and the difference between the clock of the room and that of
the stream from that time on. The newest sample was spoken at the time of its arrival, or earlier by
the delay of its transport. If the difference grows by more than `PAUSE_S`, the client is taken to
have paused, and a new anchor is added. If the audio was only delayed, it then arrives faster than
real time, and the difference of the new anchor decreases again.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE

PAUSE_S = 2.0
"""Seconds by which the difference of the clocks must grow before a stream is taken to have paused;
more than a network or a busy server usually delays audio."""

STALLED_AFTER_S = 5.0
"""Seconds without audio after which a stream no longer delays the settled time of the room, and
thereby the segments of the caption feed."""

PENDING_S = 1.0
"""A stream with more unsettled audio than this, in seconds, is still being transcribed; with less,
the rest is audio that the VAD has not decided yet."""


class Member:
    """Converts the times of a stream to those of its room. All times are in seconds."""

    def __init__(self, speakers: Sequence[str], sample_rate: int, now_s: float) -> None:
        """Let sample 0 of the stream be at `now_s` on the clock of the room.

        Args:
            speakers: labels of all channels.
            sample_rate: rate in hertz of the sample counts in `Progress`.
            now_s: the current time on the clock of the room.
        """
        self.speakers = tuple(speakers)
        self._sample_rate = sample_rate
        self._opened_s = now_s
        self._anchors = [(0.0, now_s)]  # (time of the stream, room clock minus stream clock)
        self._received_s = 0.0
        self._settled_s = 0.0
        self._received_at_s = now_s

    def receive_progress(self, received: int, settled: int, now_s: float) -> None:
        """Update the anchors and the settled time.

        Args:
            received: samples that were received, at the rate of the stream.
            settled: samples that are settled, at the same rate.
            now_s: the current time on the clock of the room.
        """
        received_s, self._settled_s = received / self._sample_rate, settled / self._sample_rate
        if received_s > self._received_s:
            self._received_at_s = now_s
        self._anchor(received_s, now_s - received_s)
        self._received_s = received_s

    def _anchor(self, received_s: float, ahead_s: float) -> None:
        """Add or correct an anchor; `ahead_s` is the room clock minus the stream clock now."""
        begin_s, known_s = self._anchors[-1]
        if ahead_s > known_s + PAUSE_S:
            if self._received_s > begin_s:
                self._anchors.append((self._received_s, ahead_s))
            else:
                self._anchors[-1] = (begin_s, ahead_s)
        elif ahead_s < known_s:
            least_s = self._anchors[-2][1] if len(self._anchors) > 1 else self._opened_s
            self._anchors[-1] = (begin_s, max(ahead_s, least_s))

    def time_of(self, sample: int) -> float:
        """Return the room's clock at a 16 kHz sample index of the stream, rounded to 1 ms."""
        return round(self._to_room_clock(sample / SAMPLE_RATE), 3)

    def settled_s(self, now_s: float) -> float:
        """Return the time on the room's clock before which no further line of the stream begins.

        It goes on with the clock if the stream has sent no audio for `STALLED_AFTER_S`, unless
        audio of it is still being transcribed.
        """
        pending = self._received_s - self._settled_s > PENDING_S
        settled_s = self._to_room_clock(self._settled_s)
        return (
            settled_s
            if pending or self._is_sending(now_s)
            else max(settled_s, now_s - STALLED_AFTER_S)
        )

    def _is_sending(self, now_s: float) -> bool:
        return now_s - self._received_at_s <= STALLED_AFTER_S

    def _to_room_clock(self, second: float) -> float:
        ahead_s = next(ahead for begin, ahead in reversed(self._anchors) if begin <= second)
        return second + ahead_s
