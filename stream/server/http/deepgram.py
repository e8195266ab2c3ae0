"""Deepgram's transcription of recordings, `POST /v1/listen`: the body is the recording.

The parameters are those of the live endpoint (`protocols/deepgram/parameters`).
"""

import asyncio
import hashlib
import logging
import secrets
import struct
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import BinaryIO

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stream.core.audio import SAMPLE_RATE
from stream.core.settings import CONTAINER
from stream.core.windows import Word
from stream.errors import PeerError, UsageError
from stream.media.recording import MediaError
from stream.protocols.deepgram import parameters
from stream.protocols.deepgram.listen import DeepgramProtocol
from stream.protocols.deepgram.results import Json, alternative, request_id, transcript, word_fields
from stream.protocols.interface import Service
from stream.recordings.options import FileOptions
from stream.recordings.results import Segment, TimedWord, main_language
from stream.server import access
from stream.server.http.asking import asking_of
from stream.server.http.openai_requests import (
    LimitedRequest,
    RequestError,
    free_upload_slot,
    take_upload_slot,
)
from stream.server.http.protocol_routes import as_response, visitor_of
from stream.server.http.request_target import query_of
from stream.server.http.uploads import Upload, segments_unless_gone
from stream.server.state import ServerState
from stream.server.visitors import Refused, Visitor

NO_URL = "Recordings are not fetched from a URL here; send the recording as the body."
NO_BODY = "The body is empty; send the recording as the body."
CLIENT_CLOSED = 499
IN_MEMORY_BYTES = 1 << 20

MIXED = {
    "parameter": "multichannel",
    "type": "unsupported_parameter",
    "message": "The channels of a recording are mixed; send them as a live stream.",
}
"""The warning of a request that asks for the channels of a recording apart."""

WAVE_TAGS = {"pcm_s16le": (1, 16), "pcm_f32le": (3, 32), "alaw": (6, 8), "mulaw": (7, 8)}
"""Format tag and bits of a sample in the header of a WAV file."""

log = logging.getLogger(__name__)


def deepgram_routes(server: ServerState) -> list[Route]:
    """Return the route of recordings."""

    async def endpoint(request: Request) -> Response:
        fields = request.headers.items()
        if request.method == "OPTIONS":  # a CORS preflight
            response = Response(status_code=204, headers=access.PREFLIGHT)
        else:
            response = await respond(server, request)
            server.metrics.uploads.labels(str(response.status_code)).inc()
        response.headers.update(access.cross_origin(fields, server.config))
        return response

    return [Route("/v1/listen", endpoint, methods=["POST", "OPTIONS"])]


async def respond(server: ServerState, request: Request) -> Response:
    """Return the transcript of the body, or an error in Deepgram's format."""
    try:
        visitor = visitor_of(server, DeepgramProtocol, asking_of(request))
        visitor.require("upload")
        assert server.service
        asked = parameters.read(server.service, access.query_fields(query_of(request)))
        if request.headers.get("content-type", "").startswith("application/json"):
            raise PeerError("bad_settings", NO_URL, None)
        take_upload_slot(server, visitor)
        try:
            return await transcribe(server, visitor, request, asked)
        finally:
            free_upload_slot(server, visitor)
    except Refused as refused:
        return as_response(refused.by(DeepgramProtocol))
    except PeerError as error:
        return as_response(DeepgramProtocol.refusal(400, error.code, str(error)))
    except (MediaError, UsageError) as error:
        return as_response(DeepgramProtocol.refusal(400, "bad_settings", str(error)))
    except RequestError as error:
        return as_response(DeepgramProtocol.refusal(error.status, error.code, str(error)))
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED)


