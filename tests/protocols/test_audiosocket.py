"""AudioSocket, byte for byte."""

import struct
import uuid
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core import events
from stream.protocols.audiosocket import AudioSocketProtocol
from stream.protocols.interface import Closing
from stream.protocols.session_protocol import ENDED
from tests.protocols.calls import SERVICE, UUID, converse, phone_samples, said
from tests.protocols.test_twilio import TEXTS

HELLO = bytes.fromhex("01 0010 5b1c9ad041d24b3e9f5e0d7f0c2a9e11")
HANG_UP = bytes.fromhex("00 0000")


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BH", kind, len(payload)) + payload


def audio(kind: int = 0x10, rate: int = 8000) -> bytes:
    """The script as frames of 20 ms."""
    samples = np.repeat(phone_samples(), rate // 8000)
    pcm = (samples * 32767).astype("<i2").tobytes()
    size = rate // 50 * 2
    return b"".join(frame(kind, pcm[at : at + size]) for at in range(0, len(pcm), size))


def a_protocol(**settings: str) -> AudioSocketProtocol:
    query = {name: [value] for name, value in settings.items()}
    return AudioSocketProtocol(SERVICE, "id", query)


def test_the_first_frame_names_the_call() -> None:
    assert frame(0x01, uuid.UUID(UUID).bytes) == HELLO


def test_a_call_from_uuid_to_hang_up() -> None:
    protocol = a_protocol()
    shared = converse(protocol, HELLO, audio(), HANG_UP)
    assert said(shared) == TEXTS
    assert protocol.closing == Closing(1000, "")
    assert protocol.membership
    assert (protocol.membership.room, protocol.membership.speakers) == (UUID, ("Caller",))
    ended = shared[-1]
    assert isinstance(ended, events.Ended)
    assert ended.received == ended.settled == len(phone_samples())


@pytest.mark.slow
@given(st.lists(st.integers(0, 80_000), max_size=20))
@settings(max_examples=20, deadline=None)
def test_frames_are_whole_however_they_are_cut(cuts: list[int]) -> None:
    call = HELLO + audio() + HANG_UP
    edges = sorted({0, len(call), *(cut for cut in cuts if cut < len(call))})
    pieces = [call[start:end] for start, end in pairwise(edges)]
    assert said(converse(a_protocol(), *pieces)) == TEXTS


def test_wide_band_calls() -> None:
    protocol = a_protocol()
    assert said(converse(protocol, HELLO, audio(0x12, 16_000), HANG_UP)) == TEXTS


def test_keys_are_reported_with_their_time() -> None:
    second = 50 * 323
    pieces = [frame(0x03, b"1"), audio()[:second], frame(0x03, b"5"), frame(0x03, b"\xff")]
    shared = converse(a_protocol(), HELLO, *pieces, audio()[second:], HANG_UP)
    assert said(shared) == TEXTS
    keys = [event for event in shared if isinstance(event, events.KeyPressed)]
    assert keys == [events.KeyPressed(0, "1", 0), events.KeyPressed(0, "5", 16_000)]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"\x01", "hung up"), (b"\x02", "forwarded"), (b"\x04", "memory"), (b"", "wrong")],
)
def test_an_error_ends_the_call_with_its_finals(payload: bytes, reason: str) -> None:
    protocol = a_protocol()
    shared = converse(protocol, HELLO, audio(), frame(0xFF, payload))
    assert said(shared) == TEXTS
    assert protocol.closing
    assert reason in protocol.closing.reason
    assert protocol.counts.errors == 1


def test_settings_apply_to_every_call() -> None:
    protocol = a_protocol(endpointing_ms="300", room="lobby")
    converse(protocol, HELLO, audio())
    assert protocol.session
    assert protocol.session.settings.endpointing_ms == 300
    assert protocol.membership
    assert protocol.membership.room == "lobby"


@pytest.mark.parametrize(
    "call",
    [
        audio(),
        frame(0x01, b"short"),
        HELLO + HELLO,
        HELLO + audio()[:323] + frame(0x12, bytes(640)),
        frame(0x77, b"") + HELLO,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" + bytes(70_000),
    ],
)
def test_a_connection_that_is_no_call_is_closed(call: bytes) -> None:
    protocol = a_protocol()
    converse(protocol, call)
    assert protocol.closing
    assert protocol.closing.code == 1007
    assert protocol.closing.reason


@given(st.lists(st.binary(max_size=400), max_size=8))
def test_no_peer_can_make_it_raise(pieces: list[bytes]) -> None:
    protocol = a_protocol()
    converse(protocol, HELLO, *pieces)
    assert protocol.closing in (None, ENDED) or protocol.closing.reason


@pytest.mark.parametrize("kind", [0x02, 0x04, 0x0F, 0x17, 0x77, 0xFE])
@pytest.mark.parametrize("payload", [b"", b"x", bytes(640), b"\x01\x00\x10" * 1000])
def test_a_frame_of_an_unknown_kind_is_left_out_and_the_call_goes_on(
    kind: int, payload: bytes
) -> None:
    call = audio()
    half = len(call) // 323 // 2 * 323
    protocol = a_protocol()
    unknown = frame(kind, payload)
    shared = converse(protocol, HELLO + unknown + call[:half] + unknown * 2, call[half:] + HANG_UP)
    assert said(shared) == TEXTS
    assert protocol.counts.skipped == 3
    assert protocol.closing == Closing(1000, "")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (frame(0x12, bytes(640)), "sample rate"),
        (HELLO, "UUID"),
        (frame(0x01, b"short"), "UUID"),
    ],
)
def test_a_refusal_during_a_call_comes_after_the_finals(wrong: bytes, reason: str) -> None:
    protocol = a_protocol()
    call = audio()
    first = 180 * 323  # 3.6 s: the first utterance, and the beginning of the second
    shared = converse(protocol, HELLO, call[:first] + wrong + call[first:])
    assert said(shared)[0] == TEXTS[0]
    assert isinstance(shared[-1], events.Ended)
    assert shared[-1].settled == shared[-1].received == 180 * 160
    assert protocol.closing
    assert protocol.closing.code == 1007
    assert reason in protocol.closing.reason
