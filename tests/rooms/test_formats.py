"""A room as text, subtitles, JSON and a feed for players."""

import json
from itertools import pairwise

import pytest

from stream.core import events
from stream.rooms.formats import FORMATS, LINE_LENGTH, LINES, SEGMENT_S, cues, playlist, segment
from stream.rooms.messages import Final
from stream.rooms.room import Room
from tests.rooms.test_room import OPENED, a_room, final, seated

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom, " * 3


def a_conversation() -> Room:
    room = a_room()
    ada, bob = seated(room, "Ada"), seated(room, "Bob <bob@example>")
    room.receive(ada, final(0.5, "Good morning.", 1))
    room.receive(ada, final(2, "Shall we?", 2))
    room.receive(bob, final(3661.25, "Yes & no.", 1))
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


def segments(room: Room) -> list[str]:
    lines = playlist(room, lambda number: f"{number}.vtt").splitlines()
    return [line for line in lines if line.endswith(".vtt")]


def test_a_segment_is_listed_once_nothing_can_be_added_to_it() -> None:
    room = a_room()
    ada = seated(room, "Ada", rate=1)
    assert segments(room) == []
    room.receive(ada, events.Progress(received=20, settled=SEGMENT_S * 2 + 1, lag_ms=0))
    assert segments(room) == ["0.vtt", "1.vtt"]
    text = playlist(room, str)
    assert "#EXT-X-MEDIA-SEQUENCE:0" in text
    assert "ENDLIST" not in text


def test_a_live_playlist_rolls_and_one_that_is_over_is_whole() -> None:
    room = a_room()
    ada = seated(room, "Ada", rate=1)
    room.receive(ada, events.Progress(received=603, settled=603, lag_ms=0))
    assert segments(room) == [f"{n}.vtt" for n in range(80, 100)]
    assert "#EXT-X-MEDIA-SEQUENCE:80" in playlist(room, str)
    room.leave(ada, OPENED + 603)
    assert segments(room) == [f"{n}.vtt" for n in range(101)]
    assert playlist(room, str).endswith("#EXT-X-ENDLIST\n")


def test_a_segment_holds_what_is_seen_in_it() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    room.receive(ada, final(1, "in the first", 1))
    room.receive(ada, final(SEGMENT_S - 0.5, "in both", 2))
    room.receive(ada, final(SEGMENT_S + 2, "in the second", 3))
    first, second = segment(room.finals, 0), segment(room.finals, 1)
    assert first.startswith("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n")
    assert ("in the first" in first, "in both" in first, "in the second" in first) == (1, 1, 0)
    assert ("in the first" in second, "in both" in second, "in the second" in second) == (0, 1, 1)
    assert "-->" not in segment(room.finals, 2)
