"""Parses and checks the form of an upload in OpenAI's API.

Errors have OpenAI's own format, so that its clients raise their usual exceptions.
`docs/http-api.md` documents the fields.
"""

import asyncio
import errno
import logging
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stream.config import ServerConfig
from stream.core.languages import language_code
from stream.errors import UsageError
from stream.protocols.interface import Service
from stream.recordings.options import FileOptions
from stream.server import access
from stream.server.http import openai_responses as responses
from stream.server.keys.usage import RETRY_S
from stream.server.state import ServerState
from stream.server.visitors import Visitor

OPENAI_NAME = "whisper-1"
"""OpenAI's name of Whisper."""

OPENAI_NAMES = frozenset(
    {
        OPENAI_NAME,
        "gpt-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
    }
)
"""Names of OpenAI's models that transcribe; here each selects the served model."""

MIN_BYTES_PER_S = 1000
"""Least rate of an upload, on average: the lowest bit rate of speech that people can understand. So
a client cannot hold a place for uploads with a byte now and then."""

GRACE_S = 15.0
"""Seconds that an upload may be behind that rate."""

MAX_UPLOAD_S = 3600.0
"""Seconds within which an upload must be received."""

ACCEPTED = frozenset({"file", "model", "prompt", "response_format", "stream", "language"})
GRANULARITIES = "timestamp_granularities[]"
INCLUDE = "include[]"
KEYWORDS = "keywords[]"
LANGUAGES = "languages[]"
FIELDS = ACCEPTED | {GRANULARITIES, INCLUDE, KEYWORDS, LANGUAGES}
SPEAKERS = "This server does not tell speakers apart; use verbose_json and no known speakers."
IGNORED = frozenset({"temperature", "chunking_strategy"})
"""Fields that are accepted and have no effect. A field of a list or an object is matched by the
name before its bracket."""


log = logging.getLogger(__name__)


class RequestError(Exception):
    """A request is refused: HTTP status, OpenAI's error code, message, and the field at fault."""

    headers: Mapping[str, str] = {}
    """Further header fields of the response."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def response(self) -> Response:
        """Return the error response.

        uvicorn still reads the rest of the body; otherwise the client would not get the response.
        """
        body = responses.failure(str(self), self.code, self.param)
        challenge = access.challenge() if self.status == 401 else {}
        return JSONResponse(body, self.status, {**challenge, **self.headers})


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """A parsed request."""

    file: UploadFile
    options: FileOptions
    response_format: str
    granularities: tuple[str, ...]
    stream: bool
    logprobs: bool
    """Whether each token is told with its log-probability."""


class LimitedRequest(Request):
    """A request whose body is limited in size, in its whole time, and by a least rate."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces. Raises `RequestError` if it is too large or too slow."""
        config: ServerConfig = self.app.state.config
        most = config.max_upload_mb * 1_000_000
        received, begun = 0, time.monotonic()
        async with aclosing(super().stream()) as pieces:
            while True:
                try:
                    grace_s = min(config.idle_s, GRACE_S)
                    due_s = min(grace_s + received / MIN_BYTES_PER_S, MAX_UPLOAD_S)
                    async with asyncio.timeout(begun + due_s - time.monotonic()):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise RequestError(
                        408, "timeout", "The upload stalled or was too slow; send it again."
                    ) from None
                if piece is None:
                    return
                received += len(piece)
                if max(received, int(self.headers.get("content-length", 0))) > most:
                    size = config.max_upload_mb
                    message = f"The upload is larger than {size} MB; see --max-upload-mb."
                    raise RequestError(413, "too_large", message)
                yield piece


def take_upload_slot(server: ServerState, visitor: Visitor) -> None:
    """Count one more upload, of the server and of the client, until `free_upload_slot`.

    Raises `RequestError` if there are too many already, in all or from the same address.
    """
    if not server.uploads.enter(visitor.client):
        message = "Too many uploads at once; try again later. See --max-uploads."
        busy = RequestError(429, "busy", message)
        busy.headers = {"Retry-After": str(RETRY_S)}
        raise busy
    try:
        visitor.begin_upload()
    except BaseException:
        server.uploads.leave(visitor.client)
        raise


def free_upload_slot(server: ServerState, visitor: Visitor) -> None:
    """Count an upload as over."""
    server.uploads.leave(visitor.client)
    visitor.leave_upload()


