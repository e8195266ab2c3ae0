"""Writes responses in the formats of OpenAI's API: transcripts, events and errors.

Pure functions from results to bodies. `docs/http-api.md` lists the fields that have no meaning here
and their constant values.
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
"""Codes of errors that are not the client's fault."""

MEDIA_TYPES = {
    "json": "application/json",
    "verbose_json": "application/json",
    "text": "text/plain",
    "srt": "application/x-subrip",
    "vtt": "text/vtt",
}

Json = dict[str, Any]


def response_body(
    result: Transcription,
    response_format: str,
    task: str,
    granularities: Sequence[str],
    tokens: Sequence[Json] | None = None,
) -> str:
    """Return a transcript in one of `FORMATS`; `tokens` are its `logprobs` in `json`."""
    match response_format:
        case "text":
            return f"{result.text}\n"
        case "srt":
            return srt(cues(result.words))
        case "vtt":
            return vtt(cues(result.words))
        case "verbose_json":
            return json.dumps(verbose(result, task, granularities), ensure_ascii=False)
    body = {"text": result.text, "usage": usage(result)} | with_tokens(tokens)
    return json.dumps(body, ensure_ascii=False)


def verbose(result: Transcription, task: str, granularities: Sequence[str]) -> Json:
    """Return the fields of the format `verbose_json`."""
    language = "en" if task == "translate" else result.language
    body: Json = {
        "task": task,
        "language": ENGLISH_NAMES.get(language, language),
        "duration": round(result.duration_s, 3),
        "text": result.text,
    }
    if "word" in granularities:
        body["words"] = [word_fields(word) for word in result.words]
    if "segment" in granularities:
        body["segments"] = [segment_fields(i, s) for i, s in enumerate(result.segments)]
    if result.problems:
        body["problems"] = list(result.problems)
    return body | {"usage": usage(result)}


def word_fields(word: TimedWord) -> Json:
    """Return the fields of a word; `confidence` is an extension of OpenAI's format."""
    return {
        "word": word.text.strip(),
        "start": word.start_s,
        "end": word.end_s,
        "confidence": round(word.confidence, 3),
    }


def segment_fields(number: int, segment: Segment) -> Json:
    """Return the fields of a segment."""
    log_probabilities = [log(max(word.confidence, 1e-6)) for word in segment.words]
    return {
        "id": number,
        "seek": round(segment.start_s * 100),
        "start": segment.start_s,
        "end": segment.end_s,
        "text": f" {segment.text}",
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": round(sum(log_probabilities) / len(log_probabilities), 4),
        "compression_ratio": round(compression_ratio(segment.text), 3),
        "no_speech_prob": 0.0,
    }


def usage(result: Transcription) -> Json:
    """Return the usage field: the duration of the audio."""
    return {"type": "duration", "seconds": round(result.duration_s, 3)}


def event(body: Json) -> bytes:
    """Encode a server-sent event."""
    return f"data: {json.dumps(body, ensure_ascii=False)}\n\n".encode()


def delta(text: str, tokens: Sequence[Json] | None = None) -> bytes:
    """Return the event with the text of a new segment, and its `logprobs` if there are any."""
    return event({"type": "transcript.text.delta", "delta": text} | with_tokens(tokens))


def done(text: str, tokens: Sequence[Json] | None = None) -> bytes:
    """Return the last event, with the whole text."""
    return event({"type": "transcript.text.done", "text": text} | with_tokens(tokens))


def with_tokens(tokens: Sequence[Json] | None) -> Json:
    """Return the field `logprobs`, if it is requested."""
    return {} if tokens is None else {"logprobs": tokens}


def failure(message: str, code: str, param: str | None = None) -> Json:
    """Return the body of an error response."""
    kind = "server_error" if code in SERVER_ERRORS else "invalid_request_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
