from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Window, WindowKind, Word
from stream.engine.decoding.rows import DecodeResult, Ending
from stream.engine.words.coverage import AudioSpan
from stream.engine.words.reading import (
    Fault,
    Reading,
    better,
    read,
    without_invented_words,
)

START = 5 * SAMPLE_RATE
TEXT_END = 1000


def window(seconds=10.0, speech=((0.0, 10.0),)) -> Window:
    spans = tuple(
        (START + round(a * SAMPLE_RATE), START + round(b * SAMPLE_RATE)) for a, b in speech
    )
    samples = np.zeros(round(seconds * SAMPLE_RATE), np.float32)
    return Window("s", 0, 0, 0, WindowKind.FINAL, START, samples, spans)


def span(draft=(), **changes) -> AudioSpan:
    return AudioSpan(window(**changes), START, tuple(draft))


def word(text: str, start_s: float, end_s: float, *tokens: int) -> Word:
    first, last = (START + round(s * SAMPLE_RATE) for s in (start_s, end_s))
    return Word(text, first, last, 0.9, tokens or (1,))


def result(*spans_s, tokens=None, log_p=-0.1, no_speech=0.0, ending=Ending.END_OF_TEXT, to_s=12):
    """A row whose heads listened to the given seconds, token by token, the last for its end."""
    attention = np.full((2, len(spans_s), round(to_s * 50)), 1e-6, np.float32)
    for row, (start, end) in enumerate(spans_s):
        attention[:, row, round(start * 50) : round(end * 50)] = 1 / max(1, (end - start) * 50)
    tokens = tuple(range(len(spans_s) - 1)) if tokens is None else tokens
    scores = (log_p,) * len(spans_s)
    return DecodeResult(tokens, scores, "en", no_speech, ending, 1, 0, 0, attention)


def spell(tokens) -> str:
    return "".join(f" w{token}" for token in tokens)


def heard(*words: Word, faults=(), log_p=-0.1) -> Reading:
    return Reading(words, result((0, 1), log_p=log_p), frozenset(faults))


def test_words_have_the_times_of_their_audio():
    row = result((1, 2), (2, 2.5), (4, 5), (5, 5.5))
    words = read(span(), row, spell, TEXT_END).words
    assert [w.text for w in words] == [" w0", " w1", " w2"]
    starts = [(w.start_sample - START) / SAMPLE_RATE for w in words]
    assert starts[1:] == pytest.approx([2, 4], abs=0.1)
    assert words[2].end_sample == pytest.approx(START + 5 * SAMPLE_RATE, abs=1600)
    assert all(w.confidence == pytest.approx(np.exp(-0.1)) for w in words)


@pytest.mark.parametrize(
    ("width_s", "log_p", "diffuse"),
    [(0.5, -0.6, False), (8.0, -0.6, True), (8.0, -0.1, False)],
)
def test_guesses_without_a_place_in_the_audio_are_removed(width_s, log_p, diffuse):
    row = result(*[(1 + 0.5 * i, 1 + 0.5 * i + width_s) for i in range(4)], log_p=log_p)
    found = read(span(), row, spell, TEXT_END, diffuse_nats=4.3)
    assert (Fault.DIFFUSE in found.faults) == diffuse
    assert bool(without_invented_words(found, span().speech).words) != diffuse
    assert Fault.DIFFUSE not in read(span(), row, spell, TEXT_END).faults  # not measured


def test_half_a_character_is_no_word():
    def spell_bytes(tokens):
        return bytes(tokens).decode(errors="replace")

    halves = tuple(" dé".encode())
    row = result(*[(i, i + 1) for i in range(3)], tokens=halves[:3])
    assert read(span(), row, spell_bytes, TEXT_END).words == ()
    row = result(*[(i, i + 1) for i in range(4)], tokens=halves)
    assert [w.text for w in read(span(), row, spell_bytes, TEXT_END).words] == [" dé"]


