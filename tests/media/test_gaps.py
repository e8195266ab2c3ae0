"""Jumps in time stamps are gaps; rounding, drift and damaged numbers are not."""

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import Gap
from stream.media.recording import open_recording
from stream.media.time_stamps import TimeStamps
from tests.media.decoding import ContainerDecoder
from tests.media.files import RATE, tone

KINDS = {
    "webm": ("webm", "libopus", {}),
    "live webm": ("webm", "libopus", {"live": "1"}),
    "matroska": ("matroska", "aac", {}),
    "ogg": ("ogg", "libopus", {}),
    "fragmented mp4": (
        "mp4",
        "aac",
        {"movflags": "frag_every_frame+empty_moov+default_base_moof"},
    ),
    "mpegts": ("mpegts", "aac", {}),
}


def with_gaps(kind: str, starts_s: Sequence[float], seconds: float = 2.0) -> bytes:
    """Tones of 2 s that begin at these times, in seconds; nothing is written between them."""
    format, codec, options = KINDS[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=format, options=options) as container:
        track = container.add_stream(codec, rate=48_000)
        packets = []
        for start_s in starts_s:
            encoder = av.CodecContext.create(codec, "w")
            encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", track.format
            encoder.time_base = Fraction(1, 48_000)
            samples = tone(seconds, 48_000)
            size = 960 if codec == "libopus" else 1024
            for at in range(0, len(samples), size):
                piece = samples[None, at : at + size]
                frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
                frame.sample_rate, frame.pts = 48_000, at + round(start_s * 48_000)
                packets += encoder.encode(reformatted(frame, track.format.name))
        track.codec_context.open()
        for packet in packets:
            packet.stream = track
            container.mux(packet)
    return file.getvalue()


def reformatted(frame: av.AudioFrame, format: str) -> av.AudioFrame:
    (one,) = av.AudioResampler(format, "mono", 48_000).resample(frame)
    one.pts = frame.pts
    return one


def in_file(data: bytes) -> tuple[list[np.ndarray | Gap], str]:
    with open_recording(io.BytesIO(data), "it") as recording:
        return list(recording.blocks()), recording.damage


def in_stream(data: bytes) -> tuple[list[np.ndarray | Gap], str]:
    decoder = ContainerDecoder(1)
    sounds = [s for at in range(0, len(data), 997) for s in decoder.decode(data[at : at + 997])]
    return [*sounds, *decoder.flush()], " ".join(decoder.take_problems())


def gaps_of(sounds: list[np.ndarray | Gap]) -> list[float]:
    return [sound.samples / RATE for sound in sounds if isinstance(sound, Gap)]


def audio_s(sounds: list[np.ndarray | Gap]) -> float:
    return sum(sound.shape[1] for sound in sounds if not isinstance(sound, Gap)) / RATE


@pytest.mark.parametrize("take", [in_file, in_stream])
@pytest.mark.parametrize("kind", KINDS)
def test_a_jump_is_a_gap(kind: str, take) -> None:
    if kind == "mpegts" and take is in_stream:
        pytest.skip("a stream of MPEG-TS is not decoded")
    sounds, damage = take(with_gaps(kind, [0.0, 7.0, 9.5]))
    assert audio_s(sounds) == pytest.approx(6.0, abs=0.2)
    assert gaps_of(sounds) == pytest.approx([5.0, 0.5], abs=0.15)
    assert damage == ""


@pytest.mark.parametrize("hours", [1, 30])
def test_a_file_has_gaps_of_any_length(hours: int) -> None:
    sounds, damage = in_file(with_gaps("live webm", [0.0, 3600.0 * hours]))
    assert gaps_of(sounds) == pytest.approx([3600 * hours - 2], abs=0.1)
    assert damage == ""


def gaps(*frames: tuple[float | None, float]) -> list[float]:
    stamps = TimeStamps()
    return [round(stamps.gap(time, duration), 3) for time, duration in frames]


def test_rounding_and_jitter_are_no_gaps() -> None:
    times = [0.02 * i + (0.009 if i % 3 else -0.009) for i in range(1000)]
    assert not any(gaps(*((time, 0.02) for time in times)))


def test_a_clock_that_drifts_is_corrected_seldom() -> None:
    found = gaps(*((0.02 * i * 1.001, 0.02) for i in range(100_000)))
    assert sum(found) == pytest.approx(2.0, abs=0.5)
    assert len([gap for gap in found if gap]) == 3


def test_lost_frames_add_up() -> None:
    times = [0.02 * i for i in range(1000) if i % 50 != 7]
    found = gaps(*((time, 0.02) for time in times))
    assert sum(found) == pytest.approx(0.4, abs=0.5)
    found = gaps(*((0.02 * i, 0.02) for i in range(1000) if i % 50 not in (7, 8, 9, 10)))
    assert sum(found) == pytest.approx(1.6, abs=0.05)


def test_time_that_goes_back_goes_on() -> None:
    first = [(0.02 * i + 5, 0.02) for i in range(100)]
    second = [(0.02 * i, 0.02) for i in range(100)]
    third = [(time + 30, duration) for time, duration in second]
    assert sum(gaps(*first, *second, *third)) == pytest.approx(28.0, abs=0.01)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), st.floats(-1e6, 1e6)), st.floats(0.001, 1.0)), max_size=40
    )
)
def test_no_gap_is_negative(frames: list[tuple[float | None, float]]) -> None:
    assert all(gap >= 0 for gap in gaps(*frames))


def test_frames_without_a_time_follow_each_other() -> None:
    assert gaps((0.0, 1.0), (None, 1.0), (None, 1.0), (3.0, 1.0), (6.0, 1.0)) == [0, 0, 0, 0, 2]
