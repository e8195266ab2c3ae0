"""Asterisk's AudioSocket: a TCP connection for each call.

Theory of operation. A frame consists of its kind (a byte), the length of its payload (two bytes,
big-endian) and the payload. Asterisk sends the UUID of the call, then its audio, 20 ms in a frame;
then it hangs up, with a frame or by closing the connection. It may also send the keys that are
pressed, and errors. Frames of other kinds, which a later version may send, are skipped. Asterisk
would play audio from the server; this server sends none. TCP may divide the frames anywhere. The
UUID of the call is the name of its room.
"""

import struct
from enum import IntEnum
from uuid import UUID

from stream.core.audio import SAMPLE_RATE
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import HttpResponse, OwnPort, Query, Transport
from stream.protocols.interface import Closing, Service
from stream.protocols.session_protocol import ENDED
from stream.protocols.start_settings import from_query
from stream.protocols.telephony import CallProtocol

HEADER = struct.Struct(">BH")
"""Kind, and length of the payload in bytes."""


class Kind(IntEnum):
    """The kind of a frame. Asterisk 16 to 20 send audio only as `SLIN`."""

    HANG_UP = 0x00
    UUID = 0x01
    DTMF = 0x03
    SLIN = 0x10
    SLIN12 = 0x11
    SLIN16 = 0x12
    SLIN24 = 0x13
    SLIN32 = 0x14
    SLIN44 = 0x15
    SLIN48 = 0x16
    ERROR = 0xFF


RATES = {
    Kind.SLIN: 8_000,
    Kind.SLIN12: 12_000,
    Kind.SLIN16: 16_000,
    Kind.SLIN24: 24_000,
    Kind.SLIN32: 32_000,
    Kind.SLIN44: 44_100,
    Kind.SLIN48: 48_000,
}
"""Sample rates in hertz; samples are 16-bit little-endian."""

ERRORS = {0x01: "the call was hung up", 0x02: "a frame could not be forwarded", 0x04: "no memory"}
"""Descriptions of errors, by the payload of an error frame."""


class AudioSocketProtocol(CallProtocol):
    """One call. The query holds settings of all calls, as fields of the native `start`."""

    transport = Transport.TCP
    own_port = OwnPort(
        "audiosocket_port",
        host_setting="audiosocket_host",
        allow_setting="audiosocket_allow",
        query_setting="audiosocket_settings",
    )
    key = None

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return an empty response, because Asterisk cannot read a text before the close."""
        return HttpResponse(status, "")

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._asked = from_query(query).given()
        self._uuid: UUID | None = None
        self._received = b""

    def handle_binary(self, data: bytes) -> None:
        """Handle the frames that are complete, and store the rest for the next call."""
        data = self._received + data
        at = 0
        while not self.no_more_audio and len(data) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(data, at)
            end = at + HEADER.size + length
            if end > len(data):
                break
            self._handle_frame(kind, data[at + HEADER.size : end])
            at = end
        self._received = data[at:]

    def _handle_frame(self, kind: int, payload: bytes) -> None:
        if kind == Kind.HANG_UP:
            self.finish(ENDED)
        elif kind == Kind.UUID:
            self._identify(payload)
        elif kind in RATES:
            self._add_audio(RATES[Kind(kind)], payload)
        elif kind == Kind.ERROR:
            what = ERRORS.get(payload[0] if payload else 0, "something went wrong")
            self.counts.errors += 1
            self.finish(Closing(CloseCode.ENDED, what))
        elif kind == Kind.DTMF:
            self._press_key(payload)
        elif self._uuid is None:
            self.fail("malformed", f"A call begins with its UUID, not with kind 0x{kind:02x}.")
        else:
            self.counts.skipped += 1

    def _identify(self, payload: bytes) -> None:
        if self._uuid is not None or len(payload) != 16:
            self.fail("malformed", "A call has one UUID, of 16 bytes.")
            return
        self._uuid = UUID(bytes=payload)

    def _press_key(self, payload: bytes) -> None:
        """Handle a pressed key; one before the first audio counts as at the start of the call."""
        sample = round(self.sessions.audio_clock_s * SAMPLE_RATE)
        self.press_key(payload.decode("ascii", "replace"), 0, sample)

    def _add_audio(self, rate: int, audio: bytes) -> None:
        if self._uuid is None:
            self.fail("malformed", "Audio came before the UUID of the call.")
            return
        if self.session is None:
            name = str(self._uuid)
            asked = {"room": name, "speakers": ("Caller",), **self._asked}
            medium = {"encoding": "pcm_s16le", "sample_rate": rate, "channels": 1}
            self.open_session({**asked, **medium}, {"call": name})
        elif self.session.settings.sample_rate != rate:
            self.fail("malformed", "The sample rate of a call cannot change.")
        self.add_call_audio(audio)
