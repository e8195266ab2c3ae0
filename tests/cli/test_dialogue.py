"""Turns in the order in which they began."""

from distil_stream_client import Ended, Final, SpeechEnded, SpeechStarted

from stream.cli.dialogue import Dialogue


def started(channel: int, time: float, utterance: int = 1) -> SpeechStarted:
    return SpeechStarted(channel=channel, utterance=utterance, time=time)


def final(channel: int, start: float, text: str, utterance: int = 1) -> Final:
    place = {"channel": channel, "utterance": utterance, "start": start, "end": start + 1}
    return Final(**place, text=text)


def order(*events) -> list[list[str]]:
    dialogue = Dialogue()
    return [[final.text for final in dialogue.receive(event)] for event in events]


def test_a_single_speaker_never_waits():
    assert order(started(0, 0.0), final(0, 0.0, "a"), started(0, 5.0), final(0, 5.0, "b", 1)) == [
        [],
        ["a"],
        [],
        ["b"],
    ]


def test_a_short_answer_within_a_long_turn_comes_after_it():
    ended = SpeechEnded(channel=1, utterance=1, time=3.0)
    events = [started(0, 0.0), started(1, 2.0), ended, final(1, 2.0, "yes"), final(0, 0.0, "long")]
    assert order(*events) == [[], [], [], [], ["long", "yes"]]


def test_a_later_turn_does_not_delay_an_earlier_one():
    assert order(started(0, 0.0), started(1, 2.0), final(0, 0.0, "first")) == [[], [], ["first"]]


def test_a_stream_that_breaks_has_sent_what_was_queued():
    dialogue = Dialogue()
    for event in (started(0, 0.0), started(1, 2.0), final(1, 2.0, "yes")):
        assert dialogue.receive(event) == []
    assert [final.text for final in dialogue.rest()] == ["yes"]
    assert dialogue.rest() == []


def test_the_end_lets_everything_out():
    ended = Ended(received=1, settled=1)
    events = [started(0, 0.0), started(1, 1.0), final(1, 1.0, "b"), final(0, 0.0, ""), ended]
    assert order(*events)[-2:] == [["", "b"], []]
