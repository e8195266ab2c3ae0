"""Subtitles that can be read, whatever the words are."""

import re
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.subtitles import LINE_CHARACTERS, MOST_S, Cue, clock, cues, srt, vtt
from stream.recordings.results import TimedWord

DICKENS = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age"
    " of foolishness. It was the epoch of belief, and nobody who was there at the time ever knew."
)


def spoken(text: str, per_word_s: float = 0.3, start_s: float = 0.0) -> list[TimedWord]:
    return [
        TimedWord(f" {w}", start_s + i * per_word_s, start_s + (i + 0.9) * per_word_s, 0.9)
        for i, w in enumerate(text.split())
    ]


def texts(made: list[Cue]) -> list[str]:
    return [" / ".join(cue.lines) for cue in made]


def test_they_break_where_the_sentence_does() -> None:
    assert texts(cues(spoken(DICKENS))) == [
        "It was the best of times, / it was the worst of times,",
        "it was the age of wisdom, / it was the age of foolishness.",
        "It was the epoch of belief, and nobody / who was there at the time ever knew.",
    ]


def test_a_short_cue_stands_long_enough_to_be_read() -> None:
    (cue,) = cues([TimedWord(" Yes.", 5.0, 5.2, 1.0)])
    assert (cue.start_s, cue.end_s) == (5.0, 6.0)


def test_a_silence_is_not_bridged() -> None:
    made = cues(spoken("wait for it") + spoken("now", start_s=5.0))
    assert texts(made) == ["wait for it", "now"]
    assert made[0].end_s < 3


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text("ab,.-ß字", min_size=1, max_size=60),
            st.floats(0, 4),
            st.floats(0, 1.5),
        ),
        max_size=60,
    ),
    st.sampled_from(["", "Ann"]),
)
def test_any_words_become_cues_in_order(
    words: list[tuple[str, float, float]], speaker: str
) -> None:
    at, said = 0.0, []
    for text, gap, length in words:
        said.append(TimedWord(f" {text}", at + gap, at + gap + length, 0.5))
        at += gap + length
    made = cues(said, speaker)
    shown = "".join("".join(cue.lines) for cue in made).replace(" ", "")
    assert shown == "".join(word.text for word in said).replace(" ", "")
    for cue in made:
        assert 1 <= len(cue.lines) <= 2
        assert all(0 < len(line) <= LINE_CHARACTERS for line in cue.lines)
        assert 0 < cue.end_s - cue.start_s <= MOST_S + 1e-6
    for one, other in pairwise(made):
        assert one.end_s <= max(other.start_s, one.start_s + 0.001)


def test_srt() -> None:
    made = [Cue(3661.5, 3663.0, ("One,", "two."), "Ann"), Cue(0.04, 1.0, ("Zero.",))]
    assert srt(made) == (
        "1\n00:00:00,040 --> 00:00:01,000\nZero.\n\n"
        "2\n01:01:01,500 --> 01:01:03,000\nAnn: One,\ntwo.\n"
    )


def test_vtt() -> None:
    made = [Cue(0.0, 1.0, ("1 < 2 & 3",)), Cue(2.0, 3.0, ("Yes.",), "A <b>")]
    assert vtt(made) == (
        "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n1 &lt; 2 &amp; 3\n\n"
        "00:00:02.000 --> 00:00:03.000\n<v A &lt;b&gt;>Yes.\n"
    )
    assert vtt([]) == "WEBVTT\n"
    assert srt([]) == ""


def test_clock() -> None:
    assert clock(59.9996, ".") == "00:01:00.000"
    assert re.fullmatch(r"100:00:00,000", clock(360_000, ","))