def test_words_are_within_the_speech_at_both_ends():
    row = result((1, 2), (2, 4), (8, 9))
    words = read(span(speech=((0.8, 3.5),)), row, spell, TEXT_END).words
    assert words[0].start_sample == START + round(0.8 * SAMPLE_RATE)
    assert words[-1].end_sample == START + round(3.5 * SAMPLE_RATE)


@given(st.lists(st.floats(0, 11.9), min_size=1, max_size=20), st.floats(0.5, 12))
def test_words_are_in_order_within_the_window_never_in_the_silence_after_it(at, seconds):
    row = result(*[(s, s + 0.1) for s in at])
    place = span(seconds=seconds, speech=((0.1, seconds),))
    samples = [START]
    for w in read(place, row, spell, TEXT_END).words:
        samples += [w.start_sample, w.end_sample]
    assert samples == sorted(samples)
    assert samples[-1] <= place.end_sample


def test_timestamps_are_no_words():
    row = result((0, 0.1), (1, 2), (2, 3), (3, 3.1), (3.1, 4), tokens=(1001, 7, 8, 1100))
    assert [w.text for w in read(span(), row, spell, TEXT_END).words] == [" w7", " w8"]


@pytest.mark.parametrize(
    ("tokens", "words", "end_s"),
    [
        ((1000, 7, 8, 1100, 1100, 9), 2, 2.0),  # another segment begins
        ((1000, 7, 1050, 1060, 8, 9, 1100, 1110, 7), 3, 2.0),
        ((1000, 7, 8, 1100, 1100), 2, 2.0),
        ((1000, 7, 8, 1600, 1600), 2, 10.0),  # in the silence that the window was given
        ((1000, 7, 8, 1100), None, None),  # nothing is said after it
        ((1000, 7, 1050, 1050, 8, 1100), None, None),
        ((1000, 7, 8, 9), None, None),  # all is one segment
        ((7, 8), None, None),
    ],
)
def test_the_cut_is_after_the_last_complete_segment(tokens, words, end_s):
    spans = [(i / 2, i / 2 + 0.5) for i in range(len(tokens) + 1)]
    cut = read(span(), result(*spans, tokens=tokens), spell, TEXT_END).cut
    if words is None:
        assert cut is None
    else:
        assert (cut.words, cut.sample) == (words, START + end_s * SAMPLE_RATE)


def test_words_that_were_not_spoken_are_not_counted_before_the_cut():
    row = result(*[(i / 2, i / 2 + 0.5) for i in range(7)], tokens=(1000, 7, 8, 1100, 1100, 9))
    found = read(span(), row, spell, TEXT_END)
    unsure = replace(found, faults=frozenset({Fault.UNSURE}))
    assert without_invented_words(unsure, span().speech).cut.words == 0
    assert without_invented_words(found, span().speech).cut == found.cut


def test_unconfident_words_outside_speech_are_removed():
    row = result((0, 1), (1, 2), log_p=-1.5, no_speech=0.9)
    assert read(span(), row, spell, TEXT_END).words == ()
    sure = result((0, 1), (1, 2), log_p=-0.5, no_speech=0.9)
    assert len(read(span(), sure, spell, TEXT_END).words) == 1


def spread(n: int):
    return [(i * 0.3, i * 0.3 + 0.3) for i in range(n + 1)]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (result(*spread(9), ending=Ending.LOOP), Fault.LOOP),
        (result(*spread(9), ending=Ending.PAST_SPEECH), Fault.PAST_SPEECH),
        (result(*spread(9), ending=Ending.BUDGET), Fault.TOO_MANY),
        (result(*spread(9), log_p=-1.2), Fault.UNSURE),
        (result(*spread(30), tokens=(7, 8, 9) * 10, log_p=-0.5), Fault.COMPRESSION),
        (result(*spread(9), *[(2.7, 2.72)] * 10), Fault.CROWDED),
    ],
)
def test_each_kind_of_fault_is_detected(row, fault):
    assert fault in read(span(), row, spell, TEXT_END).faults


