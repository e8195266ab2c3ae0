"""Recordings over HTTP, as OpenAI's API has it: its clients work with another `base_url`.

`docs/http-api.md` says what is taken and what is answered.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from functools import wraps

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream.core.line_breaking import space_between
from stream.media.recording import MediaError
from stream.protocols.declarations import NO_KEY
from stream.protocols.interface import Service
from stream.recordings.results import Segment, Transcription, main_language
from stream.server import access
from stream.server.http import openai_answers as answers
from stream.server.http.openai_requests import (
    Asked,
    LimitedRequest,
    RequestError,
    asked_of,
    check_model,
    received_form,
)
from stream.server.http.uploads import Upload
from stream.server.state import ServerState

CLIENT_CLOSED = 499
PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "3600",
}
"""`*` is any header but the one with the key."""
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Of server-sent events: without them a proxy keeps the first ones back until it has many."""
log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def openai_routes(server: ServerState) -> list[Route]:
    """Return the routes of this API."""
    desk = Desk(server)
    return [
        Route(path, served(server, endpoint), methods=[method, "OPTIONS"])
        for path, endpoint, method in [
            ("/v1/models", desk.models, "GET"),
            ("/v1/models/{model:path}", desk.model, "GET"),
            ("/v1/audio/transcriptions", desk.transcribe, "POST"),
            ("/v1/audio/translations", desk.translate, "POST"),
        ]
    ]


def served(server: ServerState, endpoint: Endpoint) -> Endpoint:
    """Make refusals answers, and let pages of an allowed origin see them."""

    @wraps(endpoint)
    async def serve(request: Request) -> Response:
        response = await answer(endpoint, request)
        response.headers.update(access.cross_origin(request.headers.items(), server.config))
        return response

    return serve


async def answer(endpoint: Endpoint, request: Request) -> Response:
    """What the endpoint answers, or why it does not."""
    if request.method == "OPTIONS":  # a browser asks so before a page of another origin may ask
        return Response(status_code=204, headers=PREFLIGHT)
    try:
        return await endpoint(request)
    except RequestError as refusal:
        return refusal.answer()
    except HTTPException as error:  # of Starlette's form parser
        return RequestError(error.status_code, "bad_form", f"{error.detail}").answer()
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED)


class Events(StreamingResponse):
    """Server-sent events, and what is to be done once they are sent or nobody wants them."""

    def __init__(self, events: AsyncIterator[bytes], afterwards: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=EVENT_HEADERS)
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._afterwards()


class Desk:
    """Takes recordings, and hands out transcripts."""

    def __init__(self, server: ServerState) -> None:
        self.server = server
        self.busy = 0
        """Uploads that are received or transcribed."""

    @property
    def service(self) -> Service:
        """What the server offers; asked for once it is ready."""
        assert self.server.service
        return self.server.service

    async def models(self, request: Request) -> Response:
        """List the model that is served."""
        self._admit(request)
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        """Describe the model that is served."""
        self._admit(request)
        check_model(request.path_params["model"], self.service)
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
            # By its code: a sentence may hold the file's name.
            log.info("refused an upload (%d): %s", status, refusal.code)
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
            form = await received_form(limited)
            asked = asked_of(form, task, self.service)
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
                    more = space_between(text, segment.text) + segment.text
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
        engine = self.server.engine
        assert engine
        name = asked.file.filename or "The upload"
        session = f"file-{secrets.token_hex(8)}"
        return Upload(asked.file.file, name, session, engine, self.service.detector, asked.options)

    def _admit(self, request: Request) -> None:
        """Refuse whoever may not, and everybody while there is no model."""
        config, fields = self.server.config, request.headers.items()
        if not access.origin_allowed(fields, config):
            message = "Pages of this origin may not; see --allow-origin."
            raise RequestError(403, "origin_not_allowed", message)
        if not access.authorised(fields, request.scope["query_string"].decode("latin-1"), config):
            raise RequestError(401, "invalid_api_key", NO_KEY)
        if not self.server.ready:
            raise RequestError(503, "not_ready", "Not ready; see /readyz.")

    def _model(self) -> answers.Json:
        name = self.service.model
        return {"id": name, "object": "model", "created": 0, "owned_by": "distil-stream"}


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
