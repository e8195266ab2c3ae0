from dataclasses import replace

import numpy as np
import pytest

from stream.bench.audio_clock import CachedTranscriber
from stream.bench.rehearsal import as_line, by_condition, rehearse_all, sum_up
from stream.bench.repeats import Louder
from stream.bench.variants import AS_IT_IS
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, WindowKind
from stream.engine.scripted import ScriptedTranscriber
from stream.errors import UsageError
from stream.evaluate.material.recordings import Audio, Recording, to_int16
from stream.evaluate.measures.repeats import Estimate
from stream.evaluate.measures.scoring import normalised
from tests.core.rehearsal import LoudIsSpeech, Script


class Counting(ScriptedTranscriber):
    """Also counts the windows that it is asked for."""

    asked = 0

    def transcribe(self, windows):
        self.asked += len(windows)
        return super().transcribe(windows)


def rows(script: Script, variants: list[str]):
    audio = Audio(to_int16(script.samples), SAMPLE_RATE)
    recording = Recording("made", "made", "made", script.text, lambda: audio)
    transcriber = Counting(script.words)
    found = {}
    for row in rehearse_all([recording], CachedTranscriber(transcriber), LoudIsSpeech, variants):
        found[row.variant] = row, transcriber.asked
    return found


def test_every_word_is_played_with_the_pauses_of_the_variant():
    hasty, patient = AS_IT_IS, "nothing is committed before the final"
    found = rows(Script([(6.0, 1.5), (4.0, 1.0)]), [hasty, patient])
    assert [row.word_error_rate for row, _ in found.values()] == [0, 0]
    assert [row.erasure for row, _ in found.values()] == [0, 0]
    assert found[hasty][0].committed_ms < 2000 < found[patient][0].committed_ms
    assert found[patient][0].first_partial_ms < 1500


def test_a_window_that_was_decoded_before_takes_no_pass():
    same = [AS_IT_IS, "two hypotheses are enough", "every word is shown at once"]
    asked = [
        asked
        for _, asked in rows(Script([(6.0, 1.5)]), [*same, "a partial each half second"]).values()
    ]
    assert asked[0] > 0
    assert asked[:3] == [asked[0]] * 3
    assert asked[3] > asked[0]


def test_the_channels_of_a_call_are_one_stream_and_scored_apart():
    first = Script([(6.0, 1.5)])
    silence = np.zeros(len(first.samples), np.float32)
    stereo = np.stack([first.samples, silence], axis=1)
    audio = Audio(to_int16(stereo), SAMPLE_RATE)
    text = first.text
    call = Recording("call", "made", "made", text, lambda: audio, text_by_channel=(text, ""))
    cached = CachedTranscriber(Counting(first.words))
    (row,) = rehearse_all([call], cached, LoudIsSpeech, [AS_IT_IS])
    assert (row.word_error_rate, row.words) == (0, len(normalised(text).split()))
    swapped = replace(call, text_by_channel=("", text))
    (row,) = rehearse_all(
        [swapped], CachedTranscriber(Counting(first.words)), LoudIsSpeech, [AS_IT_IS]
    )
    assert (row.deletions, row.insertions) == (row.words, row.words)


def test_conditions_are_chosen_by_name_and_recordings_without_text_left_out():
    def one(text, condition):
        return Recording("a", "made", "made", text, lambda: None, condition=condition)

    played = [one("a", "0 % loss"), one("b", "5 % loss"), one(None, "0 % loss"), one("", "rain")]
    found = by_condition(played, ())
    assert {name: len(members) for name, members in found.items()} == {"0 % loss": 1, "5 % loss": 1}
    assert list(by_condition(played, ("5 % loss",))) == ["5 % loss"]
    with pytest.raises(UsageError, match="choose from: 0 % loss, 5 % loss"):
        by_condition(played, ("6 % loss",))
    with pytest.raises(UsageError, match="no recording"):
        by_condition(played[2:], ())


def test_repeats_are_summed_up_as_means_with_their_standard_error():
    found = rows(Script([(6.0, 1.5)]), [AS_IT_IS])
    first = replace(found[AS_IT_IS][0], word_error_rate=8.0, deletions=2)
    second = replace(first, word_error_rate=9.0, deletions=3)
    summed = sum_up([first, second], offline=[7.0, 9.5])
    assert (summed.word_error_rate.mean, summed.word_error_rate.error) == (8.5, 0.5)
    assert (summed.price.mean, summed.price.error) == pytest.approx((0.25, 0.75))
    assert summed.mean["deletions"] == 2.5
    assert f"| {AS_IT_IS} | 8.50 ± 0.50 | 0.25 ± 0.75 | 0/2.5/0 |" in as_line(summed)


def test_a_single_repeat_has_no_standard_error():
    assert str(Estimate.of([8.0])) == "8.00"


class Quiet(ScriptedTranscriber):
    """Keeps the audio that it is given."""

    def transcribe(self, windows):
        self.samples = windows[0].samples
        return super().transcribe(windows)


def test_each_repeat_is_a_millionth_louder_and_its_windows_stay_what_they_were():
    quiet = Quiet([])
    window = Window("s", 0, 0, 0, WindowKind.FINAL, 0, np.full(1600, 0.5, np.float32), ((0, 1600),))
    (found,) = Louder(quiet, 3).transcribe([window])
    np.testing.assert_allclose(quiet.samples, 0.5 * (1 + 3e-6), rtol=1e-7)
    assert found.window is window
    Louder(quiet, 0).transcribe([window])
    np.testing.assert_array_equal(quiet.samples, window.samples)