def test_more_words_than_the_speech_has_time_for_are_a_fault():
    row = result(*spread(20))
    assert read(span(), row, spell, TEXT_END).faults == frozenset()
    short = read(span(speech=((0.0, 0.5),)), row, spell, TEXT_END)
    assert Fault.TOO_MANY in short.faults


def test_fewer_faults_win_then_higher_confidence():
    sure, unsure = heard(log_p=-0.1), heard(log_p=-0.4)
    looping = heard(faults=[Fault.LOOP], log_p=-0.01)
    assert better(sure, unsure) is better(unsure, sure) is sure
    assert better(looping, unsure) is better(unsure, looping) is unsure


def left(*words: Word, faults, log_p=-0.1, speech_s=30.0) -> list[str]:
    """Return the words that stay of a reading with these faults."""
    speech = ((START, START + round(speech_s * SAMPLE_RATE)),)
    found = without_invented_words(heard(*words, faults=faults, log_p=log_p), speech)
    assert len(found.words) + len(found.dropped) == len(words)
    return [w.text.strip() for w in found.words]


def copies(*lengths_s: float, text="a b c", start_s=0.0) -> list[Word]:
    """Return a phrase once for each length in seconds, one directly after the other."""
    words = []
    for length_s in lengths_s:
        parts = text.split()
        for i, part in enumerate(parts):
            first, last = (start_s + length_s * k / len(parts) for k in (i, i + 1))
            words.append(word(f" {part}", first, last, i))
        start_s += length_s
    return words


def test_a_loop_of_guesses_keeps_its_first_copy():
    words = [word(f" w{i % 4}", i, i + 1, i % 4, 9 + i % 4) for i in range(20)]
    first = word(" a", 0, 0, 77)
    kept = left(first, *words, faults=[Fault.LOOP, Fault.DOUBTFUL], log_p=-0.6)
    assert kept == ["a", "w0", "w1", "w2", "w3"]


def test_in_a_loop_the_copies_with_audio_stay_except_the_incomplete_last():
    said = copies(1, 1, 1, 1, 3)
    assert left(*said, faults=[Fault.LOOP]) == ["a", "b", "c"] * 4
    assert left(*copies(1, 1, 0.05, 0.05, 0.05), faults=[Fault.LOOP]) == ["a", "b", "c"] * 2


def test_repeated_words_without_time_are_removed():
    words = [word(" a", 0, 1), word(" b", 1, 2), word(" a", 2, 2), word(" b", 2, 2.01)]
    assert left(*words, faults=[Fault.CROWDED]) == ["a", "b"]


@pytest.mark.parametrize("fault", [Fault.COMPRESSION, Fault.TOO_MANY])
def test_in_a_repetition_the_copies_with_audio_stay(fault):
    assert left(*copies(1, 1.2, 0.9, 0.1, 0.0), faults=[fault]) == ["a", "b", "c"] * 3
    assert left(*copies(1, 1.2, 0.9, 1, 1), faults=[fault], log_p=-0.6) == ["a", "b", "c"]


def test_more_words_than_time_and_guesses_are_no_words():
    many = [word(" a", 0, 1, *range(20))]
    assert left(*many, faults=[Fault.TOO_MANY], speech_s=0.5) == []
    assert left(*many, faults=[Fault.TOO_MANY], speech_s=5) == ["a"]
    assert left(word(" a", 0, 1), faults=[Fault.UNSURE]) == []
    assert left(word(" a", 0, 1), faults=[]) == ["a"]


def test_a_loop_ends_with_the_copy_that_attends_to_no_later_audio():
    said = copies(0.4, 0.4, 0.4, 0.4, text="monday")
    peaks = tuple(START + at for at in (0, 6400, 6400, 6400))
    reading = replace(heard(*said, faults=[Fault.LOOP]), peaks=peaks)
    found = without_invented_words(reading, ((START, START + 2 * SAMPLE_RATE),))
    assert len(found.words) == 2


