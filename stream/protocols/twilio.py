"""Twilio Media Streams: `<Stream url="wss://…/v1/twilio">`.

Theory of operation. Twilio sends `connected`, then `start`, which describes the call; then `media`
for each track, with 20 ms of mu-law in base64, and between them `dtmf` and `mark`; `stop` ends the
call. Every message except the first has a `sequenceNumber`, 1, 2, 3, …, and messages are handled in
that order. If a number is missing, the messages after it wait until it arrives or `MAX_HELD` of
them wait; then it counts as lost. `track_mixer` places audio by its timestamps; time without any
audio is a gap.

`inbound`, the voice of the caller, is the first channel; `outbound`, the audio that is played to
the caller, is the second. `customParameters` whose names are fields of the native `start` are
settings; the others are passed to the room. The name of the room is the parameter `room`, or the
`callSid` by default.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Annotated, get_args

import msgspec
from msgspec import Meta, Struct, field

from stream.core.audio import SAMPLE_RATE, Gap
from stream.errors import PeerError
from stream.protocols import twilio_signature
from stream.protocols.declarations import Query, Signature
from stream.protocols.interface import Closing, Service
from stream.protocols.messages import Start as NativeStart
from stream.protocols.session_protocol import ENDED
from stream.protocols.start_settings import from_query
from stream.protocols.telephony import CallProtocol
from stream.protocols.track_mixer import TrackMixer

MAX_HELD = 25
"""Most messages that wait for a missing one: a quarter of a second of two tracks."""

CHANNELS = {"inbound": "Caller", "outbound": "Agent"}
"""Tracks in the order of the channels, with their default labels."""

FIXED = frozenset({"encoding", "sample_rate", "channels", "resume"})
"""Fields of `start` that a parameter cannot set, because Twilio determines the audio format."""

LISTS = frozenset({"keyterms", "speakers"})
"""Fields that hold several values; a parameter separates them by commas."""

NO_SIGNATURE = "Twilio's signature is missing or wrong; see --twilio-auth-token and --public-url."

Number = Annotated[int, Meta(ge=0, le=2**53)]


class Event(Struct, frozen=True, kw_only=True, tag_field="event", rename="camel"):
    """Base class of Twilio's messages, in which numbers are strings."""

    sequence_number: Number | None = None


class Connected(Event, frozen=True, kw_only=True, tag="connected"):
    """The websocket is open."""


class MediaFormat(Struct, frozen=True, rename="camel"):
    """The audio format; at present Twilio only sends mu-law at 8 kHz."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = 8000
    channels: int = 1


class CallStart(Struct, frozen=True, rename="camel"):
    """The description of a call."""

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
    """The audio in base64."""
    track: str = "inbound"
    timestamp: Number = 0
    """Milliseconds from the start of the stream."""


class Media(Event, frozen=True, kw_only=True, tag="media"):
    """A packet of audio."""

    media: Chunk


class Tone(Struct, frozen=True):
    """A key of the telephone."""

    digit: str
    track: str = "inbound_track"


class Dtmf(Event, frozen=True, kw_only=True, tag="dtmf"):
    """The caller pressed a key."""

    dtmf: Tone


class Mark(Event, frozen=True, kw_only=True, tag="mark"):
    """Audio that a server sent to the caller has been played; this server sends none."""


class Stop(Event, frozen=True, kw_only=True, tag="stop"):
    """The call is over."""


class Other(Struct, frozen=True, kw_only=True, rename="camel"):
    """A message of a kind that a later version of Twilio's may send."""

    event: str
    sequence_number: Number | None = None


Incoming = Connected | Start | Media | Dtmf | Mark | Stop
KINDS = frozenset(kind.__struct_config__.tag for kind in get_args(Incoming))

decoder: msgspec.json.Decoder[Incoming] = msgspec.json.Decoder(Incoming, strict=False)
other_decoder = msgspec.json.Decoder(Other, strict=False)


def decode(text: str) -> Incoming | Other:
    """Return the message in a text frame. Raises `msgspec.DecodeError`, or `RecursionError`."""
    try:
        return decoder.decode(text)
    except msgspec.ValidationError:
        other = other_decoder.decode(text)
        if other.event in KINDS:
            raise
        return other


