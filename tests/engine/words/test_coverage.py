import pytest

from stream.core.audio import SAMPLE_RATE
from stream.engine.words.coverage import parts, uncovered_spans, uncovered_tail
from stream.engine.words.reading import read
from tests.engine.words.test_reading import START, TEXT_END, result, span, spell, word


def test_speech_after_the_last_word_is_an_uncovered_span():
    heading = [word(" Chapter", 0.3, 0.6, 1), word(" 12.", 0.6, 1.1, 2, 3)]
    whole = span(speech=((0.3, 1.3), (2.4, 9.5)), draft=(1, 2, 3, 4, 5))
    rest = uncovered_tail(whole, heading)
    assert rest.start_sample == START + round(2.2 * SAMPLE_RATE)
    assert rest.end_sample == whole.end_sample
    assert rest.speech == (whole.speech[1],)
    assert rest.draft == (4, 5)
    assert len(rest.samples) == rest.end_sample - rest.start_sample


def test_a_draft_that_was_rejected_gives_no_further_proposals():
    rest = uncovered_tail(span(draft=(8, 9, 4, 5)), [word(" a", 0, 1, 1)])
    assert rest.draft == ()


@pytest.mark.parametrize(
    "words",
    [
        [word(" to", 0, 1), word(" the", 1, 5), word(" end", 5, 9.2)],
        [word(" nothing", 0, 0.1)],  # the rest would be the same span again
        [],
    ],
)
def test_words_that_cover_the_speech_leave_no_uncovered_span(words):
    assert uncovered_tail(span(), words) is None


def test_audio_beyond_one_window_is_left_over():
    long = span(seconds=44, speech=((0, 44),))
    assert long.end_sample == START + 30 * SAMPLE_RATE
    assert uncovered_tail(long, []).start_sample == long.end_sample


def test_skipped_speech_is_an_uncovered_span():
    """The first word was said after 8 s: the path through the attention begins in the corner."""
    row = result((8, 8.4), (8.5, 9), (9, 9.5), (9.5, 10))
    words = read(span(), row, spell, TEXT_END).words
    assert words[0].start_sample > START + 7 * SAMPLE_RATE
    assert words[0].end_sample - words[0].start_sample <= SAMPLE_RATE
    (part,) = uncovered_spans(span(), read(span(), row, spell, TEXT_END).words)
    assert (part.start_sample, part.end_sample) == (START, words[0].start_sample)
    assert part.speech == ((START, words[0].start_sample),)
    assert part.draft == ()


def test_skipped_speech_between_two_words():
    row = result((0.5, 1), (1, 1.5), (8, 8.5), (8.5, 9), (9.5, 10))
    words = read(span(), row, spell, TEXT_END).words
    (part,) = uncovered_spans(span(), read(span(), row, spell, TEXT_END).words)
    assert part.end_sample - part.start_sample > 5 * SAMPLE_RATE
    assert all(
        w.end_sample <= part.start_sample or part.end_sample <= w.start_sample for w in words
    )


def test_a_silence_between_two_words_is_not_changed():
    quiet = span(speech=((0.5, 1.5), (8, 9.5)))
    row = result((0.5, 1), (1, 1.5), (8, 8.5), (8.5, 9), (9.5, 10))
    assert list(uncovered_spans(quiet, read(quiet, row, spell, TEXT_END).words)) == []


def test_a_long_guess_is_not_split():
    """Silence that the voice detector took for speech is "you"; three looks make it three."""
    row = result((8, 8.4), (9.5, 10), log_p=-1.0)
    assert list(uncovered_spans(span(), read(span(), row, spell, TEXT_END).words)) == []


def test_a_long_span_is_divided_at_quiet_places():
    whole = span(seconds=20.0, speech=((0.0, 20.0),))
    whole.window.samples[:] = 0.5
    for quiet_s in (6.0, 12.5):
        first = round(quiet_s * SAMPLE_RATE)
        whole.window.samples[first : first + SAMPLE_RATE // 5] = 0
    found = parts(whole)
    assert [part.start_sample for part in found[1:]] == [part.end_sample for part in found[:-1]]
    assert (found[0].start_sample, found[-1].end_sample) == (START, whole.end_sample)
    cuts_s = [(part.end_sample - START) / SAMPLE_RATE for part in found[:-1]]
    assert cuts_s == pytest.approx([6.1, 12.6], abs=0.06)


def test_a_short_span_and_a_part_are_not_divided():
    assert parts(span(seconds=8.0)) == ()
    assert all(parts(part) == () for part in parts(span(seconds=28.0)))
