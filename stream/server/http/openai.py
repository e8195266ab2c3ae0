"""The routes of OpenAI's transcription API; its clients work with this server as `base_url`.

`docs/http-api.md` documents the requests and the responses.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from functools import partial, wraps

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from stream.core.line_breaking import space_between
from stream.media.recording import MediaError
from stream.protocols.interface import Service
from stream.protocols.openai_realtime.logprobs import logprobs
from stream.protocols.openai_realtime.realtime import CODES
from stream.recordings.results import Segment, TimedWord, Transcription, main_language
from stream.server import access
from stream.server.admission import check_origin
from stream.server.http import openai_responses as responses
from stream.server.http.asking import asking_of
from stream.server.http.openai_requests import (
    LimitedRequest,
    RequestError,
    TranscriptionRequest,
    check_model,
    free_upload_slot,
    parse_request,
    receive_form,
    take_upload_slot,
)
from stream.server.http.uploads import Upload, segments_unless_gone
from stream.server.state import ServerState
from stream.server.visitors import Refused, Visitor

CLIENT_CLOSED = 499
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of server-sent events, which prevent a proxy from buffering the events."""
log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]


def openai_routes(server: ServerState) -> list[Route]:
    """Return the routes of the API."""
    endpoints = OpenAIEndpoints(server)
    return [
        Route(path, with_error_responses(server, endpoint), methods=[method, "OPTIONS"])
        for path, endpoint, method in [
            ("/v1/models", endpoints.models, "GET"),
            ("/v1/models/{model:path}", endpoints.model, "GET"),
            ("/v1/audio/transcriptions", endpoints.transcribe, "POST"),
            ("/v1/audio/translations", endpoints.translate, "POST"),
        ]
    ]


def with_error_responses(server: ServerState, endpoint: Endpoint) -> Endpoint:
    """Wrap an endpoint: turn its errors into responses, and add the CORS headers."""

    @wraps(endpoint)
    async def serve(request: Request) -> Response:
        response = await respond(endpoint, request)
        response.headers.update(access.cross_origin(request.headers.items(), server.config))
        return response

    return serve


async def respond(endpoint: Endpoint, request: Request) -> Response:
    """Return the response of an endpoint, or an error response if it raises."""
    if request.method == "OPTIONS":  # a CORS preflight
        return Response(status_code=204, headers=access.PREFLIGHT)
    try:
        return await endpoint(request)
    except RequestError as refusal:
        return refusal.response()
    except Refused as refused:
        return request_error(refused).response()
    except HTTPException as error:  # raised by Starlette's form parser
        return RequestError(error.status_code, "bad_form", f"{error.detail}").response()
    except ClientDisconnect:
        return Response(status_code=CLIENT_CLOSED)


def request_error(refused: Refused) -> RequestError:
    """Return a refusal in OpenAI's form."""
    error = RequestError(refused.status, CODES.get(refused.code, refused.code), str(refused))
    error.headers = refused.headers
    return error


class ServerSentEvents(StreamingResponse):
    """Sends server-sent events; calls `afterwards` at the end, also after a disconnect."""

    def __init__(self, events: AsyncIterator[bytes], afterwards: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=EVENT_HEADERS)
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._afterwards()


