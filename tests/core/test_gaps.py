"""Time without audio: the clock goes on, words keep their times, and nothing is made or judged."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.audio import BRIDGED, SAMPLE_RATE
from stream.core.events import (
    AudioGap,
    Ended,
    Failure,
    Final,
    MarkReached,
    Progress,
    SpeechEnded,
    SpeechStarted,
)
from stream.core.resample import Resampler
from stream.core.session import Session
from stream.core.settings import SessionTuning, StreamSettings
from tests.core.rehearsal import (
    LoudIsSpeech,
    Script,
    a_session,
    answer_all,
    check_promises,
    final_text,
)

GAP_S = st.one_of(st.floats(0.001, 0.5), st.floats(0.5, 60.0)).map(lambda s: round(s, 3))
turns = st.lists(
    st.tuples(st.floats(0.6, 4.0).map(lambda s: round(s, 2)), st.floats(0.3, 1.5), GAP_S),
    min_size=1,
    max_size=5,
)


def of(kind, events):
    return [event for event in events if isinstance(event, kind)]


@dataclass
class WithGaps:
    """A script whose pauses hold gaps: pieces of audio, gaps between them, and words with times."""

    pieces: list[np.ndarray]
    gaps: list[int]
    """After each piece, in samples."""
    script: Script

    @property
    def length(self):
        return sum(map(len, self.pieces)) + sum(self.gaps)


def with_gaps(turns):
    """Each turn is (seconds of speech, of silence after it, and of the gap in that silence)."""
    script = Script([(speech, silence) for speech, silence, _ in turns])
    cuts, end_s = [0], 0.5
    for speech_s, silence_s, _ in turns:
        end_s += round(speech_s * SAMPLE_RATE) / SAMPLE_RATE
        cuts.append(round((end_s + silence_s / 2) * SAMPLE_RATE))
        end_s += round(silence_s * SAMPLE_RATE) / SAMPLE_RATE
    gaps = [round(gap_s * SAMPLE_RATE) for _, _, gap_s in turns]
    shifted = []
    for word in script.words:
        shift = sum(
            gap for cut, gap in zip(cuts[1:], gaps, strict=True) if cut <= word.start_sample
        )
        start, end = word.start_sample + shift, word.end_sample + shift
        shifted.append(replace(word, start_sample=start, end_sample=end))
    script.words = shifted
    pieces = [script.samples[a:b] for a, b in pairwise([*cuts, len(script.samples)])]
    return WithGaps(pieces, [*gaps, 0], script)


def play(session, case, chunk=3_200):
    events = []
    for piece, gap in zip(case.pieces, case.gaps, strict=True):
        pcm = (piece * 32_767).astype("<i2").tobytes()
        for start in range(0, len(pcm), chunk):
            session.receive_audio(pcm[start : start + chunk])
        session.receive_gap(gap)
        answer_all(session, case.script)
        events += session.events_to_send()
    session.receive_eof()
    answer_all(session, case.script)
    return events + session.events_to_send()


@pytest.mark.slow
@given(turns.map(with_gaps), st.integers(2, 50_000))
@settings(max_examples=40, deadline=None)
def test_words_keep_their_times_and_accounts_are_exact(case, chunk):
    events = play(a_session(), case, chunk)
    check_promises(events)
    assert final_text(events) == case.script.text
    words = [word for final in of(Final, events) for word in final.words]
    assert words == case.script.words
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.received == ended.settled == case.length
    for progress in of(Progress, events):
        assert progress.settled <= progress.received
        before = [w for w in case.script.words if w.start_sample < progress.settled]
        assert all(word.end_sample <= progress.settled for word in before)


@pytest.mark.slow
@given(turns.map(with_gaps), st.integers(2, 50_000))
@settings(max_examples=25, deadline=None)
def test_the_pieces_in_which_bytes_arrive_make_no_difference(case, chunk):
    assert play(a_session(), case, chunk) == play(a_session(), case, 10**9)


def a_gap_in_speech(gap_s):
    script = Script([(4.0, 2.0)])
    gap, half = round(gap_s * SAMPLE_RATE), round(2.5 * SAMPLE_RATE)
    script.words = [
        replace(w, start_sample=w.start_sample + gap, end_sample=w.end_sample + gap)
        if w.start_sample >= half
        else w
        for w in script.words
        if not w.start_sample < half < w.end_sample
    ]
    return WithGaps([script.samples[:half], script.samples[half:]], [gap, 0], script)


def test_a_gap_in_the_middle_of_speech_ends_the_utterance():
    case = a_gap_in_speech(10.0)
    events = play(a_session(), case)
    begun = [event.sample / SAMPLE_RATE for event in of(SpeechStarted, events)]
    over = [event.sample / SAMPLE_RATE for event in of(SpeechEnded, events)]
    assert begun == [0.5, 12.5]
    assert over == [2.5, 14.5]
    assert of(AudioGap, events) == [
        AudioGap(0, round(2.5 * SAMPLE_RATE), round(12.5 * SAMPLE_RATE))
    ]
    assert final_text(events).split()[0] == "w0"
    assert {w.text for f in of(Final, events) for w in f.words} >= {
        w.text for w in case.script.words
    }


@pytest.mark.parametrize("packets", [1, 3, 10])
def test_lost_packets_do_not_divide_a_sentence(packets):
    case = a_gap_in_speech(packets * 0.02)
    events = play(a_session(), case)
    assert len(of(Final, events)) == 1
    assert events[-1].received == case.length
    assert BRIDGED == 10 * 0.02 * SAMPLE_RATE


def test_a_gap_is_in_all_channels():
    both = (np.stack([Script([(2.0, 1.0)]).samples] * 2, axis=1) * 32_767).astype("<i2").tobytes()
    session = a_session(channels=2)
    session.receive_audio(both)
    session.receive_gap(SAMPLE_RATE)
    session.receive_audio(both)
    assert [event.channel for event in of(AudioGap, session.events_to_send())] == [0, 1]
    assert session.received == len(both) // 4 * 2 + SAMPLE_RATE


class Counting(LoudIsSpeech):
    frames = 0

    def is_speech(self, frame):
        Counting.frames += 1
        return super().is_speech(frame)


def test_an_hour_without_audio_costs_nothing():
    Counting.frames = 0
    session = Session("s", StreamSettings(), SessionTuning(), Counting)
    script = Script([(2.0, 1.0)])
    session.receive_audio(script.pcm)
    session.receive_gap(3600 * SAMPLE_RATE)
    session.receive_audio(script.pcm)
    audio_s = 2 * len(script.samples) / SAMPLE_RATE
    assert Counting.frames <= audio_s * 50 + 1
    assert session.pending_s < audio_s
    (channel,) = session._channels
    assert len(channel._audio._data) < 20 * SAMPLE_RATE
    assert session.received == 2 * len(script.samples) + 3600 * SAMPLE_RATE
    assert session.gap_samples == 3600 * SAMPLE_RATE


def test_silence_and_a_gap_settle_at_once():
    session = a_session()
    session.receive_audio(bytes(2 * SAMPLE_RATE))
    session.receive_gap(30 * SAMPLE_RATE)
    assert session.settled == session.received == 31 * SAMPLE_RATE


def test_a_mark_before_a_gap_returns_after_the_finals_before_it():
    script = Script([(2.0, 0.1)])
    session = a_session()
    session.receive_audio(script.pcm)
    session.receive_mark(5)
    session.receive_gap(10 * SAMPLE_RATE)
    assert not of(MarkReached, session.events_to_send())
    answer_all(session, script)
    kinds = [type(event) for event in session.events_to_send()]
    assert kinds.index(Final) < kinds.index(MarkReached)


def test_a_gap_beyond_the_limit_is_reported_and_ignored():
    session = a_session(SessionTuning(max_gap_s=10.0))
    session.receive_gap(10 * SAMPLE_RATE)
    session.receive_gap(10 * SAMPLE_RATE + 1)
    (failure,) = of(Failure, session.events_to_send())
    assert failure.code == "gap_too_long"
    assert failure.close_code is None
    assert "10 s" in failure.message
    assert session.received == 10 * SAMPLE_RATE


@pytest.mark.parametrize("nothing", [0, -5])
def test_no_gap(nothing):
    session = a_session()
    session.receive_gap(nothing)
    assert session.events_to_send() == []
    session.receive_eof()
    session.receive_gap(100)
    assert session.received == 0


@settings(deadline=None, max_examples=60)
@given(
    rate=st.one_of(
        st.sampled_from([8_000, 11_025, 16_000, 24_000, 44_100, 48_000]), st.integers(8_000, 48_000)
    ),
    before=st.integers(0, 3_000),
    gap=st.integers(0, 5_000),
    after=st.integers(400, 3_000),
    seed=st.integers(0, 1_000),
)
def test_after_a_gap_each_sample_is_where_silence_would_have_left_it(
    rate, before, gap, after, seed
):
    noise = np.random.default_rng(seed).uniform(-1, 1, before + after).astype(np.float32)
    filled = np.concatenate([noise[:before], np.zeros(gap, np.float32), noise[before:]])
    whole, skipping = Resampler(rate), Resampler(rate)
    expected = np.concatenate([whole.feed(filled), whole.flush()])
    first = np.concatenate([skipping.feed(noise[:before]), skipping.flush()])
    skipped = skipping.skip(gap)
    second = np.concatenate([skipping.feed(noise[before:]), skipping.flush()])
    assert len(first) + skipped + len(second) == len(expected)
    edge = 85  # outputs near the gap that contain audio of its other side, if it is short
    at = len(first) + skipped
    np.testing.assert_allclose(second[edge:], expected[at + edge :], atol=1e-6)
    if len(first) > edge:
        np.testing.assert_allclose(first[:-edge], expected[: len(first) - edge], atol=1e-6)


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
def test_times_are_right_at_any_rate(rate):
    case = a_gap_in_speech(7.3)
    session = a_session(sample_rate=rate)
    sent = 0
    for piece in case.pieces:
        places = np.arange(0, len(piece) * rate // SAMPLE_RATE)
        samples = np.interp(places * SAMPLE_RATE / rate, range(len(piece)), piece)
        session.receive_audio((samples * 32_767).astype("<i2").tobytes())
        sent += len(samples)
        if piece is case.pieces[0]:
            session.receive_gap(round(7.3 * rate))
            sent += round(7.3 * rate)
    session.receive_eof()
    answer_all(session, case.script)
    events = session.events_to_send()
    begun = [event.sample / SAMPLE_RATE for event in of(SpeechStarted, events)]
    assert begun == pytest.approx([0.5, 9.8], abs=0.03)
    assert events[-1].received == events[-1].settled == sent
