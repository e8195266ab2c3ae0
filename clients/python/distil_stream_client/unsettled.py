"""The audio and the requests of a stream, until the server has settled them.

A server that lost the connection, or the stream, is sent again what it lacks. So this log keeps
audio until the server says that it is settled, and keeps the requests that were made in between at
their place in the audio. A cursor says how much was sent through the connection of now.

Nothing here knows of sockets. Samples count from the first of the stream, per channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
"""The encodings whose samples can be counted."""

SILENCE = {"mulaw": 0xFF, "alaw": 0xD5}
"""The byte that encodes silence, if it is not 0."""

REQUESTS = frozenset({"finalize", "mark", "configure", "end"})
"""Messages that are sent again to a server that may not have received them; others are not."""

Message = dict[str, Any]


@dataclass(slots=True)
class Request:
    """A message, and the byte of the audio before which it is sent."""

    byte: int
    message: Message
    sent: bool = False

    @property
    def mark(self) -> int | None:
        """The mark that answers the request, if it asks for one."""
        mark: int | None = self.message.get("id" if self.message["type"] == "mark" else "mark")
        return mark

    @property
    def awaits_answer(self) -> bool:
        """Whether the server was asked for a mark or for its `ended`, and has not answered."""
        return self.sent and (self.mark is not None or self.message["type"] == "end")


class Unsettled:
    """A log of audio and requests in the order in which they were made, with a cursor."""

    def __init__(
        self, encoding: str = "pcm_s16le", channels: int = 1, *, keeps: bool = True
    ) -> None:
        """Make an empty log.

        Args:
            encoding: that of the audio; any if `keeps` is false.
            channels: how many are interleaved in the audio.
            keeps: whether audio is kept until it is settled; if not, only until it was sent.
        """
        self.settled = 0
        """No sample before this one will be asked for again."""
        self.end_asked_at: int | None = None
        """The sample at which the application asked for the end of the stream."""
        self._channels = channels
        self._keeps = keeps
        self._sample_bytes = SAMPLE_BYTES.get(encoding, 1)
        self._frame_bytes = self._sample_bytes * channels
        self._silence = SILENCE.get(encoding, 0)
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        """The byte of the stream with which each piece begins."""
        self._end = 0
        self._sent = 0
        self._requests: list[Request] = []
        self._known: dict[int, int] = {}
        """By channel, the sample before which silence is sent in place of the audio."""

    @property
    def end(self) -> int:
        """Samples added in all."""
        return self._end // self._frame_bytes

    @property
    def sent(self) -> int:
        """Samples sent, from the first of the stream."""
        return self._sent // self._frame_bytes

    @property
    def awaits_answer(self) -> bool:
        """Whether something was asked that the server has yet to answer."""
        return any(request.awaits_answer for request in self._requests)

    @property
    def awaits_mark(self) -> bool:
        """Whether a mark was asked for that has not come back."""
        return any(request.mark is not None for request in self._requests)

    @property
    def all_sent(self) -> bool:
        """Whether everything was sent."""
        return self._sent == self._end and all(request.sent for request in self._requests)

    def add_audio(self, data: bytes) -> None:
        """Add audio; pieces may be cut anywhere, also within a sample."""
        if data:
            self._pieces.append(data)
            self._starts.append(self._end)
            self._end += len(data)

    def add_message(self, message: Message) -> None:
        """Add a message, which is sent behind the audio so far."""
        if message["type"] == "end" and self.end_asked_at is None:
            self.end_asked_at = self.end
        self._requests.append(Request(self._end, message))

    def take(self, most_bytes: int) -> bytes | Message | None:
        """Return what is to be sent next, and count it as sent; None if everything was.

        Args:
            most_bytes: the most audio that is returned at once.
        """
        request = next((request for request in self._requests if not request.sent), None)
        if request and request.byte <= self._sent:
            request.sent = True
            if not self._keeps or request.message["type"] not in REQUESTS:
                self._requests.remove(request)
            return request.message
        until = request.byte if request else self._end
        if until == self._sent:
            return None
        data = self._read(self._sent, min(until, self._sent + most_bytes))
        self._sent += len(data)
        if not self._keeps:
            self._forget_before(self._sent)
        return data

    def settle(self, sample: int) -> None:
        """Forget everything before the sample except marks that have not come back."""
        self.settled = max(self.settled, sample)
        byte = self.settled * self._frame_bytes
        self._forget_before(byte)
        self._requests = [
            request
            for request in self._requests
            if request.byte >= byte or request.mark is not None
        ]

    def answer(self, mark: int) -> bool:
        """Forget the request that this mark answers; False if none waits for it."""
        for request in self._requests:
            if request.mark == mark:
                self._requests.remove(request)
                return True
        return False

    def resume_at(self, sample: int) -> None:
        """Go on with a server that has received all audio before the sample."""
        self._sent = sample * self._frame_bytes
        for request in self._requests:
            request.sent = request.byte < self._sent

    def begin_anew(self, known: Mapping[int, int]) -> None:
        """Go on with a server that has received nothing.

        Args:
            known: by channel, the sample before which the words are in a final already although
                another channel is not settled so far: silence is sent in place of that audio.
        """
        self._known = dict(known) if self._channels > 1 else {}
        self._sent = self.settled * self._frame_bytes
        for request in self._requests:
            request.sent = False

    def _forget_before(self, byte: int) -> None:
        """Forget whole pieces that end before the byte."""
        n = 0
        while n < len(self._pieces) and self._starts[n] + len(self._pieces[n]) <= byte:
            n += 1
        del self._pieces[:n], self._starts[:n]

    def _read(self, first: int, end: int) -> bytes:
        """Return the audio from one byte of the stream to another."""
        i = len(self._pieces) - 1
        while self._starts[i] > first:  # what is to be sent is mostly the last piece
            i -= 1
        found = []
        at = first
        while at < end:
            piece = self._pieces[i][at - self._starts[i] : end - self._starts[i]]
            found.append(piece)
            at += len(piece)
            i += 1
        data = b"".join(found)
        if any(first < sample * self._frame_bytes for sample in self._known.values()):
            return self._silenced(bytearray(data), first)
        return data

    def _silenced(self, data: bytearray, first: int) -> bytes:
        """Replace the audio of channels whose words are known by silence.

        Args:
            data: audio, channels interleaved.
            first: the byte of the stream with which it begins.
        """
        for channel, sample in self._known.items():
            end = min(sample * self._frame_bytes - first, len(data))
            for byte in range(self._sample_bytes):
                place = channel * self._sample_bytes + byte
                places = range((place - first) % self._frame_bytes, end, self._frame_bytes)
                data[places.start : places.stop : places.step] = bytes(
                    [self._silence] * len(places)
                )
        return bytes(data)
