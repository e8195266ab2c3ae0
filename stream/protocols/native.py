"""The native protocol of `docs/protocol.md`.

Theory of operation. A stream is OPENING until the client sends `start` with its settings, or any
other message if the query string and the defaults suffice. After a `start` that cannot be parsed it
is REFUSED, and only another `start` is accepted: with settings that the client did not intend,
audio would be transcribed wrongly. STREAMING lasts until `end`. Then the stream is ENDING: the last
finals are still to be sent, and further messages are ignored, with an error as the answer. A stream
that the server ends is FINISHING: further messages are ignored without an error, because the client
is not at fault, and `ended.received` informs it how much audio was accepted. After a `start` that
requests to resume another stream, this one is RESUMING until the server has found the other one or
refuses. In CLOSED no more messages follow. `ACTIONS` is the whole table; a message without a row in
the table of the state is ignored.
"""

from collections.abc import Callable
from enum import Enum, auto

import msgspec

from stream.core import events
from stream.core.languages import language_code
from stream.core.session import Session
from stream.errors import PeerError, SettingsError
from stream.protocols import messages
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import Query
from stream.protocols.event_messages import message_of
from stream.protocols.interface import Closing, QueuedMessage, Resumption, Service
from stream.protocols.messages import Configure, End, Finalize, KeepAlive, Mark, Start
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import ENDED, SessionProtocol
from stream.protocols.start_settings import (
    RESUME_SENTENCE,
    check_language,
    from_query,
    membership_of,
    settings_of,
)

Audio = bytes
Message = messages.Incoming | Audio


class State(Enum):
    """The state of a stream; the module docstring describes them."""

    OPENING = auto()
    REFUSED = auto()
    RESUMING = auto()
    STREAMING = auto()
    ENDING = auto()
    FINISHING = auto()
    CLOSED = auto()


decode = msgspec.json.Decoder(messages.Incoming, strict=False).decode
"""Parses a message. It is not strict, because some languages have only floating-point numbers and
write 44100 as 44100.0."""
encode = msgspec.json.Encoder().encode