async def receive_form(request: Request) -> FormData:
    """Receive the form of an upload; its file is stored in the temporary folder.

    Raises:
        RequestError: 415 if it is no form with a file, 507 if there is no space left for the file,
            503 if it cannot be stored at all.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise RequestError(415, "bad_form", "Send the recording as multipart/form-data.")
    try:
        return await request.form(max_files=1, max_fields=64)
    except OSError as error:
        log.error("an upload cannot be stored in the temporary folder: %s", error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = "The disk of the server is full; try again later."
            raise RequestError(507, "no_room", message) from error
        message = "The server cannot store a recording now; see its log, and try again later."
        raise RequestError(503, "no_storage", message) from error


def check_model(name: str, service: Service) -> None:
    """Raise `RequestError` unless a name is that of the served model."""
    if name != service.model and name not in OPENAI_NAMES:
        message = f"There is no model {name!r} here; use {service.model!r} or {OPENAI_NAME!r}."
        raise RequestError(404, "model_not_found", message, "model")


def parse_request(form: FormData, task: str, service: Service) -> TranscriptionRequest:
    """Parse a form. Raises `RequestError` for a field that is missing, unknown or invalid."""
    used = {name for name in form if name.partition("[")[0] not in IGNORED}
    unknown = sorted(used - FIELDS)
    if unknown and unknown[0].startswith("known_speaker"):
        raise RequestError(400, "unsupported_parameter", SPEAKERS, unknown[0])
    if unknown:
        message = f"There is no parameter {unknown[0]!r}; see docs/http-api.md."
        raise RequestError(400, "unknown_parameter", message, unknown[0])
    file = form.get("file")
    if not isinstance(file, UploadFile):
        message = "Send the recording in the field `file`."
        raise RequestError(400, "missing_file", message, "file")
    check_model(str(form.get("model") or OPENAI_NAME), service)
    return TranscriptionRequest(
        file,
        options_of(form, task, service.languages),
        response_format_of(form),
        granularities_of(form),
        stream=str(form.get("stream", "false")).lower() in ("true", "1"),
        logprobs=logprobs_in(form),
    )


def logprobs_in(form: FormData) -> bool:
    """Return whether log-probabilities are requested. Raises `RequestError` for anything else."""
    asked = [str(one) for one in form.getlist(INCLUDE) if one]
    for one in asked:
        if one != "logprobs":
            message = f"{INCLUDE} is {one!r}; use logprobs."
            raise RequestError(400, "bad_parameter", message, INCLUDE)
    return bool(asked)


def response_format_of(form: FormData) -> str:
    """Return the requested format; `json` by default."""
    response_format = str(form.get("response_format") or "json")
    if response_format == "diarized_json":
        raise RequestError(400, "unsupported_parameter", SPEAKERS, "response_format")
    if response_format not in responses.FORMATS:
        formats = ", ".join(responses.FORMATS)
        message = f"response_format is {response_format!r}; use one of {formats}."
        raise RequestError(400, "bad_parameter", message, "response_format")
    return response_format


def options_of(form: FormData, task: str, known: Sequence[str]) -> FileOptions:
    """Return the options of transcribing; `known` are the languages of the model."""
    possible = [str(one) for one in form.getlist(LANGUAGES) if one]
    only = possible[0] if len(possible) == 1 else "auto"  # of several, one is detected
    language = language_code(str(form.get("language") or only), known)
    if language not in ("auto", *known):
        message = (
            f"The model does not support the language {language!r}; it supports {', '.join(known)}."
        )
        raise RequestError(400, "bad_parameter", message, "language")
    if task == "translate" and len(known) == 1:
        message = "The model is English-only: it cannot translate."
        raise RequestError(400, "bad_parameter", message, "model")
    keywords = tuple(str(one) for one in form.getlist(KEYWORDS) if one)
    prompt = str(form.get("prompt", ""))
    try:
        return FileOptions(language=language, task=task, prompt=prompt, keyterms=keywords)
    except UsageError as error:
        raise RequestError(400, "bad_parameter", str(error), "prompt") from error


def granularities_of(form: FormData) -> tuple[str, ...]:
    """Return the requested granularities of times, `segment` and `word`; `segment` by default.

    Raises `RequestError` for any other value.
    """
    chosen = tuple(str(one) for one in form.getlist(GRANULARITIES) if one) or ("segment",)
    for granularity in chosen:
        if granularity not in responses.GRANULARITIES:
            message = f"{GRANULARITIES} is {granularity!r}; use word or segment, or both."
            raise RequestError(400, "bad_parameter", message, GRANULARITIES)
    return chosen
