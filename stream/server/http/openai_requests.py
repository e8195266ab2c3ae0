"""What an OpenAI client asks for: the upload's form, read and checked.

What is wrong with a request is told in OpenAI's own form, so that its clients raise their own
exceptions. `docs/http-api.md` says what is taken.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncGenerator, Sequence
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
from stream.server.http import openai_answers as answers

OPENAI_NAME = "whisper-1"
"""What OpenAI calls its Whisper: here it means the model that is served, whichever that is."""

TAKEN = frozenset({"file", "model", "prompt", "response_format", "stream", "language"})
MANY = "timestamp_granularities[]"
WITHOUT_MEANING = frozenset({"temperature", "include", "chunking_strategy"})
"""Taken, so that clients that send them work; documented as ignored. Of lists and objects it is the
name before the brackets."""


log = logging.getLogger(__name__)


class RequestError(Exception):
    """A request that is not served, and why."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def answer(self) -> Response:
        """Say so; uvicorn lets the client finish sending, or it would not hear the answer."""
        return JSONResponse(answers.failure(str(self), self.code, self.param), self.status)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for."""

    file: UploadFile
    options: FileOptions
    response_format: str
    granularities: tuple[str, ...]
    stream: bool


class LimitedRequest(Request):
    """A request whose body may have a size, and must keep coming."""

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """Yield the body in pieces."""
        config: ServerConfig = self.app.state.config
        most = config.max_upload_mb * 1_000_000
        received = 0
        async with aclosing(super().stream()) as pieces:
            while True:
                try:
                    async with asyncio.timeout(config.idle_s):
                        piece = await anext(pieces, None)
                except TimeoutError:
                    raise RequestError(408, "timeout", "The upload stopped coming.") from None
                if piece is None:
                    return
                received += len(piece)
                if max(received, int(self.headers.get("content-length", 0))) > most:
                    size = config.max_upload_mb
                    message = f"The upload is larger than {size} MB; see --max-upload-mb."
                    raise RequestError(413, "too_large", message)
                yield piece


async def received_form(request: Request) -> FormData:
    """Receive the form of an upload; its file is kept in the temporary folder.

    Raises:
        RequestError: 507 if there is no room left for the file, 503 if it cannot be kept at all.
    """
    try:
        return await request.form(max_files=1, max_fields=64)
    except OSError as error:
        log.error("an upload cannot be kept in the temporary folder: %s", error)
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            message = "The server has no room left for the recording; try again later."
            raise RequestError(507, "no_room", message) from error
        message = "The server cannot keep a recording now; see its log, and try again later."
        raise RequestError(503, "no_storage", message) from error


def check_model(name: str, service: Service) -> None:
    """Refuse every name but that of the model that is served."""
    if name not in (service.model, OPENAI_NAME):
        message = f"There is no model {name!r} here; use {service.model!r} or {OPENAI_NAME!r}."
        raise RequestError(404, "model_not_found", message, "model")


def asked_of(form: FormData, task: str, service: Service) -> Asked:
    """Read the fields of a form."""
    meant = {name for name in form if name.partition("[")[0] not in WITHOUT_MEANING}
    unknown = sorted(meant - TAKEN - {MANY})
    if unknown:
        message = f"There is no parameter {unknown[0]!r}; see docs/http-api.md."
        raise RequestError(400, "unknown_parameter", message, unknown[0])
    file = form.get("file")
    if not isinstance(file, UploadFile):
        message = "Send the recording as the file `file`."
        raise RequestError(400, "missing_file", message, "file")
    check_model(str(form.get("model") or OPENAI_NAME), service)
    return Asked(
        file,
        options_of(form, task, service.languages),
        response_format_of(form),
        granularities_of(form),
        stream=str(form.get("stream", "false")).lower() in ("true", "1"),
    )


def response_format_of(form: FormData) -> str:
    """Return how the transcript is to be written; as JSON unless told."""
    response_format = str(form.get("response_format") or "json")
    if response_format not in answers.FORMATS:
        formats = ", ".join(answers.FORMATS)
        message = f"response_format is {response_format!r}; use one of {formats}."
        raise RequestError(400, "bad_parameter", message, "response_format")
    return response_format


def options_of(form: FormData, task: str, known: Sequence[str]) -> FileOptions:
    """Return how the recording is to be transcribed by a model that knows these languages."""
    language = language_code(str(form.get("language") or "auto"), known)
    if language not in ("auto", *known):
        message = f"The model does not know the language {language!r}: {', '.join(known)}."
        raise RequestError(400, "bad_parameter", message, "language")
    if task == "translate" and len(known) == 1:
        message = "The model is English-only: it cannot translate."
        raise RequestError(400, "bad_parameter", message, "model")
    try:
        return FileOptions(language=language, task=task, prompt=str(form.get("prompt", "")))
    except UsageError as error:
        raise RequestError(400, "bad_parameter", str(error), "prompt") from error


def granularities_of(form: FormData) -> tuple[str, ...]:
    """Return what times are wanted; segments unless told."""
    chosen = tuple(str(one) for one in form.getlist(MANY) if one) or ("segment",)
    for granularity in chosen:
        if granularity not in answers.GRANULARITIES:
            message = f"{MANY} is {granularity!r}; use word or segment, or both."
            raise RequestError(400, "bad_parameter", message, MANY)
    return chosen
