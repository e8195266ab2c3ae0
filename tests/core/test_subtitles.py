"""Subtitles that can be read, whatever the words are."""

import re
from itertools import accumulate, pairwise

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.core.line_breaking import columns
from stream.core.subtitles import LINE_COLUMNS, MOST_S, Cue, clock, cues, srt, vtt
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


def test_lines_break_at_sentences() -> None:
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
        assert all(0 < columns(line) <= LINE_COLUMNS for line in cue.lines)
        assert 0 < cue.end_s - cue.start_s <= MOST_S + 1e-6
    for one, other in pairwise(made):
        assert one.end_s <= max(other.start_s, one.start_s + 0.001)


def letters(text: str, each_s: float = 0.2) -> list[TimedWord]:
    """Each character a word of its own, as words of scripts without spaces come."""
    clusters = regex.findall(r"\X", text)
    return [
        TimedWord(cluster, i * each_s, (i + 0.9) * each_s, 0.9)
        for i, cluster in enumerate(clusters)
    ]


JAPANESE = (
    "東京駅で「次の電車は何時ですか？」と聞かれたので、時刻表を見た。ところがそれは"
    "古いものだった！（去年の）だから、もう一度ホームへ行って、駅員に聞くことにした。"
)
CHINESE = "他说：“我们明天（星期三）再谈吧。”可是谁也没有回答；大家都在看窗外的雨，而雨越下越大……"


@pytest.mark.parametrize("text", [JAPANESE, CHINESE])
@pytest.mark.parametrize("whole", [False, True])
def test_no_line_of_han_begins_with_what_closes(text: str, whole: bool) -> None:
    words = [TimedWord(text, 0.0, 20.0, 0.9)] if whole else letters(text)
    lines = [line for cue in cues(words) for line in cue.lines]
    assert "".join(lines) == text
    assert all(columns(line) <= LINE_COLUMNS for line in lines)
    assert not [line for line in lines if line[0] in "。、，；！？」』）”…っゃゅょー"]
    assert not [line for line in lines if line[-1] in "「『（“"]


def test_sentences_of_han_have_cues_of_their_own() -> None:
    text = "今日は朝からとてもよい天気です。明日は夕方から雨が降るでしょう。"
    assert texts(cues(letters(text, 0.25))) == [
        "今日は朝からとてもよい天気です。",
        "明日は夕方から雨が降るでしょう。",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "क्षत्रियोंस्त्रीत्वज्ञान" * 4,
        "👩🏽\u200d🚒👨\u200d👩\u200d👧\u200d👦🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f🇨🇭❤️"
        * 6,
        "ශ්\u200dරීලංකාක්\u200dෂ" * 8,
        "e\u0301a\u0308" * 40,
        "ผู้ใหญ่บ้านกำลังเดินทางไปซื้อไมโครโฟนและคอมพิวเตอร์" * 2,
        "ကျွန်တော်မြန်မာစကားပြောတတ်ပါတယ်" * 3,
        "각각" * 40,
    ],
)
def test_a_wide_word_is_divided_between_grapheme_clusters(text: str) -> None:
    for words in ([TimedWord(f" {text}", 0.0, 15.0, 0.9)], letters(text, 0.1)):
        lines = [line for cue in cues(words) for line in cue.lines]
        assert "".join(lines) == text
        borders = {match.end() for match in regex.finditer(r"\X", text)}
        ends = list(accumulate(map(len, lines)))
        assert len(ends) > 1
        assert set(ends) <= borders
        assert all(columns(line) <= LINE_COLUMNS for line in lines)
        assert not [line for line in lines if line[0] in "ะาำๆ" or line[-1] in "เแโใไ\u200d\u0dca"]


def test_the_punctuation_of_french_stays_with_its_word() -> None:
    words = spoken("Il a demandé : « Est-ce que vous venez ? » Et personne n’a répondu « non » !")
    lines = [line for cue in cues(words) for line in cue.lines]
    assert not [line for line in lines if line[0] in ":?!»" or line[-1] == "«"]


@pytest.mark.slow
@given(st.lists(st.text(min_size=1, max_size=30), max_size=20))
def test_no_character_of_any_script_is_lost(texts: list[str]) -> None:
    said = [TimedWord(f" {text}", i * 0.5, i * 0.5 + 0.4, 0.9) for i, text in enumerate(texts)]
    shown = "".join(line for cue in cues(said) for line in cue.lines)
    assert "".join(shown.split()) == "".join("".join(texts).split())


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
