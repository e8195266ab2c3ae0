"""Several streams in a room, without sockets or clocks."""

import pytest

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import EngineTiming, Word
from stream.rooms.member import STALLED_AFTER_S
from stream.rooms.messages import Final, Key, Live, Message, Partial
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
    number, _ = room.add_member(speakers, max(len(speakers), 1), rate, OPENED + at_s)
    return number


def receive(
    room: Room, number: int, event: events.Event | events.KeyPressed, at_s: float = 0.0
) -> list[Message]:
    return room.receive(number, event, OPENED + at_s)


def progress(received_s: float, settled_s: float, rate: int = 8_000) -> events.Progress:
    return events.Progress(round(received_s * rate), round(settled_s * rate), 0.0)


def texts(room: Room) -> list[tuple[str, str]]:
    return [(line.speaker, line.text) for line in room.finals]


def test_a_line_grows_and_stays() -> None:
    room = a_room()
    ada = seated(room, "Ada", at_s=10)
    sent: list[Message] = []
    sent += receive(room, ada, partial(1.5, "", "good"))
    sent += receive(room, ada, partial(1.5, "good", "morning"))
    assert room.snapshot().partials == (sent[-1],)
    sent += receive(room, ada, final(1.5, "good morning"))
    line = {"line": 1, "speaker": "Ada", "start": 11.5, "end": 12.5}
    assert sent == [
        Partial(**line, committed="", tentative="good"),
        Partial(**line, committed="good", tentative=" morning"),
        Final(**line, text="good morning"),
    ]
    assert room.snapshot().partials == ()
    assert room.snapshot().finals == (sent[-1],)


def test_turns_of_speakers_are_ordered_by_time() -> None:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob", at_s=4)
    receive(room, ada, final(9, "third", 2))
    receive(room, bob, final(1, "second"))
    receive(room, ada, final(0, "first"))
    assert texts(room) == [("Ada", "first"), ("Bob", "second"), ("Ada", "third")]


def test_channels_have_labels_of_their_own() -> None:
    room = a_room()
    number, (presence,) = room.add_member(["Agent"], 2, 8_000, OPENED)
    assert presence == Live(live=True, speakers=("Agent", "Speaker 2"))
    receive(room, number, final(0, "hello", channel=0))
    receive(room, number, final(1, "hi", channel=1))
    assert texts(room) == [("Agent", "hello"), ("Speaker 2", "hi")]
    _, (presence,) = room.add_member([], 1, 8_000, OPENED)
    assert presence == Live(live=True, speakers=("Agent", "Speaker 2", "Speaker 3"))


def test_a_room_is_over_with_its_last_stream_and_may_go_on() -> None:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob")
    assert room.leave(ada, OPENED + 5) == [Live(live=True, speakers=("Bob",))]
    assert room.leave(bob, OPENED + 6) == [Live(live=False, speakers=())]
    assert not room.live
    assert room.settled_s(OPENED + 60) == 6
    seated(room, "Ada", at_s=60)
    assert room.live


def test_a_stream_that_ends_in_mid_word_keeps_its_words() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    receive(room, ada, partial(0, "this is", "short"))
    line, _ = room.leave(ada, OPENED + 2)
    assert isinstance(line, Final)
    assert line.text == "this is short"
    assert texts(room) == [("Ada", "this is short")]


def test_a_line_without_final_words_is_removed() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    assert receive(room, ada, final(0, "", 1)) == [], "nobody has seen it"
    receive(room, ada, partial(1, "", "hm", 2))
    (taken_back,) = receive(room, ada, final(1, "", 2))
    assert isinstance(taken_back, Final)
    assert taken_back.text == ""
    assert room.finals == []


