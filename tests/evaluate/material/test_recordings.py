"""Manifests are read with care."""

import json

import numpy as np
import pytest
import soundfile

from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, at_16_khz, noise_category, read_manifest


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


def two_speakers(folder, texts):
    stereo = np.array([[0.5, 0.0], [-0.5, 0.25], [0.25, 0.25]])
    soundfile.write(folder / "call.wav", stereo, 8000, subtype="FLOAT")
    entry = {"audio": "call.wav", "text_by_channel": texts, "kind": "phone"}
    return write_manifest(folder, entry, {**entry, "text": "hello who is it"})


def test_channels_with_a_text_each_are_kept_apart_if_asked(tmp_path):
    path = two_speakers(tmp_path, ["hello", "who is it"])
    for apart in read_manifest(path, apart=True):
        assert apart.texts == ("hello", "who is it")
        assert apart.text == "hello who is it"
        left, right = apart.read().channels()
        assert left.samples.tolist() == [16384, -16384, 8192]
        assert right.samples.tolist() == [0, 8192, 8192]
        assert apart.read().seconds == 3 / 8000
    for mixed in read_manifest(path):
        assert mixed.texts == ("hello who is it",)
        assert mixed.read().samples.tolist() == [8192, -4096, 8192]


def test_turns_are_read(tmp_path):
    turns = [{"start": 1, "end": 2.5}, {"start": 3, "end": 4, "channel": 1, "speaker": "b"}]
    entry = {"audio": "a.wav", "text": None, "kind": "conversational", "turns": turns}
    (recording,) = read_manifest(write_manifest(tmp_path, entry))
    assert recording.turns_by_channel == [[(1, 2.5), (3, 4)]]


def test_each_channel_needs_a_text(tmp_path):
    recording, _ = read_manifest(two_speakers(tmp_path, ["hello", "who", "is it"]), apart=True)
    with pytest.raises(UsageError, match="2 channels, but 3 texts"):
        recording.read()


def test_a_change_is_made_to_each_channel(tmp_path):
    recording, _ = read_manifest(two_speakers(tmp_path, ["hello", "who is it"]), apart=True)
    halved = recording.under("phone", "half", lambda audio: Audio(audio.samples // 2, 4000))
    assert halved.read().rate == 4000
    assert halved.read().samples.tolist() == [[8192, 0], [-8192, 4096], [4096, 4096]]
    assert halved.texts == recording.texts


def test_audio_for_the_model_is_one_channel_with_its_gain():
    samples = np.full((1600, 2), 16_384, np.int16)
    samples[:, 1] = 0
    heard = at_16_khz(Audio(samples, 16_000, gain=2.0))
    assert heard.shape == (1600,)
    np.testing.assert_allclose(heard[200:-200], 0.5, rtol=1e-3)


def test_a_repeat_is_louder_by_a_millionth(tmp_path):
    recording, _ = read_manifest(two_speakers(tmp_path, ["hello", "who is it"]))
    assert recording.louder(0).read().gain == 1
    third = recording.louder(2)
    assert third.repeat == 2
    assert third.read().gain == pytest.approx(1 + 2e-6, rel=1e-12)
    assert third.read().samples.tolist() == recording.read().samples.tolist()


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
def test_a_file_that_is_no_manifest_is_refused(tmp_path, content):
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


def test_consecutive_cuts_keep_the_times_of_their_words(tmp_path):
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.full(1000, 0.5), 10_000)
    word = {"word": "one", "start": 0.01, "end": 0.05}
    cuts = [{"audio": name, "reference": "one", "words": [word]} for name in ("a.wav", "b.wav")]
    path = write_manifest(tmp_path, {"cuts": cuts, "gap_s": 0}, {"cuts": cuts})
    joined, apart = read_manifest(path, gap_s=0.5)
    assert joined.read().seconds == pytest.approx(0.2)
    assert apart.read().seconds == pytest.approx(0.7)
    assert [w.start_s for w in joined.words] == pytest.approx([0.01, 0.11])
    assert [w.end_s for w in apart.words] == pytest.approx([0.05, 0.65])


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("audio/noise/esc10/baby_cry/1-187207-A.ogg", "baby cry"),
        ("audio/noise/mssnsd_Babble_4.flac", "mssnsd Babble"),
        ("rain.wav", "rain"),
    ],
)
def test_noise_is_recognised_by_its_path(name, category):
    assert noise_category(name) == category
