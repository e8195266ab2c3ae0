"""What telephony protocols have in common: a call is a stream whose captions go to its room.

The caller's side hears nothing from us, so there are no messages to send: who wants the words reads
the room of the call, or has a webhook. What is wrong is said in the reason of the closing.
"""

from collections.abc import Mapping

from stream.core import events
from stream.core.load import Load
from stream.core.session import Session
from stream.core.windows import Hypothesis, Window
from stream.errors import PeerError
from stream.protocols.messages import ERROR_CODES, CloseCode
from stream.protocols.start_settings import seat_of, settings_of
from stream.protocols.stream_protocol import Closing, Draft, Resumption, Seat, Service, Tally

KEYS = frozenset("0123456789*#ABCD")
"""Of a telephone."""

MAX_REASON_BYTES = 120
"""A websocket's close frame holds 123 bytes of reason."""


ENDED = Closing(CloseCode.ENDED, "")


class Call:
    """The half of `port.StreamProtocol` that does not depend on how a call is carried."""

    def __init__(self, service: Service, session_id: str) -> None:
        self.service = service
        self.session_id = session_id
        self.session: Session | None = None
        self.seat: Seat | None = None
        self.closing: Closing | None = None
        self.resumption: Resumption | None = None
        self.tally = Tally()
        self._captions: list[events.Event | events.KeyPressed] = []
        self._ending: Closing | None = None
        self._load = Load.NORMAL

    @property
    def pending_s(self) -> float:
        """Audio received that the engine has not answered, in seconds."""
        return self.session.pending_s if self.session else 0.0

    @property
    def no_more_audio(self) -> bool:
        """Whether it is the server that is waited for now."""
        return self._ending is not None or self.closing is not None

    @property
    def resumable(self) -> bool:
        """Whether the other side knows how to come back: a telephone exchange does not."""
        return False

    @property
    def compressed(self) -> bool:
        """Telephones send G.711 or PCM."""
        return False

    def receive_return(self) -> None:
        """Nobody comes back."""

    def begin(self, asked: Mapping[str, object], about: Mapping[str, str]) -> None:
        """Open the session, with fields of `start`; settings that do not fit end the call."""
        try:
            settings = settings_of(asked, self.service)
            self.seat = seat_of(asked, settings, about)
            self.session = Session(
                self.session_id, settings, self.service.tuning, self.service.detector
            )
            self.receive_load(self._load)
        except PeerError as error:
            self.refuse(str(error), CloseCode(error.close_code or CloseCode.INTERNAL))

    def hear(self, audio: bytes) -> None:
        """Take audio of the call, channels interleaved."""
        if self.session is None or self.no_more_audio:
            return
        self.session.receive_audio(audio)
        self.tally.audio_s = self.session.received / self.session.settings.sample_rate
        self.collect()

    def press(self, key: str, channel: int, sample: int) -> None:
        """Take note of a key that was pressed at a 16 kHz sample; what is none is left out."""
        if key in KEYS:
            self._captions.append(events.KeyPressed(channel, key, sample))

    def hang_up(self, closing: Closing = ENDED) -> None:
        """No more audio: finals for all that is left, then close so."""
        if self.no_more_audio:
            return
        if self.session is None:
            self.closing = closing
            return
        self._ending = closing
        self.session.receive_eof()
        self.collect()

    def refuse(self, sentence: str, code: CloseCode) -> None:
        """Close at once, for what the other side did."""
        self.tally.errors += 1
        if self.closing is None:
            reason = sentence.encode()[:MAX_REASON_BYTES].decode(errors="ignore")
            self.closing = Closing(code, reason)

    def finish(self, closing: Closing) -> None:
        """Take no more audio, send the finals of what there is, then close so."""
        self.hang_up(closing)

    def fail(self, code: str, message: str) -> None:
        """Close at once, and say why in the reason."""
        self.refuse(message, ERROR_CODES[code] or CloseCode.INTERNAL)

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Take the engine's answer to a window."""
        if self.session is not None and self.closing is None:
            self.session.receive_hypothesis(hypothesis)
            self.collect()

    def receive_load(self, load: Load) -> None:
        """Take note of what the server leaves out because it is busy."""
        self._load = load
        if self.session is not None and self.closing is None:
            self.session.receive_load(load)
            self.collect()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows that became due, each once."""
        return self.session.windows_to_transcribe() if self.session else []

    def captions_to_share(self) -> list[events.Event | events.KeyPressed]:
        """Return what happened since the last call."""
        captions, self._captions = self._captions, []
        return captions

    def messages_to_send(self) -> list[Draft]:
        """Nothing: nobody at the other end reads."""
        return []

    def encode(self, draft: Draft, now: float) -> str:
        """There is nothing to encode."""
        raise AssertionError("a call is sent no messages")

    def collect(self) -> None:
        """Count the session's events and keep them for the room."""
        assert self.session
        for event in self.session.events_to_send():
            self._captions.append(event)
            self.tally.finals += isinstance(event, events.Final)
            self.tally.partials += isinstance(event, events.Partial)
            self.tally.errors += isinstance(event, events.Failure)
            if isinstance(event, events.Ended):
                self.tally.speech_s = event.speech_s
                self.closing = self._ending
