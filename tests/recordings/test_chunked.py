"""Every word once, wherever a recording is cut."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.windows import Hypothesis, Window
from tests.recordings.rehearsal import SECOND, Rehearsal, speak


def names(words: Sequence[object]) -> list[str]:
    return [word.text.strip() for word in words]


def test_short_recordings_are_one_window() -> None:
    samples, words = speak((2.0, 9.0))
    rehearsal = Rehearsal(words).play(samples)
    (window,) = rehearsal.windows
    assert window.start_sample == pytest.approx(1.7 * SECOND, abs=400)
    assert window.end_sample == pytest.approx(9.3 * SECOND, abs=400)
    assert rehearsal.said == names(words)


def test_silence_is_not_transcribed() -> None:
    rehearsal = Rehearsal([]).play(np.zeros(200 * SECOND, np.float32))
    assert rehearsal.windows == []
    assert rehearsal.segments == []


def test_cuts_move_to_pauses() -> None:
    samples, words = speak((0, 10), (10.5, 22), (22.4, 35), (35.6, 50))
    rehearsal = Rehearsal(words, chunk_length_s=28).play(samples)
    edges = [(w.start_sample / SECOND, w.end_sample / SECOND) for w in rehearsal.windows]
    assert [end for _, end in edges[:-1]] == [pytest.approx(22.2, abs=0.05)]
    assert all(w.speech for w in rehearsal.windows)
    assert rehearsal.said == names(words)


def test_without_pauses_windows_overlap() -> None:
    samples, words = speak((0, 100))
    rehearsal = Rehearsal(words, chunk_length_s=20, stride_s=3).play(samples)
    for one, other in zip(rehearsal.windows, rehearsal.windows[1:], strict=False):
        assert other.start_sample == one.end_sample - 6 * SECOND
    assert all(len(w.samples) <= 20 * SECOND for w in rehearsal.windows)
    assert rehearsal.said == names(words)


def test_a_long_silence_ends_a_window() -> None:
    samples, words = speak((0, 5), (15, 20))
    rehearsal = Rehearsal(words).play(samples)
    assert len(rehearsal.windows) == 2
    assert sum(len(w.samples) for w in rehearsal.windows) < 12 * SECOND
    assert rehearsal.said == names(words)


@pytest.mark.slow
@settings(deadline=None)
@given(order=st.permutations(range(5)))
def test_answers_come_in_any_order(order: list[int]) -> None:
    samples, words = speak((0, 80))
    rehearsal = Rehearsal(words, chunk_length_s=20)
    rehearsal.algorithm.receive_samples(samples)
    rehearsal.algorithm.receive_end()
    windows = rehearsal.algorithm.windows_to_transcribe()
    assert len(windows) == 6
    answers = rehearsal.hypotheses(windows)
    for place in [*order, 5]:
        rehearsal.algorithm.receive_hypothesis(answers[place])
    rehearsal.segments += rehearsal.algorithm.segments()
    assert rehearsal.said == names(words)


class Stumbling(Rehearsal):
    """The second window fails; the words of the others are misheard at their edges."""

    def hypotheses(self, windows: Sequence[Window]) -> list[Hypothesis]:
        answers = super().hypotheses(windows)
        return [
            Hypothesis(a.window, (), failure="no memory") if a.window.id == 1 else a
            for a in answers
        ]


def test_a_window_that_fails_is_reported_and_affects_no_other() -> None:
    samples, words = speak((0, 20), (24, 44), (48, 68))
    rehearsal = Stumbling(words).play(samples)
    assert len(rehearsal.windows) == 3
    said = set(rehearsal.said)
    assert set(names(words[:50])) <= said
    assert set(names(words[100:])) <= said
    (problem,) = rehearsal.algorithm.problems
    assert "from 24 s on" in problem
    assert "no memory" in problem


class Mishearing(Rehearsal):
    """Words at the edges of a window are heard wrongly."""

    def hypotheses(self, windows: Sequence[Window]) -> list[Hypothesis]:
        return [replace(a, words=self.mangled(a.words)) for a in super().hypotheses(windows)]

    @staticmethod
    def mangled(words: tuple) -> tuple:
        edges = {0, 1, len(words) - 2, len(words) - 1}
        return tuple(replace(w, text=" mangled") if i in edges else w for i, w in enumerate(words))


def test_in_an_overlap_the_cut_is_in_the_middle() -> None:
    samples, words = speak((0, 100))
    rehearsal = Mishearing(words, chunk_length_s=20).play(samples)
    inner = names(words)[2:-2]
    assert [word for word in rehearsal.said if word != "mangled"] == inner


class Polyglot(Rehearsal):
    """The second half is in another language."""

    def hypotheses(self, windows: Sequence[Window]) -> list[Hypothesis]:
        answers = super().hypotheses(windows)
        return [replace(a, language="de" if a.window.id else "en") for a in answers]


def test_segments_have_their_language() -> None:
    samples, words = speak((0, 20), (24, 44))
    rehearsal = Polyglot(words).play(samples)
    assert [s.language for s in rehearsal.segments] == ["en", "de"]