def test_audio_settled_in_all_channels_is_settled() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    receive(room, ada, progress(10, 9), at_s=10)
    assert room.settled_s(OPENED + 10) == 9
    bob = seated(room, "Bob", at_s=5)
    receive(room, bob, progress(1, 1), at_s=10)
    assert room.settled_s(OPENED + 10) == 9, "it never goes back"
    receive(room, bob, progress(10, 10), at_s=15)
    assert room.settled_s(OPENED + 15) == 9, "Ada's last words are not final"
    receive(room, ada, progress(15, 12), at_s=15)
    assert room.settled_s(OPENED + 15) == 12


def test_a_client_that_sends_nothing_is_given_a_grace_period() -> None:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob")
    receive(room, ada, progress(10, 9.5), at_s=10)
    for second in range(1, 61):
        receive(room, bob, progress(second, second), at_s=second)
    assert room.settled_s(OPENED + 60) == 60 - STALLED_AFTER_S
    receive(room, ada, progress(11, 5), at_s=61)
    receive(room, bob, progress(70, 70), at_s=70)
    assert room.settled_s(OPENED + 70) == 60 - STALLED_AFTER_S, "she has said something"


def test_a_pause_advances_the_clock_of_the_room_only() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    for second in range(1, 11):
        receive(room, ada, progress(second, second), at_s=second + 0.5)
    receive(room, ada, final(8, "before", 1), at_s=10.5)
    for second in range(11, 14):
        receive(room, ada, progress(second, second), at_s=second + 600)
    receive(room, ada, final(11, "after", 2), at_s=613)
    assert [(line.start, line.text) for line in room.finals] == [(8, "before"), (611, "after")]


def test_a_stream_that_is_opened_early_sends_audio_later() -> None:
    room = a_room()
    ada = seated(room, "Ada", at_s=10)
    receive(room, ada, progress(1, 0.5), at_s=91)
    receive(room, ada, final(0.5, "hello"), at_s=92)
    assert room.finals[0].start == 90.5


@pytest.mark.parametrize("before", [1, 10])
def test_delayed_audio_keeps_its_time(before: int) -> None:
    """A connection breaks for half a minute; what was said meanwhile comes in a burst."""
    room = a_room()
    ada = seated(room, "Ada")
    for second in range(1, before):
        receive(room, ada, progress(second, second), at_s=second)
    for second in range(before, 41):
        receive(room, ada, progress(second, second), at_s=40)
    receive(room, ada, final(20, "meanwhile", 1), at_s=41)
    receive(room, ada, progress(50, 50), at_s=50)
    receive(room, ada, final(48, "afterwards", 2), at_s=50)
    assert [(line.start, line.text) for line in room.finals] == [
        (20, "meanwhile"),
        (48, "afterwards"),
    ]


def test_a_recording_that_is_sent_at_once_keeps_its_times() -> None:
    room = a_room()
    ada = seated(room, "Ada", at_s=5)
    for second in range(1, 61):
        receive(room, ada, progress(second, second), at_s=5)
    receive(room, ada, final(50, "late", 1), at_s=6)
    assert room.finals[0].start == 55


def test_a_telephone_key_is_reported_and_not_stored() -> None:
    room = a_room()
    number, _ = room.add_member(["Caller"], 1, 8_000, OPENED + 3)
    (key,) = receive(room, number, events.KeyPressed(0, "5", 2 * SAMPLE_RATE))
    assert key == Key(speaker="Caller", time=5, key="5")
    assert room.finals == []


def test_a_stored_room_continues_where_it_ended() -> None:
    before = a_room()
    ada = seated(before, "Ada")
    receive(before, ada, final(0, "before"))
    room = Room.reopened("standup", OPENED, {}, before.finals)
    assert room.settled_s(OPENED + 50) == 1
    receive(room, seated(room, "Ada", at_s=100), final(0, "after"))
    assert [(line.line, line.start) for line in room.finals] == [(1, 0), (2, 100)]


@pytest.mark.parametrize("event", [events.SpeechStarted(0, 1, 0), events.Ended(0, 0, 0.0, 0)])
def test_readers_do_not_receive_private_fields(event: events.Event) -> None:
    room = a_room()
    assert receive(room, seated(room, "Ada"), event) == []
