"""The feed for video players: a playlist that only grows, and its segments."""

from itertools import pairwise

from stream.rooms.feed import SEGMENT_S, playlist, segment
from stream.rooms.room import Room
from tests.rooms.test_room import OPENED, a_room, final, progress, receive, seated


def listed(room: Room, at_s: float) -> list[str]:
    return playlist(room, room.settled_s(OPENED + at_s), lambda n: f"{n}.vtt").splitlines()


def segments(room: Room, at_s: float) -> list[str]:
    return [line for line in listed(room, at_s) if line.endswith(".vtt")]


def test_a_segment_is_listed_once_it_is_complete() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    assert segments(room, 1) == []
    receive(room, ada, progress(20, SEGMENT_S * 2 + 1), at_s=20)
    assert segments(room, 20) == ["0.vtt", "1.vtt"]
    assert "#EXT-X-ENDLIST" not in listed(room, 20)


def test_a_playlist_only_grows() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    seen = []
    for second in range(1, 604):
        receive(room, ada, progress(second, second), at_s=second)
        seen.append(listed(room, second))
    room.leave(ada, OPENED + 603)
    seen.append(listed(room, 700))
    for before, after in pairwise(seen):
        assert after[: len(before)] == before
    assert segments(room, 700) == [f"{n}.vtt" for n in range(101)]
    assert seen[-1][-3:] == ["#EXTINF:3.000,", "100.vtt", "#EXT-X-ENDLIST"]
    assert "#EXT-X-PROGRAM-DATE-TIME:1970-01-12T13:46:40.000+00:00" in seen[0]


def test_a_segment_holds_what_is_seen_in_it() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    receive(room, ada, final(1, "in the first", 1))
    receive(room, ada, final(SEGMENT_S - 0.5, "in both", 2))
    receive(room, ada, final(SEGMENT_S + 2, "in the second", 3))
    first, second = segment(room.finals, 0), segment(room.finals, 1)
    assert first.startswith("WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:0\n\n")
    assert ("in the first" in first, "in both" in first, "in the second" in first) == (1, 1, 0)
    assert ("in the first" in second, "in both" in second, "in the second" in second) == (0, 1, 1)
    assert "-->" not in segment(room.finals, 2)
    assert "LOCAL:00:00:00.000,MPEGTS:126000\n" in segment(room.finals, 0, 126_000)


def test_a_cue_is_the_same_in_both_segments_whatever_follows() -> None:
    room = a_room()
    ada = seated(room, "Ada")
    receive(room, ada, final(SEGMENT_S - 0.5, "in both", 1))
    first = segment(room.finals, 0)
    receive(room, ada, final(SEGMENT_S + 0.6, "at once", 2))
    cue = first.split("\n\n")[1]
    assert "in both" in cue
    assert cue.strip() in segment(room.finals, 1).split("\n\n")
    assert segment(room.finals, 0) == first