class NativeProtocol(SessionProtocol):
    """One stream. The query holds settings, as fields of `start`."""

    paths = ("/v1/stream",)
    subprotocols = ("stream.v1",)
    can_resume = True

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.state = State.OPENING
        self._seq = 0
        self._asked: dict[str, object] = {}
        try:
            self._asked = from_query(query).given()
            membership_of(self._asked, settings_of(self._asked, service))
        except PeerError as error:
            self.fail(error.code, str(error))

    # Input from the client

    def handle_text(self, text: str) -> None:
        """Handle a JSON message."""
        if not ACTIONS[self.state]:
            return  # in this state every message is ignored, even an invalid one
        try:
            message = decode(text)
        except msgspec.ValidationError as error:
            self._handle_misfit(text, str(error))
        except (msgspec.DecodeError, RecursionError):
            self._handle_misfit(text, "it is not JSON")
        else:
            self._handle(message)

    def handle_binary(self, data: bytes) -> None:
        """Handle audio."""
        self._handle(data)

    def receive_return(self) -> None:
        """Send `ready` with the sample at which the client must continue after it has resumed.

        The bytes of an incomplete sample frame are dropped.
        """
        while self.has_steps:
            self.take_step()
        if self.session is not None and self.state is not State.CLOSED:
            self.session.receive_break()
            self._send_ready(self.session.held)
            self.receive_load(self.sessions.load)

    def _handle(self, message: Message) -> None:
        if action := ACTIONS[self.state].get(type(message)):
            action(self, message)

    def _handle_misfit(self, text: str, reason: str) -> None:
        """Answer a text that is not a valid message; end the stream if it is not a JSON object.

        An object is ignored, with an error that contains `reason`, a part of a sentence. If it is a
        `start` in OPENING, the state becomes REFUSED.
        """
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.fail("malformed", "A text frame is not a JSON object; send JSON objects.")
            return
        if content.get("type") == "start" and self.state is State.OPENING:
            self.state = State.REFUSED
        self.complain("bad_message", f"A message was ignored: {reason}.")

    def _begin(self, message: Message) -> None:
        """Open the session; if the first message is not `start`, handle it afterwards."""
        if isinstance(message, Start) and message.resume:
            self._ask_to_resume(message.resume)
            return
        named = message.given() if isinstance(message, Start) else {}
        self.open_session({**self._asked, **named})
        self.state = State.STREAMING
        if not isinstance(message, Start):
            self._handle(message)

    def _ask_to_resume(self, resume: messages.Resume) -> None:
        if self.service.resume_token(self.session_id) is None:
            raise PeerError("resume_refused", RESUME_SENTENCE, CloseCode.RESUME_REFUSED)
        self.resumption = Resumption(resume.session, resume.token, resume.seq)
        self.state = State.RESUMING

    def _refuse_unstarted(self, message: Message) -> None:
        raise SettingsError("start", "The last `start` was invalid; send a valid one first.")

    def _refuse_late_start(self, message: Message) -> None:
        assert isinstance(message, Start)
        settings_of({**self._asked, **message.given()}, self.service)
        self.complain(
            "bad_message",
            "`start` must be the first message of a stream; open a new stream.",
        )

    def _add_audio(self, data: Message) -> None:
        assert isinstance(data, Audio)
        self.add_audio(data)

    def _request(self, message: Message) -> None:
        assert self.session
        match message:
            case Finalize(mark=mark):
                self.session.receive_finalize(mark)
            case Mark(id=id):
                self.session.receive_mark(id)
            case Configure():
                self._configure(self.session, message.given())

    def _configure(self, session: Session, changes: dict[str, object]) -> None:
        if "language" in changes:
            known = self.service.languages
            changes["language"] = language_code(str(changes["language"]), known)
        try:
            check_language(str(changes.get("language", "auto")), self.service)
        except SettingsError as error:
            self.complain(error.code, str(error))
        else:
            session.receive_configure(changes)

    def _end(self, message: Message) -> None:
        self.state = State.ENDING
        super().finish(ENDED)

    def _refuse_after_end(self, message: Message) -> None:
        if isinstance(message, Audio):
            self.complain(
                "audio_after_end", "Audio came after `end` and was ignored; open a new stream."
            )
        else:
            self.complain(
                "bad_message", "A message came after `end` and was ignored; open a new stream."
            )

    # The end of a stream by the server

    def finish(self, closing: Closing) -> None:
        """Accept no more audio, send the finals of the audio so far, then close with `closing`."""
        if not self.no_more_audio:
            self.state = State.FINISHING
            super().finish(closing)

    def close(self, closing: Closing) -> None:
        """Close the connection once the queued messages have been sent."""
        super().close(closing)
        self.state = State.CLOSED

    # Output to the client

    def announce(self, opened: OpenSession) -> None:
        """Queue the `ready` message."""
        self._send_ready(received=0)

    def _send_ready(self, received: int) -> None:
        limits = messages.Limits(
            self.service.max_frame_bytes, self.service.max_ahead_s, self.service.idle_s
        )
        ready = messages.Ready(
            session=self.session_id,
            resume_token=self.resume_token(),
            model=self.service.model,
            received=received,
            limits=limits,
        )
        self.send(QueuedMessage(ready))

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the message of the event; a newer partial or progress replaces an older one."""
        body = message_of(event, opened.session.settings.words)
        match event:
            case events.Partial(channel=channel, utterance=utterance):
                message = QueuedMessage(body, subject=(channel, utterance), replaceable=True)
            case events.Final(channel=channel, utterance=utterance):
                received_at = opened.speech_received_at(event)
                message = QueuedMessage(body, (channel, utterance), speech_received_at=received_at)
            case events.Progress():
                message = QueuedMessage(body, subject="progress", replaceable=True)
            case _:
                message = QueuedMessage(body)
        self.send(message)

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue an `error` message."""
        self.send(QueuedMessage(messages.Error(code=code, message=sentence, fatal=fatal)))

    def close_reason(self, code: str, sentence: str) -> str:
        """Return the code, because the sentence was sent in the `error` message."""
        return code

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the frame of a message, with the next number.

        The latency of a final is computed from `now`, the time of sending.
        """
        self._seq += 1
        body = msgspec.structs.replace(message.body, seq=self._seq)
        if isinstance(body, messages.Final) and message.speech_received_at is not None:
            total_ms = round((now - message.speech_received_at) * 1000, 1)
            latency = msgspec.structs.replace(body.latency, total_ms=total_ms)
            body = msgspec.structs.replace(body, latency=latency)
        return encode(body).decode()


def ignore(protocol: NativeProtocol, message: Message) -> None:
    """Do nothing; a `keepalive` only resets the idle timer, which any message does."""


Action = Callable[[NativeProtocol, Message], None]
N = NativeProtocol

REQUESTS = (Finalize, Mark, Configure)

ACTIONS: dict[State, dict[type, Action]] = {
    State.OPENING: {
        **dict.fromkeys((Start, Audio, *REQUESTS, End), N._begin),
        KeepAlive: ignore,
    },
    State.REFUSED: {
        Start: N._begin,
        **dict.fromkeys((Audio, *REQUESTS, End), N._refuse_unstarted),
        KeepAlive: ignore,
    },
    State.STREAMING: {
        Start: N._refuse_late_start,
        Audio: N._add_audio,
        **dict.fromkeys(REQUESTS, N._request),
        End: N._end,
        KeepAlive: ignore,
    },
    State.ENDING: {
        **dict.fromkeys((Start, Audio, *REQUESTS), N._refuse_after_end),
        # A client that resumed may send `end` again, because it may not have arrived before.
        **dict.fromkeys((End, KeepAlive), ignore),
    },
    State.RESUMING: {},
    State.FINISHING: {},
    State.CLOSED: {},
}
