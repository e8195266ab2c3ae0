"""Tracks of a call side by side."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import Gap
from stream.protocols.track_mixer import PATIENCE_MS, TrackMixer

SILENCE = 0xFF

PACKET = 160
BOTH = ("inbound", "outbound")


def packet(value: int, size: int = PACKET) -> bytes:
    return bytes([value]) * size


def filled(sounds: list[bytes | Gap], tracks: int) -> bytes:
    """The audio, with gaps as silence."""
    silence = bytes([SILENCE]) * tracks
    return b"".join(s if isinstance(s, bytes) else silence * s.samples for s in sounds)


class Filling(TrackMixer):
    """A mixer whose gaps are silence."""

    def add(self, track: str, timestamp_ms: int, audio: bytes) -> bytes:
        return filled(super().add(track, timestamp_ms, audio), len(self.tracks))

    def flush(self) -> bytes:
        return filled(super().flush(), len(self.tracks))


def lane(interleaved: bytes, index: int, tracks: int = 2) -> list[int]:
    """The first sample of each packet of a lane."""
    return np.frombuffer(interleaved, np.uint8).reshape(-1, tracks)[::PACKET, index].tolist()


def test_one_track_is_passed_on_at_once() -> None:
    mixer = Filling(("inbound",))
    assert [mixer.add("inbound", i * 20, packet(i)) for i in range(5)] == [
        packet(i) for i in range(5)
    ]
    assert (mixer.filled, mixer.late, mixer.flush()) == (0, 0, b"")


def test_two_tracks_are_interleaved_as_soon_as_both_are_there() -> None:
    mixer = Filling(BOTH)
    assert mixer.add("inbound", 0, packet(1)) == b""
    assert mixer.add("outbound", 0, packet(2)) == bytes([1, 2]) * PACKET


def test_lost_packets_are_silence() -> None:
    mixer = Filling(("inbound",))
    heard = mixer.add("inbound", 0, packet(1)) + mixer.add("inbound", 60, packet(2))
    assert lane(heard, 0, 1) == [1, SILENCE, SILENCE, 2]
    assert mixer.filled == 2 * PACKET


def test_a_track_without_audio_does_not_block_the_other() -> None:
    mixer = Filling(BOTH)
    heard = b"".join(mixer.add("inbound", i * 20, packet(1)) for i in range(50))
    ahead = PATIENCE_MS // 20
    assert lane(heard, 0) == [1] * (50 - ahead)
    assert lane(heard, 1) == [SILENCE] * (50 - ahead)
    heard += mixer.add("outbound", 900, packet(2)) + mixer.flush()
    assert lane(heard, 0) == [1] * 50
    assert lane(heard, 1) == [SILENCE] * 45 + [2] + [SILENCE] * 4


def test_late_packets_are_counted() -> None:
    mixer = Filling(BOTH)
    for i in range(50):
        mixer.add("inbound", i * 20, packet(1))
    assert mixer.add("outbound", 0, packet(2)) == b""
    assert mixer.late == PACKET


@pytest.mark.parametrize("off_ms", [-9, -1, 0, 1, 9])
def test_rounded_clocks_leave_no_gaps(off_ms: int) -> None:
    mixer = Filling(("inbound",))
    mixer.add("inbound", 0, packet(1))
    assert mixer.add("inbound", 20 + off_ms, packet(2)) == packet(2)
    assert (mixer.filled, mixer.late) == (0, 0)


def test_an_absurd_timestamp_causes_no_work() -> None:
    mixer = Filling(("inbound",))
    assert mixer.add("inbound", 2**50, packet(1)) == packet(1)


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(BOTH), st.integers(0, 100)), max_size=60))
def test_both_lanes_are_always_of_one_length(packets: list[tuple[str, int]]) -> None:
    mixer = Filling(BOTH)
    heard = b"".join(mixer.add(track, at * 20, packet(1)) for track, at in packets)
    heard += mixer.flush()
    said = sum(np.frombuffer(heard, np.uint8) == 1)
    assert said + mixer.late == PACKET * len(packets)
    assert len(heard) == said + mixer.filled
    assert len(heard) % (2 * PACKET) == 0


def test_the_order_of_tracks_does_not_matter() -> None:
    packets = [("inbound", 0, packet(1)), ("outbound", 0, packet(2)), ("inbound", 20, packet(3))]
    heard = set()
    for order in permutations(packets):
        if order.index(packets[0]) < order.index(packets[2]):
            mixer = Filling(BOTH)
            heard.add(b"".join(mixer.add(*each) for each in order) + mixer.flush())
    assert len(heard) == 1


def test_a_time_in_which_no_track_has_audio_is_a_gap() -> None:
    mixer = TrackMixer(BOTH)
    sounds = []
    for start in (0, 1_000, 90_000):
        for at in range(0, 400, 20):
            for track in BOTH:
                sounds += mixer.add(track, start + at, packet(1))
    sounds += mixer.flush()
    gaps = [sound.samples // 8 for sound in sounds if isinstance(sound, Gap)]
    assert sum(gaps) == 600 + 88_600
    assert mixer.filled == 2 * 8 * sum(gaps)
    assert len(filled(sounds, 2)) == 2 * 8 * 90_400


def test_a_gap_of_one_track_is_silence_beside_the_other() -> None:
    mixer = TrackMixer(BOTH)
    sounds = []
    for at in range(0, 2_000, 20):
        sounds += mixer.add("inbound", at, packet(1))
        if not 500 <= at < 1_500:
            sounds += mixer.add("outbound", at, packet(2))
    sounds += mixer.flush()
    assert not any(isinstance(sound, Gap) for sound in sounds)
    heard = lane(filled(sounds, 2), 1)
    assert heard == [2] * 25 + [SILENCE] * 50 + [2] * 25


def test_timestamps_beyond_the_limit_are_relative_to_what_came_before() -> None:
    mixer = TrackMixer(("inbound",), max_gap_s=10.0)
    sounds = mixer.add("inbound", 0, packet(1))
    for at in (10**6, 10**6 + 20, 10**6 + 80):
        sounds += mixer.add("inbound", at, packet(2))
    assert mixer.beyond_limit == 1
    assert sounds == [packet(1), packet(2), packet(2), Gap(2 * PACKET), packet(2)]


@given(
    st.lists(st.tuples(st.sampled_from(BOTH), st.integers(0, 10**6)), max_size=40),
    st.sampled_from([0.0, 5.0, 3600.0]),
)
def test_any_timestamps_leave_exact_accounts(
    packets: list[tuple[str, int]], max_gap_s: float
) -> None:
    mixer = TrackMixer(BOTH, max_gap_s=max_gap_s)
    sounds = [sound for track, at in packets for sound in mixer.add(track, at, packet(1))]
    sounds += mixer.flush()
    heard = b"".join(sound for sound in sounds if isinstance(sound, bytes))
    gaps = sum(sound.samples for sound in sounds if isinstance(sound, Gap))
    said = heard.count(1)
    assert said + mixer.late == PACKET * len(packets)
    assert len(heard) + 2 * gaps == said + mixer.filled
    assert mixer.end("inbound") == mixer.end("outbound") == len(heard) // 2 + gaps
