from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stream.core.audio import SAMPLE_RATE
from stream.core.events import (
    Configured,
    Ended,
    Failure,
    Final,
    MarkReached,
    Partial,
    Progress,
    SpeechEnded,
    SpeechStarted,
)
from stream.core.load import Load
from stream.core.session import MAX_MARKS
from stream.core.settings import SessionTuning
from stream.core.transcript import Transcript
from stream.core.windows import DroppedWord, Hypothesis, WindowKind, Word
from stream.errors import SettingsError
from tests.core.rehearsal import (
    Script,
    a_session,
    answer_all,
    check_promises,
    final_text,
    rehearse,
    supersede,
)

seconds = st.floats(0.4, 6.0).map(lambda s: round(s, 2))
scripts = st.lists(st.tuples(seconds, st.floats(0.1, 2.0)), min_size=1, max_size=5).map(Script)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


def test_one_utterance_from_onset_to_final():
    script = Script([(3.0, 1.0)])
    events = rehearse(a_session(), script, script.pcm)
    kinds = [type(event) for event in events if not isinstance(event, Progress | Partial)]
    assert kinds == [SpeechStarted, SpeechEnded, Final, Ended]
    assert final_text(events) == script.text
    final = of(Final, events)[0]
    assert final.speech_end_sample == round(3.5 * SAMPLE_RATE)
    assert final.endpoint_ms == 500


def test_partials_come_within_a_second_and_commit():
    script = Script([(4.0, 1.0)])
    partials = of(Partial, rehearse(a_session(), script, script.pcm))
    assert partials[0].end_sample <= 1.5 * SAMPLE_RATE
    assert [partial.revision for partial in partials] == list(range(1, len(partials) + 1))
    assert len(partials[-1].committed) >= 9


def test_no_partials_if_they_are_switched_off():
    script = Script([(4.0, 1.0)])
    events = rehearse(a_session(partials=False), script, script.pcm)
    assert of(Partial, events) == []
    assert final_text(events) == script.text


@pytest.mark.slow
@given(scripts, st.lists(st.integers(0, 10**6), max_size=20), st.integers(100, 70_000))
@settings(max_examples=40, deadline=None)
def test_the_pieces_in_which_bytes_arrive_make_no_difference(script, pieces, every):
    whole = rehearse(a_session(), script, script.pcm, every=every)
    pieces = [place for place in pieces if place < len(script.pcm)]
    assert rehearse(a_session(), script, script.pcm, pieces, every) == whole


@pytest.mark.slow
@given(scripts, st.integers(100, 700_000))
@settings(max_examples=40, deadline=None)
def test_every_word_is_in_the_finals_once(script, every):
    events = rehearse(a_session(), script, script.pcm, every=every)
    assert final_text(events) == script.text
    check_promises(events)
    ended = of(Ended, events)[0]
    assert ended.settled == ended.received == len(script.samples)
    assert ended.finals == len(of(Final, events))


