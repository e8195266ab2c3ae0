"""Files joined one behind the other, and sound behind the announced end: nothing is dropped."""

import io
import struct
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.audio import Gap
from stream.core.events import Failure
from stream.core.session import Session
from stream.core.settings import StreamSettings
from stream.media.joined import parts_of
from stream.media.part_reader import PartReader
from stream.media.recording import open_recording
from tests.media.decoding import ContainerDecoder
from tests.media.files import RATE, tone
from tests.media.test_recording import loudest_hertz, read

HERTZ = (300, 700, 1100)


def sound(format: str, hertz: float, rate: int = RATE, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, tone(2, rate, hertz), rate, format=format, subtype=subtype)
    return file.getvalue()


def muxed(format: str, codec: str, hertz: float, rate: int = 48_000, **options: str) -> bytes:
    file = io.BytesIO()
    samples = tone(2, rate, hertz)
    with av.open(file, "w", format=format, options=options) as container:
        track = container.add_stream(codec, rate=rate)
        for start in range(0, len(samples), 1024):
            piece = samples[None, start : start + 1024]
            frame = av.AudioFrame.from_ndarray(piece, "fltp", "mono")
            frame.sample_rate, frame.pts = rate, start
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return file.getvalue()


FRAGMENTED = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
STREAMED: dict[str, Callable[[float], bytes]] = {
    "wav": lambda hertz: sound("WAV", hertz),
    "rf64": lambda hertz: sound("RF64", hertz),
    "fragmented mp4": lambda hertz: muxed("mp4", "aac", hertz, **FRAGMENTED),
    "webm": lambda hertz: muxed("webm", "libopus", hertz),
    "live webm": lambda hertz: muxed("webm", "libopus", hertz, live="1"),
    "ogg opus": lambda hertz: muxed("ogg", "libopus", hertz),
    "ogg vorbis": lambda hertz: sound("OGG", hertz),
    "mp3": lambda hertz: muxed("mp3", "libmp3lame", hertz),
    "flac": lambda hertz: sound("FLAC", hertz),
    "adts": lambda hertz: muxed("adts", "aac", hertz),
}
FILES = {
    **STREAMED,
    "aiff": lambda hertz: sound("AIFF", hertz),
    "mp4": lambda hertz: muxed("mp4", "aac", hertz),
    "mkv": lambda hertz: muxed("matroska", "aac", hertz),
    "au": lambda hertz: sound("AU", hertz),
    "avi": lambda hertz: muxed("avi", "libmp3lame", hertz),
    "mpegts": lambda hertz: muxed("mpegts", "aac", hertz),
}


def stream(data: bytes, step: int = 4096) -> tuple[np.ndarray, str]:
    decoder = ContainerDecoder(1)
    sounds = [s for at in range(0, len(data), step) for s in decoder.decode(data[at : at + step])]
    blocks = [s for s in [*sounds, *decoder.flush()] if not isinstance(s, Gap)]
    return np.concatenate(blocks, axis=1)[0], " ".join(decoder.take_problems())


