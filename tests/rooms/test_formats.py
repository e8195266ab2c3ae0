"""A room as text, subtitles and JSON."""

import json
from itertools import pairwise

import pytest

from stream.core.subtitles import LINE_COLUMNS, LINES
from stream.rooms.formats import FORMATS, all_cues
from stream.rooms.messages import Final
from stream.rooms.room import Room
from tests.rooms.test_room import a_room, final, receive, seated

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom, " * 3


def a_conversation() -> Room:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob <bob@example>")
    receive(room, ada, final(0.5, "Good morning.", 1))
    receive(room, ada, final(2, "Shall we?", 2))
    receive(room, bob, final(3661.25, "Yes & no.", 1))
    return room


def test_text_has_a_paragraph_a_turn() -> None:
    assert FORMATS["txt"][1](a_conversation()) == (
        "[00:00:00] Ada: Good morning. Shall we?\n\n[01:01:01] Bob <bob@example>: Yes & no.\n\n"
    )


def test_srt() -> None:
    assert FORMATS["srt"][1](a_conversation()) == (
        "1\n00:00:00,500 --> 00:00:03,000\nAda: Good morning. Shall we?\n\n"
        "2\n01:01:01,250 --> 01:01:02,250\nBob <bob@example>: Yes & no.\n"
    )


def test_vtt_names_voices_and_escapes() -> None:
    text = FORMATS["vtt"][1](a_conversation())
    assert text.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:03.000\n<v Ada>Good morning. S")
    assert "01:01:01.250 --> 01:01:02.250\n<v Bob &lt;bob@example&gt;>Yes &amp; no.\n" in text


def test_json_has_everything() -> None:
    room = a_conversation()
    room.about["call"] = "CA123"
    content = json.loads(FORMATS["json"][1](room))
    assert [line["text"] for line in content["finals"]] == [line.text for line in room.finals]
    assert (content["room"], content["about"]) == ("standup", {"call": "CA123"})


def test_long_lines_are_cut_into_what_can_be_read_at_once() -> None:
    line = Final(line=1, speaker="Ada", start=10.0, end=28.0, text=LONG.strip())
    parts = all_cues([line])
    rows = [row for part in parts for row in part.lines]
    assert len(parts) > 2
    assert " ".join(rows) == line.text
    assert all(len(row) <= LINE_COLUMNS for row in rows)
    assert all(len(part.lines) <= LINES for part in parts)
    assert parts[0].start_s == 10.0
    assert parts[-1].end_s == pytest.approx(28.0)
    assert all(a.end_s < b.start_s for a, b in pairwise(parts))


def test_an_answer_comes_between_what_it_answers_and_what_follows() -> None:
    said = [("Ada", 1.0, "Coffee?"), ("Bob", 2.2, "Please."), ("Ada", 3.4, "Here you are.")]
    lines = [
        Final(line=i, speaker=who, start=start, end=start + 1, text=text)
        for i, (who, start, text) in enumerate(said)
    ]
    assert [cue.lines for cue in all_cues(lines)] == [(text,) for _, _, text in said]


def test_a_continuing_speaker_is_not_shown_twice() -> None:
    lines = [
        Final(line=i, speaker="Ada", start=start, end=start + 0.3, text="Yes.")
        for i, start in enumerate((1.0, 1.4, 5.0))
    ]
    parts = all_cues(lines)
    assert all(a.end_s < b.start_s for a, b in pairwise(parts))
    assert parts[-1].end_s == pytest.approx(6.0)