@pytest.mark.slow
@given(
    scripts,
    st.lists(st.tuples(st.integers(2, 200_000), st.integers(0, 5)), max_size=30),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_an_engine_that_answers_late_and_in_any_order_loses_nothing(script, steps, queued):
    """Windows that are queued are superseded; those under way are answered, however late."""
    still_asked = supersede if queued else list
    session, asked, pcm = a_session(), [], script.pcm
    for size, turn in steps:
        session.receive_audio(pcm[:size])
        pcm = pcm[size:]
        asked = still_asked(asked + session.windows_to_transcribe())
        if turn < len(asked):
            session.receive_hypothesis(script.answer(asked.pop(turn)))
    session.receive_audio(pcm)
    session.receive_eof()
    while asked := still_asked(asked + session.windows_to_transcribe()):
        session.receive_hypothesis(script.answer(asked.pop()))
    events = session.events_to_send()
    assert final_text(events) == script.text
    check_promises(events)
    assert session.ended


@pytest.mark.slow
@given(scripts, st.lists(st.sampled_from(Load), min_size=1, max_size=20))
@settings(max_examples=40, deadline=None)
def test_no_load_costs_a_word(script, loads):
    session, events, pcm = a_session(), [], script.pcm
    size = -(-len(pcm) // len(loads))
    for i, load in enumerate(loads):
        session.receive_load(load)
        session.receive_audio(pcm[i * size : (i + 1) * size])
        answer_all(session, script)
        events += session.events_to_send()
    session.receive_eof()
    answer_all(session, script)
    events += session.events_to_send()
    assert final_text(events) == script.text
    check_promises(events)
    told = [progress.load for progress in of(Progress, events)]
    assert loads[-1] in told or set(loads) == {Load.NORMAL}


def test_under_load_partials_are_less_frequent_or_absent():
    script = Script([(6.0, 1.0)])
    counts = {}
    for load in Load:
        session = a_session()
        session.receive_load(load)
        partials = of(Partial, rehearse(session, script, script.pcm))
        counts[load] = len([p for p in partials if p.end_sample < 6.4 * SAMPLE_RATE])
    assert counts[Load.NORMAL] >= 2.5 * counts[Load.SLOW_PARTIALS] > 0
    assert counts[Load.FINALS_ONLY] == 0


def test_without_words_for_long_partials_are_less_frequent():
    script = Script([(20.0, 1.0)])
    spoken = script.words
    script.words = [word for word in spoken if word.start_sample > 12 * SAMPLE_RATE]
    events = rehearse(a_session(), script, script.pcm)
    ends_s = [partial.end_sample / SAMPLE_RATE for partial in of(Partial, events)]
    waits_s = {end: after - end for end, after in pairwise(ends_s)}
    assert max(wait for end, wait in waits_s.items() if end < 2) < 1
    assert 2 < max(wait for end, wait in waits_s.items() if end < 12) < 3.2
    assert max(wait for end, wait in waits_s.items() if end > 15) < 1.5
    assert final_text(events) == script.text


def test_a_change_of_load_is_sent_immediately_and_once():
    session = a_session()
    for load in (Load.NORMAL, Load.SLOW_PARTIALS, Load.SLOW_PARTIALS, Load.NORMAL):
        session.receive_load(load)
    loads = [event.load for event in session.events_to_send()]
    assert loads == [Load.SLOW_PARTIALS, Load.NORMAL]


@pytest.mark.slow
@pytest.mark.parametrize("partials", [True, False])
@pytest.mark.parametrize("every", [6_400, 10**9])
def test_five_minutes_without_a_pause(partials, every):
    script = Script([(300.0, 1.0)])
    events = rehearse(a_session(partials=partials), script, script.pcm, every=every)
    check_promises(events)
    assert final_text(events) == script.text
    finals = of(Final, events)
    assert len(finals) == 11
    assert all(len(final.words) < 110 for final in finals)


@pytest.mark.slow
def test_windows_overlap_and_never_grow_past_the_limit():
    script = Script([(100.0, 1.0)])
    session = a_session(SessionTuning(max_window_s=10.0), max_utterance_s=60)
    spans = []
    for start in range(0, len(script.pcm), 3_200):
        session.receive_audio(script.pcm[start : start + 3_200])
        for window in session.windows_to_transcribe():
            spans.append((window.start_sample, window.end_sample))
            session.receive_hypothesis(script.answer(window))
    assert max(end - start for start, end in spans) <= 10 * SAMPLE_RATE
    for (_, before), (start, _) in pairwise(spans):
        assert start < before


@pytest.mark.slow
@pytest.mark.parametrize("unsure", [0, 3])
def test_the_windows_of_partials_do_not_grow_with_the_utterance(unsure):
    script = Script([(50.0, 1.0)])
    tuning = SessionTuning(max_partial_s=16.0, restart_partial_s=8.0)
    session = a_session(tuning, max_utterance_s=60)
    partials, finals, starts = [], [], []
    for start in range(0, len(script.pcm), 3_200):
        session.receive_audio(script.pcm[start : start + 3_200])
        for window in session.windows_to_transcribe():
            lengths = partials if window.kind is WindowKind.PARTIAL else finals
            lengths.append(len(window.samples) / SAMPLE_RATE)
            if lengths is partials:
                starts.append(window.start_sample)
            heard = script.answer(window)
            words = tuple(
                replace(word, confidence=0.5) if word.tokens[0] % 5 < unsure else word
                for word in heard.words
            )
            session.receive_hypothesis(replace(heard, words=words))
    assert max(partials) < 16
    assert min(partials[20:]) > 7
    # Windows keep their beginning until they are too long: it moves by about eight seconds.
    assert starts == sorted(starts)
    assert len(set(starts)) <= 1 + 50 / 7
    assert finals == [pytest.approx(27.7, abs=0.3)]
    assert final_text(session.events_to_send()) == script.text


def test_the_previous_hypothesis_is_the_draft():
    script = Script([(4.0, 1.0)])
    session = a_session()
    session.receive_audio(script.pcm)
    first = session.windows_to_transcribe()[-1]
    assert first.draft == ()
    session.receive_audio(Script([(1.0, 0.0)]).pcm)
    session.receive_hypothesis(script.answer(first))
    second = a_session()
    second.receive_audio(script.pcm[:64_000])
    window = second.windows_to_transcribe()[-1]
    heard = script.answer(window)
    second.receive_hypothesis(heard)
    second.receive_audio(script.pcm[64_000:100_000])
    draft = second.windows_to_transcribe()[-1].draft
    assert draft == tuple(token for word in heard.words for token in word.tokens) != ()


def test_the_next_window_waits_until_the_utterance_has_words_to_show():
    script = Script([(3.0, 1.0), (3.0, 1.0)])
    script.words = [word for word in script.words if word.start_sample > 2 * SAMPLE_RATE]
    session = a_session()
    awaited: dict[int, list[bool]] = {1: [], 2: []}
    for start in range(0, len(script.pcm), 640):
        session.receive_audio(script.pcm[start : start + 640])
        for window in session.windows_to_transcribe():
            awaited[window.utterance].append(window.awaited)
            session.receive_hypothesis(script.answer(window))
    assert awaited[2][:3] == [True, False, False]
    assert awaited[1][:3] == [True, True, True]
    assert awaited[1][-1] is False


def test_one_window_in_flight_until_the_final_overtakes_it():
    script = Script([(5.0, 1.0)])
    session = a_session()
    session.receive_audio(script.pcm)
    kinds = [window.kind for window in session.windows_to_transcribe()]
    assert kinds == [WindowKind.PARTIAL, WindowKind.FINAL]


def test_a_partial_that_is_due_in_a_pause_waits_for_the_final_or_more_speech():
    script = Script([(1.4, 0.2), (1.95, 1.0)])
    session = a_session()
    asked = []
    for start in range(0, len(script.pcm), 640):
        session.receive_audio(script.pcm[start : start + 640])
        for window in session.windows_to_transcribe():
            asked.append((window.kind, window.end_sample / SAMPLE_RATE))
            session.receive_hypothesis(script.answer(window))
    speech_s = [(0.5, 1.9), (2.1, 4.05)]
    *partials, (last, _) = asked
    assert last is WindowKind.FINAL
    for kind, end_s in partials:
        assert kind is WindowKind.PARTIAL
        assert any(start_s < end_s <= stop_s for start_s, stop_s in speech_s)
    assert len(partials) >= 3
    assert final_text(session.events_to_send()) == script.text


def test_the_final_is_decoded_before_the_endpoint_is_confirmed():
    script = Script([(3.0, 2.0)])
    session = a_session(endpointing_ms=800)
    heard_to = round((0.5 + 3.0 + 0.56) * SAMPLE_RATE) * 2
    session.receive_audio(script.pcm[:heard_to])
    answer_all(session, script)
    assert of(Final, session.events_to_send()) == []
    session.receive_audio(script.pcm[heard_to : heard_to + 2 * round(0.26 * SAMPLE_RATE)])
    assert session.windows_to_transcribe() == []
    assert final_text(session.events_to_send()) == script.text


@pytest.mark.parametrize("partials", [True, False])
def test_a_pause_that_is_no_endpoint_is_worth_a_partial_and_no_final(partials):
    script = Script([(3.3, 1.5), (2.0, 2.5)])
    session = a_session(endpointing_ms=2000, partials=partials)
    asked = []
    for start in range(0, len(script.pcm), 640):
        session.receive_audio(script.pcm[start : start + 640])
        for window in session.windows_to_transcribe():
            asked.append((window.kind, round(window.end_sample / SAMPLE_RATE, 2)))
            session.receive_hypothesis(script.answer(window))
    kinds = [kind for kind, _ in asked]
    assert kinds.count(WindowKind.FINAL) == 1
    assert kinds[-1] is WindowKind.FINAL
    in_the_pause = [end_s for kind, end_s in asked if 3.8 < end_s < 5.3]
    assert in_the_pause == ([3.92] if partials else [])
    assert final_text(session.events_to_send()) == script.text


def test_finalize_in_the_middle_of_a_word_and_its_mark():
    script = Script([(4.0, 1.0)])
    session = a_session()
    half = len(script.pcm) // 4 * 2
    session.receive_audio(script.pcm[:half])
    session.receive_finalize(mark=7)
    assert of(MarkReached, session.events_to_send()) == []
    answer_all(session, script)
    events = session.events_to_send()
    assert [type(event) for event in events[-3:]] == [Final, Progress, MarkReached]
    assert events[-1] == MarkReached(7)
    rest = script.pcm[half:]
    session.receive_audio(rest)
    session.receive_eof()
    answer_all(session, script)
    ended = session.events_to_send()[-1]
    assert isinstance(ended, Ended)
    assert ended.settled == ended.received == len(script.samples)


def test_a_mark_returns_immediately_in_silence_and_after_speech_otherwise():
    script = Script([(2.0, 2.0)])
    session = a_session()
    session.receive_mark(1)
    assert session.events_to_send() == [MarkReached(1)]
    session.receive_audio(script.pcm[: 2 * SAMPLE_RATE * 2])
    session.receive_mark(2)
    assert of(MarkReached, session.events_to_send()) == []
    session.receive_audio(script.pcm[2 * SAMPLE_RATE * 2 :])
    answer_all(session, script)
    assert of(MarkReached, session.events_to_send()) == [MarkReached(2)]


@pytest.mark.slow
@given(scripts, st.integers(0, 14 * SAMPLE_RATE))
@example(Script([(2.0, 1.0)]), 8_000 + 640)
@settings(max_examples=60, deadline=None)
def test_a_mark_returns_after_every_word_that_began_before_it(script, place):
    """Wherever it falls: in an onset that is not yet an utterance, or just before a split."""
    session = a_session(max_utterance_s=5)
    place = min(place, len(script.samples)) // 320 * 320  # a frame of the detector
    session.receive_audio(script.pcm[: 2 * place])
    session.receive_mark(1)
    for start in range(2 * place, len(script.pcm), 3_200):
        session.receive_audio(script.pcm[start : start + 3_200])
        answer_all(session, script)
    session.receive_eof()
    answer_all(session, script)
    events = session.events_to_send()
    finals = of(Final, events[: events.index(MarkReached(1))])
    said = [word for word in script.words if word.start_sample < place]
    assert [word.text for final in finals for word in final.words][: len(said)] == [
        word.text for word in said
    ]


def test_a_mark_does_not_wait_for_speech_after_it():
    script = Script([(2.0, 1.0), (4.0, 1.0)])
    session = a_session()
    session.receive_audio(script.pcm[: round(3.4 * SAMPLE_RATE) * 2])
    session.receive_mark(1)
    session.receive_audio(script.pcm[round(3.4 * SAMPLE_RATE) * 2 : 5 * SAMPLE_RATE * 2])
    assert len(of(SpeechStarted, session.events_to_send())) == 2
    answer_all(session, script)
    assert of(MarkReached, session.events_to_send()) == [MarkReached(1)]


def test_marks_that_wait_are_limited():
    script = Script([(2.0, 1.0)])
    session = a_session()
    session.receive_audio(script.pcm[: 2 * SAMPLE_RATE])
    for mark in range(MAX_MARKS + 1):
        session.receive_mark(mark)
    assert [failure.code for failure in of(Failure, session.events_to_send())] == ["too_many_marks"]
    session.receive_eof()
    answer_all(session, script)
    marks = of(MarkReached, session.events_to_send())
    assert marks == [MarkReached(mark) for mark in range(MAX_MARKS)]


def test_silence_settles_but_for_the_pre_roll():
    session = a_session()
    session.receive_audio(bytes(2 * 5 * SAMPLE_RATE))
    progress = of(Progress, session.events_to_send())
    assert [p.received for p in progress] == [SAMPLE_RATE * s for s in range(1, 6)]
    assert all(p.received - p.settled == 0.3 * SAMPLE_RATE for p in progress)
    assert session.pending_s == 0
    assert session.windows_to_transcribe() == []


def test_channels_are_transcribed_apart():
    left, right = Script([(2.0, 1.0), (1.0, 1.0)]), Script([(0.9, 3.1)])
    both = np.zeros((len(left.samples), 2), np.float32)
    both[:, 0] = left.samples
    both[: len(right.samples), 1] = right.samples[: len(both)]
    session = a_session(channels=2)
    session.receive_audio((both * 32_767).astype("<i2").tobytes())
    session.receive_eof()
    while windows := session.windows_to_transcribe():
        for window in supersede(windows):
            session.receive_hypothesis([left, right][window.channel].answer(window))
    events = session.events_to_send()
    assert final_text(events, 0) == left.text
    assert final_text(events, 1) == right.text


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_accounts_are_exact_at_any_rate(rate):
    script = Script([(2.0, 0.5)])
    places = np.arange(0, len(script.samples) * rate // SAMPLE_RATE)
    samples = np.interp(places * SAMPLE_RATE / rate, range(len(script.samples)), script.samples)
    session = a_session(sample_rate=rate)
    data = (samples * 32_767).astype("<i2").tobytes()
    events = rehearse(session, script, data)
    assert final_text(events) == script.text
    ended = events[-1]
    assert ended.received == ended.settled == len(samples)


def test_a_failed_window_is_reported_and_the_stream_continues():
    script = Script([(2.0, 1.0), (2.0, 1.0)])
    session = a_session(partials=False)
    session.receive_audio(script.pcm)
    (first,) = session.windows_to_transcribe()
    session.receive_hypothesis(Hypothesis(first, (), failure="out of memory"))
    (second,) = session.windows_to_transcribe()
    session.receive_hypothesis(script.answer(second))
    events = session.events_to_send()
    assert of(Failure, events)[0].code == "transcription_failed"
    assert [len(final.words) for final in of(Final, events)] == [0, 6]


def test_a_final_names_the_guards_that_removed_words_without_replacement():
    script = Script([(2.0, 1.0), (2.0, 1.0)])
    session = a_session(partials=False)
    session.receive_audio(script.pcm)
    session.receive_eof()
    (first,) = session.windows_to_transcribe()
    answer = script.answer(first)
    replaced = DroppedWord("crowded", (answer.words[0].start_sample + 100))
    dropped = (
        DroppedWord("loop", answer.words[4].start_sample),
        DroppedWord("late", 10**6),
        replaced,
    )
    session.receive_hypothesis(replace(answer, words=answer.words[:2], dropped=dropped))
    (second,) = session.windows_to_transcribe()
    in_context = (DroppedWord("unsure", answer.words[4].start_sample),)
    session.receive_hypothesis(replace(script.answer(second), dropped=in_context))
    finals = of(Final, session.events_to_send())
    assert [final.problems for final in finals] == [("loop",), ()]


def test_a_final_tells_which_guards_doubt_the_words_that_it_has():
    script = Script([(2.0, 1.0), (2.0, 1.0)])
    session = a_session(partials=False)
    session.receive_audio(script.pcm)
    session.receive_eof()
    (first,) = session.windows_to_transcribe()
    session.receive_hypothesis(replace(script.answer(first), problems=("unsure",)))
    (second,) = session.windows_to_transcribe()
    session.receive_hypothesis(script.answer(second))
    finals = of(Final, session.events_to_send())
    assert [final.problems for final in finals] == [("unsure",), ()]
    assert all(final.words for final in finals)


@pytest.mark.parametrize(("pause_s", "begins_s"), [(3.0, 0.0), (8.0, 11.0)])
def test_words_before_a_long_pause_are_no_context(pause_s, begins_s):
    script = Script([(3.0, pause_s), (3.0, 1.0)])
    session = a_session(SessionTuning(context_pause_s=6.0), partials=False)
    session.receive_audio(script.pcm)
    (first,) = session.windows_to_transcribe()
    session.receive_hypothesis(script.answer(first))
    (second,) = session.windows_to_transcribe()
    assert second.start_sample / SAMPLE_RATE == pytest.approx(begins_s, abs=0.5)


@pytest.mark.slow
@given(st.lists(st.integers(1, 3_000), min_size=2, max_size=8))
def test_after_a_break_the_client_continues_at_the_received_sample(pieces):
    session, data = a_session(channels=2), bytes(64_000)
    for size in pieces:
        at = session.held * 4
        session.receive_audio(data[at : at + size])
        session.receive_break()
    session.receive_audio(data[session.held * 4 :])
    session.receive_eof()
    assert of(Failure, session.events_to_send()) == []
    assert session.received == len(data) // 4


@pytest.mark.slow
@given(scripts)
@settings(max_examples=25, deadline=None)
def test_no_word_of_a_final_lies_behind_what_is_settled(script):
    """So a client may hand in anew what is not settled, and doubles nothing."""
    events = rehearse(a_session(), script, script.pcm)
    for before, after in pairwise(events):
        if isinstance(before, Final):
            assert isinstance(after, Progress | Final), "what is settled is told at once"
    said = 0
    for event in events:
        if isinstance(event, Final):
            said = max([said, *(word.end_sample for word in event.words)])
        if isinstance(event, Progress):
            assert said <= event.settled
            before = [word for word in script.words if word.start_sample < event.settled]
            assert all(word.end_sample <= said for word in before), "nothing before it is missing"


def test_an_incomplete_last_sample_is_reported():
    session = a_session()
    session.receive_audio(bytes(101))
    session.receive_eof()
    events = session.events_to_send()
    assert [type(event) for event in events] == [Failure, Progress, Ended]
    assert events[0].code == "truncated_audio"
    assert events[-1].received == 50


def test_audio_after_the_end_is_reported():
    session = a_session()
    session.receive_eof()
    session.receive_eof()
    session.receive_audio(bytes(100))
    assert [type(event) for event in session.events_to_send()] == [Progress, Ended, Failure]


def test_configure_changes_what_follows():
    session = a_session()
    session.receive_configure({"endpointing_ms": 300, "language": "de"})
    session.receive_configure({"endpointing_ms": 1})
    session.receive_configure({"channels": 2})
    changed, *failures = session.events_to_send()
    assert isinstance(changed, Configured)
    assert changed.settings.endpointing_ms == 300
    assert [type(failure) for failure in failures] == [Failure, Failure]
    assert session.settings == changed.settings
    script = Script([(1.0, 1.0)])
    session.receive_audio(script.pcm)
    assert session.windows_to_transcribe()[0].options.language == "de"
    assert of(SpeechEnded, session.events_to_send())


def test_an_utterance_is_decoded_with_the_words_before_it():
    script = Script([(3.0, 1.0), (3.0, 1.0), (3.0, 20.0), (3.0, 1.0)])
    session = a_session(SessionTuning(context_s=6.0), partials=False)
    windows = []
    session.receive_audio(script.pcm)
    while due := session.windows_to_transcribe():
        windows += due
        for window in due:
            session.receive_hypothesis(script.answer(window))
    drafts = [window.draft for window in windows]
    assert drafts == [(), tuple(range(10)), tuple(range(6, 20)), ()]
    lengths = [(w.end_sample - w.start_sample) / SAMPLE_RATE for w in windows]
    assert lengths == pytest.approx([3.5, 7.2, 9.4, 3.5], abs=0.2)
    assert final_text(session.events_to_send()) == script.text


def auto_windows(heard, seconds):
    """The language that each window expects, after such answers to those before it."""
    script = Script([(seconds, 1.0), (seconds, 1.0)])
    session, expected, answers = a_session(language="auto"), [], iter(heard)
    for start in range(0, len(script.pcm), 16_000):
        session.receive_audio(script.pcm[start : start + 16_000])
        for window in session.windows_to_transcribe():
            expected.append(window.options.expected_language)
            assert window.own_sample <= window.speech[-1][1]
            answer = replace(script.answer(window), language=next(answers, "fr"))
            session.receive_hypothesis(answer)
    finals = [event for event in session.events_to_send() if isinstance(event, Final)]
    return expected, [final.language for final in finals]


def test_a_language_is_expected_after_enough_speech_in_it():
    expected, finals = auto_windows(["cy", "fr"], 5.0)
    first = expected.index("fr")
    assert set(expected[:first]) == {""}  # what the first second sounded like binds nobody
    assert set(expected[first:]) == {"fr"}
    assert 4 <= first <= 8
    assert finals == ["fr"] * len(finals)


def test_the_first_final_of_short_utterances_sets_the_expected_language():
    expected, _ = auto_windows([], 1.5)
    assert expected[0] == ""
    assert expected[-1] == "fr"


@pytest.mark.parametrize(("second", "alone"), [("de", True), ("fr", False)])
def test_context_in_another_language_is_not_decoded_again(second, alone):
    script = Script([(4.0, 1.0), (4.0, 1.0)])
    session, windows = a_session(language="auto"), []
    for start in range(0, len(script.pcm), 16_000):
        session.receive_audio(script.pcm[start : start + 16_000])
        for window in session.windows_to_transcribe():
            language = second if window.utterance == 2 else "fr"
            session.receive_hypothesis(replace(script.answer(window), language=language))
            windows.append(window)
    first, *later = [window for window in windows if window.utterance == 2]
    assert first.start_sample < first.own_sample
    assert later
    assert all((w.start_sample >= w.own_sample) == alone for w in later)
    assert final_text(session.events_to_send()) == script.text


def test_words_of_two_languages_agree_on_nothing():
    transcript = Transcript()
    words = [Word(f" w{i}", i * 4_000, i * 4_000 + 4_000, 0.9) for i in range(12)]
    transcript.receive(words, 0, 64_000)
    transcript.forget_tentative()
    transcript.receive(words, 0, 64_000)
    assert not transcript.committed
    transcript.receive(words, 0, 64_000)
    assert transcript.committed


@pytest.mark.parametrize(("asked", "committed"), [("auto", [0, 0, 9]), ("en", [9, 9, 9])])
def test_confident_words_of_a_language_that_is_detected_once_are_not_committed(asked, committed):
    script = Script([(6.0, 1.0)])
    session = a_session(language=asked)
    heard = ["th", "en", "en"] if asked == "auto" else ["en"] * 3
    found = []
    for start in range(0, len(script.pcm), 640):
        session.receive_audio(script.pcm[start : start + 640])
        for window in session.windows_to_transcribe():
            if len(found) == len(heard) or window.end_sample < 4 * SAMPLE_RATE:
                session.receive_hypothesis(Hypothesis(window, (), language="en"))
                continue
            answer = script.answer(window)
            sure = tuple(replace(word, confidence=0.99) for word in answer.words)
            session.receive_hypothesis(replace(answer, words=sure, language=heard[len(found)]))
            partial = of(Partial, session.events_to_send())[-1]
            found.append(min(len(partial.committed), 9))
    assert found == committed


@pytest.mark.parametrize(
    "wrong",
    [
        {"channels": 0},
        {"channels": 99},
        {"sample_rate": 1},
        {"encoding": "opus"},
        {"task": "sing"},
        {"endpointing_ms": 0},
        {"max_utterance_s": 1},
        {"keyterms": ("a",) * 501},
        {"keyterms": ("a" * 101,)},
        {"prompt": "a" * 4_001},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(SettingsError) as refused:
        a_session(**wrong)
    assert refused.value.field in wrong
    assert refused.value.close_code == 4001


def test_a_silent_stream_holds_little_audio():
    session = a_session()
    for _ in range(300):
        session.receive_audio(bytes(3_200))
    (channel,) = session._channels
    assert channel._audio.end_sample - channel._audio.start_sample < SAMPLE_RATE


def test_a_pause_forgets_what_was_said_before_it():
    script = Script([(2.0, 20.0)])
    session = a_session()
    rehearse_until = len(script.pcm) - 32_000
    session.receive_audio(script.pcm[:rehearse_until])
    answer_all(session, script)
    session.receive_audio(script.pcm[rehearse_until:])
    (channel,) = session._channels
    assert channel._audio.end_sample - channel._audio.start_sample < SAMPLE_RATE
