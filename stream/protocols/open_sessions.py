"""The sessions of one connection: usually one, or one for each stream that the protocol carries.

This module does not handle messages: `session_protocol` turns the events into messages.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from stream.core import events
from stream.core.audio import SAMPLE_RATE, Sound, StreamDecoder
from stream.core.load import Load
from stream.core.session import Session
from stream.core.settings import CONTAINER
from stream.core.windows import Hypothesis, Window
from stream.errors import SettingsError
from stream.protocols.arrival_times import ArrivalTimes
from stream.protocols.interface import RoomMembership, Service
from stream.protocols.start_settings import membership_of, settings_of

PIECE_S = 0.1
"""Seconds of one channel that are passed to a session at once: 2 ms, most of it for voice
detection. All other streams wait meanwhile, and a request to the server waits a few times."""


@dataclass(slots=True)
class OpenSession:
    """A session, its room and the arrival times of its audio."""

    session: Session
    membership: RoomMembership | None
    arrivals: ArrivalTimes = field(default_factory=ArrivalTimes)

    def pieces(self, audio: bytes) -> Iterator[bytes]:
        """Yield audio in pieces of at most `PIECE_S` over all channels; a container as it is."""
        size, decoder = len(audio), self.session.decoder
        if isinstance(decoder, StreamDecoder):
            n_samples = int(PIECE_S * self.session.settings.sample_rate) // decoder.channels
            size = n_samples * decoder.frame_bytes
        for start in range(0, max(len(audio), 1), max(size, 1)):
            yield audio[start : start + size]

    @property
    def received_s(self) -> float:
        """Seconds on the clock of its audio, gaps among them."""
        return self.session.received / self.session.settings.sample_rate

    @property
    def audio_s(self) -> float:
        """Seconds of audio received."""
        rate = self.session.settings.sample_rate
        return (self.session.received - self.session.gap_samples) / rate

    def speech_received_at(self, final: events.Final) -> float | None:
        """Return the time at which the speech of a final was completely received, if known."""
        return self.arrivals.time_of(final.speech_end_sample / SAMPLE_RATE)

    def forget_settled_arrivals(self) -> None:
        """Drop the arrival times that no later final can need."""
        self.arrivals.forget_before(self.session.settled / self.session.settings.sample_rate)


class OpenSessions:
    """The sessions of a connection by their ids, the ended ones included until `forget_ended`."""

    def __init__(self, service: Service) -> None:
        self.load = Load.NORMAL
        """The load of the server, which new sessions get as well."""
        self._service = service
        self._opened: dict[str, OpenSession] = {}
        self._forgotten_s = 0.0
        """Seconds of audio of the sessions that were removed."""

    def __iter__(self) -> Iterator[OpenSession]:
        return iter(list(self._opened.values()))

    def __len__(self) -> int:
        return len(self._opened)

    def get(self, session_id: str) -> OpenSession | None:
        """Return a session; None if it is not open."""
        return self._opened.get(session_id)

    def open(
        self, session_id: str, asked: Mapping[str, object], about: Mapping[str, str]
    ) -> OpenSession:
        """Open a session.

        Args:
            session_id: id of the session.
            asked: fields of the native `start`, with values of the right types.
            about: facts about the stream for its room.

        Raises:
            PeerError: the server cannot serve these settings.
        """
        if session_id in self._opened:
            raise SettingsError("session", "This session is open already; end it first.")
        service, settings = self._service, settings_of(asked, self._service)
        membership = service.admit(membership_of(asked, settings, about))
        session = Session(session_id, settings, service.tuning, service.detector, service.container)
        self._opened[session_id] = OpenSession(session, membership)
        return self._opened[session_id]

    def receive_audio(self, session_id: str, audio: bytes, now: float) -> None:
        """Pass audio, channels interleaved, to a session; `now` is the time of its arrival."""
        opened = self._opened[session_id]
        opened.session.receive_audio(audio)
        opened.arrivals.add(opened.received_s, now)

    def receive_sounds(self, session_id: str, sounds: Sequence[Sound], now: float) -> None:
        """Pass decoded audio to a session, unless it was removed; `now` is the present time."""
        if opened := self._opened.get(session_id):
            opened.session.receive_sounds(sounds)
            opened.arrivals.add(opened.received_s, now)

    def receive_gap(self, session_id: str, n_samples: int, now: float) -> None:
        """Let time pass without audio in a session; `now` is when that became known."""
        opened = self._opened[session_id]
        opened.session.receive_gap(n_samples)
        opened.arrivals.add(opened.received_s, now)

    def receive_hypothesis(self, hypothesis: Hypothesis) -> None:
        """Pass a hypothesis to its session; it is ignored if the session was removed."""
        if opened := self._opened.get(hypothesis.window.session):
            opened.session.receive_hypothesis(hypothesis)

    def receive_load(self, load: Load) -> None:
        """Pass the new load of the server to all sessions."""
        self.load = load
        for opened in self:
            opened.session.receive_load(load)

    def receive_eof(self) -> None:
        """End the audio of all sessions."""
        for opened in self:
            opened.session.receive_eof()

    def windows_to_transcribe(self) -> list[Window]:
        """Return the windows of all sessions that became due since the last call."""
        return [window for opened in self for window in opened.session.windows_to_transcribe()]

    def forget_ended(self) -> list[str]:
        """Remove the sessions that have ended, and return their ids."""
        ended = [opened for opened in self if opened.session.ended]
        for opened in ended:
            self._forgotten_s += opened.audio_s
            del self._opened[opened.session.id]
        return [opened.session.id for opened in ended]

    @property
    def all_ended(self) -> bool:
        """Whether every session has emitted its last event; true if there is no session."""
        return all(opened.session.ended for opened in self)

    @property
    def audio_s(self) -> float:
        """Seconds of audio received in all sessions, including removed ones."""
        return self._forgotten_s + sum(opened.audio_s for opened in self)

    @property
    def audio_clock_s(self) -> float:
        """Seconds on the clock of the session that is furthest, gaps among them."""
        return max((opened.received_s for opened in self), default=0.0)

    @property
    def pending_s(self) -> float:
        """Seconds of speech that no hypothesis covers yet, in the session with the most."""
        return max((opened.session.pending_s for opened in self), default=0.0)

    @property
    def decoding(self) -> bool:
        """Whether audio that the client has sent is still being decoded."""
        return any(opened.session.decoder.owes_sounds for opened in self)

    @property
    def in_room(self) -> bool:
        """Whether at least one session belongs to a room."""
        return any(opened.membership is not None for opened in self)

    @property
    def compressed(self) -> bool:
        """Whether the audio is in a container, where few bytes can hold many seconds of audio."""
        return any(opened.session.settings.encoding == CONTAINER for opened in self)
