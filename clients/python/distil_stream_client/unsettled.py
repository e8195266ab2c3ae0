"""What was handed to the server and may have to be handed to it again.

Audio is kept until the server says that it is settled, and so are the requests made in between.
Nothing here knows of sockets. Samples count from the first of the stream, per channel.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

SAMPLE_BYTES = {"pcm_s16le": 2, "pcm_f32le": 4, "mulaw": 1, "alaw": 1}
"""The encodings whose samples can be counted."""

SILENCE = {"mulaw": 0xFF, "alaw": 0xD5}
"""The byte that is silence, where it is not 0."""

Request = dict[str, Any]


class Unsettled:
    """A log of audio and requests, in the order they were made."""

    def __init__(self, encoding: str = "pcm_s16le", channels: int = 1) -> None:
        self.settled = 0
        """No sample before this one will be asked for again."""
        self._channels = channels
        self._sample_bytes = SAMPLE_BYTES[encoding]
        self._frame_bytes = self._sample_bytes * channels
        self._silence = SILENCE.get(encoding, 0)
        self._audio: deque[bytes] = deque()
        self._first = 0  # byte of the stream
        self._end = 0
        self._requests: list[tuple[int, Request]] = []

    @property
    def end(self) -> int:
        """Samples handed over in all."""
        return self._end // self._frame_bytes

    def add_audio(self, data: bytes) -> None:
        """Keep audio; pieces may be cut anywhere."""
        self._audio.append(data)
        self._end += len(data)

    def add_request(self, request: Request) -> None:
        """Keep a request, which holds from here on."""
        self._requests.append((self._end, request))

    def settle(self, sample: int) -> None:
        """Let go of all before the sample, but for marks that have not come back."""
        self.settled = max(self.settled, sample)
        byte = self.settled * self._frame_bytes
        while self._audio and self._first + len(self._audio[0]) <= byte:
            self._first += len(self._audio.popleft())
        self._requests = [
            (at, request) for at, request in self._requests if at >= byte or mark_of(request)
        ]

    def answer(self, mark: int) -> bool:
        """Let go of the request that this mark answers; False where none waits for it."""
        for entry in self._requests:
            if mark_of(entry[1]) == (mark,):
                self._requests.remove(entry)
                return True
        return False

    @property
    def awaits_answer(self) -> bool:
        """Whether something was asked that the server has yet to answer."""
        return any(mark_of(request) or request["type"] == "end" for _, request in self._requests)

    def after(self, sample: int) -> Iterator[bytes | Request]:
        """Return what a server lacks that has taken all audio before the sample."""
        byte = sample * self._frame_bytes
        return self._interleave(byte, [entry for entry in self._requests if entry[0] >= byte])

    def anew(self, known: Mapping[int, int]) -> Iterator[bytes | Request]:
        """Return what a server lacks that knows nothing before `settled`.

        `known` says, by channel, up to where the words are known all the same: it hears silence.
        """
        return self._interleave(self.settled * self._frame_bytes, self._requests, known)

    def _interleave(
        self, at: int, requests: list[tuple[int, Request]], known: Mapping[int, int] | None = None
    ) -> Iterator[bytes | Request]:
        audio = bytearray(b"".join(self._audio)[at - self._first :])
        for channel, sample in (known or {}).items():
            self._silence_channel(audio, channel, sample - at // self._frame_bytes)
        begin = at
        for place, request in requests:
            if place > at:
                yield bytes(audio[at - begin : place - begin])
                at = place
            yield request
        if at < self._end:
            yield bytes(audio[at - begin :])

    def _silence_channel(self, audio: bytearray, channel: int, samples: int) -> None:
        if samples <= 0 or self._channels == 1:
            return  # what is known of the only channel is settled
        end = min(samples * self._frame_bytes, len(audio) - len(audio) % self._frame_bytes)
        for byte in range(self._sample_bytes):
            places = range(channel * self._sample_bytes + byte, end, self._frame_bytes)
            audio[places.start : places.stop : places.step] = bytes([self._silence]) * len(places)


def mark_of(request: Request) -> tuple[int, ...]:
    """Return the mark that the request is answered by, if there is one to come."""
    mark = request.get("id" if request["type"] == "mark" else "mark")
    return () if mark is None else (mark,)
