"""How far the words of each channel are known, where a new server has to hear the rest."""

from distil_stream_client import Final, Latency, Partial, Progress, Word
from distil_stream_client.timeline import Timeline

RATE = 8_000
SPLIT = Latency(endpoint_ms=0.0)
PAUSE = Latency(endpoint_ms=500.0)


def final(end: float, latency: Latency, words: tuple[Word, ...] = ()) -> Final:
    return Final(
        channel=0, utterance=1, start=0.0, end=end, text="said", words=words, latency=latency
    )


def partial(start: float, channel: int = 0) -> Partial:
    return Partial(
        channel=channel, utterance=2, revision=1, start=start, end=start + 1,
        committed="", tentative="on",
    )  # fmt: skip


def known(*events: Final | Partial) -> float:
    timeline = Timeline(RATE)
    for event in events:
        timeline.receive(event)
        timeline.receive(Progress(received=0, settled=0))
    timeline.release()
    return timeline.known[0] / RATE


def test_a_final_after_a_pause_has_all_words() -> None:
    assert known(final(10, PAUSE, (Word("said", 7, 8),))) == 10
    assert known(final(10, PAUSE), partial(11)) == 10


def test_a_final_that_was_cut_off_has_the_words_that_it_has() -> None:
    assert known(final(10, SPLIT, (Word("said", 7, 8.5),))) == 8.5


def test_a_final_without_words_is_judged_by_the_next() -> None:
    assert known(final(10, SPLIT), partial(7.25)) == 7.25
    assert known(final(10, SPLIT), partial(3, channel=1)) == 9, "the server keeps none of the rest"
