"""Writes the captions of a room for video players: an HLS playlist of WebVTT segments (RFC 8216).

The playlist has the type EVENT: segments are only appended. A player can therefore seek back to the
beginning, and a segment that it has loaded never changes.
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
"""Length of a segment in seconds, as HLS recommends."""


def n_segments(room: Room, settled_s: float) -> int:
    """Return the number of complete segments.

    A segment is complete if all lines that begin in it are final. The last segment of a room that
    is over can be shorter than `SEGMENT_S`.

    Args:
        room: the room.
        settled_s: seconds from the opening of the room before which no new line can begin.
    """
    whole = settled_s / SEGMENT_S
    return math.floor(whole) if room.live else math.ceil(whole)


def playlist(room: Room, settled_s: float, segment_url: Callable[[int], str]) -> str:
    """Return the media playlist of the complete segments; `segment_url` returns the URL of one.

    The playlist holds the time of day, with which a player synchronises the captions with a video
    whose playlist holds it, too.
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
    """Return a segment as WebVTT: all cues that overlap it, as HLS requires.

    Args:
        lines: the finals of the room.
        number: index of the segment.
        mpegts: time stamp of the video (90 kHz) at the opening of the room.
    """
    start, end = number * SEGMENT_S, (number + 1) * SEGMENT_S
    near = (line for line in lines if line.start < end and line.end > start)
    seen = [
        cue for line in near for cue in line_cues(line) if start < cue.end_s and cue.start_s < end
    ]
    # FFmpeg reads the segments as one file: without an empty line the header of the next segment
    # would become part of the last cue.
    return vtt(seen, f"X-TIMESTAMP-MAP=LOCAL:00:00:00.000,MPEGTS:{mpegts}") + "\n"


def line_cues(line: Final) -> list[Cue]:
    """Return the cues of one line.

    No cue lasts longer than its line, because the next line, whose segment may not exist yet, can
    begin at the end of this one.
    """
    made = cues(words(line), line.speaker)
    return [replace(cue, end_s=min(cue.end_s, line.end)) for cue in made]
