"""The base of every two-way protocol: messages in, sessions driven, messages out.

Theory of operation. One object serves one connection. The server calls its `receive_*` methods and
afterwards drains `windows_to_transcribe`, `messages_to_send` and `captions_to_share`. The object
reads no clock (the caller passes the time, in seconds of any steady clock), does no I/O, and never
raises for what a client sends.

The base drives the sessions, counts, collects captions for rooms, and closes the connection when
all sessions have ended. A subclass declares how clients reach it (`ProtocolDeclarations`), parses
what arrives (`handle_text`, `handle_binary`) and writes its own messages (`announce`, `send_event`,
`send_error`). To act on a message it calls `open_session`, `add_audio`, `add_gap`, `finish`,
`complain` or `fail`, or raises `PeerError`, which becomes `fail`. A connection has one session as a
rule, under the id of the connection; a protocol that carries several streams opens a session for
each.
"""

from collections.abc import Callable, Mapping
from typing import TypeVar

from stream.core import events
from stream.core.load import Load
from stream.core.session import Session
from stream.core.windows import Hypothesis, Window
from stream.errors import PeerError
from stream.protocols.close_codes import FATAL_ERRORS, CloseCode
from stream.protocols.declarations import NO_KEY, ProtocolDeclarations, Query
from stream.protocols.interface import (
    Closing,
    QueuedMessage,
    Resumption,
    RoomMembership,
    Service,
    StreamCounts,
)
from stream.protocols.open_sessions import OpenSession, OpenSessions

Caption = tuple[str, events.Event | events.KeyPressed]
"""The id of a session, and what its room is to show."""

ENDED = Closing(CloseCode.ENDED, "")

MAX_REASON_BYTES = 120
"""A websocket's close frame holds 123 bytes of reason."""

Frame = TypeVar("Frame", str, bytes)


