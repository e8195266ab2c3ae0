"""What a file can cost: audio, memory and time are limited, and a crash ends one stream."""

import asyncio
import io
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from stream.core.audio import SAMPLE_RATE, Gap
from stream.media import wire
from stream.media.budget import BYTES_PER_SECOND, PIECE_S, SampleBudget
from stream.media.decoding_process import MEMORY_BYTES, limit_resources, pieces_of
from stream.media.decoding_processes import NO_PLACE, DecodingProcesses, fork_server
from stream.media.part import MediaError
from stream.media.recording import open_recording
from stream.media.remote import CRASHED, ContainerDecoder, recording_sounds
from stream.media.wire import Kind, Message, WireError
from tests.media.files import RATE, tone


def silence(seconds: float, rate: int = 1000, channels: int = 1) -> bytes:
    """FLAC that holds `seconds` of silence in as few bytes as an encoder can."""
    file = io.BytesIO()
    samples = np.zeros((round(seconds * rate), channels), np.int16)
    soundfile.write(file, samples, rate, format="FLAC", subtype="PCM_16")
    return file.getvalue()


async def of_recording(path: Path, processes: DecodingProcesses) -> tuple[float, str]:
    """Seconds of audio, and the problems."""
    seconds, problems = 0.0, []
    with path.open("rb") as file:
        async for sound in recording_sounds(processes, file, "it", problems.append):
            assert not isinstance(sound, Gap)
            seconds += sound.shape[1] / SAMPLE_RATE
    return seconds, " ".join(problems)


async def of_stream(data: bytes, channels: int = 1) -> tuple[list[int], list[str]]:
    """Samples of all channels in each piece, and the problems."""
    processes = DecodingProcesses(1)
    decoder = ContainerDecoder(processes, channels)
    assert decoder.decode(data) == decoder.flush() == []
    assert decoder.owes_sounds
    pieces = [
        sound.size
        async for sounds in decoder.sounds()
        for sound in sounds
        if not isinstance(sound, Gap)
    ]
    assert not decoder.owes_sounds
    assert processes.running == 0
    return pieces, decoder.take_problems()


async def test_a_recording_of_kilobytes_is_cut_off_after_its_budget(tmp_path: Path) -> None:
    data = silence(2 * 3600)
    assert len(data) < 60_000
    (tmp_path / "a.flac").write_bytes(data)
    seconds, problems = await of_recording(tmp_path / "a.flac", DecodingProcesses(1))
    budget_s = 600 + len(data) / BYTES_PER_SECOND
    assert seconds == pytest.approx(budget_s, abs=PIECE_S)
    assert "far more silence than its size allows" in problems


