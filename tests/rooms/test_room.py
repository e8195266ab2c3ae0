"""Several streams in a room, without sockets or clocks."""

import pytest

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.hypothesis import EngineTiming, Word
from stream.rooms.messages import Final, Live, Message, Partial
from stream.rooms.room import Room

OPENED = 1_000_000.0


def words(text: str) -> tuple[Word, ...]:
    return tuple(Word(f" {word}", 0, 0, 1.0, ()) for word in text.split())


def partial(
    start_s: float, committed: str, tentative: str = "", utterance: int = 1, channel: int = 0
) -> events.Partial:
    start = round(start_s * SAMPLE_RATE)
    heard = words(committed), words(tentative)
    return events.Partial(channel, utterance, 1, start, start + SAMPLE_RATE, *heard)


def final(start_s: float, text: str, utterance: int = 1, channel: int = 0) -> events.Final:
    start = round(start_s * SAMPLE_RATE)
    end = start + SAMPLE_RATE
    return events.Final(
        channel, utterance, start, end, words(text), "en", end, 500.0, EngineTiming()
    )


def a_room() -> Room:
    return Room("standup", OPENED)


def seated(room: Room, *speakers: str, at_s: float = 0.0, rate: int = 8_000) -> int:
    number, _ = room.take_seat(speakers, max(len(speakers), 1), rate, OPENED + at_s)
    return number


def texts(room: Room) -> list[tuple[str, str]]:
    return [(line.speaker, line.text) for line in room.finals]


def test_a_line_grows_and_stays() -> None:
    room = a_room()
    ada = seated(room, "Ada", at_s=10)
    sent: list[Message] = []
    sent += room.receive(ada, partial(1.5, "", "good"))
    sent += room.receive(ada, partial(1.5, "good", "morning"))
    assert room.snapshot().partials == (sent[-1],)
    sent += room.receive(ada, final(1.5, "good morning"))
    line = {"line": 1, "speaker": "Ada", "start": 11.5, "end": 12.5}
    assert sent == [
        Partial(**line, committed="", tentative="good"),
        Partial(**line, committed="good", tentative=" morning"),
        Final(**line, text="good morning"),
    ]
    assert room.snapshot().partials == ()
    assert room.snapshot().finals == (sent[-1],)


def test_speakers_interleave_by_time() -> None:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob", at_s=4)
    room.receive(ada, final(9, "third", 2))
    room.receive(bob, final(1, "second"))
    room.receive(ada, final(0, "first"))
    assert texts(room) == [("Ada", "first"), ("Bob", "second"), ("Ada", "third")]


def test_channels_have_labels_of_their_own() -> None:
    room = a_room()
    number, (presence,) = room.take_seat(["Agent"], 2, 8_000, OPENED)
    assert presence == Live(live=True, speakers=("Agent", "Speaker 2"))
    room.receive(number, final(0, "hello", channel=0))
    room.receive(number, final(1, "hi", channel=1))
    assert texts(room) == [("Agent", "hello"), ("Speaker 2", "hi")]
    _, (presence,) = room.take_seat([], 1, 8_000, OPENED)
    assert presence == Live(live=True, speakers=("Agent", "Speaker 2", "Speaker 3"))


def test_a_room_is_over_with_its_last_stream_and_may_go_on() -> None:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob")
    assert room.leave(ada, OPENED + 5) == [Live(live=True, speakers=("Bob",))]
    assert room.leave(bob, OPENED + 6) == [Live(live=False, speakers=())]
    assert not room.live
    assert room.settled_s == 6
    seated(room, "Ada", at_s=60)
    assert room.live


def test_who_leaves_in_the_middle_of_a_word_leaves_what_was_heard() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    room.receive(ada, partial(0, "this is", "short"))
    line, _ = room.leave(ada, OPENED + 2)
    assert isinstance(line, Final)
    assert line.text == "this is short"
    assert texts(room) == [("Ada", "this is short")]


def test_a_line_that_comes_to_nothing_is_taken_back() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    assert room.receive(ada, final(0, "", 1)) == [], "nobody has seen it"
    room.receive(ada, partial(1, "", "hm", 2))
    (taken_back,) = room.receive(ada, final(1, "", 2))
    assert isinstance(taken_back, Final)
    assert taken_back.text == ""
    assert room.finals == []


def test_what_is_settled_for_all_is_settled() -> None:
    room = a_room()
    ada = seated(room, "Ada", rate=8_000)
    room.receive(ada, events.Progress(80_000, 72_000, 0.0))
    assert room.settled_s == 9
    bob = seated(room, "Bob", at_s=5)
    room.receive(bob, events.Progress(8_000, 8_000, 0.0))
    assert room.settled_s == 9, "it never goes back"
    room.receive(bob, events.Progress(80_000, 80_000, 0.0))
    assert room.settled_s == 9
    room.receive(ada, events.Progress(96_000, 96_000, 0.0))
    assert room.settled_s == 12


def test_a_room_of_before_goes_on_where_it_was() -> None:
    before = a_room()
    ada = seated(before, "Ada")
    before.receive(ada, final(0, "before"))
    room = Room.reopened("standup", OPENED, {}, before.finals)
    assert room.settled_s == 1
    room.receive(seated(room, "Ada", at_s=100), final(0, "after"))
    assert [(line.line, line.start) for line in room.finals] == [(1, 0), (2, 100)]


@pytest.mark.parametrize("event", [events.SpeechStarted(0, 1, 0), events.Ended(0, 0, 0.0, 0)])
def test_readers_are_not_told_everything(event: events.Event) -> None:
    room = a_room()
    assert room.receive(seated(room, "Ada"), event) == []
