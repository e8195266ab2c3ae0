"""The base class of all protocols: turns messages into calls of sessions, and events into messages.

Theory of operation. One object serves one connection. The server calls its `receive_*` methods, and
then fetches the results from `windows_to_transcribe`, `messages_to_send` and `captions_to_share`.
The object reads no clock (the caller passes the time, in seconds of any monotonic clock), does no
I/O, and never raises for anything that a client sends.

The base class drives the sessions, counts, collects captions for rooms, and closes the connection
when all sessions have ended. A subclass declares its paths and access (`ProtocolDeclarations`),
parses frames (`handle_text`, `handle_binary`) and makes its own messages (`announce`, `send_event`,
`send_error`). To handle a message it calls `open_session`, `add_audio`, `add_gap`, `finish`,
`complain` or `fail`, or raises `PeerError`, which becomes `fail`. A connection usually has one
session, which has the id of the connection; a protocol that carries several streams opens a session
for each.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from stream.core import events
from stream.core.audio import Sound
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
"""The id of a session, and an event for its room."""

ENDED = Closing(CloseCode.ENDED, "")

MAX_REASON_BYTES = 120
"""Most bytes of a close reason; the close frame of a websocket has room for 123."""

Frame = TypeVar("Frame", str, bytes)


class SessionProtocol(ProtocolDeclarations):
    """One connection of a client; the module docstring describes it."""

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        self.service = service
        self.session_id = session_id
        self.query = query
        self.sessions = OpenSessions(service)
        self.counts = StreamCounts()
        self.authorised = True
        """Whether the client may open sessions; False until it sends the key, if it may do that in
        its first message."""
        self.closing: Closing | None = None
        """Close code and reason; set as soon as no more messages follow."""
        self.resumption: Resumption | None = None
        """Set if the client requests to resume another stream instead of this one."""
        self.now = 0.0
        """The time at which the last frame was received."""
        self._closing_after_finals: Closing | None = None
        self._failure: tuple[str, str] | None = None
        """Code and sentence of a fatal error, which is sent to the client after the finals."""
        self._messages: list[QueuedMessage] = []
        self._captions: list[Caption] = []
        self._notes: list[str] = []
        self._distributing = False
        self.stepwise = False
        """Whether the caller calls `take_step` while `has_steps`; otherwise a message is handled at
        once, however much audio it holds."""
        self._steps: deque[Callable[[], None]] = deque()
        """What remains to be done for the messages received so far."""
        self._stepped = False
        """Whether a step has been taken for the present message."""

    # Implemented by subclasses

    def handle_text(self, text: str) -> None:
        """Handle a text frame."""
        raise PeerError("wrong_kind", "This protocol has no text frames.", CloseCode.WRONG_KIND)

    def handle_binary(self, data: bytes) -> None:
        """Handle a binary frame, or a part of one."""
        raise PeerError("wrong_kind", "This protocol has no binary frames.", CloseCode.WRONG_KIND)

    def announce(self, opened: OpenSession) -> None:
        """Queue a message that a session is open; it precedes all messages of its events."""

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the messages for an event of a session."""

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue a message for an error, in the format of the protocol."""

    def close_reason(self, code: str, sentence: str) -> str:
        """Return the reason in the close frame after a fatal error."""
        return sentence

    def encode(self, message: QueuedMessage, now: float) -> str | bytes:
        """Return the frame of a message that is sent at `now`, text or binary; here its body."""
        frame: str | bytes = message.body
        return frame

    # Called by subclasses

    def open_session(
        self,
        asked: Mapping[str, object],
        about: Mapping[str, str] | None = None,
        session_id: str | None = None,
    ) -> None:
        """Open a session and announce it.

        Args:
            asked: fields of the native `start`, with values of the right types.
            about: facts about the stream for its room.
            session_id: id of the session if there are several; None for that of the connection.

        Raises:
            PeerError: the server cannot serve the settings, or the client has not sent the key.
        """
        if not self.authorised:
            raise PeerError("not_authorised", NO_KEY, CloseCode.NOT_AUTHORISED)
        self.announce(self.sessions.open(session_id or self.session_id, asked, about or {}))
        self.receive_load(self.sessions.load)

    def add_audio(self, audio: bytes, session_id: str | None = None) -> None:
        """Pass audio, channels interleaved, to an open session."""
        name = session_id or self.session_id
        opened = self.sessions.get(name)
        assert opened
        pieces = opened.pieces(audio) if self.stepwise else [audio]
        receive = self.sessions.receive_audio
        self._do_or_queue(*(partial(receive, name, piece, self.now) for piece in pieces))

    def add_gap(self, n_samples: int, session_id: str | None = None) -> None:
        """Let time pass without audio in an open session: samples of each channel."""
        name = session_id or self.session_id
        self._do_or_queue(partial(self.sessions.receive_gap, name, n_samples, self.now))

    def end_session(self, session_id: str) -> None:
        """End the audio of one of several sessions; the connection remains open for the others."""
        if opened := self.sessions.get(session_id):
            self._do_or_queue(opened.session.receive_eof)

    def send(self, message: QueuedMessage) -> None:
        """Queue a message."""
        self._messages.append(message)

    def complain(self, code: str, sentence: str) -> None:
        """Send an error to the client after which the stream continues, and count it."""
        self.counts.errors += 1
        self.send_error(code, sentence, fatal=False)

    def share(self, caption: events.Event | events.KeyPressed, session_id: str) -> None:
        """Queue an event for the room of a session."""
        self._captions.append((session_id, caption))

    def note(self, sentence: str) -> None:
        """Write a sentence to the server's log, such as what of a request has no effect here."""
        self._notes.append(sentence)

    def close(self, closing: Closing) -> None:
        """Close the connection once the queued messages have been sent."""
        self.closing = closing
        self._steps.clear()

    def collect(self) -> None:
        """Distribute new events of all sessions to the client, the rooms and the counts.

        Closes the connection if `finish` or `fail` was called and all sessions have ended.
        """
        if self.closing is not None or self._distributing:
            return
        self.counts.audio_s = self.sessions.audio_s
        self._distributing, failure = True, self._failure
        self._distribute_events()
        if self._failure is not failure:  # an event made the subclass fail: its finals come now
            self._distribute_events()
        self._distributing = False
        if self.closing is not None:  # an event of a session may be fatal
            return
        if self._closing_after_finals is not None and self.sessions.all_ended:
            if self._failure is not None:
                self.send_error(*self._failure, fatal=True)
            self.close(self._closing_after_finals)

    def _distribute_events(self) -> None:
        for opened in self.sessions:
            for event in opened.session.events_to_send():
                if opened.membership is not None:
                    self.share(event, opened.session.id)
                self.counts.add(event)
                if self._failure is None or not isinstance(event, events.Ended):
                    self.send_event(opened, event)  # an error takes the place of the end
            opened.forget_settled_arrivals()

    # Called by the server with input

    def receive_text(self, text: str, now: float) -> None:
        """Take a text frame; `now` is in seconds of any monotonic clock."""
        self._receive(self.handle_text, text, now)

    def receive_binary(self, data: bytes, now: float) -> None:
        """Take a binary frame, or a part of one."""
        self._receive(self.handle_binary, data, now)

    def _receive(self, handle: Callable[[Frame], None], frame: Frame, now: float) -> None:
        if self.closing is not None or self._failure is not None:
            return
        self.now, self._stepped = now, False
        try:
            handle(frame)
        except PeerError as error:
            self.fail(error.code, str(error))
        self.collect()

    @property
    def has_steps(self) -> bool:
        """Whether audio of the messages so far is still to be processed, by `take_step`."""
        return bool(self._steps)

    def take_step(self) -> None:
        """Process the next piece of the audio that has been received."""
        if self._steps:
            self._steps.popleft()()
            self.collect()

    def _do_or_queue(self, *actions: Callable[[], None]) -> None:
        """Do the first action of a message; the caller does the others by `take_step`, if it may.

        All are queued before the first is done, because its events can queue the end of the stream.
        """
        is_first = not self._steps and not self._stepped
        self._steps.extend(actions)
        if not self.stepwise:
            while self._steps:
                self.take_step()
        elif is_first:
            self._stepped = True
            self.take_step()

    def receive_key(self, shown: str) -> None:
        """Check the key that the client sent in a message. Raises `PeerError` if it is wrong."""
        self.authorised = self.authorised or self.service.key_fits(shown)
        if not self.authorised:
            raise PeerError("not_authorised", NO_KEY, CloseCode.NOT_AUTHORISED)

    def receive_return(self) -> None:
        """Handle that the client resumes this stream over another connection."""

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the hypothesis of a window."""
        if self.closing is None:
            self.sessions.receive_hypothesis(hypothesis)
            self.collect()

    def receive_sounds(self, session_id: str, sounds: Sequence[Sound], now: float) -> None:
        """Take decoded audio of a session whose decoder returns it later than the bytes."""
        if self.closing is None:
            self.sessions.receive_sounds(session_id, sounds, now)
            self.collect()

    def receive_load(self, load: Load) -> None:
        """Take the new load of the server."""
        if self.closing is None:
            self.sessions.receive_load(load)
            self.collect()

    def finish(self, closing: Closing) -> None:
        """Accept no more audio, send the finals of all sessions, then close with `closing`."""
        if not self.no_more_audio:
            self._closing_after_finals = closing
            self._do_or_queue(self.sessions.receive_eof)

    def fail(self, code: str, sentence: str) -> None:
        """Take no more audio, send the finals of the audio so far, then a fatal error, and close.

        If `code` is `internal`, the server itself failed and the sessions may be damaged. The error
        is then sent at once, without the finals, and the connection is closed.

        Args:
            code: the code of the error, which also determines the close code.
            sentence: what went wrong, for the client.
        """
        if self.closing is not None or self._failure is not None:
            return
        self.counts.errors += 1
        self._failure = code, sentence
        reason = self.close_reason(code, sentence).encode()[:MAX_REASON_BYTES]
        close_code = FATAL_ERRORS.get(code, CloseCode.INTERNAL)
        self._closing_after_finals = Closing(close_code, reason.decode(errors="ignore"))
        if code == "internal":
            self.send_error(code, sentence, fatal=True)
            self.close(self._closing_after_finals)
        else:
            self._do_or_queue(self.sessions.receive_eof)

    # Called by the server for results and state

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due since the last call."""
        return self.sessions.windows_to_transcribe()

    def messages_to_send(self) -> list[QueuedMessage]:
        """Return the messages since the last call."""
        messages, self._messages = self._messages, []
        return messages

    def captions_to_share(self) -> list[Caption]:
        """Return the events for the rooms of the sessions since the last call."""
        captions, self._captions = self._captions, []
        return captions

    def notes_to_log(self) -> list[str]:
        """Return the sentences for the log since the last call."""
        notes, self._notes = self._notes, []
        return notes

    def forget_ended(self) -> list[str]:
        """Remove the sessions that ended while the connection remains open; return their ids."""
        return [] if self.no_more_audio else self.sessions.forget_ended()

    def close_frame(self, closing: Closing) -> Closing:
        """Return the close code and the reason that this protocol sends for `closing`."""
        return Closing(self.close_codes.get(closing.code, closing.code), closing.reason)

    def resume_token(self) -> str | None:
        """Return the token to resume this stream; None if it cannot be resumed.

        A container cannot, because the client could not determine from which byte to continue.
        """
        resumes = self.can_resume and not self.sessions.compressed
        return self.service.resume_token(self.session_id) if resumes else None

    @property
    def session(self) -> Session | None:
        """The session with the id of the connection; None if it is not open."""
        opened = self.sessions.get(self.session_id)
        return opened.session if opened else None

    @property
    def membership(self) -> RoomMembership | None:
        """The room of `session`; None if it belongs to none."""
        opened = self.sessions.get(self.session_id)
        return opened.membership if opened else None

    @property
    def pending_s(self) -> float:
        """Seconds of speech that no hypothesis covers yet, in the session with the most."""
        return self.sessions.pending_s

    @property
    def no_more_audio(self) -> bool:
        """Whether no more audio is accepted, and only messages to the client remain."""
        return self._closing_after_finals is not None or self.closing is not None

    @property
    def resumable(self) -> bool:
        """Whether the client has a token and can resume the stream with it now."""
        ended_well = self._failure is None and self.closing in (None, self._closing_after_finals)
        return len(self.sessions) > 0 and ended_well and self.resume_token() is not None