class TwilioProtocol(CallProtocol):
    """One call. The query holds settings, as fields of the native `start`."""

    paths = ("/v1/twilio",)
    signature = Signature(
        secret_setting="twilio_auth_token",
        verify=twilio_signature.verify,
        sentence=NO_SIGNATURE,
    )

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.mixer: TrackMixer | None = None
        self.lost = 0
        """Number of messages that never arrived."""
        self._next = 1
        self._held: dict[int, Incoming | Other] = {}

    def handle_text(self, text: str) -> None:
        """Handle a JSON message, in the order of the sequence numbers."""
        if self.no_more_audio:
            return
        try:
            message = decode(text)
        except (msgspec.DecodeError, RecursionError) as error:
            self.fail("malformed", f"This is not a message of Twilio Media Streams: {error}")
            return
        if isinstance(message, Other) and self.session is None:
            self.fail("malformed", f"A call does not begin with {message.event[:40]!r}.")
        elif message.sequence_number is None:
            self._handle(message)
        elif message.sequence_number >= self._next:
            self._held.setdefault(message.sequence_number, message)
            self._handle_in_order(at_once=isinstance(message, Stop))

    def handle_binary(self, data: bytes) -> None:
        """Refuse the frame: Twilio sends none."""
        self.fail("wrong_kind", "This address takes text frames only; send audio to /v1/stream.")

    def finish(self, closing: Closing) -> None:
        """Handle the messages that wait for a missing one, then finish the call."""
        if not self.no_more_audio:
            self._take_waiting()
        super().finish(closing)

    def fail(self, code: str, sentence: str) -> None:
        """Take no more audio, and close with an error after the finals of all that has come."""
        if not self.no_more_audio:
            self._take_waiting()
        super().fail(code, sentence)

    def _take_waiting(self) -> None:
        """Handle the messages that wait for a missing one, and pass on all audio."""
        self._handle_in_order(at_once=True)
        self._add_mixed(self.mixer.flush() if self.mixer else ())

    def _handle_in_order(self, at_once: bool) -> None:
        """Handle the messages that are next in order.

        A missing message is skipped if too many messages wait for it, or if `at_once`.
        """
        while self._held and (self._next in self._held or at_once or len(self._held) > MAX_HELD):
            number = min(self._held)
            self.lost += number - self._next
            self._next = number + 1
            self._handle(self._held.pop(number))

    def _handle(self, message: Incoming | Other) -> None:
        match message:
            case Start(start=start):
                self._start(start)
            case Media(media=chunk):
                self._add_chunk(chunk)
            case Dtmf(dtmf=tone):
                self._press_tone(tone)
            case Stop():
                self.finish(ENDED)
            case Other():
                self.counts.skipped += 1

    def _start(self, start: CallStart) -> None:
        if self.session is not None:
            self.fail("malformed", "A stream has one `start`; open a new stream for another call.")
            return
        tracks = tuple(track for track in CHANNELS if track in start.tracks)
        if not tracks or start.media_format != MediaFormat():
            self.fail(
                "wrong_kind", "Send mu-law at 8 kHz, with the track inbound, outbound or both."
            )
            return
        settings, others = sort_parameters(start.custom_parameters)
        about = {"call": start.call_sid, "stream": start.stream_sid, **others}
        try:
            asked = from_query({**self.query, **settings}).given()
        except PeerError as error:
            self.fail("bad_settings", str(error))
            return
        fixed = {"encoding": "mulaw", "sample_rate": 8000, "channels": len(tracks)}
        usual = tuple(CHANNELS[track] for track in tracks)
        named = {"room": start.call_sid, "speakers": usual}
        if speakers := asked.get("speakers"):
            asked["speakers"] = named_speakers(speakers, usual)
        self.mixer = TrackMixer(tracks, max_gap_s=self.service.tuning.max_gap_s)
        try:
            self.open_session({**named, **asked, **fixed}, about)
        except PeerError as error:  # caught here, because `finish` also handles messages
            self.fail(error.code, str(error))

    def _add_chunk(self, chunk: Chunk) -> None:
        if self.mixer is None:
            self.fail("malformed", "Audio came before `start`.")
        elif chunk.track in self.mixer.tracks:
            try:
                audio = base64.b64decode(chunk.payload, validate=True)
            except ValueError:  # raised by binascii, or because the text is not ASCII
                self.fail("malformed", "A payload is not base64.")
                return
            beyond = self.mixer.beyond_limit
            self._add_mixed(self.mixer.add(chunk.track, chunk.timestamp, audio))
            if self.mixer.beyond_limit > beyond:
                self.complain("gap_too_long", "A timestamp was too far ahead, and was ignored.")

    def _press_tone(self, tone: Tone) -> None:
        track = tone.track.removesuffix("_track")
        if self.mixer and track in self.mixer.tracks:
            sample = self.mixer.end(track) * SAMPLE_RATE // self.mixer.sample_rate
            self.press_key(tone.digit, self.mixer.tracks.index(track), sample)

    def _add_mixed(self, sounds: Iterable[bytes | Gap]) -> None:
        if self.mixer is not None:
            self.counts.filled_s = self.mixer.filled / self.mixer.sample_rate
            self.counts.late_s = self.mixer.late / self.mixer.sample_rate
        for sound in sounds:
            if isinstance(sound, Gap):
                self.add_call_gap(sound.samples)
            else:
                self.add_call_audio(sound)


def named_speakers(speakers: object, usual: Sequence[str]) -> tuple[str, ...]:
    """Return the labels of the tracks: those in `speakers`, and the usual ones for the others."""
    assert isinstance(speakers, tuple)
    pairs = zip_longest(speakers, usual, fillvalue="")
    return tuple(speaker.strip() or label for speaker, label in pairs)


def sort_parameters(
    parameters: Mapping[str, str],
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return the parameters of a call in two groups: settings, as query fields, and all others."""
    fields = frozenset(NativeStart.__struct_fields__) - FIXED
    settings = {
        name: [part.strip() for part in value.split(",")] if name in LISTS else [value]
        for name, value in parameters.items()
        if name in fields
    }
    others = {name: value for name, value in parameters.items() if name not in settings}
    return settings, others