class OpenAIEndpoints:
    """The endpoints of the API."""

    def __init__(self, server: ServerState) -> None:
        self.server = server

    @property
    def service(self) -> Service:
        """The service of the server; only valid when the server is ready."""
        assert self.server.service
        return self.server.service

    async def models(self, request: Request) -> Response:
        """List the served model."""
        self._admit(request)
        return JSONResponse({"object": "list", "data": [self._model()]})

    async def model(self, request: Request) -> Response:
        """Describe the served model."""
        self._admit(request)
        check_model(request.path_params["model"], self.service)
        return JSONResponse(self._model())

    async def transcribe(self, request: Request) -> Response:
        """Transcribe an upload in the language that is spoken."""
        return await self._serve_upload(request, "transcribe")

    async def translate(self, request: Request) -> Response:
        """Translate an upload to English."""
        return await self._serve_upload(request, "translate")

    async def _serve_upload(self, request: Request, task: str) -> Response:
        """Check access and limit, respond to an upload, and count the status in the metrics."""
        status = 500
        try:
            visitor = self._admit(request)
            visitor.require("upload")
            response = await self._respond(request, task, visitor)
            status = response.status_code
        except (RequestError, Refused) as refusal:
            status = refusal.status
            # Logs the code, because the message can contain the name of the file.
            log.info("refused an upload (%d): %s", status, refusal.code)
            raise
        except ClientDisconnect:
            status = CLIENT_CLOSED
            raise
        finally:
            self.server.metrics.uploads.labels(str(status)).inc()
        return response

    async def _respond(self, request: Request, task: str, visitor: Visitor) -> Response:
        """Receive and transcribe an upload, which is deleted afterwards in any case."""
        take_upload_slot(self.server, visitor)
        form: FormData | None = None
        streaming = False
        try:
            limited = LimitedRequest(request.scope, request.receive)
            form = await receive_form(limited)
            requested = parse_request(form, task, self.service)
            upload = self._upload(requested, visitor)
            if requested.stream:
                streaming = True
                afterwards = partial(self._delete_upload, form, visitor)
                return ServerSentEvents(self._events(upload, requested), afterwards)
            return await self._whole_response(limited, upload, requested)
        finally:
            if not streaming:
                self._delete_upload(form, visitor)

    async def _whole_response(
        self, request: Request, upload: Upload, requested: TranscriptionRequest
    ) -> Response:
        """Return the whole transcript. Raises `ClientDisconnect` if the client disconnects."""
        try:
            segments = await segments_unless_gone(upload, request)
        except MediaError as error:
            raise RequestError(400, "bad_file", str(error), "file") from error
        result = transcription(upload, segments, requested.options.language)
        body = await asyncio.to_thread(
            responses.response_body,
            result,
            requested.response_format,
            requested.options.task,
            requested.granularities,
            self._tokens(result.words, requested),
        )
        media_type = responses.MEDIA_TYPES[requested.response_format]
        return Response(body, media_type=media_type, headers={"Cache-Control": "no-store"})

    def _tokens(
        self, words: Sequence[TimedWord], requested: TranscriptionRequest
    ) -> list[responses.Json] | None:
        """Return the tokens of words with their log-probabilities; None if nobody asked."""
        return logprobs(words, self.service.token_bytes) if requested.logprobs else None

    async def _events(
        self, upload: Upload, requested: TranscriptionRequest
    ) -> AsyncIterator[bytes]:
        """Yield an event for each segment, and one for the whole text."""
        text = ""
        words: list[TimedWord] = []
        try:
            async with aclosing(upload.segments()) as segments:
                async for segment in segments:
                    more = space_between(text, segment.text) + segment.text
                    text += more
                    words += segment.words
                    yield responses.delta(more, self._tokens(segment.words, requested))
            yield responses.done(text, self._tokens(words, requested))
        except MediaError as error:
            yield responses.event(responses.failure(str(error), "bad_file", "file"))
        except Refused as refused:
            code = CODES.get(refused.code, refused.code)
            yield responses.event(responses.failure(str(refused), code))
        except Exception:
            log.exception("an upload failed")
            yield responses.event(
                responses.failure("The server failed; the error is in its log.", "internal")
            )

    def _delete_upload(self, form: FormData | None, visitor: Visitor) -> None:
        """Delete the file of an upload, and free its slot."""
        free_upload_slot(self.server, visitor)
        for part in form.values() if form is not None else ():
            if isinstance(part, UploadFile):
                # Not `part.close()`, which awaits: a cancelled task must not wait here.
                part.file.close()

    def _upload(self, requested: TranscriptionRequest, visitor: Visitor) -> Upload:
        engine = self.server.engine
        assert engine
        name = requested.file.filename or "The upload"
        session = f"file-{secrets.token_hex(8)}"
        visitor.note("upload", session=session)
        return Upload(
            requested.file.file,
            name,
            session,
            engine,
            self.service,
            requested.options,
            visitor.charge_upload,
            self.server.decoders,
        )

    def _admit(self, request: Request) -> Visitor:
        """Return the client of a request. Raises `Refused` for a wrong origin or key, or if the
        server is not ready."""
        asking = asking_of(request)
        check_origin(self.server, asking)
        visitor = self.server.visitors.identify(asking, access.USUAL_PLACES)
        if not self.server.ready:
            raise Refused(503, "not_ready", "The server is not ready; see /readyz.")
        return visitor

    def _model(self) -> responses.Json:
        name = self.service.model
        return {"id": name, "object": "model", "created": 0, "owned_by": "distil-stream"}


def transcription(upload: Upload, segments: list[Segment], language: str) -> Transcription:
    """Return the segments of an upload as one result."""
    return Transcription(
        segments=tuple(segments),
        language=main_language(segments, language),
        duration_s=upload.duration_s,
        problems=tuple(upload.problems),
    )
