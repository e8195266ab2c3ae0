"""What every protocol inherits, tried with small protocols without a server."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core import events
from stream.core.load import Load
from stream.core.windows import Hypothesis
from stream.errors import PeerError
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import Closing, QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import MAX_REASON_BYTES, SessionProtocol
from tests.core.rehearsal import LoudIsSpeech, Script
from tests.protocols.toys import LineProtocol, MeetingProtocol, TickerProtocol

SERVICE = Service(model="scripted", detector=LoudIsSpeech)
SCRIPT = Script([(2.0, 1.0), (1.5, 1.0)])
GUARDED = Service(model="scripted", detector=LoudIsSpeech, key_fits=lambda shown: shown == "secret")


def converse(protocol: SessionProtocol, *frames: str | bytes) -> list[str | bytes]:
    """Feed frames in, with every window answered; return the frames that are sent."""
    sent: list[str | bytes] = []
    for frame in frames:
        if isinstance(frame, str):
            protocol.receive_text(frame, 100.0)
        else:
            protocol.receive_binary(frame, 100.0)
        while windows := protocol.windows_to_transcribe():
            for window in windows:
                protocol.receive_hypothesis(SCRIPT.answer(window))
        protocol.captions_to_share()
        protocol.forget_ended()
        sent += [protocol.encode(message, 100.5) for message in protocol.messages_to_send()]
    return sent


def finals(sent: list[str | bytes]) -> str:
    """The words of the ticker's finals."""
    return " ".join(frame[4:].decode().strip() for frame in sent if isinstance(frame, bytes))


def by_name(sent: list[str | bytes]) -> dict[str, list[Any]]:
    """The messages of a meeting, by the participant."""
    found: dict[str, list[Any]] = {}
    for frame in sent:
        message = json.loads(frame)
        found.setdefault(message.get("name", ""), []).append(message)
    return found


def test_text_and_binary_frames_are_sent() -> None:
    protocol = TickerProtocol(SERVICE, "id", {"room": ["stage"]})
    sent = converse(protocol, b"A" + SCRIPT.pcm, "stop")
    assert sent[0] == "hello"
    assert any(isinstance(frame, str) and frame.startswith("…") for frame in sent)
    assert finals(sent) == SCRIPT.text
    assert protocol.closing == Closing(CloseCode.ENDED, "")
    assert protocol.membership
    assert protocol.membership.room == "stage"
    assert protocol.counts.finals == 2


def test_an_error_has_the_wording_of_the_protocol() -> None:
    protocol = TickerProtocol(SERVICE, "id", {})
    assert converse(protocol, "go") == ["oops malformed: 'go' is not a word of the ticker."]
    assert protocol.closing == Closing(CloseCode.MALFORMED, "oops-malformed")
    assert protocol.close_frame(protocol.closing) == Closing(3007, "oops-malformed")
    assert protocol.counts.errors == 1


def test_an_error_in_the_middle_of_a_stream_comes_after_the_finals() -> None:
    protocol = TickerProtocol(SERVICE, "id", {})
    sent = converse(protocol, b"A" + SCRIPT.pcm, b"B")
    assert finals(sent) == SCRIPT.text
    assert sent[-1] == "oops malformed: A frame begins with A."
    assert protocol.closing == Closing(CloseCode.MALFORMED, "oops-malformed")


class FailingTicker(TickerProtocol):
    """For it, the end of the first utterance is a fatal error."""

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        if isinstance(event, events.SpeechEnded):
            self.fail("malformed", "Nobody may stop speaking.")
        super().send_event(opened, event)


def test_a_fatal_error_is_sent_once_and_after_the_finals() -> None:
    protocol = FailingTicker(SERVICE, "id", {})
    sent = converse(protocol, b"A" + SCRIPT.pcm)
    assert finals(sent) == SCRIPT.text
    assert sent.count("oops malformed: Nobody may stop speaking.") == 1
    assert sent[-1] == "oops malformed: Nobody may stop speaking."
    assert protocol.closing == Closing(CloseCode.MALFORMED, "oops-malformed")
    quiet = FailingTicker(SERVICE, "id", {})
    sent = converse(quiet, b"A" + SCRIPT.pcm[: 2 * 48_000])
    assert [line for line in sent if str(line).startswith("oops")] == [sent[-1]]


