"""A room's captions for video players: a playlist of WebVTT segments, as HLS has it (RFC 8216).

The playlist is of the type EVENT: it only grows, so that a player may go back to the beginning, and
one that has followed it live finds nothing changed when the room is over.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from stream.core.subtitles import Cue, cues, vtt
from stream.rooms.formats import words
from stream.rooms.messages import Final
from stream.rooms.room import Room

SEGMENT_S = 6
"""Seconds of a segment, as HLS recommends."""


def n_segments(room: Room, settled_s: float) -> int:
    """How many segments there are; `settled_s` is the room's, and no line before it will come.

    A segment is there once all lines that begin in it are final, and never changes after that.
    When the room is over there is a last one, which may be shorter.
    """
    whole = settled_s / SEGMENT_S
    return math.floor(whole) if room.live else math.ceil(whole)


def playlist(room: Room, settled_s: float, segment_url: Callable[[int], str]) -> str:
    """Return the media playlist of the captions so far.

    The time of day lets a player lay the captions beside a video that has it, too.
    """
    opened_at = datetime.fromtimestamp(room.opened_at, UTC).isoformat(timespec="milliseconds")
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:3",
        f"#EXT-X-TARGETDURATION:{SEGMENT_S}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:EVENT",
        f"#EXT-X-PROGRAM-DATE-TIME:{opened_at}",
    ]
    for number in range(n_segments(room, settled_s)):
        seconds = min(settled_s - number * SEGMENT_S, SEGMENT_S)
        lines += [f"#EXTINF:{seconds:.3f},", segment_url(number)]
    if not room.live:
        lines += ["#EXT-X-ENDLIST"]
    return "".join(f"{line}\n" for line in lines)


def segment(lines: Sequence[Final], number: int, mpegts: int = 0) -> str:
    """Return a segment: all cues that are to be seen in it, as HLS wants it.

    Its times are the room's; `mpegts` is what the clock of the video, of 90 kHz, shows when the
    room is opened.
    """
    start, end = number * SEGMENT_S, (number + 1) * SEGMENT_S
    near = (line for line in lines if line.start < end and line.end > start)
    seen = [
        cue for line in near for cue in line_cues(line) if start < cue.end_s and cue.start_s < end
    ]
    # FFmpeg reads the segments as one file: without an empty line the last cue of one would go on
    # with the header of the next.
    return vtt(seen, f"X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{mpegts}") + "\n"


def line_cues(line: Final) -> list[Cue]:
    """Return what is shown of a line, whatever else is said.

    No cue stands longer than its line: the next may follow at once, in a segment yet to come.
    """
    made = cues(words(line), line.speaker)
    return [replace(cue, end_s=min(cue.end_s, line.end)) for cue in made]
