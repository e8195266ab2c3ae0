"""Live streams and uploads are told apart by how far their audio is ahead of the clock."""

from hypothesis import given
from hypothesis import strategies as st

from stream.server.streams.upload_detector import PACE_S, UPLOAD_AHEAD_S, WAITED_S, UploadDetector


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=200))
def test_audio_at_the_pace_of_speech_is_live(frames_s: list[float]) -> None:
    pace, now, audio_s = UploadDetector(now=5.0), 5.0, 0.0
    for frame_s in frames_s:
        now += frame_s
        pace.note_message(now, frame_s, audio_s)
        audio_s += frame_s
        assert pace.is_live(now, audio_s)


def test_an_upload_is_ahead_after_two_seconds_of_audio() -> None:
    pace = UploadDetector(now=0.0)
    pace.note_message(0.0, 0.0, audio_s=0.0)
    assert pace.is_live(0.0, UPLOAD_AHEAD_S - 0.1)
    assert not pace.is_live(0.0, UPLOAD_AHEAD_S + 0.1)


def test_silence_before_the_first_audio_allows_no_sending_ahead() -> None:
    pace = UploadDetector(now=0.0)
    pace.note_message(100.0, 100.0, audio_s=0.0)
    assert not pace.is_live(100.0, UPLOAD_AHEAD_S + 0.1)


def test_a_client_with_a_backlog_is_live_again_once_it_has_caught_up() -> None:
    pace = UploadDetector(now=0.0)
    pace.note_message(0.0, 1.0, audio_s=0.0)
    backlog_s = PACE_S + UPLOAD_AHEAD_S + 1
    pace.note_message(PACE_S + 1, 0.0, audio_s=backlog_s)  # it lay ready
    assert not pace.is_live(PACE_S + 1, backlog_s + PACE_S)
    pace.note_message(PACE_S + 1, 2 * WAITED_S, audio_s=backlog_s + PACE_S)
    assert pace.is_live(PACE_S + 1, backlog_s + PACE_S)
    assert not pace.is_live(PACE_S + 1, backlog_s + PACE_S + UPLOAD_AHEAD_S + 0.1)