async def test_speech_is_never_over_the_budget(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.mp3", tone(700), RATE)
    seconds, problems = await of_recording(tmp_path / "a.mp3", DecodingProcesses(1))
    assert (round(seconds), problems) == (700, "")


@pytest.mark.parametrize("channels", [1, 2, 8])
async def test_no_piece_of_a_stream_is_longer_than_others_can_wait(channels: int) -> None:
    pieces, problems = await of_stream(silence(50.0 / channels, 8000, channels), channels)
    assert problems == []
    assert max(pieces) <= PIECE_S * SAMPLE_RATE
    assert sum(pieces) == pytest.approx(50 * SAMPLE_RATE, rel=0.01)


def test_a_stream_that_is_over_its_budget_is_slowed_down() -> None:
    budget = SampleBudget(60, pace=8, now=100)
    assert budget.spend(60, 100) == 0
    assert budget.spend(4, 100) == 4
    assert budget.spend(4, 101) == 0
    budget.receive_bytes(1000)
    assert budget.spend(15, 101) == pytest.approx(5)


def children() -> list[int]:
    """The ids of the processes that decode."""
    process = fork_server._process
    assert process
    listing = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return [int(child) for child in listing.read_text().split()]


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_crash_of_ffmpeg_ends_one_stream() -> None:
    decoder = ContainerDecoder(DecodingProcesses(1), 1)
    decoder.decode(silence(10))
    sounds = decoder.sounds()
    assert await anext(sounds) == []  # it waits for more bytes
    for child in children():
        os.kill(child, signal.SIGSEGV)
    decoder.flush()
    rest = [sounds async for sounds in sounds]
    assert rest[-1] == []
    assert decoder.take_problems() == [CRASHED]
    assert not decoder.owes_sounds
    decoder.decode(b"more")
    assert not decoder.owes_sounds
    pieces, problems = await of_stream(silence(10))
    assert (sum(pieces) > 0, problems) == (True, [])


def allocate() -> None:
    bytearray(2 * MEMORY_BYTES)


def spin() -> None:
    while True:
        pass


def limited(action: Callable[[], None], outcome: "multiprocessing.SimpleQueue[str]") -> None:
    limit_resources()
    if action is spin:  # the limit itself takes ten seconds
        resource.setrlimit(resource.RLIMIT_CPU, (1, 2))
    try:
        action()
    except (MemoryError, OSError) as error:
        outcome.put(type(error).__name__)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(
    ("action", "expected"), [(allocate, "MemoryError"), (spin, -signal.SIGXCPU)]
)
def test_memory_and_time_are_limited(action: Callable[[], None], expected: object) -> None:
    context = multiprocessing.get_context("spawn")
    outcome = context.SimpleQueue()
    process = context.Process(target=limited, args=(action, outcome))
    process.start()
    process.join(60)
    assert process.exitcode is not None
    assert (process.exitcode or outcome.get()) == expected
    outcome.close()
    process.close()


async def test_only_so_many_are_decoded_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(silence(1, 8000))
    processes = DecodingProcesses(1)
    with processes.one():
        with pytest.raises(MediaError, match=NO_PLACE):
            await of_recording(tmp_path / "a.flac", processes)
        decoder = ContainerDecoder(processes, 1)
        decoder.decode(b"fLaC")
        assert [sounds async for sounds in decoder.sounds()] == [[]]
        assert decoder.take_problems() == [NO_PLACE]
    assert (await of_recording(tmp_path / "a.flac", processes))[0] == pytest.approx(1, abs=0.01)


async def test_streams_are_decoded_side_by_side() -> None:
    results = await asyncio.gather(*(of_stream(silence(20, 8000)) for _ in range(4)))
    assert all(sum(pieces) == 20 * SAMPLE_RATE for pieces, _ in results)


def test_a_codec_that_is_not_in_the_list_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("dfpwm", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48_000), np.uint8), "u8", "mono")
        frame.sample_rate = 48_000
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    sentence = "sound of a kind that FFmpeg cannot decode"
    with pytest.raises(MediaError, match=sentence), open_recording(path) as recording:
        list(recording.blocks())


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_that_are_no_numbers(tmp_path: Path, bad: float) -> None:
    samples = tone(1)
    samples[8000:8100] = bad
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with open_recording(tmp_path / "a.wav") as recording:
        blocks = [block for block in recording.blocks() if not isinstance(block, Gap)]
    read = np.concatenate(blocks, axis=1)
    assert np.isfinite(read).all()
    assert np.abs(read).max() <= 8.0


def test_a_message_that_is_none_is_refused() -> None:
    for header in (wire.HEADER.pack(b"S", 1 << 30), wire.HEADER.pack(b"?", 1)):
        with pytest.raises(WireError):
            wire.decode_header(header)
    for content in (b"", b"\0", b"\x09" + bytes(36), b"\x02" + bytes(12)):
        with pytest.raises(WireError):
            wire.sound_of(Message(Kind.SAMPLES, content))
    for gap in (b"", wire.GAP.pack(-1), wire.GAP.pack(1 << 50)):
        with pytest.raises(WireError):
            wire.sound_of(Message(Kind.GAP, gap))


def test_pieces_hold_all_samples() -> None:
    block = np.arange(3 * 20_001, dtype=np.float32).reshape(3, -1)
    np.testing.assert_array_equal(np.concatenate(list(pieces_of(block)), axis=1), block)
