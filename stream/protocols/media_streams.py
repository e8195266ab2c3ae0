"""Calls as JSON messages with audio in base64: Twilio Media Streams and the dialects of others.

Theory of operation. A service sends `start`, which describes the call; then `media` for each track,
with a packet of audio in base64, and between them `dtmf` and other messages; `stop` ends the call.
Messages may have a `sequenceNumber`, 1, 2, 3, …, and are handled in that order. If a number is
missing, the messages after it wait until it arrives or `MAX_HELD` of them wait; then it counts as
lost. `track_mixer` places audio by its timestamps; time without any audio is a gap.

A subclass has a path and a `Dialect`, the table of the names that its service uses.

`inbound`, the voice of the caller, is the first channel; `outbound`, the audio that is played to
the caller, is the second. Custom parameters whose names are fields of the native `start` are
settings; the others are passed to the room. The name of the room is the parameter `room`, or the
id of the call by default.
"""

import base64
import re
from collections.abc import Iterable
from typing import ClassVar

import msgspec

from stream.core.audio import SAMPLE_RATE, Gap
from stream.errors import PeerError
from stream.protocols.call_settings import (
    SETTINGS,
    named_speakers,
    room_name,
    sort_parameters,
)
from stream.protocols.declarations import Query
from stream.protocols.interface import Closing, Service
from stream.protocols.media_stream_messages import (
    CallStart,
    Chunk,
    Dialect,
    Dtmf,
    Incoming,
    Media,
    MediaFormat,
    Other,
    Start,
    Stop,
    Tone,
    decode,
)
from stream.protocols.session_protocol import ENDED
from stream.protocols.start_settings import from_query
from stream.protocols.telephony import CallProtocol
from stream.protocols.track_mixer import TrackMixer

MAX_HELD = 25
"""Most messages that wait for a missing one: a quarter of a second of two tracks."""

CHANNELS = {"inbound": "Caller", "outbound": "Agent"}
"""Tracks in the order of the channels, with their default labels."""

PARAMETERS = re.compile(r"([^=;,{}\s]+)\s*[=:]\s*([^;,{}]*)")
"""Name and value in a string of parameters, such as `ticket=4711;language=de`."""

RATES = frozenset({8_000, 16_000, 24_000})
"""Hertz."""


