"""Manifests are read with care; silence is as quiet as it says."""

import json

import numpy as np
import pytest
import soundfile

from stream.errors import UsageError
from stream.evaluate import spread
from stream.evaluate.recordings import read_manifest, silences


def write_manifest(folder, *entries):
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return path


def test_a_recording_is_read_as_one_channel(tmp_path):
    (tmp_path / "audio" / "corpus").mkdir(parents=True)
    stereo = np.array([[0.5, 0.0], [-0.5, 0.0], [0.25, 0.25]])
    soundfile.write(tmp_path / "audio/corpus/a.wav", stereo, 8000, subtype="FLOAT")
    entry = {"audio": "audio/corpus/a.wav", "text": "hello", "kind": "phone"}
    (recording,) = read_manifest(write_manifest(tmp_path, entry))
    assert (recording.kind, recording.source, recording.text) == ("phone", "corpus", "hello")
    audio = recording.read()
    assert audio.rate == 8000
    assert audio.samples.tolist() == [8192, -8192, 8192]
    assert audio.seconds == 3 / 8000


def test_cuts_are_joined_with_a_pause(tmp_path):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.full(1000, 0.5), 10_000)
    cuts = [{"audio": "a.wav", "text": "one"}, {"audio": "b.wav", "text": "two"}]
    (recording,) = read_manifest(write_manifest(tmp_path, {"chapter": "1", "cuts": cuts}))
    assert recording.text == "one two"
    samples = recording.read().samples
    assert len(samples) == 1000 + 8000 + 1000
    assert not samples[1000:9000].any()


def test_noise_holds_no_words_and_an_unknown_text_stays_unknown(tmp_path):
    noise, call = read_manifest(
        write_manifest(
            tmp_path,
            {"audio": "a.wav", "text": None, "kind": "noise"},
            {"audio": "b.wav", "text": None, "kind": "phone"},
        )
    )
    assert noise.text == ""
    assert call.text is None


@pytest.mark.parametrize("content", ["{", '{"text": "no audio"}', "[1]"])
def test_what_is_no_manifest_is_refused(tmp_path, content):
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"set\.jsonl"):
        read_manifest(path)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(UsageError, match=r"absent\.jsonl"):
        read_manifest(tmp_path / "absent.jsonl")
    (recording,) = read_manifest(write_manifest(tmp_path, {"audio": "gone.wav", "text": "x"}))
    with pytest.raises(UsageError, match=r"gone\.wav"):
        recording.read()


def test_silences_are_as_quiet_as_they_say_and_the_same_every_time():
    zeros, white, pink = (recording.read() for recording in silences(0.1))
    assert not zeros.samples.any()
    for audio, dbfs in ((white, -60), (pink, -50)):
        level = 20 * np.log10(np.std(audio.samples / 32768))
        assert level == pytest.approx(dbfs, abs=0.1)
        assert audio.seconds == 6
    again = silences(0.1)[1].read()
    np.testing.assert_array_equal(again.samples, white.samples)
    spectrum = np.abs(np.fft.rfft(pink.samples))
    low, high = spectrum[600:1200].mean(), spectrum[6000:12_000].mean()  # 100 and 1000 Hz up
    assert low / high == pytest.approx(10**0.5, rel=0.1)


def test_a_limit_is_spread_over_the_set():
    assert spread("abcdefghij", 3) == ["a", "d", "g"]
    assert spread("abc", 10) == spread("abc", None) == ["a", "b", "c"]
