"""Vonage's websocket endpoint (Voice API) and Audio Connector (Video API): `wss://…/v1/vonage`.

Theory of operation. The first message is `websocket:connected` with the format of the audio in
`content-type` and the headers that the application gave; the audio follows in binary messages of
16-bit samples, without times. `websocket:dtmf` tells a pressed key. The call ends with the
connection. Headers whose names are fields of the native `start` are settings; the others are passed
to the room. The names are those of pipecat's serializer and of Vonage's AsyncAPI description.
"""

import re
from typing import Any

import msgspec

from stream.core.audio import SAMPLE_RATE
from stream.errors import PeerError
from stream.protocols.call_settings import room_name, sort_parameters
from stream.protocols.start_settings import from_query
from stream.protocols.telephony import CallProtocol

CONTENT_TYPE = re.compile(r"audio/l16\s*;\s*rate=(8000|16000|24000)", re.IGNORECASE)

IDS = ("conversation_uuid", "uuid")
"""Headers that name the call, if the application gives them."""


class VonageProtocol(CallProtocol):
    """One call. The query holds settings, as fields of the native `start`."""

    paths = ("/v1/vonage",)

    def handle_text(self, text: str) -> None:
        """Handle an event."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
            kind = message["event"]
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError):
            raise PeerError("malformed", "This is not an event of Vonage.", None) from None
        match kind:
            case "websocket:connected":
                self._connect(message)
            case "websocket:dtmf":
                tone = message.get("dtmf")
                digit = message.get("digit") or (tone or {}).get("digit")
                self.press_key(str(digit), 0, round(self.sessions.audio_clock_s * SAMPLE_RATE))
            case _:
                self.counts.skipped += 1

    def handle_binary(self, data: bytes) -> None:
        """Handle 16-bit samples."""
        if self.session is None and not self.no_more_audio:
            raise PeerError("malformed", "Audio came before `websocket:connected`.", None)
        self.add_call_audio(data)

    def _connect(self, message: dict[str, Any]) -> None:
        if self.session is not None:
            raise PeerError("malformed", "A call is connected once.", None)
        content_type = str(message.get("content-type", ""))
        found = CONTENT_TYPE.fullmatch(content_type.strip())
        if not found:
            sentence = f"content-type is {content_type[:60]!r}; send audio/l16;rate=16000, or 8000."
            raise PeerError("wrong_kind", sentence, None)
        headers = {
            name: str(value)
            for name, value in message.items()
            if name not in ("event", "content-type")
        }
        settings, others = sort_parameters(headers)
        call = next((headers[name] for name in IDS if name in headers), "")
        asked = from_query({**self.query, **settings}).given()
        named = {"room": room_name(call, self.session_id), "speakers": ("Caller",)}
        medium = {"encoding": "pcm_s16le", "sample_rate": int(found[1]), "channels": 1}
        self.open_session({**named, **asked, **medium}, others)