async def transcribe(
    server: ServerState, visitor: Visitor, request: Request, asked: parameters.ListenParameters
) -> Response:
    """Receive the body, and return its transcript."""
    assert server.engine
    assert server.service
    service = server.service
    limited = LimitedRequest(request.scope, request.receive)
    session = secrets.token_hex(8)
    options = FileOptions(language=asked.settings.language, keyterms=asked.settings.keyterms)
    async with received(limited, asked) as (file, sha256):
        visitor.note("upload", session=f"file-{session}")
        upload = Upload(
            file,
            "The recording",
            f"file-{session}",
            server.engine,
            service,
            options,
            visitor.charge_upload,
            server.decoders,
        )
        segments = await segments_unless_gone(upload, limited)
    headers = {"dg-request-id": request_id(session), "Cache-Control": "no-store"}

    def response() -> Response:
        body = response_body(service, session, sha256, upload, segments, asked)
        return JSONResponse(body, headers=headers)

    return await asyncio.to_thread(response)  # many words take long


@asynccontextmanager
async def received(
    request: LimitedRequest, asked: parameters.ListenParameters
) -> AsyncIterator[tuple[BinaryIO, str]]:
    """Keep the body in a file while the block runs; yields it, with the SHA-256 of the body.

    Samples without a container get the header of a WAV file.
    """
    digest, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES) as file:
        async for piece in request.stream():
            if size == 0 and piece and asked.start["encoding"] != CONTAINER:
                file.write(b"" if piece.startswith(b"RIFF") else wave_header(asked))
            digest.update(piece)
            size += len(piece)
            await asyncio.to_thread(file.write, piece)
        if size == 0:
            raise PeerError("bad_settings", NO_BODY, None)
        file.seek(0)
        yield file, digest.hexdigest()  # type: ignore[misc]


def wave_header(asked: parameters.ListenParameters) -> bytes:
    """Return the header of a WAV file of unknown length, for samples that come without one."""
    tag, bits = WAVE_TAGS[str(asked.start["encoding"])]
    rate, channels = int(str(asked.start["sample_rate"])), int(str(asked.start["channels"]))
    frame = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)
    unknown = 0xFFFFFFFF
    head = struct.pack("<4sI4s4sI", b"RIFF", unknown, b"WAVE", b"fmt ", len(fmt))
    return head + fmt + struct.pack("<4sI", b"data", unknown)


def response_body(
    service: Service,
    session: str,
    sha256: str,
    upload: Upload,
    segments: list[Segment],
    asked: parameters.ListenParameters,
) -> Json:
    """Return the transcript in Deepgram's format."""
    name = request_id(session)
    words = [as_word(word) for segment in segments for word in segment.words]
    language = main_language(segments, str(asked.start["language"]))
    channel: Json = {"alternatives": [alternative(words, "", punctuated=asked.punctuated)]}
    if asked.multilingual:
        channel["detected_language"] = language
    results: Json = {"channels": [channel]}
    if asked.utterances:
        results["utterances"] = [utterance(one, asked.punctuated) for one in segments]
    mixed = [MIXED] if asked.multichannel else []
    created = datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="milliseconds")
    warnings = [
        *asked.warnings,
        *mixed,
        *({"type": "damage", "message": p} for p in upload.problems),
    ]
    metadata: Json = {
        "transaction_key": "deprecated",
        "request_id": name,
        "sha256": sha256,
        "created": created.replace("+00:00", "Z"),
        "duration": round(upload.duration_s, 3),
        "channels": 1,
        "models": [name],
        "model_info": {name: {"name": service.model, "version": "1", "arch": "whisper"}},
    }
    return {"metadata": metadata | ({"warnings": warnings} if warnings else {}), "results": results}


def utterance(segment: Segment, punctuated: bool) -> Json:
    """Return a segment as one of the utterances."""
    words = [as_word(word) for word in segment.words]
    return {
        "id": secrets.token_hex(8),
        "start": segment.start_s,
        "end": segment.end_s,
        "confidence": round(segment.confidence, 4),
        "channel": 0,
        "transcript": transcript(words, punctuated=punctuated),
        "words": [word_fields(word, "", punctuated=punctuated) for word in words],
    }


def as_word(word: TimedWord) -> Word:
    """Return a word of a recording as one of a stream."""
    start, end = round(word.start_s * SAMPLE_RATE), round(word.end_s * SAMPLE_RATE)
    return Word(word.text, start, end, word.confidence)
