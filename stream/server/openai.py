"""Recordings over HTTP, as OpenAI's API has it: its clients work with another `base_url`.

`docs/http-api.md` says what is taken and what is answered. What is wrong with a request is told in
OpenAI's own form, so that its clients raise their own exceptions.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream.config import ServerConfig
from stream.errors import UsageError
from stream.longform.options import FileOptions
from stream.longform.results import Segment, Transcription, main_language
from stream.media.recording import MediaError
from stream.server import access
from stream.server import openai_answers as answers
from stream.server.uploads import Upload

if TYPE_CHECKING:
    from stream.server.app import Server

OPENAI_NAME = "whisper-1"
"""What OpenAI calls its Whisper: here it means the model that is served, whichever that is."""

TAKEN = frozenset({"file", "model", "prompt", "response_format", "stream", "language"})
MANY = "timestamp_granularities[]"
WITHOUT_MEANING = frozenset({"temperature", "include[]", "chunking_strategy"})
"""Taken, so that clients that send them work; documented as ignored."""
CLIENT_CLOSED = 499
log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


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


def openai_routes(server: "Server") -> list[Route]:
    """Return the routes of this API."""
    desk = Desk(server)
    return [
        Route("/v1/models", served(desk.models)),
        Route("/v1/models/{model:path}", served(desk.model)),
        Route("/v1/audio/transcriptions", served(desk.transcribe), methods=["POST"]),
        Route("/v1/audio/translations", served(desk.translate), methods=["POST"]),
    ]


def served(endpoint: Endpoint) -> Endpoint:
    """Make refusals answers."""

    @wraps(endpoint)
    async def serve(request: Request) -> Response:
        try:
            return await endpoint(request)
        except RequestError as refusal:
            return refusal.answer()
        except HTTPException as error:  # of Starlette's form parser
            return RequestError(error.status_code, "bad_form", f"{error.detail}").answer()
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED)

    return serve


class Events(StreamingResponse):
    """Server-sent events, and what is to be done once they are sent or nobody wants them."""

    def __init__(self, events: AsyncIterator[bytes], afterwards: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._afterwards()


class Desk:
    """Takes recordings, and hands out transcripts."""

    def __init__(self, server: "Server") -> None:
        self.server = server
        self.busy = 0
        """Uploads that are received or transcribed."""

    async def models(self, request: Request) -> Response:
        """List the model that is served."""
        self._admit(request)
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        """Describe the model that is served."""
        self._admit(request)
        self._check_model(request.path_params["model"])
        return JSONResponse(self._model())

    async def transcribe(self, request: Request) -> Response:
        """Transcribe an upload in its own language."""
        return await self._take(request, "transcribe")

    async def translate(self, request: Request) -> Response:
        """Transcribe an upload in English."""
        return await self._take(request, "translate")

    async def _take(self, request: Request, task: str) -> Response:
        """Receive an upload and answer it; whatever happens, it is deleted in the end."""
        status = 500
        try:
            self._admit(request)
            if self.busy >= self.server.config.max_uploads:
                message = "Too many uploads at once; try again later. See --max-uploads."
                raise RequestError(429, "busy", message)
            response = await self._answer(request, task)
            status = response.status_code
        except RequestError as refusal:
            status = refusal.status
            raise
        except ClientDisconnect:
            status = CLIENT_CLOSED
            raise
        finally:
            self.server.metrics.uploads.labels(str(status)).inc()
        return response

    async def _answer(self, request: Request, task: str) -> Response:
        self.busy += 1
        form: FormData | None = None
        streaming = False
        try:
            limited = LimitedRequest(request.scope, request.receive)
            form = await limited.form(max_files=1, max_fields=64)
            asked = self._asked(form, task)
            upload = self._upload(asked)
            if asked.stream:
                streaming = True
                return Events(self._events(upload), lambda: self._put_away(form))
            return await self._whole(limited, upload, asked)
        finally:
            if not streaming:
                self._put_away(form)

    async def _whole(self, request: Request, upload: Upload, asked: Asked) -> Response:
        """Wait for all of it; give up when the client goes."""
        working = asyncio.create_task(collected(upload))
        watching = asyncio.create_task(gone(request))
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        watching.cancel()
        if not working.done():
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            raise ClientDisconnect
        try:
            segments = working.result()
        except MediaError as error:
            raise RequestError(400, "bad_file", str(error), "file") from error
        result = transcription(upload, segments, asked.options.language)
        body = answers.written(
            result, asked.response_format, asked.options.task, asked.granularities
        )
        return Response(body, media_type=answers.MEDIA_TYPES[asked.response_format])

    async def _events(self, upload: Upload) -> AsyncIterator[bytes]:
        """Yield what is heard as it is heard."""
        text = ""
        try:
            async with aclosing(upload.segments()) as segments:
                async for segment in segments:
                    more = f" {segment.text}" if text else segment.text
                    text += more
                    yield answers.delta(more)
            yield answers.done(text)
        except MediaError as error:
            yield answers.event(answers.failure(str(error), "bad_file", "file"))
        except Exception:
            log.exception("an upload failed")
            yield answers.event(answers.failure("The server made a mistake.", "internal"))

    def _put_away(self, form: FormData | None) -> None:
        """Delete an upload."""
        self.busy -= 1
        for part in form.values() if form is not None else ():
            if isinstance(part, UploadFile):
                # Not its own `close`: who is being cancelled must not wait for anything.
                part.file.close()

    def _upload(self, asked: Asked) -> Upload:
        server = self.server
        assert server.engine
        assert server.service
        name = asked.file.filename or "The upload"
        session = f"file-{secrets.token_hex(8)}"
        detector = server.service.detector
        return Upload(asked.file.file, name, session, server.engine, detector, asked.options)

    def _admit(self, request: Request) -> None:
        """Refuse whoever may not, and everybody while there is no model."""
        config, fields = self.server.config, request.headers.items()
        if not access.origin_allowed(fields, config):
            message = "Pages of this origin may not; see --allow-origin."
            raise RequestError(403, "origin_not_allowed", message)
        if not access.authorised(fields, request.scope["query_string"].decode("latin-1"), config):
            message = "The key is missing or wrong; see --api-key."
            raise RequestError(401, "invalid_api_key", message)
        if not self.server.ready:
            raise RequestError(503, "not_ready", "Not ready; see /readyz.")

    def _model(self) -> answers.Json:
        assert self.server.service
        name = self.server.service.model
        return {"id": name, "object": "model", "created": 0, "owned_by": "distil-stream"}

    def _check_model(self, name: str) -> None:
        assert self.server.service
        ours = self.server.service.model
        if name not in (ours, OPENAI_NAME):
            message = f"There is no model {name!r} here; use {ours!r} or {OPENAI_NAME!r}."
            raise RequestError(404, "model_not_found", message, "model")

    def _asked(self, form: FormData, task: str) -> Asked:
        """Read the fields of a form."""
        unknown = sorted(set(form) - TAKEN - WITHOUT_MEANING - {MANY})
        if unknown:
            message = f"There is no parameter {unknown[0]!r}; see docs/http-api.md."
            raise RequestError(400, "unknown_parameter", message, unknown[0])
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise RequestError(
                400, "missing_file", "Send the recording as the file `file`.", "file"
            )
        self._check_model(str(form.get("model", OPENAI_NAME)))
        response_format = str(form.get("response_format", "json"))
        if response_format not in answers.FORMATS:
            formats = ", ".join(answers.FORMATS)
            message = f"response_format is {response_format!r}; use one of {formats}."
            raise RequestError(400, "bad_parameter", message, "response_format")
        return Asked(
            file,
            self._options(form, task),
            response_format,
            granularities(form),
            stream=str(form.get("stream", "false")).lower() in ("true", "1"),
        )

    def _options(self, form: FormData, task: str) -> FileOptions:
        assert self.server.service
        known = self.server.service.languages
        language = str(form.get("language") or "auto").lower()
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


def granularities(form: FormData) -> tuple[str, ...]:
    """Return what times are wanted; segments unless told."""
    chosen = tuple(map(str, form.getlist(MANY))) or ("segment",)
    for granularity in chosen:
        if granularity not in answers.GRANULARITIES:
            message = f"{MANY} is {granularity!r}; use word or segment, or both."
            raise RequestError(400, "bad_parameter", message, MANY)
    return chosen


async def collected(upload: Upload) -> list[Segment]:
    """All segments of an upload."""
    async with aclosing(upload.segments()) as segments:
        return [segment async for segment in segments]


async def gone(request: Request) -> None:
    """Return when the client has hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def transcription(upload: Upload, segments: list[Segment], language: str) -> Transcription:
    """Make the segments of an upload one result."""
    return Transcription(
        segments=tuple(segments),
        language=main_language(segments, language),
        duration_s=upload.duration_s,
        problems=tuple(upload.problems),
    )
