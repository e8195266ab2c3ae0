"""One window after the other: every word once, each window with what was said before."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest

from stream.core.windows import Hypothesis, Window
from tests.recordings.rehearsal import SECOND, Rehearsal, speak


def sequential(words: list, **options: object) -> Rehearsal:
    return Rehearsal(words, long_form="sequential", **options)


def test_a_window_moves_to_where_the_last_complete_sentence_ended() -> None:
    samples, words = speak((0, 45))
    rehearsal = sequential(words, chunk_length_s=29).play(samples)
    first, second = rehearsal.windows
    assert first.end_sample == 29 * SECOND
    assert first.options.timestamps
    assert second.start_sample == 28 * SECOND  # after 14 sentences of 5 words of 0.4 s
    assert second.draft == (70, 71)
    assert rehearsal.said == [w.text.strip() for w in words]


def test_without_a_sentence_end_the_possibly_truncated_word_is_decoded_again() -> None:
    samples, words = speak((0, 35))
    rehearsal = sequential(words).play(samples)
    first, second = rehearsal.windows
    assert first.end_sample == 30 * SECOND  # all that the model hears, and 15 sentences
    assert second.start_sample == words[74].start_sample
    assert second.draft == (74,)
    assert rehearsal.said == [w.text.strip() for w in words]


def test_speech_that_a_window_skipped_begins_the_next_window() -> None:
    samples, words = speak((0, 10), (10.5, 20))
    heard = [word for word in words if word.end_sample <= 10 * SECOND]
    rehearsal = sequential(heard).play(samples)
    first, second, again = (w.start_sample / SECOND for w in rehearsal.windows)
    assert (first, second) == (0, pytest.approx(10.2, abs=0.1))
    assert again == second  # once more, without the text before


def test_each_window_has_the_text_before_it() -> None:
    samples, words = speak((0, 70))
    rehearsal = sequential(words, prompt="Names.").play(samples)
    assert rehearsal.windows[0].options.prompt == "Names."
    for one, other in pairwise(rehearsal.windows):
        assert other.start_sample > one.start_sample
        before = [w.text.strip() for w in words if w.end_sample <= other.start_sample]
        assert other.options.prompt.startswith("Names. ")
        assert other.options.prompt.endswith(before[-1])


def test_the_text_before_begins_with_a_complete_word() -> None:
    samples, words = speak((0, 120))
    prompts = [window.options.prompt for window in sequential(words).play(samples).windows]
    assert 150 < len(prompts[-1]) <= 200
    said = {w.text.strip() for w in words}
    assert all(word in said for prompt in prompts for word in prompt.split())


def test_there_is_never_more_than_one_window() -> None:
    samples, words = speak((0, 70))
    rehearsal = sequential(words)
    rehearsal.algorithm.receive_samples(samples)
    rehearsal.algorithm.receive_end()
    assert len(rehearsal.algorithm.windows_to_transcribe()) == 1
    assert rehearsal.algorithm.windows_to_transcribe() == []


class SilencedByText(Rehearsal):
    """Whisper now and then says nothing after a text that it would have to go on from."""

    def hypotheses(self, windows: Sequence[Window]) -> list[Hypothesis]:
        heard = super().hypotheses(windows)
        return [replace(h, words=()) if h.window.options.prompt else h for h in heard]


def test_a_window_without_words_is_decoded_again_without_the_text_before() -> None:
    samples, words = speak((0, 70))
    rehearsal = SilencedByText(words, long_form="sequential").play(samples)
    assert rehearsal.said == [w.text.strip() for w in words]
    starts = [window.start_sample for window in rehearsal.windows]
    assert starts[1] == starts[2] > starts[0]
