"""Twilio Media Streams: `<Stream url="wss://…/v1/twilio">`, as a pure object around a `Session`.

Theory of operation. Twilio says `connected`, then `start` with what the call is; then it sends
`media` of each track, 20 ms of mu-law in base64, and between them `dtmf` and `mark`; `stop` is the
end. Every message but the first carries a `sequenceNumber`, 1, 2, 3, …: they are taken in that
order. Where a number is missing, the messages after it wait until it comes or `HELD` of them do;
then it is taken for lost, and the silence in its place comes of the timestamps (`track_mixer`).

`inbound`, what the caller says, is the first channel; `outbound`, what they hear, the second.
`customParameters` that name fields of the native `start` are settings; the others are passed on
with the captions. The room is that of the parameter `room`, or else of the `callSid`.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Annotated

import msgspec
from msgspec import Meta, Struct, field

from stream.core.audio import SAMPLE_RATE
from stream.errors import PeerError
from stream.protocols.messages import CloseCode
from stream.protocols.messages import Start as NativeStart
from stream.protocols.start_settings import from_query
from stream.protocols.stream_protocol import Closing, Service
from stream.protocols.telephony import ENDED, Call
from stream.protocols.track_mixer import Lanes

HELD = 25
"""Messages that wait for one before them: a quarter of a second of two tracks."""

CHANNELS = {"inbound": "Caller", "outbound": "Agent"}
"""Tracks in the order of channels, and who speaks on them unless `speakers` says otherwise."""

FIXED = frozenset({"encoding", "sample_rate", "channels", "resume"})
"""Fields of `start` that are not the call's to choose: its medium is what Twilio says."""

LISTS = frozenset({"keyterms", "speakers"})
"""Fields that hold several values; a parameter separates them by commas."""

Number = Annotated[int, Meta(ge=0, le=2**53)]


