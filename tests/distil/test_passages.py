import json

import numpy as np
import pytest
import soundfile

from stream.distil.passages import read_file, read_passages, read_span
from stream.errors import UsageError


def write_manifest(folder, *lines):
    path = folder / "manifest.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def line(start, end, speaker="anna", audio="a.wav", **more):
    return {"audio": audio, "start": start, "end": end, "speaker": speaker, **more}


def runs(path):
    return [(passage.run, passage.run_end_s) for passage in read_passages(path)]


def test_uninterrupted_speech_is_one_run(tmp_path):
    path = write_manifest(tmp_path, line(0, 4), line(4.2, 9), line(9.3, 12))
    assert runs(path) == [(0, 12), (0, 12), (0, 12)]


@pytest.mark.parametrize(
    "second",
    [
        line(4.6, 9),  # after a long pause
        line(4.2, 9, speaker="bert"),
        line(4.2, 9, audio="b.wav"),
        line(3.9, 9),  # not after the first
    ],
)
def test_everything_else_is_another_run(tmp_path, second):
    assert runs(write_manifest(tmp_path, line(0, 4), second)) == [(0, 4), (1, 9)]


def test_speakers_without_a_name_are_not_merged(tmp_path):
    path = write_manifest(tmp_path, line(0, 4, speaker=""), line(4.2, 9, speaker=None))
    assert runs(path) == [(0, 4), (1, 9)]


def test_without_start_and_end_it_is_the_whole_file(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(12_000), 8_000)
    (passage,) = read_passages(write_manifest(tmp_path, {"audio": "a.wav", "text": "yes"}))
    assert (passage.start_s, passage.text) == (0, "yes")
    assert passage.end_s == passage.run_end_s == pytest.approx(1.5, abs=0.01)


def test_a_span_of_a_file_at_16_khz(tmp_path):
    soundfile.write(tmp_path / "ramp.flac", np.arange(16_000) / 32_768, 16_000)
    read_file.cache_clear()
    span = read_span(tmp_path / "ramp.flac", 0.25, 0.5)
    np.testing.assert_allclose(span, np.arange(4_000, 8_000) / 32_768, atol=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "not a manifest"), ('{"start": 1}', "not a manifest"), ('"a"', "not a manifest"),
     ('{"audio": "a.wav", "start": 3, "end": 2}', "from 3 to 2 s")],
)  # fmt: skip
def test_a_file_that_is_no_manifest_is_refused_with_a_sentence(tmp_path, content, message):
    path = tmp_path / "manifest.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        read_passages(path)


def test_a_manifest_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        read_passages(tmp_path / "nothing.jsonl")
