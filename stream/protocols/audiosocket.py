"""Asterisk's AudioSocket: a TCP connection for each call, as a pure object around a `Session`.

Theory of operation. A frame is its kind (a byte), its length (two bytes, big-endian) and that much
payload. Asterisk sends the call's UUID, then its audio, 20 ms at a time; then it hangs up, with a
frame or by closing. It may send the keys that are pressed, and say that something went wrong. What
it would play to the caller is for us to send, and we have nothing to say. Frames come in whatever
pieces TCP makes of them. The room of the call is named by its UUID.
"""

import struct
from collections.abc import Mapping, Sequence
from enum import IntEnum
from uuid import UUID

from stream.core.audio import SAMPLE_RATE
from stream.protocols.messages import CloseCode
from stream.protocols.start_settings import from_query
from stream.protocols.stream_protocol import Closing, Service
from stream.protocols.telephony import Call

HEADER = struct.Struct(">BH")
"""Kind, and length of the payload in bytes."""


class Kind(IntEnum):
    """What a frame holds. Asterisk 16 to 20 know signed linear audio at 8 kHz alone."""

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
"""Hertz, of 16-bit little-endian samples."""

ERRORS = {0x01: "the call was hung up", 0x02: "a frame could not be forwarded", 0x04: "no memory"}
"""What Asterisk says went wrong, by the payload of its error frame."""


class AudioSocketProtocol(Call):
    """One call; see `port.StreamProtocol` for what each method is for."""

    def __init__(
        self, service: Service, session_id: str, query: Mapping[str, Sequence[str]]
    ) -> None:
        """`query` holds settings of every call, as fields of the native `start`."""
        super().__init__(service, session_id)
        self._asked = from_query(query).given()
        self._uuid: UUID | None = None
        self._received = b""

    def receive_text(self, text: str, now: float) -> None:
        """There is no text in AudioSocket."""
        self.refuse("AudioSocket has no text.", CloseCode.WRONG_KIND)

    def receive_binary(self, data: bytes, now: float) -> None:
        """Take bytes, cut anywhere."""
        data = self._received + data
        at = 0
        while not self.no_more_audio and len(data) - at >= HEADER.size:
            kind, length = HEADER.unpack_from(data, at)
            end = at + HEADER.size + length
            if end > len(data):
                break
            self._receive_frame(kind, data[at + HEADER.size : end])
            at = end
        self._received = data[at:]

    def _receive_frame(self, kind: int, payload: bytes) -> None:
        if kind == Kind.HANG_UP:
            self.hang_up()
        elif kind == Kind.UUID:
            self._identify(payload)
        elif kind in RATES:
            self._take(RATES[Kind(kind)], payload)
        elif kind == Kind.ERROR:
            what = ERRORS.get(payload[0] if payload else 0, "something went wrong")
            self.tally.errors += 1
            self.hang_up(Closing(CloseCode.ENDED, what))
        elif kind == Kind.DTMF:
            self._press(payload)
        else:
            self.refuse(
                f"There are no frames of kind 0x{kind:02x} in AudioSocket.", CloseCode.MALFORMED
            )

    def _identify(self, payload: bytes) -> None:
        if self._uuid is not None or len(payload) != 16:
            self.refuse("A call has one UUID, of 16 bytes.", CloseCode.MALFORMED)
            return
        self._uuid = UUID(bytes=payload)

    def _press(self, payload: bytes) -> None:
        """Take a key that was pressed; before the first audio it was at the beginning."""
        heard_s = self.session.received / self.session.settings.sample_rate if self.session else 0
        self.press(payload.decode("ascii", "replace"), 0, round(heard_s * SAMPLE_RATE))

    def _take(self, rate: int, audio: bytes) -> None:
        if self._uuid is None:
            self.refuse("Audio came before the UUID of the call.", CloseCode.MALFORMED)
            return
        if self.session is None:
            name = str(self._uuid)
            asked = {"room": name, "speakers": ("Caller",), **self._asked}
            medium = {"encoding": "pcm_s16le", "sample_rate": rate, "channels": 1}
            self.begin({**asked, **medium}, {"call": name})
        elif self.session.settings.sample_rate != rate:
            self.refuse("The sample rate of a call cannot change.", CloseCode.MALFORMED)
        self.hear(audio)
