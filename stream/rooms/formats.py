"""A room's transcript as text, subtitles or JSON."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

import msgspec

from stream.core.line_breaking import join_texts, space_between
from stream.core.subtitles import Cue, Piece, cues, srt, vtt
from stream.rooms.messages import Final
from stream.rooms.room import Room


def words(line: Final, before: str = "") -> Iterator[Piece]:
    """Yield the words of a line. A room keeps no times of words: each gets time by its length.

    Args:
        line: what was said.
        before: the text that was said before it, in the same cues.
    """
    per_letter_s = (line.end - line.start) / max(len(line.text), 1)
    said = 0
    space = space_between(before, line.text)
    for word in line.text.split(" "):
        start_s = line.start + said * per_letter_s
        said += len(word) + 1
        yield Piece(f"{space}{word}", start_s, start_s + len(word) * per_letter_s)
        space = " "


def turns(lines: Iterable[Final]) -> Iterator[tuple[str, list[Final]]]:
    """Yield who speaks, and the lines that they say until somebody else does."""
    for speaker, said in groupby(lines, key=lambda line: line.speaker):
        yield speaker, list(said)


def all_cues(lines: Iterable[Final]) -> list[Cue]:
    """Return the cues of each turn."""
    made = []
    for speaker, said in turns(lines):
        before = ["", *(line.text for line in said)]
        pairs = zip(said, before, strict=False)
        made += cues([word for line, text in pairs for word in words(line, text)], speaker)
    return made


def as_text(room: Room) -> str:
    """A paragraph for each speaker's turn, with the time at which it began."""
    paragraphs = []
    for speaker, said in turns(room.finals):
        text = join_texts(line.text for line in said)
        paragraphs.append(f"[{clock(said[0].start)}] {speaker}: {text}\n\n")
    return "".join(paragraphs)


def as_srt(room: Room) -> str:
    """SubRip."""
    return srt(all_cues(room.finals))


def as_vtt(room: Room) -> str:
    """WebVTT, with the speakers as voices."""
    return vtt(all_cues(room.finals))


def as_json(room: Room) -> str:
    """Everything."""
    snapshot = msgspec.to_builtins(room.snapshot())
    return msgspec.json.encode({**snapshot, "about": room.about}).decode()


FORMATS: dict[str, tuple[str, Callable[[Room], str]]] = {
    "txt": ("text/plain", as_text),
    "srt": ("application/x-subrip", as_srt),
    "vtt": ("text/vtt", as_vtt),
    "json": ("application/json", as_json),
}
"""By extension: the content type, and what writes it."""


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"