class Event(Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """Any message of Twilio's; numbers come as strings."""

    sequence_number: Number | None = None


class Connected(Event, frozen=True, kw_only=True, tag="connected"):
    """The websocket is open."""


class MediaFormat(Struct, frozen=True, rename="camel"):
    """How the audio is coded: always mu-law at 8 kHz, as yet."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8000
    channels: int = 1


class CallStart(Struct, frozen=True, rename="camel"):
    """What the call is."""

    stream_sid: str
    call_sid: str
    account_sid: str = ""
    tracks: tuple[str, ...] = ("inbound",)
    media_format: MediaFormat = MediaFormat()
    custom_parameters: dict[str, str] = field(default_factory=dict)


class Start(Event, frozen=True, kw_only=True, tag="start"):
    """The call begins."""

    start: CallStart


class Chunk(Struct, frozen=True):
    """Audio of a track."""

    payload: str
    """Base64."""
    track: str = "inbound"
    timestamp: Number = 0
    """Milliseconds from the start of the stream."""


class Media(Event, frozen=True, kw_only=True, tag="media"):
    """Some audio."""

    media: Chunk


class Tone(Struct, frozen=True):
    """A key of the telephone."""

    digit: str
    track: str = "inbound_track"


class Dtmf(Event, frozen=True, kw_only=True, tag="dtmf"):
    """The caller pressed a key."""

    dtmf: Tone


class Mark(Event, frozen=True, kw_only=True, tag="mark"):
    """Audio that was sent to the caller has been played; none is from here."""


class Stop(Event, frozen=True, kw_only=True, tag="stop"):
    """The call is over."""


Incoming = Connected | Start | Media | Dtmf | Mark | Stop

decoder = msgspec.json.Decoder(Incoming, strict=False)


class TwilioProtocol(Call):
    """One call; see `port.StreamProtocol` for what each method is for."""

    def __init__(
        self, service: Service, session_id: str, query: Mapping[str, Sequence[str]]
    ) -> None:
        super().__init__(service, session_id)
        self.lanes: Lanes | None = None
        self.lost = 0
        """Messages that never came."""
        self._query = query
        self._next = 1
        self._held: dict[int, Incoming] = {}

    def receive_text(self, text: str, now: float) -> None:
        """Take a JSON message."""
        if self.no_more_audio:
            return
        try:
            message = decoder.decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            self.refuse(f"This is no message of Twilio's: {error}", CloseCode.MALFORMED)
            return
        if message.sequence_number is None:
            self._act(message)
        elif message.sequence_number >= self._next:
            self._held.setdefault(message.sequence_number, message)
            self._act_in_order(at_once=isinstance(message, Stop))

    def receive_binary(self, data: bytes, now: float) -> None:
        """Twilio sends none."""
        self.refuse("Twilio sends text; send audio to /v1/stream.", CloseCode.WRONG_KIND)

    def finish(self, closing: Closing) -> None:
        """Take no more audio; what waits for what is missing is heard without it."""
        if not self.no_more_audio:
            self._act_in_order(at_once=True)
            self._listen(self.lanes.flush() if self.lanes else b"")
        super().finish(closing)

    def _act_in_order(self, at_once: bool) -> None:
        """Act on what is next; what is missing is given up when too much waits for it."""
        while self._held and (self._next in self._held or at_once or len(self._held) > HELD):
            number = min(self._held)
            self.lost += number - self._next
            self._next = number + 1
            self._act(self._held.pop(number))

    def _act(self, message: Incoming) -> None:
        match message:
            case Start(start=start):
                self._start(start)
            case Media(media=chunk):
                self._take(chunk)
            case Dtmf(dtmf=tone):
                self._press(tone)
            case Stop():
                self.finish(ENDED)

    def _start(self, start: CallStart) -> None:
        if self.session is not None:
            self.refuse("The call has begun already; open a new stream.", CloseCode.MALFORMED)
            return
        tracks = tuple(track for track in CHANNELS if track in start.tracks)
        if not tracks or start.media_format != MediaFormat():
            self.refuse("Send mu-law at 8 kHz of inbound, outbound or both.", CloseCode.WRONG_KIND)
            return
        settings, others = sort_parameters(start.custom_parameters)
        about = {"call": start.call_sid, "stream": start.stream_sid, **others}
        try:
            asked = from_query({**self._query, **settings}).given()
        except PeerError as error:
            self.refuse(str(error), CloseCode.BAD_SETTINGS)
            return
        fixed = {"encoding": "mulaw", "sample_rate": 8000, "channels": len(tracks)}
        usual = tuple(CHANNELS[track] for track in tracks)
        named = {"room": start.call_sid, "speakers": usual}
        if speakers := asked.get("speakers"):
            asked["speakers"] = named_speakers(speakers, usual)
        self.lanes = Lanes(tracks)
        self.begin({**named, **asked, **fixed}, about)

    def _take(self, chunk: Chunk) -> None:
        if self.lanes is None:
            self.refuse("Audio came before `start`.", CloseCode.MALFORMED)
        elif chunk.track in self.lanes.tracks:
            try:
                audio = base64.b64decode(chunk.payload, validate=True)
            except ValueError:  # binascii's, or of what is not ASCII
                self.refuse("A payload is not base64.", CloseCode.MALFORMED)
                return
            self._listen(self.lanes.put(chunk.track, chunk.timestamp, audio))

    def _press(self, tone: Tone) -> None:
        track = tone.track.removesuffix("_track")
        if self.lanes and track in self.lanes.tracks:
            sample = self.lanes.end(track) * SAMPLE_RATE // self.lanes.sample_rate
            self.press(tone.digit, self.lanes.tracks.index(track), sample)

    def _listen(self, audio: bytes) -> None:
        if self.lanes is not None:
            self.tally.filled_s = self.lanes.filled / self.lanes.sample_rate
            self.tally.late_s = self.lanes.late / self.lanes.sample_rate
        if audio:
            self.hear(audio)


def named_speakers(speakers: object, usual: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the tracks: a track without one in the list keeps its usual one."""
    assert isinstance(speakers, tuple)
    pairs = zip_longest(speakers, usual, fillvalue="")
    return tuple(speaker.strip() or label for speaker, label in pairs)


def sort_parameters(
    parameters: Mapping[str, str],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Tell the settings among a call's parameters, as a query's fields, from the others."""
    fields = frozenset(NativeStart.__struct_fields__) - FIXED
    settings = {
        name: [part.strip() for part in value.split(",")] if name in LISTS else [value]
        for name, value in parameters.items()
        if name in fields
    }
    others = {name: value for name, value in parameters.items() if name not in settings}
    return settings, others
