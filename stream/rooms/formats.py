"""Writes the transcript of a room as text, subtitles or JSON."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from stream.core.line_breaking import join_texts, space_between
from stream.core.subtitles import Cue, Piece, cues, srt, vtt
from stream.rooms.messages import Final
from stream.rooms.room import Room


def words(line: Final, before: str = "") -> Iterator[Piece]:
    """Yield the words of a line with estimated times, in proportion to the length of the words.

    A room stores the times of lines only.

    Args:
        line: the line whose words are returned.
        before: text before the line in the same cues; it decides whether a space follows it.
    """
    per_letter_s = (line.end - line.start) / max(len(line.text), 1)
    position = 0
    space = space_between(before, line.text)
    for word in line.text.split(" "):
        start_s = line.start + position * per_letter_s
        position += len(word) + 1
        yield Piece(f"{space}{word}", start_s, start_s + len(word) * per_letter_s)
        space = " "


def turns(lines: Iterable[Final]) -> Iterator[tuple[str, list[Final]]]:
    """Yield the turns: the label of a speaker, and consecutive lines of that speaker."""
    for speaker, said in groupby(lines, key=lambda line: line.speaker):
        yield speaker, list(said)


def all_cues(lines: Iterable[Final]) -> list[Cue]:
    """Return the cues of all turns, in order."""
    made = []
    for speaker, said in turns(lines):
        before = ["", *(line.text for line in said)]
        pairs = zip(said, before, strict=False)
        made += cues([word for line, text in pairs for word in words(line, text)], speaker)
    return made


def as_text(room: Room) -> str:
    """Return one paragraph for each turn, with its start time and its speaker."""
    paragraphs = []
    for speaker, said in turns(room.finals):
        text = join_texts(line.text for line in said)
        paragraphs.append(f"[{clock(said[0].start)}] {speaker}: {text}\n\n")
    return "".join(paragraphs)


def as_srt(room: Room) -> str:
    """Return SubRip subtitles."""
    return srt(all_cues(room.finals))


def as_vtt(room: Room) -> str:
    """Return WebVTT subtitles with the speakers as voices."""
    return vtt(all_cues(room.finals))


def as_json(room: Room) -> str:
    """Return the snapshot of the room and its `about` fields as a JSON object."""
    snapshot = msgspec.to_builtins(room.snapshot())
    return msgspec.json.encode({**snapshot, "about": room.about}).decode()


FORMATS: dict[str, tuple[str, Callable[[Room], str]]] = {
    "txt": ("text/plain", as_text),
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
    "json": ("application/json", as_json),
}
"""Content type and writer, by file name extension."""


def clock(seconds: float) -> str:
    """Format seconds as HH:MM:SS."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
