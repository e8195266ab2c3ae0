"""Every sample that a client sends is in a final or is silence, in every protocol."""

from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from stream.core import events
from stream.core.transcript import text_of
from stream.protocols.interface import Closing
from stream.protocols.open_sessions import OpenSession
from stream.protocols.protocol_table import PROTOCOLS
from stream.protocols.session_protocol import SessionProtocol
from tests.protocols.conversations import CONVERSATIONS, SERVICE, Conversation, Frame, kind_of
from tests.protocols.vendors import ALL, SCRIPT

GONE = Closing(1001, "The client has gone.")
LOUD = np.abs(SCRIPT.samples) > 0.05
"""Which samples of the script are speech."""
LATE_S = 0.05
"""Onsets and endpoints are at frames of the detector; Opus delays audio by less than 10 ms."""


class Watched:
    """A protocol whose events are seen."""

    def __init__(self, name: str, conversation: Conversation) -> None:
        self.seen: dict[str, list[events.Event]] = {}
        self.received: dict[str, int] = {}
        seen = self.seen

        class Seen(kind_of(name)):  # type: ignore[misc]
            def send_event(self, opened: OpenSession, event: events.Event) -> None:
                seen.setdefault(opened.session.id, []).append(event)
                super().send_event(opened, event)

        query = parse_qs(conversation.query)
        kind_of(name).check_request(SERVICE, query)
        self.protocol: SessionProtocol = Seen(SERVICE, "0123456789abcdef", query)

    def play(self, *frames: Frame) -> None:
        for frame in frames:
            if isinstance(frame, str):
                self.protocol.receive_text(frame, 0.0)
            else:
                self.protocol.receive_binary(frame, 0.0)
            self.answer()

    def answer(self) -> None:
        while windows := self.protocol.windows_to_transcribe():
            for window in windows:
                self.protocol.receive_hypothesis(SCRIPT.answer(window))
        self.protocol.messages_to_send()
        for opened in self.protocol.sessions:
            self.received[opened.session.id] = opened.session.received

    def finals(self) -> list[tuple[str, int, list[events.Final]]]:
        """The finals of each channel of each session."""
        found: dict[tuple[str, int], list[events.Final]] = {}
        for session_id, told in self.seen.items():
            for event in told:
                if isinstance(event, events.Final):
                    found.setdefault((session_id, event.channel), []).append(event)
        return [(*key, finals) for key, finals in found.items()]


def check_covered(finals: list[events.Final], until: int) -> None:
    """All speech before a 16 kHz sample is inside of finals, which follow each other."""
    covered = np.zeros(len(LOUD), bool)
    end = 0
    for final in finals:
        assert final.start_sample >= end
        end = final.end_sample
        covered[final.start_sample : final.end_sample] = True
    missing = np.count_nonzero((LOUD & ~covered)[:until])
    assert missing <= len(finals) * LATE_S * 16_000


def test_every_protocol_has_a_conversation() -> None:
    assert CONVERSATIONS.keys() == PROTOCOLS.keys()


def settled(watched: Watched) -> bool:
    """Whether each session accounted for all audio that it received."""
    ends = [told[-1] for told in watched.seen.values()]
    return all(isinstance(e, events.Ended) and e.settled == e.received for e in ends)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_every_sample_is_accounted_for(name: str) -> None:
    conversation = CONVERSATIONS[name]()
    watched = Watched(name, conversation)
    watched.play(*conversation.begin, *conversation.audio, *conversation.end)
    watched.protocol.finish(GONE)
    watched.answer()
    finals = watched.finals()
    assert len(finals) == len(conversation.tracks)
    for _, _, told in finals:
        assert text_of(word for final in told for word in final.words) == ALL
        check_covered(told, len(LOUD))
    assert settled(watched)
    assert watched.protocol.closing is not None
    expected = round(len(SCRIPT.samples) / 16_000 * conversation.rate)
    for received in watched.received.values():
        assert received == pytest.approx(expected, abs=conversation.rate // 25)
    counts: Any = watched.protocol.counts
    assert (counts.errors, counts.late_s) == (0, 0)
    assert counts.filled_s <= 0.02


@pytest.mark.parametrize("name", PROTOCOLS)
def test_the_speech_of_a_client_that_vanishes_is_final(name: str) -> None:
    conversation = CONVERSATIONS[name]()
    watched = Watched(name, conversation)
    sent = len(conversation.audio) * 5 // 9
    watched.play(*conversation.begin, *conversation.audio[:sent])
    watched.protocol.finish(GONE)
    watched.answer()
    assert len(watched.finals()) == len(conversation.tracks)
    for _, _, told in watched.finals():
        until = round(len(LOUD) * 5 / 9) - 800
        check_covered(told, until)
        words = text_of(word for final in told for word in final.words)
        assert ALL.startswith(words.replace(" mumble", ""))
        assert len(words.split()) >= 6
    assert settled(watched)
    assert watched.protocol.closing == GONE
