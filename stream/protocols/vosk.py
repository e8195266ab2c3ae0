"""The protocol of vosk-server, on a port of its own: its clients connect to `ws://HOST:PORT/`.

Theory of operation. Every message of audio, every `eof` and every `reset` is answered by exactly
one message, in their order, because clients wait for it before they send the next. So each of them
takes a place in a queue. A message of audio is answered at once: by the next final that has not
been told, or by the words so far. `eof` and `reset` are answered when all words before them are
final, with all that have not been told.
"""

from collections import deque
from collections.abc import Sequence
from itertools import count
from typing import Any

import msgspec

from stream.core import events
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import OwnPort, Query
from stream.protocols.deepgram.results import transcript, word_fields
from stream.protocols.event_messages import seconds
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import ENDED, SessionProtocol

Json = dict[str, Any]

USUAL_RATE = 8_000
"""Hertz; vosk-server's default."""

END = 0
"""The mark of `eof` in the queue."""


class Configuration(msgspec.Struct, frozen=True):
    """`config` of the first message; other fields have no meaning here."""

    sample_rate: float = USUAL_RATE
    words: bool = True
    partial_words: bool = False
    max_alternatives: int = 0
    phrase_list: tuple[str, ...] = ()


class VoskProtocol(SessionProtocol):
    """One client."""

    own_port = OwnPort("vosk_port")

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.configuration = Configuration()
        self._places: deque[int | None] = deque()
        """Messages without an answer yet: None for audio, else the mark that has to be reached."""
        self._reached = -1
        self._marks = count(1)
        self._finals: deque[tuple[Word, ...]] = deque()
        """The words of utterances that have not been told."""
        self._partial: tuple[Word, ...] = ()
        self._ended = False

    def handle_text(self, text: str) -> None:
        """Act on `config`, `eof` or `reset`."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            message = None
        match message:
            case {"config": dict(configuration)}:
                self._configure(configuration)
            case {"eof": _}:
                self._places.append(END)
                self._open()
                self.finish(ENDED)
            case {"reset": _}:
                self._open()
                mark = next(self._marks)
                self._places.append(mark)
                assert self.session
                self.session.receive_finalize(mark)
            case _:
                raise PeerError("malformed", "A text message is config, eof or reset.", None)

    def handle_binary(self, data: bytes) -> None:
        """Act on 16-bit samples."""
        if self.no_more_audio:
            return
        self._open()
        self._places.append(None)
        self.add_audio(data)

    def _configure(self, configuration: Json) -> None:
        try:
            self.configuration = msgspec.convert(configuration, Configuration, strict=False)
        except msgspec.ValidationError as error:
            message = f"The configuration does not fit: {error}."
            raise PeerError("bad_settings", message, CloseCode.BAD_SETTINGS) from None

    def _open(self) -> None:
        if self.session is None:
            asked = {
                "sample_rate": round(self.configuration.sample_rate),
                "keyterms": self.configuration.phrase_list,
                "words": True,
            }
            self.open_session(asked)

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Take note of what the next answers contain."""
        match event:
            case events.Partial(committed=committed, tentative=tentative):
                self._partial = committed + tentative
            case events.Final(words=words):
                self._partial = ()
                if words:
                    self._finals.append(words)
            case events.MarkReached(id=mark):
                self._reached = mark
            case events.Ended():
                self._ended = True
                self._answer()

    def collect(self) -> None:
        """Pass on the events of the session, and answer what can be answered."""
        super().collect()
        if self.closing is None:
            self._answer()

    def _answer(self) -> None:
        """Answer the messages at the head of the queue."""
        while self._places:
            place = self._places[0]
            if place is None:
                self._send(self._next_result())
            elif place <= self._reached if place != END else self._ended:
                words = tuple(word for final in self._finals for word in final)
                self._finals.clear()
                self._send(self._result(words))
            else:
                return
            self._places.popleft()

    def _next_result(self) -> Json:
        if self._finals:
            return self._result(self._finals.popleft())
        body: Json = {"partial": transcript(self._partial, punctuated=False)}
        if self.configuration.partial_words and self._partial:
            body["partial_result"] = words_of(self._partial)
        return body

    def _result(self, words: Sequence[Word]) -> Json:
        body: Json = {"text": transcript(words, punctuated=False)}
        if self.configuration.words and words:
            body["result"] = words_of(words)
        if self.configuration.max_alternatives > 0:
            confidence = sum(word.confidence for word in words) / max(len(words), 1)
            return {"alternatives": [{"confidence": round(confidence, 4), **body}]}
        return body

    def _send(self, body: Json) -> None:
        self.send(QueuedMessage(body))

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()


def words_of(words: Sequence[Word]) -> list[Json]:
    """Return words as vosk writes them."""
    return [
        {
            "conf": round(word.confidence, 6),
            "start": seconds(word.start_sample),
            "end": seconds(word.end_sample),
            "word": word_fields(word, "", punctuated=False)["word"],
        }
        for word in words
    ]