class MediaStreamsProtocol(CallProtocol):
    """One call. The query holds settings, as fields of the native `start`."""

    dialect: ClassVar[Dialect]

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.mixer: TrackMixer | None = None
        self.lost = 0
        """Number of messages that never arrived."""
        self._next = 1
        self._first_ms: int | None = None
        """Timestamp of the first packet."""
        self._left_out: set[str] = set()
        """Tracks that are not transcribed."""
        self._held: dict[int, Incoming | Other] = {}

    def handle_text(self, text: str) -> None:
        """Handle a JSON message, in the order of the sequence numbers."""
        if self.no_more_audio:
            return
        try:
            message = decode(text, self.dialect)
        except (msgspec.DecodeError, RecursionError) as error:
            self.fail("malformed", f"This is not a message of {self.dialect.service}: {error}")
            return
        if isinstance(message, Other) and self.session is None:
            self.fail("malformed", f"A call does not begin with {message.event[:40]!r}.")
        elif message.sequence_number is None:
            self._handle(message)
        elif isinstance(message, Start) and self.session is None:
            self._next = message.sequence_number + 1
            self._handle(message)
            self._handle_in_order(at_once=False)
        elif message.sequence_number >= self._next:
            self._held.setdefault(message.sequence_number, message)
            self._handle_in_order(at_once=isinstance(message, Stop))

    def handle_binary(self, data: bytes) -> None:
        """Refuse the frame: these services send none."""
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
            case Start():
                self._start(message)
            case Media(media=chunk):
                self._add_chunk(chunk)
            case Dtmf(dtmf=tone):
                self._press_tone(tone)
            case Stop():
                self.finish(ENDED)
            case Other():
                self.counts.skipped += 1

    def _start(self, message: Start) -> None:
        if self.session is not None:
            self.fail("malformed", "A stream has one `start`; open a new stream for another call.")
            return
        start = message.start
        encoding = self._encoding(start.media_format)
        tracks = self._tracks(start)
        if not tracks or encoding is None:
            self.fail("wrong_kind", self._formats())
            return
        given = {**dict(PARAMETERS.findall(message.extra_headers)), **start.custom_parameters}
        in_query, more = self._query_settings()
        settings, others = sort_parameters({**more, **given})
        about = {"call": start.call_sid, "stream": start.stream_sid or message.stream_sid}
        parties = {"from": start.caller, "to": start.callee}
        about |= {name: number for name, number in parties.items() if number} | others
        try:
            asked = from_query({**in_query, **settings}).given()
        except PeerError as error:
            self.fail("bad_settings", str(error))
            return
        rate = start.media_format.sample_rate
        fixed = {"encoding": encoding, "sample_rate": rate, "channels": len(tracks)}
        usual = tuple(CHANNELS[track] for track in tracks)
        named = {"room": room_name(start.call_sid, self.session_id), "speakers": usual}
        if speakers := asked.get("speakers"):
            asked["speakers"] = named_speakers(speakers, usual)
        self.mixer = TrackMixer(
            tracks, rate, self.service.tuning.max_gap_s, encoding, self.dialect.tolerance_ms
        )
        try:
            self.open_session({**named, **asked, **fixed}, about)
        except PeerError as error:  # caught here, because `finish` also handles messages
            self.fail(error.code, str(error))

    def _encoding(self, media_format: MediaFormat) -> str | None:
        """Return the native encoding; None if the format is not supported."""
        name = media_format.encoding.lower().partition(";")[0]
        encoding = self.dialect.encodings.get(name)
        narrow = encoding != "pcm_s16le" and media_format.sample_rate != 8_000
        supported = media_format.channels == 1 and media_format.sample_rate in RATES and not narrow
        return encoding if supported else None

    def _formats(self) -> str:
        names = ", ".join(self.dialect.encodings)
        return (
            f"Send one of {names} (16-bit audio at 8, 16 or 24 kHz, else 8 kHz), with the track "
            "inbound, outbound or both."
        )

    def _tracks(self, start: CallStart) -> tuple[str, ...]:
        """Return the tracks of the call: those in `start`, or those that the URL names."""
        in_url = self.query.get("tracks") or ("inbound",)
        asked = in_url if start.tracks is None else start.tracks
        names = {part.strip() for one in asked for part in one.split(",")}
        return tuple(track for track in CHANNELS if track in names or "both" in names)

    def _query_settings(self) -> tuple[Query, dict[str, str]]:
        """Return the settings in the query, and the custom parameters in it."""
        query = {name: values for name, values in self.query.items() if name != "tracks"}
        if not self.dialect.query_has_parameters:
            return query, {}
        settings = {name: values for name, values in query.items() if name in SETTINGS}
        others = {name: values[-1] for name, values in query.items() if name not in SETTINGS}
        others.pop("token", None)  # the key
        return settings, others

    def _add_chunk(self, chunk: Chunk) -> None:
        if self.mixer is None:
            self.fail("malformed", "Audio came before `start`.")
        elif chunk.track not in self.mixer.tracks:
            self._leave_out(chunk.track)
        else:
            try:
                audio = base64.b64decode(chunk.payload, validate=True)
            except ValueError:  # raised by binascii, or because the text is not ASCII
                self.fail("malformed", "A payload is not base64.")
                return
            beyond = self.mixer.beyond_limit
            self._add_mixed(self.mixer.add(chunk.track, self._position_ms(chunk), audio))
            if self.mixer.beyond_limit > beyond:
                self.complain("gap_too_long", "A timestamp was too far ahead, and was ignored.")

    def _position_ms(self, chunk: Chunk) -> int | None:
        """Return the position of a packet in the call; None if it follows the one before it."""
        if chunk.timestamp is None or not self.dialect.relative:
            return chunk.timestamp
        if self._first_ms is None:
            self._first_ms = chunk.timestamp
        return max(chunk.timestamp - self._first_ms, 0)

    def _leave_out(self, track: str) -> None:
        """Count a packet of a track that is not transcribed; the log names the track once."""
        self.counts.skipped += 1
        if track not in self._left_out:
            self._left_out.add(track)
            self.note(f"The track {track[:40]!r} is not transcribed; name it in ?tracks=both.")

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