def test_copies_without_audio_are_removed_although_the_row_ended_by_itself():
    said = [*copies(0.4, text="yes"), word(" Yes.", 0.4, 0.4)]
    assert left(*said, faults=[Fault.REPEATED]) == ["yes"]
    row = result((0.2, 0.6), (0.6, 0.62), (0.62, 0.7), tokens=(7, 7))
    found = read(span(speech=((0.2, 0.6),)), row, spell, TEXT_END)
    assert Fault.REPEATED in found.faults


@pytest.mark.parametrize("fault", [Fault.PAST_SPEECH, Fault.CROWDED])
def test_a_guard_never_empties_a_result_that_the_speech_has_time_for(fault):
    words = [word(f" w{i}", 1, 1) for i in range(6)]
    speech = ((START, START + 3 * SAMPLE_RATE),)
    found = without_invented_words(heard(*words, faults=[fault]), speech)
    assert found.words == tuple(words)
    assert found.problems == (fault.code,)
    assert found.dropped == ()
    babble = without_invented_words(heard(*words, faults=[fault, Fault.DIFFUSE]), speech)
    assert (babble.words, babble.problems) == ((), ())


def test_guesses_that_may_be_speech_are_kept_with_their_problem():
    row = result(*spread(9), log_p=-1.2)
    short = span(speech=((0.0, 5.0),))
    found = read(short, row, spell, TEXT_END, diffuse_nats=5.0)
    kept = without_invented_words(found, short.speech)
    assert (len(kept.words), kept.problems) == (9, ("unsure",))
    assert without_invented_words(read(short, row, spell, TEXT_END), short.speech).words == ()
    partial = AudioSpan(replace(short.window, kind=WindowKind.PARTIAL), START)
    found = read(partial, row, spell, TEXT_END, diffuse_nats=5.0)
    assert without_invented_words(found, span().speech).words == ()


def test_words_that_a_guard_removes_are_reported_with_its_code():
    speech = ((START, START + 10 * SAMPLE_RATE),)
    words = [*copies(1, 1, 0.0), word(" d", 3, 4)]
    found = without_invented_words(heard(*words, faults=[Fault.COMPRESSION]), speech)
    assert [d.guard for d in found.dropped] == ["compression"] * 3
    assert {d.sample for d in found.dropped} == {START + 2 * SAMPLE_RATE}
    guesses = heard(*words, faults=[Fault.DIFFUSE, Fault.UNSURE, Fault.LOOP], log_p=-1.2)
    assert {d.guard for d in without_invented_words(guesses, speech).dropped} == {"unsure"}
    quiet = read(span(), result((0, 1), (1, 2), log_p=-1.5, no_speech=0.9), spell, TEXT_END)
    assert [d.guard for d in quiet.dropped] == ["no_speech"]


def test_a_phrase_that_was_spoken_several_times_is_no_fault():
    """Each copy has its time, although the text is compressible and the attention is wide."""
    row = result(*spread(30), tokens=(7, 8, 9) * 10)
    found = read(span(), row, spell, TEXT_END, diffuse_nats=0.0)
    assert found.faults == frozenset()
    assert len(found.words) == 30


def test_a_copy_that_was_skipped_is_a_fault():
    lengths = [0.3] * 12 + [0.6] + [0.3] * 8
    ends = np.cumsum([0.0, *lengths, 0.3])
    row = result(*pairwise(ends), tokens=(7, 8, 9) * 7)
    assert Fault.LACKING not in read(span(), row, spell, TEXT_END).faults
    lengths = [0.3] * 12 + [1.2] + [0.3] * 8
    ends = np.cumsum([0.0, *lengths, 0.3])
    row = result(*pairwise(ends), tokens=(7, 8, 9) * 7)
    assert Fault.LACKING in read(span(), row, spell, TEXT_END).faults