class SessionProtocol(ProtocolDeclarations):
    """One connection of a client; the module's docstring describes the parts."""

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        self.service = service
        self.session_id = session_id
        self.query = query
        self.sessions = OpenSessions(service)
        self.counts = StreamCounts()
        self.authorised = True
        """False until the client shows the key, if it may do so in its first message."""
        self.closing: Closing | None = None
        """Set once no more messages follow."""
        self.resumption: Resumption | None = None
        """Set if the client asks to resume another stream instead of this one."""
        self.now = 0.0
        """When the last frame was received."""
        self._closing_after_finals: Closing | None = None
        self._failure: tuple[str, str] | None = None
        """Code and sentence of a fatal error, which the client is told after its finals."""
        self._messages: list[QueuedMessage] = []
        self._captions: list[Caption] = []

    # What a subclass writes

    def handle_text(self, text: str) -> None:
        """Act on a text frame."""
        raise PeerError("wrong_kind", "This protocol has no text frames.", CloseCode.WRONG_KIND)

    def handle_binary(self, data: bytes) -> None:
        """Act on a binary frame, or on a part of one."""
        raise PeerError("wrong_kind", "This protocol has no binary frames.", CloseCode.WRONG_KIND)

    def announce(self, opened: OpenSession) -> None:
        """Queue a message that says that a session is open; no event of it comes earlier."""

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the messages that tell the client about an event of a session."""

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue a message about an error, in the protocol's own wording."""

    def close_reason(self, code: str, sentence: str) -> str:
        """Return the reason in the close frame after a fatal error."""
        return sentence

    def encode(self, message: QueuedMessage, now: float) -> str | bytes:
        """Return the frame to send now: text, or binary. By default it is the message's body."""
        frame: str | bytes = message.body
        return frame

    # What a subclass calls

    def open_session(
        self,
        asked: Mapping[str, object],
        about: Mapping[str, str] | None = None,
        session_id: str | None = None,
    ) -> None:
        """Open a session and announce it.

        Args:
            asked: fields of the native `start`, with values of the right types.
            about: facts about the stream that its room shows.
            session_id: id of one of several sessions of the connection.

        Raises:
            PeerError: the settings cannot be served, or the client has not shown the key.
        """
        if not self.authorised:
            raise PeerError("not_authorised", NO_KEY, CloseCode.NOT_AUTHORISED)
        self.announce(self.sessions.open(session_id or self.session_id, asked, about or {}))
        self.receive_load(self.sessions.load)

    def add_audio(self, audio: bytes, session_id: str | None = None) -> None:
        """Give audio to an open session, channels interleaved."""
        self.sessions.receive_audio(session_id or self.session_id, audio, self.now)
        self.counts.audio_s = self.sessions.audio_s
        self.collect()

    def add_gap(self, n_samples: int, session_id: str | None = None) -> None:
        """Let time pass without audio in an open session: samples of each channel."""
        self.sessions.receive_gap(session_id or self.session_id, n_samples, self.now)
        self.collect()

    def end_session(self, session_id: str) -> None:
        """Finish one of several sessions; the connection stays open for the others."""
        if opened := self.sessions.get(session_id):
            opened.session.receive_eof()
            self.collect()

    def send(self, message: QueuedMessage) -> None:
        """Queue a message."""
        self._messages.append(message)

    def complain(self, code: str, sentence: str) -> None:
        """Tell the client about an error after which the stream goes on."""
        self.counts.errors += 1
        self.send_error(code, sentence, fatal=False)

    def share(self, caption: events.Event | events.KeyPressed, session_id: str) -> None:
        """Give the room of a session something to show."""
        self._captions.append((session_id, caption))

    def close(self, closing: Closing) -> None:
        """Close the connection once the queued messages have been sent."""
        self.closing = closing

    def collect(self) -> None:
        """Pass on the events of all sessions: to the client, to the rooms, and to the counts."""
        if self.closing is not None:
            return
        for opened in self.sessions:
            for event in opened.session.events_to_send():
                if opened.membership is not None:
                    self.share(event, opened.session.id)
                self.counts.add(event)
                if self._failure is None or not isinstance(event, events.Ended):
                    self.send_event(opened, event)  # an error takes the place of the end
            opened.forget_settled_arrivals()
        if self._closing_after_finals is not None and self.sessions.all_ended:
            if self._failure is not None:
                self.send_error(*self._failure, fatal=True)
            self.close(self._closing_after_finals)

    # What the server gives

    def receive_text(self, text: str, now: float) -> None:
        """Take a text frame. `now` is in seconds, of any steady clock."""
        self._receive(self.handle_text, text, now)

    def receive_binary(self, data: bytes, now: float) -> None:
        """Take a binary frame, or a part of one."""
        self._receive(self.handle_binary, data, now)

    def _receive(self, handle: Callable[[Frame], None], frame: Frame, now: float) -> None:
        if self.closing is not None or self._failure is not None:
            return
        self.now = now
        try:
            handle(frame)
        except PeerError as error:
            self.fail(error.code, str(error))
        self.collect()

    def receive_key(self, shown: str) -> None:
        """Take the key that the client shows in a message. Raises `PeerError` if it is wrong."""
        self.authorised = self.authorised or self.service.key_fits(shown)
        if not self.authorised:
            raise PeerError("not_authorised", NO_KEY, CloseCode.NOT_AUTHORISED)

    def receive_return(self) -> None:
        """Take note that the client resumes this stream through another connection."""

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""
        if self.closing is None:
            self.sessions.receive_hypothesis(hypothesis)
            self.collect()

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""
        if self.closing is None:
            self.sessions.receive_load(load)
            self.collect()

    def finish(self, closing: Closing) -> None:
        """Take no more audio, send the finals of all sessions, then close with `closing`."""
        if not self.no_more_audio:
            self._closing_after_finals = closing
            self.sessions.receive_eof()
            self.collect()

    def fail(self, code: str, sentence: str) -> None:
        """Take no more audio, send the finals of what came before, then the error, and close.

        After an error of the server itself, which may have spoiled the sessions, it closes at once.
        """
        if self.closing is not None or self._failure is not None:
            return
        self.counts.errors += 1
        self._failure = code, sentence
        reason = self.close_reason(code, sentence).encode()[:MAX_REASON_BYTES]
        close_code = FATAL_ERRORS.get(code, CloseCode.INTERNAL)
        self._closing_after_finals = Closing(close_code, reason.decode(errors="ignore"))
        if close_code is CloseCode.INTERNAL:
            self.send_error(code, sentence, fatal=True)
            self.close(self._closing_after_finals)
        else:
            self.sessions.receive_eof()
            self.collect()

    # What the server drains and asks

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        return self.sessions.windows_to_transcribe()

    def messages_to_send(self) -> list[QueuedMessage]:
        """Return the messages since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def captions_to_share(self) -> list[Caption]:
        """Return what the rooms of the sessions are to show since the last call."""
        captions, self._captions = self._captions, []
        return captions

    def forget_ended(self) -> list[str]:
        """Drop the sessions that ended while the connection stays open, and return their ids."""
        return [] if self.no_more_audio else self.sessions.forget_ended()

    def close_frame(self, closing: Closing) -> Closing:
        """Return the close code and the reason as this protocol writes them on the wire."""
        return Closing(self.close_codes.get(closing.code, closing.code), closing.reason)

    def resume_token(self) -> str | None:
        """Return what the client shows to resume; in a container it cannot tell from which byte."""
        resumes = self.can_resume and not self.sessions.compressed
        return self.service.resume_token(self.session_id) if resumes else None

    @property
    def session(self) -> Session | None:
        """The session under the id of the connection, if it is open."""
        opened = self.sessions.get(self.session_id)
        return opened.session if opened else None

    @property
    def membership(self) -> RoomMembership | None:
        """The room of that session, if it belongs to one."""
        opened = self.sessions.get(self.session_id)
        return opened.membership if opened else None

    @property
    def pending_s(self) -> float:
        """Seconds of audio without an answer from the engine, in the session with the most."""
        return self.sessions.pending_s

    @property
    def compressed(self) -> bool:
        """Whether few bytes may hold many seconds of audio, because it comes in a container."""
        return self.sessions.compressed

    @property
    def no_more_audio(self) -> bool:
        """Whether no more audio is taken, and only messages to the client are left."""
        return self._closing_after_finals is not None or self.closing is not None

    @property
    def resumable(self) -> bool:
        """Whether the client was given a token, and finds the stream when it shows it."""
        ended_well = self._failure is None and self.closing in (None, self._closing_after_finals)
        return len(self.sessions) > 0 and ended_well and self.resume_token() is not None
