"""The same speech, as the client of each protocol sends it, message by message."""

import base64
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np

from stream.media.opus_packets import OpusPackets
from stream.protocols.interface import Service
from stream.protocols.protocol_table import PROTOCOLS, load_protocol
from stream.protocols.session_protocol import SessionProtocol
from tests.core.rehearsal import LoudIsSpeech
from tests.media.files import opus_packets
from tests.protocols.calls import TwilioCall, mulaw
from tests.protocols.vendors import SCRIPT, pieces

SERVICE = Service(
    model="scripted",
    languages=("en", "de"),
    detector=LoudIsSpeech,
    wall_time=lambda: 1e9,
    opus=OpusPackets,
)
Frame = str | bytes
ZERO_UUID = "00000000-0000-4000-8000-000000000000"


def sent(**message: Any) -> str:
    return json.dumps(message)


def encoded(audio: bytes) -> str:
    return base64.b64encode(audio).decode()


@dataclass(frozen=True)
class Conversation:
    """What a client sends: how it begins, its audio, and how it ends."""

    query: str
    begin: tuple[Frame, ...]
    audio: tuple[Frame, ...]
    end: tuple[Frame, ...] = ()
    """Empty if the stream ends with the connection."""
    rate: int = 16_000
    """Hertz, of the samples in `audio`."""
    tracks: tuple[str, ...] = field(default=("only",))
    """Who speaks; every track has the same audio."""
    closes: bool = True
    """Whether the server closes the connection after `end`."""


def samples(rate: int) -> np.ndarray:
    """The script at a rate, (n_samples,) in -1..1."""
    wide = SCRIPT.samples.repeat(3) if rate == 48_000 else SCRIPT.samples
    return wide[::2] if rate == 8_000 else wide


def linear(rate: int = 16_000) -> bytes:
    return (samples(rate) * 32_767).astype("<i2").tobytes()


def narrow() -> bytes:
    """The script as mu-law at 8 kHz."""
    return mulaw(samples(8_000))


def stereo(one: bytes, width: int = 1) -> bytes:
    """The same audio in two interleaved channels."""
    frames = np.frombuffer(one, np.uint8).reshape(-1, 1, width)
    return frames.repeat(2, axis=1).tobytes()


def raw(query: str = "", begin: tuple[Frame, ...] = (), end: tuple[Frame, ...] = ()) -> Any:
    """16-bit samples at 16 kHz in binary messages."""
    return lambda: Conversation(query, begin, tuple(pieces(linear())), end)


def openai() -> Conversation:
    update = {
        "type": "session.update",
        "session": {
            "type": "transcription",
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}},
        },
    }
    audio = [sent(type="input_audio_buffer.append", audio=encoded(one)) for one in pieces(linear())]
    commit = sent(type="input_audio_buffer.commit")
    begin = (json.dumps(update),)
    return Conversation("intent=transcription", begin, tuple(audio), (commit,), closes=False)


def whisperlive() -> Conversation:
    begin = sent(uid="u", language="en", task="transcribe", model="small", audio_format="int16")
    return Conversation("", (begin,), tuple(pieces(linear())), (b"END_OF_AUDIO",))


def wyoming() -> Conversation:
    def event(kind: str, payload: bytes = b"") -> bytes:
        content = json.dumps({"rate": 16_000, "width": 2, "channels": 1}).encode()
        head = {"type": kind, "data_length": len(content), "payload_length": len(payload)}
        return json.dumps(head).encode() + b"\n" + content + payload

    chunks = tuple(event("audio-chunk", one) for one in pieces(linear()))
    return Conversation("", (event("audio-start"),), chunks, (event("audio-stop"),))


def twilio() -> Conversation:
    call = TwilioCall(("inbound", "outbound"))
    connected, start, *media, stop = call.messages(narrow())
    tracks = ("inbound", "outbound")
    return Conversation("", (connected, start), tuple(media), (stop,), 8_000, tracks)


@dataclass
class Numbered:
    """Messages that have numbers, in a dialect of Twilio's."""

    name: str
    """Name of the field with the number."""
    first: int = 0

    def __call__(self, **message: Any) -> str:
        self.first += 1
        return json.dumps({**message, self.name: str(self.first)})


def media(
    message: Numbered, audio: bytes, packet: int, step_ms: int, tracks: tuple[str, ...] = ()
) -> Iterator[str]:
    """Packets with chunk numbers and times."""
    for number, one in enumerate(pieces(audio, packet)):
        content = {"chunk": str(number + 1), "timestamp": str(number * step_ms + 5)}
        for track in tracks or ("",):
            named = {"track": track} if track else {}
            yield message(event="media", media={**named, **content, "payload": encoded(one)})


TELNYX_START = {
    "user_id": "3E6F995F", "call_control_id": "v2:T02llQxIyaRkhfRKxgAP8nY511EhFL",
    "from": "+13122010094", "to": "+1312", "custom_parameters": {"ticket": "4711"},
    "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
}  # fmt: skip


def telnyx() -> Conversation:
    tracks = ("inbound", "outbound")
    message = Numbered("sequence_number")
    begin = sent(event="connected", version="1.0.0")
    start = message(event="start", stream_id="32DE0DEA", start=TELNYX_START)
    audio = tuple(media(message, narrow(), 160, 20, tracks))
    stop = message(event="stop", stop={"call_control_id": "v2"})
    return Conversation("tracks=both", (begin, start), audio, (stop,), 8_000, tracks)


