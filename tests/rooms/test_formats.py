"""A room as text, subtitles and JSON."""

import json
from itertools import pairwise

import pytest

from stream.rooms.formats import FORMATS, LINE_LENGTH, LINES, cues
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
    assert FORMATS["srt"][1](a_conversation()).startswith(
        "1\n00:00:00,500 --> 00:00:01,500\nAda: Good morning.\n\n2\n00:00:02,000 --> "
    )


def test_vtt_names_voices_and_escapes() -> None:
    text = FORMATS["vtt"][1](a_conversation())
    assert text.startswith("WEBVTT\n\n00:00:00.500 --> 00:00:01.500\n<v Ada>Good morning.\n\n")
    assert "01:01:01.250 --> 01:01:02.250\n<v Bob &lt;bob@example&gt;>Yes &amp; no.\n" in text


def test_json_has_everything() -> None:
    room = a_conversation()
    room.about["call"] = "CA123"
    content = json.loads(FORMATS["json"][1](room))
    assert [line["text"] for line in content["finals"]] == [line.text for line in room.finals]
    assert (content["room"], content["about"]) == ("standup", {"call": "CA123"})


def test_long_lines_are_cut_into_what_can_be_read_at_once() -> None:
    line = Final(line=1, speaker="Ada", start=10.0, end=22.0, text=LONG.strip())
    parts = list(cues([line]))
    assert len(parts) > 2
    assert " ".join(part.text.replace("\n", " ") for part in parts) == line.text
    assert all(len(row) <= LINE_LENGTH for part in parts for row in part.text.split("\n"))
    assert all(part.text.count("\n") < LINES for part in parts)
    assert parts[0].start == 10.0
    assert parts[-1].end == pytest.approx(22.0)
    assert all(a.end == b.start for a, b in pairwise(parts))
