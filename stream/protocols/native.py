"""The native protocol: `docs/protocol.md`, as a pure object around a `Session`.

Theory of operation. A stream is OPENING until the client says how it will be: with `start`, or,
where the query string and the defaults fit, with anything else. A `start` that cannot be read
leaves it REFUSED, where only another `start` helps: audio taken under settings that the client did
not mean would come back as nonsense. STREAMING goes on until `end`; then the stream is ENDING,
the session still owes finals, and what comes in is answered with an error and ignored. A stream
that the server brings to its end is FINISHING: the client is not at fault, and `ended.received`
tells it what was taken. A `start` that asks to go on with another stream leaves this one RESUMING:
the connection finds the other, or refuses. In CLOSED all has been said. `ACTIONS` is the whole
table; a message that a state has no row for is ignored.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto

import msgspec

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.languages import language_code
from stream.core.load import Load
from stream.core.session import Session
from stream.core.settings import CONTAINER
from stream.core.windows import Hypothesis, Window
from stream.errors import PeerError, SettingsError
from stream.protocols import messages
from stream.protocols.arrival_times import Arrivals
from stream.protocols.event_messages import message_of
from stream.protocols.messages import CloseCode, Configure, End, Finalize, KeepAlive, Mark, Start
from stream.protocols.start_settings import (
    RESUME_SENTENCE,
    check_language,
    from_query,
    seat_of,
    settings_of,
)
from stream.protocols.stream_protocol import Closing, Draft, Resumption, Seat, Service, Tally

Audio = bytes
Message = messages.Incoming | Audio


class State(Enum):
    """How far a stream is."""

    OPENING = auto()
    REFUSED = auto()
    RESUMING = auto()
    STREAMING = auto()
    ENDING = auto()
    FINISHING = auto()
    CLOSED = auto()


decode = msgspec.json.Decoder(messages.Incoming, strict=False).decode
"""Lax: there are languages in which every number is a float, and 44100 is written as 44100.0."""
encode = msgspec.json.Encoder().encode


class NativeProtocol:
    """One stream; see `port.StreamProtocol` for what each method is for."""

    def __init__(
        self, service: Service, session_id: str, query: Mapping[str, Sequence[str]]
    ) -> None:
        self.service = service
        self.session_id = session_id
        self.state = State.OPENING
        self.session: Session | None = None
        self.closing: Closing | None = None
        self.resumption: Resumption | None = None
        self.tally = Tally()
        self.seat: Seat | None = None
        self._seq = 0
        self._now = 0.0
        self._load = Load.NORMAL
        self._arrivals = Arrivals()
        self._drafts: list[Draft] = []
        self._captions: list[events.Event] = []
        self._closing_after_finals = Closing(CloseCode.ENDED, "")
        self._asked: dict[str, object] = {}
        try:
            self._asked = from_query(query).given()
            seat_of(self._asked, settings_of(self._asked, service))
        except PeerError as error:
            self._refuse(error)

    @property
    def pending_s(self) -> float:
        """Audio received that the engine has not answered, in seconds."""
        return self.session.pending_s if self.session else 0.0

    @property
    def no_more_audio(self) -> bool:
        """Whether it is the server that is waited for now."""
        return self.state in (State.ENDING, State.FINISHING, State.CLOSED)

    @property
    def resumable(self) -> bool:
        """Whether the client was given a token, and may find something when it shows it."""
        known = self.session is not None
        ended_well = self.closing is None or self.closing == self._closing_after_finals
        return known and ended_well and self._resume_token() is not None

    @property
    def compressed(self) -> bool:
        """Whether the audio comes in a container."""
        return self.session is not None and self.session.settings.encoding == CONTAINER

    # What the client sends

    def receive_text(self, text: str, now: float) -> None:
        """Take a JSON message. `now` is in seconds, of any steady clock."""
        if not ACTIONS[self.state]:
            return  # nothing is taken any more, well formed or not
        self._now = now
        try:
            message = decode(text)
        except msgspec.ValidationError as error:
            self._receive_misfit(text, str(error))
        except (msgspec.DecodeError, RecursionError):
            self._receive_misfit(text, "it is not JSON")
        else:
            self._receive(message)

    def receive_binary(self, data: bytes, now: float) -> None:
        """Take audio."""
        self._now = now
        self._receive(data)

    def receive_return(self) -> None:
        """Say where the client is to go on; what it sends begins with a whole sample."""
        if self.session is not None and self.state is not State.CLOSED:
            self.session.receive_break()
            self._get_ready(self.session.held)

    def _receive(self, message: Message) -> None:
        action = ACTIONS[self.state].get(type(message))
        if action is None:
            return
        try:
            action(self, message)
        except PeerError as error:
            self._refuse(error)
        self._collect()

    def _receive_misfit(self, text: str, reason: str) -> None:
        """Answer a text that is no message of ours; the reason is part of a sentence."""
        try:
            content = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            content = None
        if not isinstance(content, dict):
            self.fail("malformed", "A text frame is not a JSON object; send JSON objects.")
            return
        if content.get("type") == "start" and self.state is State.OPENING:
            self.state = State.REFUSED
        self._complain("bad_message", f"A message was ignored: {reason}.")

    def _begin(self, message: Message) -> None:
        """Open the session; where `start` was left out, handle what came in its place."""
        if isinstance(message, Start) and message.resume:
            self._ask_to_resume(message.resume)
            return
        named = message.given() if isinstance(message, Start) else {}
        asked = {**self._asked, **named}
        settings = settings_of(asked, self.service)
        self.seat = seat_of(asked, settings)
        self.session = Session(
            self.session_id,
            settings,
            self.service.tuning,
            self.service.detector,
            self.service.container,
        )
        self.state = State.STREAMING
        self._get_ready(received=0)
        if not isinstance(message, Start):
            ACTIONS[self.state][type(message)](self, message)

    def _get_ready(self, received: int) -> None:
        limits = messages.Limits(
            self.service.max_frame_bytes, self.service.max_ahead_s, self.service.idle_s
        )
        ready = messages.Ready(
            session=self.session_id,
            resume_token=self._resume_token(),
            model=self.service.model,
            received=received,
            limits=limits,
        )
        self._drafts.append(Draft(ready))
        self.receive_load(self._load)

    def _resume_token(self) -> str | None:
        """What the client shows to go on; of a container it cannot tell at which byte it would."""
        if self.compressed:
            return None
        return self.service.resume_token(self.session_id)

    def _ask_to_resume(self, resume: messages.Resume) -> None:
        if self.service.resume_token(self.session_id) is None:
            raise PeerError("resume_refused", RESUME_SENTENCE, CloseCode.RESUME_REFUSED)
        self.resumption = Resumption(resume.session, resume.token, resume.seq)
        self.state = State.RESUMING

    def _refuse_unstarted(self, message: Message) -> None:
        raise SettingsError("start", "The `start` before this could not be read; send a good one.")

    def _refuse_late_start(self, message: Message) -> None:
        assert isinstance(message, Start)
        settings_of({**self._asked, **message.given()}, self.service)
        self._complain(
            "bad_message",
            "The stream has begun; `start` must be its first message. Open a new one.",
        )

    def _take_audio(self, data: Message) -> None:
        assert self.session
        assert isinstance(data, Audio)
        self.session.receive_audio(data)
        self.tally.audio_s = self.session.received / self.session.settings.sample_rate
        self._arrivals.note(self.tally.audio_s, self._now)

    def _ask(self, message: Message) -> None:
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
            self._complain(error.code, str(error))
        else:
            session.receive_configure(changes)

    def _end(self, message: Message) -> None:
        assert self.session
        self.state = State.ENDING
        self.session.receive_eof()

    def _refuse_after_end(self, message: Message) -> None:
        if isinstance(message, Audio):
            self._complain(
                "audio_after_end", "Audio came after `end` and was ignored; open a new stream."
            )
        else:
            self._complain(
                "bad_message", "A message came after `end` and was ignored; open a new stream."
            )

    # What the engine and the server say

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""
        if self.session is None or self.state is State.CLOSED:
            return
        self.session.receive_hypothesis(hypothesis)
        self._collect()

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""
        self._load = load
        if self.session is not None and self.state is not State.CLOSED:
            self.session.receive_load(load)
            self._collect()

    def finish(self, closing: Closing) -> None:
        """Take no more audio, send the finals of what there is, then close so."""
        if self.no_more_audio:
            return
        self._closing_after_finals = closing
        if self.session is None:
            self._close(closing)
            return
        self.state = State.FINISHING
        self.session.receive_eof()
        self._collect()

    def fail(self, code: str, message: str) -> None:
        """Say what went wrong and close at once."""
        close_code = messages.ERROR_CODES[code]
        assert close_code is not None
        self._refuse(PeerError(code, message, close_code))

    # What is to be done about it

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        return self.session.windows_to_transcribe() if self.session else []

    def messages_to_send(self) -> list[Draft]:
        """Return the messages since the last call."""
        drafts = self._drafts
        self._drafts = []
        return drafts

    def captions_to_share(self) -> list[events.Event]:
        """Return the events since the last call that readers of the room are to see."""
        captions, self._captions = self._captions, []
        return captions

    def encode(self, draft: Draft, now: float) -> str:
        """Number the message and return the frame to send; `now` dates a final's latency."""
        self._seq += 1
        body = msgspec.structs.replace(draft.body, seq=self._seq)
        if isinstance(body, messages.Final) and draft.spoken_at is not None:
            total_ms = round((now - draft.spoken_at) * 1000, 1)
            latency = msgspec.structs.replace(body.latency, total_ms=total_ms)
            body = msgspec.structs.replace(body, latency=latency)
        return encode(body).decode()

    def _collect(self) -> None:
        """Turn the session's events into drafts."""
        if self.session is None or self.state is State.CLOSED:
            return
        for event in self.session.events_to_send():
            if self.seat:
                self._captions.append(event)
            self._drafts.append(self._draft(event, self.session.settings.words))
            self.tally.finals += isinstance(event, events.Final)
            self.tally.partials += isinstance(event, events.Partial)
            self.tally.errors += isinstance(event, events.Failure)
            if isinstance(event, events.Ended):
                self.tally.speech_s = event.speech_s
                self._close(self._closing_after_finals)
        self._arrivals.forget_before(self.session.settled / self.session.settings.sample_rate)

    def _draft(self, event: events.Event, with_words: bool) -> Draft:
        body = message_of(event, with_words)
        match event:
            case events.Partial(channel=channel, utterance=utterance):
                return Draft(body, subject=(channel, utterance), replaceable=True)
            case events.Final(channel=channel, utterance=utterance):
                spoken_at = self._arrivals.time_of(event.speech_end_sample / SAMPLE_RATE)
                return Draft(body, subject=(channel, utterance), spoken_at=spoken_at)
            case events.Progress():
                return Draft(body, subject="progress", replaceable=True)
        return Draft(body)

    def _complain(self, code: str, message: str) -> None:
        self.tally.errors += 1
        self._drafts.append(Draft(messages.Error(code=code, message=message, fatal=False)))

    def _refuse(self, error: PeerError) -> None:
        """Answer with a fatal error."""
        if self.state is State.CLOSED:
            return
        self.tally.errors += 1
        self._drafts.append(Draft(messages.Error(code=error.code, message=str(error), fatal=True)))
        self._close(Closing(error.close_code or CloseCode.INTERNAL, error.code))

    def _close(self, closing: Closing) -> None:
        self.state = State.CLOSED
        self.closing = closing


def ignore(protocol: NativeProtocol, message: Message) -> None:
    """Do nothing: that it arrived is all that counts."""


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
        Audio: N._take_audio,
        **dict.fromkeys(REQUESTS, N._ask),
        End: N._end,
        KeepAlive: ignore,
    },
    State.ENDING: {
        **dict.fromkeys((Start, Audio, *REQUESTS), N._refuse_after_end),
        # A client that came back cannot know whether its `end` did.
        **dict.fromkeys((End, KeepAlive), ignore),
    },
    State.RESUMING: {},
    State.FINISHING: {},
    State.CLOSED: {},
}