PLIVO_START = {
    "callId": ZERO_UUID, "streamId": "87654321", "accountId": "MA", "tracks": ["inbound"],
    "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 8000},
}  # fmt: skip


def plivo() -> Conversation:
    message = Numbered("sequenceNumber")
    start = message(event="start", start=PLIVO_START, extra_headers="ticket=4711;language=de")
    audio = tuple(media(message, linear(8_000), 320, 20, ("inbound",)))
    return Conversation("", (start,), audio, (), 8_000, closes=False)


EXOTEL_START = {
    "stream_sid": "s", "call_sid": "call-abc", "account_sid": "acct", "from": "+91", "to": "+1800",
    "custom_parameters": {"ticket": "4711"},
    "media_format": {"encoding": "base64", "sample_rate": "8000", "bit_rate": "128kbps"},
}  # fmt: skip


def exotel() -> Conversation:
    message = Numbered("sequence_number")
    begin = sent(event="connected")
    start = message(event="start", stream_sid="s", start=EXOTEL_START)
    audio = tuple(media(message, linear(8_000), 1_600, 100))
    stop = message(event="stop", stop={"reason": "callended"})
    return Conversation("sample-rate=8000", (begin, start), audio, (stop,), 8_000)


def vonage() -> Conversation:
    begin = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000", "uuid": "u-1"}
    return Conversation("", (json.dumps(begin),), tuple(pieces(linear(), 640)), closes=False)


def genesys() -> Conversation:
    message = Numbered("seq")
    head = {"version": "2", "id": ZERO_UUID, "serverseq": 0, "position": "PT0S"}
    both = {"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8000}
    one = {**both, "channels": ["external"]}
    parameters = {
        "organizationId": ZERO_UUID,
        "conversationId": ZERO_UUID,
        "participant": {"id": ZERO_UUID, "ani": "+1-555-555-1234", "aniName": "", "dnis": "+1800"},
        "media": [one, both],
        "language": "en-US",
    }
    begin = message(type="open", **head, parameters=parameters)
    end = message(type="close", **head, parameters={"reason": "end"})
    audio = tuple(pieces(stereo(narrow()), 1_600))
    return Conversation("", (begin,), audio, (end,), 8_000, ("external", "internal"))


def audiocodes() -> Conversation:
    head = {"conversationId": ZERO_UUID}
    formats = ["wav/lpcm16", "raw/mulaw", "raw/lpcm16"]
    begin = (
        sent(type="session.initiate", **head, caller="+1202", supportedMediaFormats=formats),
        sent(type="userStream.start", **head),
    )
    audio = tuple(
        sent(type="userStream.chunk", **head, audioChunk=encoded(one)) for one in pieces(linear())
    )
    stop = sent(type="userStream.stop", **head)
    return Conversation("", begin, audio, (stop, sent(type="session.end", **head)))


TAGS = ("aaaaaaaa-305123557", "bbbbbbbb-2272476824")


def jitsi() -> Conversation:
    loud = np.sin(np.arange(len(SCRIPT.samples)) / 3) * SCRIPT.samples
    packets, _ = opus_packets(loud)
    opus = {"encoding": "opus", "sampleRate": 48000, "channels": 2}
    begin = tuple(sent(event="start", start={"tag": tag, "mediaFormat": opus}) for tag in TAGS)
    audio = [
        sent(
            event="media",
            media={
                "tag": tag,
                "chunk": str(31_456 + number),
                "timestamp": str((2**32 - 48_000 + number * 960) % 2**32),
                "payload": encoded(packet),
            },
        )
        for number, packet in enumerate(packets)
        for tag in TAGS
    ]
    query = "sessionId=standup&sendBack=true&sendBackInterim=true&lang=en"
    return Conversation(query, begin, tuple(audio), (), 48_000, TAGS, closes=False)


def audiosocket() -> Conversation:
    def frame(kind: int, payload: bytes) -> bytes:
        return struct.pack(">BH", kind, len(payload)) + payload

    begin = frame(0x01, UUID(ZERO_UUID).bytes)
    audio = tuple(frame(0x10, one) for one in pieces(linear(8_000), 320))
    return Conversation("", (begin,), audio, (frame(0x00, b""),), 8_000)


RAW = "encoding=linear16&sample_rate=16000"
CONVERSATIONS: dict[str, Callable[[], Conversation]] = {
    "native": raw("", (sent(type="start"),), (sent(type="end"),)),
    "twilio": twilio,
    "telnyx": telnyx,
    "plivo": plivo,
    "exotel": exotel,
    "vonage": vonage,
    "genesys": genesys,
    "audiocodes": audiocodes,
    "jitsi": jitsi,
    "deepgram": raw(f"model=nova-3&{RAW}", (), (sent(type="CloseStream"),)),
    "deepgram-flux": raw(f"model=flux-general-en&{RAW}", (), (sent(type="CloseStream"),)),
    "openai-realtime": openai,
    "assemblyai": raw("sample_rate=16000", (), (sent(type="Terminate"),)),
    "whisperlive": whisperlive,
    "vosk": raw("", (sent(config={"sample_rate": 16_000}),), ('{"eof" : 1}',)),
    "wyoming": wyoming,
    "audiosocket": audiosocket,
}
"""A conversation for each row of `PROTOCOLS`."""


def kind_of(name: str) -> type[SessionProtocol]:
    return load_protocol(PROTOCOLS[name])