def tones_in(samples: np.ndarray, count: int) -> list[int]:
    """The loudest frequency in the middle of each of `count` equal parts."""
    parts = np.array_split(samples, count)
    return [round(loudest_hertz(part[len(part) // 4 : -len(part) // 4]), -1) for part in parts]


@pytest.mark.parametrize("kind", FILES)
def test_joined_files(kind: str) -> None:
    data = b"".join(FILES[kind](hertz) for hertz in HERTZ)
    samples, damage = read(io.BytesIO(data))
    assert samples.shape[1] == pytest.approx(6 * RATE, abs=0.3 * RATE)
    assert tones_in(samples[0], 3) == list(HERTZ)
    assert damage == ""


@pytest.mark.parametrize("kind", STREAMED)
def test_joined_streams(kind: str) -> None:
    data = b"".join(STREAMED[kind](hertz) for hertz in HERTZ)
    samples, problems = stream(data)
    assert len(samples) == pytest.approx(6 * RATE, abs=0.3 * RATE)
    assert tones_in(samples, 3) == list(HERTZ)
    assert problems == ""


@pytest.mark.parametrize(
    ("first", "second"),
    [("wav", "live webm"), ("ogg opus", "ogg vorbis"), ("fragmented mp4", "wav"), ("webm", "mp3")],
)
def test_files_of_two_kinds(first: str, second: str) -> None:
    data = STREAMED[first](HERTZ[0]) + STREAMED[second](HERTZ[1])
    if first == "webm":  # MP3 has no beginning that can be found in other bytes
        assert tones_in(read(io.BytesIO(data))[0][0], 1) == [HERTZ[0]]
        return
    samples, damage = read(io.BytesIO(data))
    assert tones_in(samples[0], 2) == list(HERTZ[:2])
    assert damage == ""
    assert tones_in(stream(data)[0], 2) == list(HERTZ[:2])


@pytest.mark.parametrize("rates", [(8_000, 44_100), (48_000, 16_000)])
@pytest.mark.parametrize("format", ["WAV", "OGG", "FLAC"])
def test_files_of_two_rates(format: str, rates: tuple[int, int]) -> None:
    pairs = zip(HERTZ, rates, strict=False)
    data = b"".join(sound(format, hertz, rate) for hertz, rate in pairs)
    samples, damage = read(io.BytesIO(data))
    assert samples.shape[1] == pytest.approx(4 * RATE, abs=0.3 * RATE)
    assert tones_in(samples[0], 2) == list(HERTZ[:2])
    assert damage == ""


def with_sizes(riff: int, data: int, wav: bytes) -> bytes:
    """A WAV file of soundfile's with other sizes in its header."""
    assert wav[36:40] == b"data"
    return wav[:4] + struct.pack("<I", riff) + wav[8:40] + struct.pack("<I", data) + wav[44:]


@pytest.mark.parametrize("announced", [0, 2, 1000, 32_000, 63_998, 0x7FFF_FFFF, 0xFFFF_FFFF])
@pytest.mark.parametrize("joined", [False, True])
def test_a_header_that_was_never_updated(announced: int, joined: bool) -> None:
    riff = min(announced + 36 if announced else 0, 0xFFFF_FFFF)
    one = with_sizes(riff, announced, sound("WAV", 300))
    other = with_sizes(riff, announced, sound("WAV", 700))
    for samples, problem in (read_one(one + other * joined), stream(one + other * joined)):
        assert len(samples) == 2 * RATE * (1 + joined)
        assert tones_in(samples, 2) == ([300, 700] if joined else [300, 300])
        assert problem == ""


def read_one(data: bytes) -> tuple[np.ndarray, str]:
    samples, damage = read(io.BytesIO(data))
    return samples[0], damage


@pytest.mark.parametrize("name", [b"LIST", b"id3 ", b"bext", b"iXML", b"cue "])
@pytest.mark.parametrize("in_riff", [False, True])
def test_chunks_behind_the_audio_are_no_sound(name: bytes, in_riff: bool) -> None:
    chunk = name + struct.pack("<I", 5000) + bytes(range(250)) * 20
    wav = sound("WAV", 300)
    if in_riff:
        wav = with_sizes(len(wav) - 8 + len(chunk), 64_000, wav)
    for data in (wav + chunk, wav + chunk + sound("WAV", 700)):
        for samples, problem in (read_one(data), stream(data)):
            assert len(samples) == 2 * RATE * (1 + (len(data) > 80_000))
            assert problem == ""


@pytest.mark.parametrize("announced", [2_000_000_000, 1_000_000_000, 1 << 30, 0x7FFF_0000])
def test_a_wrong_length_in_a_header_is_no_damage(announced: int) -> None:
    data = with_sizes(announced + 36, announced, sound("WAV", 300))
    samples, damage = read_one(data)
    assert (len(samples), damage) == (2 * RATE, "")
    with open_recording(io.BytesIO(data)) as recording:
        assert recording.duration_s == pytest.approx(2.0)


def test_a_wrong_length_in_an_aiff_header_is_no_damage() -> None:
    data = bytearray(sound("AIFF", 300))
    at = data.index(b"COMM") + 10
    data[at : at + 4] = struct.pack(">I", 0x3FFF_FFFF)
    data[4:8] = struct.pack(">I", 0x7FFF_FFFF)
    at = data.index(b"SSND") + 4
    data[at : at + 4] = struct.pack(">I", 0x7FFF_FFD0)
    assert read_one(bytes(data))[1] == ""


@pytest.mark.parametrize(("fraction", "told"), [(0.5, True), (0.02, True), (1.0, False)])
def test_a_truncated_file_is_still_reported(fraction: float, told: bool) -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(600, 8_000), 8_000, format="WAV")
    data = file.getvalue()
    assert ("incomplete" in read_one(data[: round(fraction * len(data))])[1]) == told


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + bytes(200), b""])
def test_tags_between_joined_mp3_files_are_no_damage(tag: bytes) -> None:
    data = b"".join(STREAMED["mp3"](hertz) + tag for hertz in HERTZ)
    assert read_one(data)[1] == ""


def test_a_damaged_mp3_file_is_still_reported() -> None:
    data = bytearray(STREAMED["mp3"](300) * 3)
    rng = np.random.default_rng(0)
    data[6_000:20_000] = rng.bytes(14_000)
    assert "damaged" in read_one(bytes(data))[1]


@pytest.mark.parametrize("kind", ["W64", "CAF"])
def test_bytes_that_cannot_be_decoded_are_reported(kind: str) -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(4), RATE, format=kind)
    _, damage = read(io.BytesIO(file.getvalue() * 2))
    assert "does not decode" in damage
    assert read(io.BytesIO(file.getvalue()))[1] == ""


