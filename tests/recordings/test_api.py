"""Recordings in Python, with the scripted model and with a real one."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stream import Model, Transcription, transcribe
from stream.errors import UsageError
from stream.media.recording import MediaError
from tests.clients.speech import two_cities


@pytest.fixture(scope="module")
def model() -> Model:
    """It hears a digit every half second of speech."""
    return Model("scripted")


def digits(result: Transcription) -> list[int]:
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    return [names.index(word.text.strip()) for word in result.words]


def test_importing_the_package_is_cheap() -> None:
    code = "import stream, sys; print([m for m in ('numpy', 'torch', 'av') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_a_file(model: Model, tmp_path: Path, speech: NDArray[np.float32]) -> None:
    soundfile.write(tmp_path / "talk.flac", speech, 16_000)
    result = model.transcribe(tmp_path / "talk.flac")
    assert result.duration_s == pytest.approx(len(speech) / 16_000, abs=0.1)
    assert (result.language, result.channels, result.problems) == ("en", 1, ())
    heard = digits(result)
    assert len(heard) > 60  # of 88 half seconds; the rest are pauses
    assert result.text.split() == [word.text.strip() for word in result.words]
    with (tmp_path / "talk.flac").open("rb") as file:
        assert model.transcribe(file) == result
    assert transcribe(str(tmp_path / "talk.flac"), model) == result


@pytest.mark.slow
def test_segments_come_while_the_recording_is_read(
    model: Model, speech: NDArray[np.float32]
) -> None:
    run = model.segments(np.tile(speech, 8))
    segments = iter(run)
    first = next(segments)
    assert 0 < run.processed_s < run.duration_s
    rest = list(segments)
    assert run.processed_s == pytest.approx(run.duration_s, abs=0.01)
    assert run.transcription([first, *rest]).segments[0] is first


@pytest.mark.parametrize("kind", ["int16", "float64", "48 kHz"])
def test_samples(model: Model, speech: NDArray[np.float32], kind: str) -> None:
    samples = speech[: 20 * 16_000]
    expected = model.transcribe(samples)
    if kind == "48 kHz":
        result = model.transcribe(np.repeat(samples, 3), sample_rate=48_000)
    elif kind == "int16":
        result = model.transcribe((samples * 32_767).astype(np.int16))
    else:
        result = model.transcribe(samples.astype(np.float64))
    assert len(result.words) == pytest.approx(len(expected.words), abs=2)


@pytest.mark.slow
def test_channels(model: Model, speech: NDArray[np.float32]) -> None:
    call = np.stack([speech, np.zeros_like(speech)])
    call[1, 10 * 16_000 :] = speech[: len(speech) - 10 * 16_000]
    result = model.transcribe(call, channels="split")
    assert result.channels == 2
    starts = {c: [s.start_s for s in result.segments if s.channel == c] for c in (0, 1)}
    assert min(starts[1]) > 9 > min(starts[0])
    times = [segment.start_s for segment in result.segments]
    assert times == sorted(times)
    assert model.transcribe(call).channels == 1


def test_silence(model: Model) -> None:
    result = model.transcribe(np.zeros(160_000, np.float32), language="auto")
    assert (result.text, result.segments, result.language) == ("", (), "auto")
    assert result.duration_s == pytest.approx(10)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"language": "xx"}, "does not support the language 'xx'"),
        ({"task": "translate"}, "English-only"),
        ({"task": "sing"}, "use transcribe or translate"),
        ({"chunk_length_s": 31}, "use 5 to 30 seconds"),
        ({"stride_s": 10}, "a quarter of the chunk"),
        ({"long_form": "short"}, "use chunked or sequential"),
        ({"prompt": "x" * 5000}, "at most 4000 characters"),
    ],
)
def test_options_out_of_range(model: Model, options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        model.segments("talk.wav", **options)


@pytest.mark.parametrize(
    ("samples", "rate", "says"),
    [
        (np.zeros(0, np.float32), 16_000, "shape"),
        (np.zeros((2, 3, 4), np.float32), 16_000, "shape"),
        (np.zeros(100, np.int64), 16_000, "int64"),
        (np.zeros(100, np.float32), 1_000, "8000 to 48000"),
    ],
)
def test_samples_that_are_no_sound(
    model: Model, samples: NDArray[np.float32], rate: int, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        model.transcribe(samples, sample_rate=rate)


def test_a_file_that_is_none(model: Model, tmp_path: Path) -> None:
    with pytest.raises(MediaError, match="No such file"):
        model.transcribe(tmp_path / "talk.mp3")


def test_a_model_that_is_not_there() -> None:
    with pytest.raises(UsageError, match="no-such-model"):
        transcribe("talk.mp3", "no-such-model")
    with pytest.raises(UsageError, match="batch_size is 0"):
        Model("scripted", batch_size=0)


@pytest.mark.model
@pytest.mark.parametrize("long_form", ["chunked", "sequential"])
def test_real_speech(tmp_path: Path, long_form: str) -> None:
    path = two_cities(tmp_path / "speech.wav")
    result = transcribe(path, "tiny.en", long_form=long_form)
    assert "it was the best of times, it was the worst of times" in result.text.lower()
    words = result.words
    assert all(0 <= word.confidence <= 1 for word in words)
    assert [w.start_s for w in words] == sorted(w.start_s for w in words)