def test_an_error_gives_the_finals_of_all_participants() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    sent = converse(protocol, '{"join":"Ada"}', '{"join":"Bob"}')
    sent += converse(protocol, b"Ada\0" + SCRIPT.pcm, b"Bob\0" + SCRIPT.pcm, "hello")
    messages = by_name(sent)
    for name in ("Ada", "Bob"):
        assert " ".join(line["text"].strip() for line in messages[name]) == SCRIPT.text
    assert messages[""] == [{"error": "malformed", "fatal": True}]
    assert protocol.closing
    assert protocol.closing.code == CloseCode.MALFORMED


def test_close_codes_are_the_shared_ones_unless_declared() -> None:
    protocol = TickerProtocol(SERVICE, "id", {})
    assert protocol.close_frame(Closing(CloseCode.IDLE, "idle")) == Closing(3008, "idle")
    assert protocol.close_frame(Closing(CloseCode.OVERLOADED, "")).code == CloseCode.OVERLOADED


def test_settings_that_cannot_be_served_are_an_error() -> None:
    protocol = TickerProtocol(SERVICE, "id", {"room": ["no room"]})
    (error,) = converse(protocol, b"A" + bytes(640))
    assert isinstance(error, str)
    assert error.startswith("oops bad_settings: room is")
    assert len(protocol.sessions) == 0


def test_frames_that_a_protocol_does_not_have() -> None:
    protocol = SessionProtocol(SERVICE, "id", {})
    protocol.receive_text("hello", 0.0)
    assert protocol.closing == Closing(CloseCode.WRONG_KIND, "This protocol has no text frames.")
    line = LineProtocol(SERVICE, "id", {})
    line.receive_text("hello", 0.0)
    assert line.closing
    other = MeetingProtocol(SERVICE, "id", {})
    other.receive_text('{"join":"Ada"}', 0.0)
    assert other.closing is None


def test_a_reason_fits_into_a_close_frame() -> None:
    protocol = SessionProtocol(SERVICE, "id", {})
    protocol.fail("internal", "é" * 200)
    assert protocol.closing
    assert len(protocol.closing.reason.encode()) == MAX_REASON_BYTES


def test_participants_have_sessions_of_their_own() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    half = len(SCRIPT.pcm) // 2 // 2 * 2
    sent = converse(protocol, '{"join":"Ada"}', b"Ada\0" + SCRIPT.pcm[:half], '{"join":"Bob"}')
    sent += converse(protocol, b"Bob\0" + SCRIPT.pcm, b"Ada\0" + SCRIPT.pcm[half:])
    assert protocol.counts.audio_s == pytest.approx(2 * len(SCRIPT.pcm) / 32_000)
    assert protocol.sessions.audio_clock_s == pytest.approx(len(SCRIPT.pcm) / 32_000)
    sent += converse(protocol, '{"leave":"Bob"}')
    assert protocol.closing is None
    assert [opened.session.id for opened in protocol.sessions] == ["id.Ada"]
    sent += converse(protocol, b"Bob\0" + bytes(640), '{"over":true}')
    assert protocol.closing == Closing(CloseCode.ENDED, "")
    messages = by_name(sent)
    for name in ("Ada", "Bob"):
        *said, left = messages[name]
        assert " ".join(line["text"].strip() for line in said) == SCRIPT.text
        assert left == {"name": name, "left": True}
    assert messages[""] == [{"error": "bad_message", "fatal": False}]
    assert protocol.counts.audio_s == pytest.approx(2 * len(SCRIPT.pcm) / 32_000)
    assert protocol.counts.speech_s > 0


