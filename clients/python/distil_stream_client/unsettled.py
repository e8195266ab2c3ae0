"""Stores the audio and the requests of a stream until the server has settled them.

After a lost connection, or if the server no longer has the stream, the missing audio is sent again.
So this log stores audio until the server reports that it is settled, and the requests at their
positions in the audio. A cursor marks how much was sent on the current connection.

The module does not handle sockets. Samples count from the start of the stream, per channel.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
"""Bytes of a sample, for the encodings whose samples can be counted."""

SILENCE = {"mulaw": 0xFF, "alaw": 0xD5}
"""The byte that encodes silence, for encodings where it is not 0."""

REQUESTS = frozenset({"finalize", "mark", "configure", "end"})
"""Types of the messages that are sent again if a server may not have received them."""

Message = dict[str, Any]


@dataclass(slots=True)
class Request:
    """A message, and the byte offset in the audio at which it is sent."""

    byte: int
    message: Message
    sent: bool = False

    @property
    def mark(self) -> int | None:
        """Id of the mark that answers the request; None if it requests no mark."""
        mark: int | None = self.message.get("id" if self.message["type"] == "mark" else "mark")
        return mark

    @property
    def awaits_answer(self) -> bool:
        """Whether the request was sent, and not answered yet by a mark or `ended`."""
        return self.sent and (self.mark is not None or self.message["type"] == "end")


class Unsettled:
    """A log of audio and requests in the order in which they were made, with a cursor."""

    def __init__(
        self, encoding: str = "pcm_s16le", channels: int = 1, *, keeps: bool = True
    ) -> None:
        """Create an empty log.

        Args:
            encoding: encoding of the audio; any if `keeps` is False.
            channels: number of channels that are interleaved in the audio.
            keeps: whether audio is stored until it is settled; if not, only until it was sent.
        """
        self.settled = 0
        """The sample before which no audio is needed again."""
        self.end_asked_at: int | None = None
        """The sample at which the application ended the audio; None if it has not."""
        self._channels = channels
        self._keeps = keeps
        self._sample_bytes = SAMPLE_BYTES.get(encoding, 1)
        self._frame_bytes = self._sample_bytes * channels
        self._silence = SILENCE.get(encoding, 0)
        self._pieces: list[bytes] = []
        self._starts: list[int] = []
        """Offset in the stream of the first byte of each piece."""
        self._end = 0
        self._sent = 0
        self._requests: list[Request] = []
        self._known: dict[int, int] = {}
        """By channel, the sample before which silence is sent instead of the audio."""

    @property
    def end(self) -> int:
        """Number of samples that were ever added."""
        return self._end // self._frame_bytes

    @property
    def sent(self) -> int:
        """Number of samples up to the cursor: those that the server has or was sent."""
        return self._sent // self._frame_bytes

    @property
    def awaits_answer(self) -> bool:
        """Whether the server has yet to answer a request that was sent."""
        return any(request.awaits_answer for request in self._requests)

    @property
    def awaits_mark(self) -> bool:
        """Whether a requested mark has not been received, sent or not."""
        return any(request.mark is not None for request in self._requests)

    @property
    def all_sent(self) -> bool:
        """Whether all audio and all messages were sent."""
        return self._sent == self._end and all(request.sent for request in self._requests)

    def add_audio(self, data: bytes) -> None:
        """Add audio; a piece may end anywhere, even within a sample."""
        if data:
            self._pieces.append(data)
            self._starts.append(self._end)
            self._end += len(data)

    def add_message(self, message: Message) -> None:
        """Add a message, which is sent after the audio added so far."""
        if message["type"] == "end" and self.end_asked_at is None:
            self.end_asked_at = self.end
        self._requests.append(Request(self._end, message))

    def take(self, most_bytes: int) -> bytes | Message | None:
        """Return the next audio or message to send, and count it as sent; None if all was sent.

        Args:
            most_bytes: the most bytes of audio to return.
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
        """Remove everything before the sample except requests whose mark was not received."""
        self.settled = max(self.settled, sample)
        byte = self.settled * self._frame_bytes
        self._forget_before(byte)
        self._requests = [
            request
            for request in self._requests
            if request.byte >= byte or request.mark is not None
        ]

    def answer(self, mark: int) -> bool:
        """Remove the request that this mark answers; return whether there was one."""
        for request in self._requests:
            if request.mark == mark:
                self._requests.remove(request)
                return True
        return False

    def resume_at(self, sample: int) -> None:
        """Set the cursor for a server that has received all audio before the sample."""
        self._sent = sample * self._frame_bytes
        for request in self._requests:
            request.sent = request.byte < self._sent

    def begin_anew(self, known: Mapping[int, int]) -> None:
        """Set the cursor to `settled`, for a server that has received nothing.

        Args:
            known: by channel, the sample before which all its words are in finals, although another
                channel is not settled that far. Silence is sent instead of that audio.
        """
        self._known = dict(known) if self._channels > 1 else {}
        self._sent = self.settled * self._frame_bytes
        for request in self._requests:
            request.sent = False

    def _forget_before(self, byte: int) -> None:
        """Remove the pieces that end at or before this offset in the stream."""
        n = 0
        while n < len(self._pieces) and self._starts[n] + len(self._pieces[n]) <= byte:
            n += 1
        del self._pieces[:n], self._starts[:n]

    def _read(self, first: int, end: int) -> bytes:
        """Return the bytes [first, end) of the stream, with known audio replaced by silence."""
        i = len(self._pieces) - 1
        while self._starts[i] > first:  # usually only the last piece is unsent
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
        """Return the audio with each channel silenced as far as its words are known.

        Args:
            data: audio, channels interleaved; it is modified.
            first: offset in bytes of the first byte of `data` in the stream.
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
