"""What an OpenAI client is told: transcripts in its formats, events, and errors.

Pure functions from results to bodies. Fields of theirs that have no meaning here are documented in
`docs/http-api.md`.
"""

import json
from collections.abc import Sequence
from math import log
from typing import Any

from stream.core.languages import ENGLISH_NAMES
from stream.core.subtitles import cues, srt, vtt
from stream.engine.decoding.guards import compression_ratio
from stream.recordings.results import Segment, TimedWord, Transcription

FORMATS = ("json", "text", "srt", "verbose_json", "vtt")
GRANULARITIES = ("segment", "word")

SERVER_ERRORS = frozenset({"internal", "no_room", "no_storage"})
"""Codes of what is not the client's fault."""

MEDIA_TYPES = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}

Json = dict[str, Any]


def written(
    result: Transcription, response_format: str, task: str, granularities: Sequence[str]
) -> str:
    """Return the body of an answer."""
    match response_format:
        case "text":
            return f"{result.text}\n"
        case "srt":
            return srt(cues(result.words))
        case "vtt":
            return vtt(cues(result.words))
        case "verbose_json":
            return json.dumps(verbose(result, task, granularities), ensure_ascii=False)
    body = {"text": result.text, "usage": usage(result)}
    return json.dumps(body, ensure_ascii=False)


def verbose(result: Transcription, task: str, granularities: Sequence[str]) -> Json:
    """Return all that is known of a transcript."""
    language = "en" if task == "translate" else result.language
    body: Json = {
        "task": task,
        "language": ENGLISH_NAMES.get(language, language),
        "duration": round(result.duration_s, 3),
        "text": result.text,
    }
    if "word" in granularities:
        body["words"] = [word_of(word) for word in result.words]
    if "segment" in granularities:
        body["segments"] = [segment_of(i, s) for i, s in enumerate(result.segments)]
    if result.problems:
        body["problems"] = list(result.problems)
    return body | {"usage": usage(result)}


def word_of(word: TimedWord) -> Json:
    """Return one word; its confidence is a field of ours."""
    return {
        "word": word.text.strip(),
        "start": word.start_s,
        "end": word.end_s,
        "confidence": round(word.confidence, 3),
    }


def segment_of(number: int, segment: Segment) -> Json:
    """Return one segment."""
    sure = [log(max(word.confidence, 1e-6)) for word in segment.words]
    return {
        "id": number,
        "seek": round(segment.start_s * 100),
        "start": segment.start_s,
        "end": segment.end_s,
        "text": f" {segment.text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(sure) / len(sure), 4),
        "compression_ratio": round(compression_ratio(segment.text), 3),
        "no_speech_prob": 0.0,
    }


def usage(result: Transcription) -> Json:
    """Return what an answer is measured by."""
    return {"type": "duration", "seconds": round(result.duration_s, 3)}


def event(body: Json) -> bytes:
    """Return a server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def delta(text: str) -> bytes:
    """Return the event that more was heard."""
    return event({"type": "transcript.text.delta", "delta": text})


def done(text: str) -> bytes:
    """Return the event that all was heard."""
    return event({"type": "transcript.text.done", "text": text})


def failure(message: str, code: str, param: str | None = None) -> Json:
    """Return the body of a refusal."""
    kind = "server_error" if code in SERVER_ERRORS else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
