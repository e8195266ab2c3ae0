from stream.bench.audio_clock import Memory
from stream.bench.rehearsal import AS_IT_IS, rehearse_all
from stream.core.audio import SAMPLE_RATE
from stream.engine.scripted import ScriptedTranscriber
from stream.evaluate.material.recordings import Audio, Recording, to_int16
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
    for row in rehearse_all([recording], Memory(transcriber), LoudIsSpeech, variants):
        found[row.variant] = row, transcriber.asked
    return found


def test_every_word_comes_and_waits_as_long_as_the_variant_says():
    hasty, patient = AS_IT_IS, "nothing is committed before the final"
    found = rows(Script([(6.0, 1.5), (4.0, 1.0)]), [hasty, patient])
    assert [row.word_error_rate for row, _ in found.values()] == [0, 0]
    assert [row.erasure for row, _ in found.values()] == [0, 0]
    assert found[hasty][0].committed_ms < 2000 < found[patient][0].committed_ms
    assert found[patient][0].first_partial_ms < 1500


def test_a_window_that_was_heard_before_costs_nothing():
    same = [AS_IT_IS, "two hypotheses are enough", "every word is shown at once"]
    asked = [
        asked
        for _, asked in rows(Script([(6.0, 1.5)]), [*same, "a partial each half second"]).values()
    ]
    assert asked[0] > 0
    assert asked[:3] == [asked[0]] * 3
    assert asked[3] > asked[0]
