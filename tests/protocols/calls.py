"""A call in each telephony protocol, byte for byte as the other side sends it."""

import base64
import json
from collections.abc import Iterator, Sequence
from copy import copy
from typing import Any

import numpy as np

from stream.core import events
from stream.core.audio import MULAW
from stream.core.transcript import text_of
from stream.core.windows import Word
from stream.protocols.interface import Service
from stream.protocols.session_protocol import SessionProtocol
from tests.core.rehearsal import LoudIsSpeech, Script

SERVICE = Service(model="scripted", detector=LoudIsSpeech)
SCRIPT = Script([(2.0, 1.0), (1.5, 1.0)])
PACKET_MS = 20
UUID = "5b1c9ad0-41d2-4b3e-9f5e-0d7f0c2a9e11"


def phone_samples() -> np.ndarray:
    """The script's samples at 8 kHz, (n_samples,)."""
    return SCRIPT.samples[::2]


def mulaw(samples: np.ndarray) -> bytes:
    """The nearest mu-law byte of each sample."""
    order = np.argsort(MULAW, kind="stable")
    levels = MULAW[order]
    return (
        order[np.searchsorted((levels[1:] + levels[:-1]) / 2, samples)].astype(np.uint8).tobytes()
    )


class TwilioCall:
    """What Twilio sends, message by message."""

    def __init__(self, tracks: tuple[str, ...] = ("inbound",), **parameters: str) -> None:
        self.tracks = tracks
        self.parameters = parameters
        self.sequence = 0

    def message(self, event: str, **fields: Any) -> str:
        self.sequence += 1
        content = {"event": event, "sequenceNumber": str(self.sequence), **fields}
        return json.dumps({**content, "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0"})

    def connected(self) -> str:
        return '{"event":"connected","protocol":"Call","version":"1.0.0"}'

    def start(self, **changes: Any) -> str:
        start = {
            "accountSid": "ACXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
            "streamSid": "MZ18ad3ab5a668481ce02b83e7395059f0",
            "callSid": "CA123",
            "tracks": list(self.tracks),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self.parameters,
            **changes,
        }
        return self.message("start", start=start)

    def media(self, track: str, at: int, audio: bytes) -> str:
        media = {
            "track": track,
            "chunk": str(at + 1),
            "timestamp": str(at * PACKET_MS),
            "payload": base64.b64encode(audio).decode(),
        }
        return self.message("media", media=media)

    def stop(self) -> str:
        return self.message("stop", stop={"accountSid": "AC", "callSid": "CA123"})

    def all_media(self, audio: bytes) -> Iterator[str]:
        size = PACKET_MS * 8
        for at in range(len(audio) // size):
            for track in self.tracks:
                yield self.media(track, at, audio[at * size :][:size])

    def messages(self, audio: bytes) -> list[str]:
        return [self.connected(), self.start(), *self.all_media(audio), self.stop()]


Shared = list[events.Event | events.KeyPressed]


def converse(
    protocol: SessionProtocol, *frames: str | bytes, words: Sequence[Word] | None = None
) -> Shared:
    """Let it receive frames, with every window answered; returns what it shares with the room.

    The words are those of the script, or others.
    """
    script = SCRIPT if words is None else copy(SCRIPT)
    script.words = list(script.words if words is None else words)
    shared: Shared = []
    for frame in frames:
        if isinstance(frame, str):
            protocol.receive_text(frame, 0.0)
        else:
            protocol.receive_binary(frame, 0.0)
        while windows := protocol.windows_to_transcribe():
            for window in windows:
                protocol.receive_hypothesis(script.answer(window))
        shared += [event for _, event in protocol.captions_to_share()]
    return shared


def said(shared: Shared, channel: int = 0) -> list[str]:
    return [
        text_of(event.words)
        for event in shared
        if isinstance(event, events.Final) and event.channel == channel
    ]
