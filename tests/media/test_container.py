"""A container in pieces gives what it gives as a whole."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from tests.media.decoding import ContainerDecoder
from tests.media.files import RATE, tone, write_media
from tests.media.test_recording import filled

NAMES = {"a.webm": "libopus", "a.aac": "aac", "a.wav": "", "a.mp3": "", "a.flac": "", "a.ogg": ""}


def decoded(data: bytes, step: int, channels: int = 1) -> tuple[NDArray[np.float32], str]:
    """All samples, with gaps as zeros, and the problems."""
    decoder = ContainerDecoder(channels)
    sounds = [s for i in range(0, len(data), step) for s in decoder.decode(data[i : i + step])]
    nothing = np.zeros((channels, 0), np.float32)
    samples = filled([nothing, *sounds, *decoder.flush()], channels)
    return samples, " ".join(decoder.take_problems())


@pytest.mark.parametrize("name", NAMES)
def test_any_pieces_give_the_same(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if NAMES[name]:
        write_media(path, tone(rate=48_000), NAMES[name])
    else:
        soundfile.write(path, tone(), RATE)
    data = path.read_bytes()
    whole, problem = decoded(data, len(data))
    assert problem == ""
    assert whole.shape == (1, pytest.approx(4 * RATE, abs=0.1 * RATE))
    for step in (997, 16_384):
        pieces, problem = decoded(data, step)
        assert problem == ""
        np.testing.assert_array_equal(pieces, whole)


def test_samples_come_before_the_end(tmp_path: Path) -> None:
    data = write_media(tmp_path / "a.webm", tone(rate=48_000), "libopus").read_bytes()
    decoder = ContainerDecoder(1)
    assert filled(decoder.decode(data[: len(data) // 2]), 1).shape[1] > RATE
    decoder.flush()


def test_bytes_that_are_no_container_are_reported() -> None:
    samples, problem = decoded(b"These are notes.\n" * 5000, 1000)
    assert samples.shape == (1, 0)
    assert "no container" in problem


def test_channels(tmp_path: Path) -> None:
    both = np.stack([tone(hertz=300), tone(hertz=700)], axis=1)
    soundfile.write(tmp_path / "a.wav", both, RATE)
    data = (tmp_path / "a.wav").read_bytes()
    assert decoded(data, 4096, 2)[0].shape[0] == 2
    samples, problem = decoded(data, 4096, 3)
    assert samples.shape[1] == 0
    assert "has 2 channels, not 3" in problem


def test_too_many_channels_are_a_named_error() -> None:
    file = io.BytesIO()
    soundfile.write(file, np.zeros((16_000, 10)), 16_000, format="WAV")
    decoder = ContainerDecoder(1)
    decoder.decode(file.getvalue())
    decoder.flush()
    assert decoder.take_problems() == ["The container has 10 channels; use 1 to 8."]
    assert decoder.take_problems() == []