def test_captions_name_the_session_whose_room_shows_them() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    protocol.receive_text('{"join":"Ada"}', 0.0)
    protocol.receive_text('{"join":"Bob"}', 0.0)
    protocol.receive_binary(b"Bob\0" + SCRIPT.pcm, 0.0)
    captions = protocol.captions_to_share()
    assert {session_id for session_id, _ in captions} == {"id.Bob"}
    assert any(isinstance(event, events.SpeechStarted) for _, event in captions)
    labels = [opened.membership.speakers for opened in protocol.sessions if opened.membership]
    assert labels == [("Ada",), ("Bob",)]


def test_a_participant_may_leave_while_its_words_are_transcribed() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    protocol.receive_text('{"join":"Ada"}', 0.0)
    protocol.receive_binary(b"Ada\0" + SCRIPT.pcm, 0.0)
    protocol.receive_text('{"leave":"Ada"}', 0.0)
    assert protocol.forget_ended() == []
    windows = protocol.windows_to_transcribe()
    for window in windows:
        protocol.receive_hypothesis(SCRIPT.answer(window))
        windows += protocol.windows_to_transcribe()
    assert protocol.forget_ended() == ["id.Ada"]
    late: Hypothesis = SCRIPT.answer(windows[-1])
    protocol.receive_hypothesis(late)  # the session is gone, and nothing happens
    assert protocol.closing is None


def test_a_session_is_not_opened_twice() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    converse(protocol, '{"join":"Ada"}', '{"join":"Ada"}')
    assert protocol.closing
    assert protocol.closing.code == CloseCode.BAD_SETTINGS


@pytest.mark.parametrize(
    ("first", "accepted"),
    [('{"key":"secret"}', True), ('{"key":"guess"}', False), ('{"join":"Ada"}', False)],
)
def test_the_key_in_the_first_message(first: str, accepted: bool) -> None:
    protocol = MeetingProtocol(GUARDED, "id", {})
    protocol.authorised = False
    sent = converse(protocol, first, '{"join":"Ada"}')
    assert (len(protocol.sessions) == 1) == accepted
    assert (protocol.closing is None) == accepted
    if not accepted:
        assert protocol.closing
        assert protocol.closing.code == CloseCode.NOT_AUTHORISED
        assert sent == [json.dumps({"error": "not_authorised", "fatal": True})]


def test_the_load_reaches_sessions_that_open_later() -> None:
    protocol = MeetingProtocol(SERVICE, "id", {})
    protocol.receive_load(Load.FINALS_ONLY)
    protocol.receive_text('{"join":"Ada"}', 0.0)
    (ada,) = protocol.sessions
    assert ada.session.load is Load.FINALS_ONLY


def test_only_a_protocol_that_declares_it_can_be_resumed() -> None:
    service = Service(model="scripted", detector=LoudIsSpeech, resume_token=lambda _: "token")
    protocol = TickerProtocol(service, "id", {})
    protocol.receive_binary(b"A" + bytes(640), 0.0)
    assert not protocol.resumable
    assert protocol.resume_token() is None


def test_a_body_is_the_frame_by_default() -> None:
    protocol = LineProtocol(SERVICE, "id", {})
    assert protocol.encode(QueuedMessage(b"\0"), 0.0) == b"\0"
    assert protocol.encode(QueuedMessage("text"), 0.0) == "text"


def test_settings_of_a_port_are_checked() -> None:
    with pytest.raises(PeerError, match="colour"):
        LineProtocol.check_query({"colour": ["red"]})


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([TickerProtocol, MeetingProtocol, LineProtocol]),
    st.lists(
        st.one_of(
            st.text(max_size=9),
            st.binary(max_size=99),
            st.sampled_from(
                [
                    '{"join":"Ada"}',
                    '{"leave":"Ada"}',
                    b"Ada\0" + SCRIPT.pcm[:9_000],
                    b"A" + bytes(9),
                ]
            ),
        ),
        max_size=8,
    ),
)
def test_nothing_follows_the_closing(
    kind: type[SessionProtocol], frames: list[str | bytes]
) -> None:
    protocol = kind(SERVICE, "id", {})
    converse(protocol, *frames)
    protocol.finish(Closing(CloseCode.GOING_AWAY, "going away"))
    converse(protocol, "stop")
    assert protocol.closing is not None
    assert converse(protocol, "stop", b"A" + bytes(640)) == []
