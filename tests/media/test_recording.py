"""What comes out of files of many kinds, and what is said of those that are none."""

import io
import os
import threading
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream.core.audio import Gap
from stream.media.recording import MediaError, open_recording
from tests.media.files import RATE, tone, write_media


def read(source: Path | io.BytesIO, split: bool = False) -> tuple[NDArray[np.float32], str]:
    """(channels, n_samples), and what was damaged."""
    with open_recording(source, "it") as recording:
        sounds = list(recording.blocks(split))
        channels = recording.channels if split else 1
        return filled(sounds, channels), recording.damage


def filled(sounds: list[NDArray[np.float32] | Gap], channels: int) -> NDArray[np.float32]:
    """All samples, with gaps as zeros."""
    blocks = [
        np.zeros((channels, s.samples), np.float32) if isinstance(s, Gap) else s for s in sounds
    ]
    return np.concatenate(blocks, axis=1)


def loudest_hertz(samples: NDArray[np.float32]) -> float:
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * RATE / len(samples))


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.ogg"])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_sound_files(tmp_path: Path, name: str, rate: int) -> None:
    soundfile.write(tmp_path / name, tone(rate=rate), rate)
    samples, damage = read(tmp_path / name)
    assert samples.shape == (1, pytest.approx(4 * RATE, abs=0.05 * RATE))
    assert loudest_hertz(samples[0]) == pytest.approx(440, abs=1)
    assert damage == ""


@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "aac"), ("a.webm", "libopus"), ("a.mkv", "aac"), ("a.mp4", "aac")]
)
@pytest.mark.parametrize("video", [False, True])
def test_containers_of_cameras_and_browsers(
    tmp_path: Path, name: str, codec: str, video: bool
) -> None:
    video = video and name != "a.webm"
    path = write_media(tmp_path / name, tone(rate=48_000), codec, video=video)
    samples, damage = read(path)
    assert samples.shape[1] == pytest.approx(4 * RATE, abs=0.1 * RATE)
    assert loudest_hertz(samples[0]) == pytest.approx(440, abs=1)
    assert damage == ""


def test_a_sound_track_that_begins_after_its_video(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", tone(rate=48_000), video=True, delay_s=1.5)
    samples, _ = read(path)
    assert not samples[0, : int(1.4 * RATE)].any()
    assert np.abs(samples[0, int(1.6 * RATE) :]).max() > 0.2


def test_channels_mixed_and_apart(tmp_path: Path) -> None:
    both = np.stack([tone(hertz=300), tone(hertz=700)], axis=1)
    soundfile.write(tmp_path / "call.wav", both, RATE)
    apart, _ = read(tmp_path / "call.wav", split=True)
    assert [round(loudest_hertz(channel)) for channel in apart] == [300, 700]
    mixed, _ = read(tmp_path / "call.wav")
    assert mixed.shape[0] == 1
    assert np.abs(mixed[0] - both.mean(axis=1)).max() < 1e-3


def test_the_rate_changes_in_the_middle(tmp_path: Path) -> None:
    for rate in (16_000, 44_100):
        soundfile.write(tmp_path / f"{rate}.mp3", tone(rate=rate), rate)
    path = tmp_path / "joined.mp3"
    path.write_bytes(b"".join((tmp_path / f"{r}.mp3").read_bytes() for r in (16_000, 44_100)))
    samples, damage = read(path)
    assert samples.shape[1] == pytest.approx(8 * RATE, abs=0.3 * RATE)
    assert loudest_hertz(samples[0, -2 * RATE :]) == pytest.approx(440, abs=1)
    assert damage == ""


@pytest.mark.parametrize("name", ["a.flac", "a.wav"])
def test_a_file_that_is_cut_off(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, tone(20), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples, damage = read(path)
    assert RATE < samples.shape[1] < 12 * RATE
    assert "incomplete" in damage
    assert "20.0 s" in damage


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "is empty"),
        ("notes.mp3", b"These are notes.\n" * 500, "not a sound or video file"),
        ("hi.mp3", b"hi", "not a sound or video file"),
        ("list.m3u8", b"#EXTM3U\n#EXTINF:9,\nfile://%b/a.wav\n#EXT-X-ENDLIST\n", "not a sound"),
        ("list.mp3", b"ffconcat version 1.0\nfile %b/a.wav\n", "not a sound"),
    ],
)
def test_files_without_sound(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)  # a playlist could name it
    path = tmp_path / name
    path.write_bytes(content.replace(b"%b", str(tmp_path).encode()))
    with pytest.raises(MediaError, match=reason):
        read(path)


def test_a_video_without_sound(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", None, video=True)
    with pytest.raises(MediaError, match="no sound track"):
        read(path)


def test_a_sound_file_without_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(0), RATE)
    with pytest.raises(MediaError, match="no sound"):
        read(tmp_path / "a.wav")


@pytest.mark.parametrize("channels", [9, 10, 16, 24])
@pytest.mark.parametrize("name", ["a.wav", "a.caf"])
def test_more_channels_than_parties(tmp_path: Path, channels: int, name: str) -> None:
    soundfile.write(tmp_path / name, np.zeros((RATE, channels)), RATE)
    with pytest.raises(MediaError, match=f"has {channels} channels; use 1 to 8"):
        read(tmp_path / name)


def test_sound_so_slow_that_a_few_bytes_are_hours(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", np.zeros(4096), 10)
    with pytest.raises(MediaError, match="at 10 Hz; use 1 to 8 at 1000 Hz or more"):
        read(tmp_path / "a.flac")


@pytest.mark.parametrize("layout", ["3.0", "2.1", "quad", "4.0", "5.1(side)", "7.1"])
def test_channels_stay_apart_wherever_their_loudspeakers_stand(tmp_path: Path, layout: str) -> None:
    n = av.AudioLayout(layout).nb_channels
    hertz = [300 + 200 * i for i in range(n)]
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE, layout=layout)
        voices = (np.stack([tone(hertz=f) for f in hertz], axis=1) * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(voices.reshape(1, -1), "s16", layout)
        frame.sample_rate = RATE
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    apart, _ = read(tmp_path / "a.wav", split=True)
    assert [round(loudest_hertz(channel)) for channel in apart] == hertz


def test_a_video_that_is_longer_than_its_sound(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", tone(0.5, rate=48_000), video=True)
    samples, damage = read(path)
    assert samples.shape[1] == pytest.approx(0.5 * RATE, abs=0.1 * RATE)
    assert damage == ""


def test_a_pipe_with_a_name(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    os.mkfifo(tmp_path / "pipe")
    content = (tmp_path / "a.wav").read_bytes()
    writing = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[content])
    writing.start()
    samples, _ = read(tmp_path / "pipe")
    writing.join()
    assert samples.shape[1] == 4 * RATE


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="cannot be opened: No such file"):
        read(tmp_path / "a.wav")
    with pytest.raises(MediaError, match="cannot be opened: Is a directory"):
        read(tmp_path)


class Pipe(io.BytesIO):
    """Like standard input: it cannot go back."""

    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("kind", [io.BytesIO, Pipe])
def test_open_files(tmp_path: Path, kind: type[io.BytesIO]) -> None:
    soundfile.write(tmp_path / "a.wav", tone(), RATE)
    samples, _ = read(kind((tmp_path / "a.wav").read_bytes()))
    assert samples.shape[1] == 4 * RATE