def test_a_second_file_without_sound_is_reported_and_a_third_is_decoded() -> None:
    broken = sound("WAV", 700)[:20] + b"\x99\x99" + sound("WAV", 700)[22:]  # an unknown codec
    data = sound("WAV", 300) + broken + sound("WAV", 1100)
    samples, damage = read_one(data)
    assert tones_in(samples, 2) == [300, 1100]
    assert "cannot be decoded" in damage
    samples, problem = stream(data)
    assert tones_in(samples, 2) == [300, 1100]
    assert problem


def test_a_session_reports_what_was_skipped_and_continues() -> None:
    broken = sound("WAV", 700)[:20] + b"\x99\x99" + sound("WAV", 700)[22:]
    session = Session("s", StreamSettings(encoding="container"), container=ContainerDecoder)
    for one in (sound("WAV", 300), broken, sound("WAV", 1100)):
        session.receive_audio(one)
    session.receive_eof()
    failures = [event for event in session.events_to_send() if isinstance(event, Failure)]
    assert [failure.code for failure in failures] == ["damaged_audio"]
    assert session.received == 4 * RATE


def reader_parts(data: bytes, sizes: list[int]) -> list[bytes]:
    """The parts as a stream that arrives in pieces of these sizes, in turn."""
    file, turn = io.BytesIO(data), cycle(sizes)
    reader = PartReader(lambda n: file.read(min(n, next(turn))))
    parts = []
    while reader.begin():
        parts.append(b"".join(iter(lambda: reader.read(1000), b"")))
    return parts


WHOLE = {kind: make(300) for kind, make in STREAMED.items()}


@settings(deadline=None, max_examples=40)
@given(
    kinds=st.lists(st.sampled_from(sorted(set(WHOLE) - {"mp3", "adts"})), min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=5),
)
def test_a_stream_is_divided_as_a_file_is(kinds: list[str], sizes: list[int]) -> None:
    data = b"".join(WHOLE[kind] for kind in kinds)
    in_file = [data[start:end] for start, end in parts_of(io.BytesIO(data))]
    assert reader_parts(data, [max(sizes)]) == in_file
    if not {"flac", "live webm"} & set(kinds[:-1]):  # others announce their length
        assert len(in_file) == len(kinds)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=3_000), st.sampled_from([b"", *WHOLE.values()]), st.integers(0, 3_000))
@example(b"OggS", b"", 0)  # shorter than the header that it announces
def test_bytes_of_any_kind_are_divided_without_loss(noise: bytes, file: bytes, cut: int) -> None:
    data = file[:cut] + noise + file[cut:]
    parts = parts_of(io.BytesIO(data))
    assert all(start <= end for start, end in parts)
    assert [start for start, _ in parts] == sorted({start for start, _ in parts})
    assert reader_parts(data, [700]) == [data[start:end] for start, end in parts]


def test_the_bytes_of_a_live_stream_are_not_held_back() -> None:
    """All is decoded that has come, once FFmpeg has detected the format."""
    file = io.BytesIO()
    soundfile.write(file, tone(6), RATE, format="WAV")
    wav = with_sizes(0, 0, file.getvalue())
    decoder, decoded = ContainerDecoder(1), 0
    for at in range(0, len(wav), 640):
        decoded += sum(s.shape[1] for s in decoder.decode(wav[at : at + 640]))
        if at > 70_000:
            assert decoded >= at / 2 - RATE * 0.1
    decoder.flush()


def test_joined_files_at_a_path(tmp_path: Path) -> None:
    path = tmp_path / "two.wav"
    path.write_bytes(sound("WAV", 300) + sound("WAV", 700))
    samples, damage = read(path)
    assert (samples.shape[1], damage) == (4 * RATE, "")
