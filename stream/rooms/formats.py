"""A room's transcript as text, subtitles or JSON."""

import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from html import escape

import msgspec

from stream.rooms.messages import Final
from stream.rooms.room import Room

LINE_LENGTH = 42
LINES = 2
"""Characters of a line and lines of a subtitle, as broadcasters have them."""


@dataclass(frozen=True, slots=True)
class Cue:
    """What is shown at once. Times are seconds of the room."""

    start: float
    end: float
    speaker: str
    text: str
    """At most `LINES` lines."""


def cues(lines: Iterable[Final]) -> Iterator[Cue]:
    """Cut lines into what can be shown at once; each part gets time by its length."""
    for line in lines:
        wrapped = textwrap.wrap(line.text, LINE_LENGTH)
        parts = ["\n".join(wrapped[i : i + LINES]) for i in range(0, len(wrapped), LINES)]
        per_letter = (line.end - line.start) / max(sum(map(len, parts)), 1)
        start = line.start
        for part in parts:
            end = start + per_letter * len(part)
            yield Cue(start, end, line.speaker, part)
            start = end


def as_text(room: Room) -> str:
    """A paragraph for each speaker's turn, with the time at which it began."""
    paragraphs: list[str] = []
    speaker = None
    for line in room.finals:
        if line.speaker == speaker:
            paragraphs[-1] += f" {line.text}"
        else:
            paragraphs.append(f"[{clock(line.start)}] {line.speaker}: {line.text}")
        speaker = line.speaker
    return "".join(f"{paragraph}\n\n" for paragraph in paragraphs)


def as_srt(room: Room) -> str:
    """SubRip."""
    return "".join(
        f"{number}\n{timestamp(cue.start, ',')} --> {timestamp(cue.end, ',')}\n"
        f"{cue.speaker}: {cue.text}\n\n"
        for number, cue in enumerate(cues(room.finals), 1)
    )


def as_vtt(room: Room) -> str:
    """WebVTT, with the speakers as voices."""
    return "WEBVTT\n\n" + "".join(map(vtt_cue, cues(room.finals)))


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


def vtt_cue(cue: Cue) -> str:
    """A cue of WebVTT."""
    times = f"{timestamp(cue.start, '.')} --> {timestamp(cue.end, '.')}"
    return f"{times}\n<v {escape(cue.speaker, quote=False)}>{escape(cue.text, quote=False)}\n\n"


def clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def timestamp(seconds: float, point: str) -> str:
    """Hours, minutes, seconds and milliseconds."""
    ms = round(seconds * 1000)
    return f"{clock(ms // 1000)}{point}{ms % 1000:03}"
