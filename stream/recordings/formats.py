"""Writes a transcription as plain text, JSON, subtitles (SRT, WebVTT) or a table (TSV)."""

import json
from collections.abc import Callable

from stream.core.subtitles import Cue, cues, srt, vtt
from stream.recordings.results import Segment, TimedWord, Transcription


def as_text(result: Transcription) -> str:
    """Return one line for each segment; with several channels, prefixed by the channel."""
    return "".join(f"{speaker(s, result.channels)}{s.text}\n" for s in result.segments)


def as_json(result: Transcription) -> str:
    """Return all fields of the result as a JSON object; times are in seconds."""
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
    """Return the JSON fields of one word."""
    return {
        "word": word.text.strip(),
        "start": word.start_s,
        "end": word.end_s,
        "confidence": round(word.confidence, 3),
    }


def as_srt(result: Transcription) -> str:
    """Return SubRip subtitles."""
    return srt(all_cues(result))


def as_vtt(result: Transcription) -> str:
    """Return WebVTT subtitles."""
    return vtt(all_cues(result))


def all_cues(result: Transcription) -> list[Cue]:
    """Return the cues, channel after channel; with several channels, labelled `Channel N`."""
    made = []
    for channel in range(result.channels):
        words = [w for s in result.segments if s.channel == channel for w in s.words]
        made += cues(words, f"Channel {channel}" if result.channels > 1 else "")
    return made


def as_tsv(result: Transcription) -> str:
    """Return a header and one line for each segment: start and end in milliseconds, text."""
    rows = ["start\tend\ttext\n"]
    for s in result.segments:
        text = f"{speaker(s, result.channels)}{s.text}".replace("\t", " ")
        rows.append(f"{round(s.start_s * 1000)}\t{round(s.end_s * 1000)}\t{text}\n")
    return "".join(rows)


def speaker(segment: Segment, channels: int) -> str:
    """Return the prefix `[channel] ` of a segment; empty if there is only one channel."""
    return f"[{segment.channel}] " if channels > 1 else ""


FORMATS: dict[str, Callable[[Transcription], str]] = {
    "txt": as_text,
    "json": as_json,
    "srt": as_srt,
    "vtt": as_vtt,
    "tsv": as_tsv,
}
