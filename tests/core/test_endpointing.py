"""Utterances begin with sustained speech, end with silence, and lose nothing in between."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.core.endpointing import TRANSITIONS, Endpoint, Endpointer, FrameClass, Onset, State

FRAME = 320
ONSET_FRAMES = 5  # 90 ms of 20 ms frames, rounded up

runs = st.lists(
    st.tuples(st.booleans(), st.one_of(st.integers(1, 6), st.integers(1, 60))), max_size=40
).map(lambda items: [speech for speech, length in items for _ in range(length)])


def endpointer(endpointing_ms=500, pre_roll_ms=300):
    return Endpointer(pre_roll_ms, 90, endpointing_ms, FRAME)


def feed(subject, answers):
    return [event for answer in answers if (event := subject.feed(answer))]


def test_every_state_handles_every_event():
    assert set(TRANSITIONS) == set(State)
    assert all(set(row) == set(FrameClass) for row in TRANSITIONS.values())


def test_one_utterance():
    subject = endpointer()
    events = feed(subject, [False] * 50 + [True] * 30 + [False] * 50)
    assert events == [
        Onset(start_sample=50 * FRAME - 4800, speech_sample=50 * FRAME),
        Endpoint(speech_end_sample=80 * FRAME, decided_sample=105 * FRAME),
    ]
    assert subject.speech_spans(0, 130 * FRAME) == [(50 * FRAME, 80 * FRAME)]


def test_the_pre_roll_reaches_neither_before_the_stream_nor_into_the_last_utterance():
    subject = endpointer(endpointing_ms=100)
    first, end, second = feed(subject, [True] * 10 + [False] * 6 + [True] * 10)
    assert (first.start_sample, first.speech_sample) == (0, 0)
    assert second.start_sample == end.speech_end_sample == 10 * FRAME
    assert second.speech_sample == 16 * FRAME


def test_a_click_neither_begins_nor_prolongs_an_utterance():
    subject = endpointer()
    clicks = ([True] + [False] * 9) * 20
    assert feed(subject, clicks) == []
    _, endpoint = feed(subject, [True] * 20 + clicks)
    assert endpoint.speech_end_sample == (200 + 21) * FRAME  # one frame: the clicks begin with one
    assert endpoint.decided_sample == (200 + 21 + 25) * FRAME


def test_a_short_word_after_a_pause_continues_the_utterance():
    subject = endpointer()
    (_, endpoint) = feed(subject, [True] * 20 + [False] * 15 + [True] * 3 + [False] * 30)
    assert endpoint.speech_end_sample == 38 * FRAME


def test_interrupted_speech_is_sustained_enough_to_begin():
    (onset,) = feed(endpointer(), [False] * 20 + [True, True, False] * 4)
    assert onset.speech_sample == 20 * FRAME


def test_endpointing_can_change_in_mid_utterance():
    subject = endpointer(endpointing_ms=10_000)
    feed(subject, [True] * 10 + [False] * 30)
    assert subject.in_speech
    assert subject.silence_samples == 30 * FRAME
    subject.endpointing_ms = 100
    assert subject.feed(False) == Endpoint(10 * FRAME, 41 * FRAME)


@pytest.mark.parametrize("silence", [0, 3])
def test_a_forced_end_does_not_affect_the_next_utterance(silence):
    subject = endpointer()
    feed(subject, [True] * 10 + [False] * silence)
    here = (10 + silence) * FRAME
    assert subject.force_end() == Endpoint(10 * FRAME, here)
    assert not subject.in_speech
    assert subject.safe_sample == here
    (onset,) = feed(subject, [True] * 10)
    assert (onset.start_sample, onset.speech_sample) == (here, here)


def test_a_forced_end_in_silence_settles_all_audio_without_a_final():
    subject = endpointer()
    feed(subject, [False] * 10 + [True] * 3)
    assert subject.force_end() is None
    assert subject.safe_sample == 13 * FRAME


def test_spans_are_merged_over_short_gaps_clipped_and_forgotten():
    subject = endpointer()
    feed(subject, [True] * 5 + [False] * 9 + [True] * 5 + [False] * 10 + [True] * 5)
    feed(subject, [False] * 20 + [True] + [False] * 20)  # a lone frame is no speech
    assert subject.speech_spans(0, 100 * FRAME) == [(0, 19 * FRAME), (29 * FRAME, 34 * FRAME)]
    assert subject.speech_spans(100, 30 * FRAME) == [(100, 19 * FRAME), (29 * FRAME, 30 * FRAME)]
    assert subject.speech_spans(20 * FRAME, 25 * FRAME) == []
    subject.forget_before(19 * FRAME)
    assert subject.speech_spans(0, 100 * FRAME) == [(29 * FRAME, 34 * FRAME)]


@given(answers=runs, endpointing_ms=st.integers(100, 800), pre_roll_ms=st.integers(0, 500))
def test_utterances_alternate_in_order_and_hold_every_run_of_speech(
    answers, endpointing_ms, pre_roll_ms
):
    subject = endpointer(endpointing_ms, pre_roll_ms)
    events = feed(subject, answers)
    ended = subject.force_end()
    events += [ended] if ended else []
    kinds = [type(event) for event in events]
    assert kinds == [Onset, Endpoint] * (len(events) // 2)

    utterances = []
    for onset, endpoint in zip(events[::2], events[1::2], strict=True):
        assert onset.start_sample <= onset.speech_sample < endpoint.speech_end_sample
        assert endpoint.speech_end_sample <= endpoint.decided_sample
        utterances.append((onset.start_sample, endpoint.speech_end_sample))
    assert all(a[1] <= b[0] for a, b in pairwise(utterances))

    for start, end in speech_runs(answers):
        if end - start >= ONSET_FRAMES:
            assert any(a <= start * FRAME and end * FRAME <= b for a, b in utterances)


def speech_runs(answers):
    edges = [i for i, (a, b) in enumerate(pairwise([False, *answers, False])) if a != b]
    return zip(edges[::2], edges[1::2], strict=True)


@given(answers=runs, endpointing_ms=st.integers(100, 800), forced=st.sets(st.integers(0, 200)))
def test_no_utterance_begins_before_the_safe_sample(answers, endpointing_ms, forced):
    subject = endpointer(endpointing_ms)
    safe = 0
    for index, answer in enumerate(answers):
        event = subject.feed(answer)
        if isinstance(event, Onset):
            assert event.start_sample >= safe
        if index in forced:
            subject.force_end()
        assert safe <= subject.safe_sample <= subject.now_sample
        safe = subject.safe_sample
