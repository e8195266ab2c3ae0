"""What is counted of a detector whose faults are known."""

import json

import numpy as np
import pytest
import soundfile

from stream.bench.voice import Case, VoiceRow, add, run, utterances
from stream.engine.checkpoints.silero_weights import weights_file
from tests.clients import recording

SPOKEN = ((8_000, 40_000), (64_000, 96_000))


class Hears:
    """Says speech between two samples."""

    frame_samples = 320

    def __init__(self, start, end):
        self.start, self.end, self.now = start, end, 0

    def is_speech(self, frame):
        self.now += 320
        return self.start <= self.now - 320 < self.end


def counted(start, end, spoken=SPOKEN):
    row = VoiceRow("a", "b")
    case = Case("a", np.zeros(7 * 16_000, np.float32), spoken)
    add(row, case, lambda sample_rate: Hears(start, end))
    return row


def test_all_is_heard():
    row = counted(8_000, 96_000)
    assert (row.missed_s, row.lost, row.clipped, row.onsets) == (0, 0, 0, 2)


def test_half_is_lost():
    row = counted(8_000, 40_000)
    assert (row.missed_s, row.lost, row.spans) == (2.0, 1, 2)


def test_a_too_early_onset_is_clipped():
    assert counted(8_000 + 3_000, 96_000).clipped == 0  # the pre-roll makes it good
    assert counted(8_000 + 4_800, 96_000).clipped == 1


def test_without_speech_every_utterance_counts():
    row = counted(8_000, 40_000, ())
    assert row.utterances == 1
    assert row.per_hour == pytest.approx(3600 / 7)


def test_an_utterance_is_what_would_be_transcribed():
    (span,) = utterances(np.zeros(112_000, np.float32), Hears(8_000, 40_000))
    assert span == (8_000 - 4_800, 40_000 + 3_840)
    (open_ended,) = utterances(np.zeros(112_000, np.float32), Hears(80_000, 200_000))
    assert open_ended == (75_200, 112_000)


@pytest.mark.slow
@pytest.mark.skipif(weights_file() is None, reason="silero-vad is not installed")
def test_the_command_prints_a_table_and_a_line_of_json(tmp_path, capsys):
    def manifest(name, *audio):
        lines = [json.dumps({"audio": a, "text": "one two", "kind": "read"}) for a in audio]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))

    (tmp_path / "ground_truth").mkdir()
    for name in ("voice.wav", "ground_truth/voice.wav"):
        soundfile.write(tmp_path / name, recording.samples(), 16_000)
    for name in ("noise", "dev", "phone", "stories"):
        manifest(name, "voice.wav")
    manifest("noisy", "ground_truth/voice.wav", "voice.wav")
    run(tmp_path)
    *_, last = capsys.readouterr().out.splitlines()
    rows = json.loads(last)["rows"]
    assert {row["detector"] for row in rows} == {"webrtc", "silero"}
    assert {"noise", "dev -30 dB", "dev in noise, 0 dB", "noisy"} <= {row["group"] for row in rows}
