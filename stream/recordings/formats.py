"""A transcription as a file: plain text, JSON, subtitles, a table."""

import json
from collections.abc import Callable

from stream.core.subtitles import Cue, cues, srt, vtt
from stream.recordings.results import Segment, TimedWord, Transcription


def as_text(result: Transcription) -> str:
    """A line a segment, with the channel before it where there are several."""
    return "".join(f"{speaker(s, result.channels)}{s.text}\n" for s in result.segments)


def as_json(result: Transcription) -> str:
    """Everything that is known; times in seconds."""
    segments = [
        {
            "start": segment.start_s,
            "end": segment.end_s,
            "channel": segment.channel,
            "language": segment.language,
            "confidence": round(segment.confidence, 3),
            "text": segment.text,
            "words": [word_fields(word) for word in segment.words],
        }
        for segment in result.segments
    ]
    body = {
        "text": result.text,
        "language": result.language,
        "duration": round(result.duration_s, 3),
        "channels": result.channels,
        "problems": list(result.problems),
        "segments": segments,
    }
    return json.dumps(body, ensure_ascii=False, indent=1) + "\n"


def word_fields(word: TimedWord) -> dict[str, object]:
    """One word."""
    return {
        "word": word.text.strip(),
        "start": word.start_s,
        "end": word.end_s,
        "confidence": round(word.confidence, 3),
    }


def as_srt(result: Transcription) -> str:
    """SubRip subtitles."""
    return srt(all_cues(result))


def as_vtt(result: Transcription) -> str:
    """WebVTT subtitles."""
    return vtt(all_cues(result))


def all_cues(result: Transcription) -> list[Cue]:
    """The cues of each channel, named where there are several."""
    made = []
    for channel in range(result.channels):
        words = [w for s in result.segments if s.channel == channel for w in s.words]
        made += cues(words, f"Channel {channel}" if result.channels > 1 else "")
    return made


def as_tsv(result: Transcription) -> str:
    """A segment a line: start and end in milliseconds, text."""
    rows = ["start\tend\ttext\n"]
    for s in result.segments:
        text = f"{speaker(s, result.channels)}{s.text}".replace("\t", " ")
        rows.append(f"{round(s.start_s * 1000)}\t{round(s.end_s * 1000)}\t{text}\n")
    return "".join(rows)


def speaker(segment: Segment, channels: int) -> str:
    """What comes before the words where there are several channels."""
    return f"[{segment.channel}] " if channels > 1 else ""


FORMATS: dict[str, Callable[[Transcription], str]] = {
    "txt": as_text,
    "json": as_json,
    "srt": as_srt,
    "vtt": as_vtt,
    "tsv": as_tsv,
}
