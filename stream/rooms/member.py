"""A stream's place in a room: who speaks on its channels, and when its samples were spoken.

Theory of operation. The clock of a stream is the count of its own samples. It stands still while
nobody sends: a page that pauses, a client that opens a stream and records later. So a seat keeps
anchors, each of which says how far the stream's clock is behind the room's from a place of the
stream on. The newest sample was spoken now, or a little earlier if it was held up on its way. When
it comes much later than the last anchor has it, nothing was sent meanwhile: a new anchor is set.
Audio that was only held up then comes faster than it is spoken, and takes the anchor back.
"""

from collections.abc import Sequence

from stream.core.audio import SAMPLE_RATE

PAUSE_S = 2.0
"""Seconds for which a stream must fall behind to be taken for paused: more than a network or a
busy server delays audio as a rule."""

PATIENCE_S = 5.0
"""Seconds for which a stream that sends nothing is waited for before others' words are passed on
as complete. It is for who broadcasts a room's captions, segment by segment."""

OWED_S = 1.0
"""Seconds of audio, more than the voice detector holds back, that are being transcribed still."""


class Seat:
    """Translates the times of a stream into those of its room. All times are in seconds."""

    def __init__(self, speakers: Sequence[str], sample_rate: int, now_s: float) -> None:
        """Take the labels of all channels, and the rate in hertz that `Progress` counts at."""
        self.speakers = tuple(speakers)
        self._sample_rate = sample_rate
        self._opened_s = now_s
        self._anchors = [(0.0, now_s)]  # (second of the stream, what the room's clock is ahead)
        self._received_s = 0.0
        self._settled_s = 0.0
        self._heard_at_s = now_s

    def receive_progress(self, received: int, settled: int, now_s: float) -> None:
        """Take note of how far the stream is, in samples of its own, at this time of the room."""
        received_s, self._settled_s = received / self._sample_rate, settled / self._sample_rate
        if received_s > self._received_s:
            self._heard_at_s = now_s
        self._anchor(received_s, now_s - received_s)
        self._received_s = received_s

    def _anchor(self, received_s: float, ahead_s: float) -> None:
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
        """The room's time of a 16 kHz sample of the stream, in whole milliseconds."""
        return round(self._on_the_room(sample / SAMPLE_RATE), 3)

    def settled_s(self, now_s: float) -> float:
        """The room's time before which all that this stream says is final."""
        owes = self._received_s - self._settled_s > OWED_S
        settled_s = self._on_the_room(self._settled_s)
        return settled_s if owes or self._is_heard(now_s) else max(settled_s, now_s - PATIENCE_S)

    def _is_heard(self, now_s: float) -> bool:
        return now_s - self._heard_at_s <= PATIENCE_S

    def _on_the_room(self, second: float) -> float:
        ahead_s = next(ahead for begin, ahead in reversed(self._anchors) if begin <= second)
        return second + ahead_s
