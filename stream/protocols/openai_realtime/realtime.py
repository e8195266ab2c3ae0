"""OpenAI's Realtime API for transcription, `/v1/realtime?intent=transcription`.

Theory of operation. The session opens with the first audio, because its format may change until
then. With turn detection each utterance is an item; without it the client commits items, and an
item has the words of all utterances in its audio. Words are sent as deltas when they are committed,
so that deltas only append, and `completed` repeats them as a whole.

The queue `_items` holds the items that have no transcript yet, in the order of their audio. Words
belong to the first of them, because finals come in the order of speech; the last one may still
grow. A `commit` or `clear` is a mark of the session: with it the item is complete.
"""

import base64
from collections import deque
from collections.abc import Sequence
from itertools import count

import msgspec

from stream.core import events
from stream.core.audio import SAMPLE_RATE
from stream.core.windows import Word
from stream.errors import PeerError, SettingsError
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import HttpResponse, HttpRoute, KeyPlaces, Query
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.openai_realtime import client_secrets
from stream.protocols.openai_realtime.items import Item, Json, conversation_item
from stream.protocols.openai_realtime.logprobs import logprobs
from stream.protocols.openai_realtime.session_settings import read_update
from stream.protocols.session_protocol import SessionProtocol
from stream.protocols.start_settings import settings_of

SESSION_S = 3_600
"""Seconds after which a session expires, as `expires_at` reports it to the client."""

SHORTEST_COMMIT_MS = 100
"""A shorter commit is an error at OpenAI."""

TRANSCRIPTION = "conversation.item.input_audio_transcription"


CODES = {
    "not_authorised": "invalid_api_key",
    "not_allowed": "insufficient_permissions",
    "over_limit": "rate_limit_exceeded",
    "too_many_tries": "rate_limit_exceeded",
}
"""OpenAI's code of a refusal, by the server's own."""


def refusal(status: int, code: str, sentence: str) -> HttpResponse:
    """Return how OpenAI refuses a request."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    code = CODES.get(code, code)
    body = {"error": {"message": sentence, "type": kind, "param": None, "code": code}}
    headers = {"Content-Type": "application/json"}
    return HttpResponse(status, msgspec.json.encode(body).decode(), headers)


class OpenAIRealtimeProtocol(SessionProtocol):
    """One transcription session."""

    paths = ("/v1/realtime",)
    subprotocols = ("realtime",)
    key = KeyPlaces(subprotocol_prefixes=("openai-insecure-api-key.",))
    http_routes = (
        HttpRoute("POST", "/v1/realtime/client_secrets", client_secrets.create),
        HttpRoute("POST", "/v1/realtime/transcription_sessions", client_secrets.create_beta),
    )
    close_codes = {  # noqa: RUF012
        CloseCode.IDLE: 1000,
        CloseCode.BAD_SETTINGS: 1008,
        CloseCode.NOT_ALLOWED: 1008,
        CloseCode.OVER_LIMIT: 1008,
    }

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return how OpenAI refuses a request."""
        return refusal(status, code, sentence)

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for sessions that do not transcribe."""
        intent = (query.get("intent") or ["transcription"])[-1]
        if intent != "transcription":
            message = f"intent is {intent!r}; this server has transcription only."
            raise SettingsError("intent", message)

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self.settings = client_secrets.settings_in(service.shown_key)
        self.beta = False
        """Whether the client speaks the beta's shape."""
        self._expires_at = round(service.wall_time()) + SESSION_S
        self._event_ids = count(1)
        self._item_ids = count(1)
        self._mark_ids = count(1)
        self._items: deque[Item] = deque()
        self._previous_id: str | None = None
        """The last committed item."""
        self._buffered_from = 0
        """16 kHz sample up to which all audio has been committed or cleared by the client."""
        self._client_event_id: str | None = None
        self._send("session.created", session=self._session_fields())

    # Messages from the client

    def handle_text(self, text: str) -> None:
        """Act on a JSON event; a mistake in one is an `error`, and the session goes on."""
        if self.no_more_audio:
            return
        self._client_event_id = None
        try:
            event = msgspec.json.decode(text)
            kind = event["type"]
            self._client_event_id = event.get("event_id")
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError, AttributeError):
            self._send_failure("invalid_event", "The event is no JSON object with a type.", "type")
            return
        try:
            self._act(kind, event)
        except SettingsError as error:
            self._send_failure("invalid_value", str(error), error.field)
        except PeerError as error:
            self._send_failure(error.code, str(error), None)

    def _act(self, kind: str, event: Json) -> None:
        match kind:
            case "session.update" | "transcription_session.update":
                self._update(event, beta=kind.startswith("transcription"))
            case "input_audio_buffer.append":
                self._append(event)
            case "input_audio_buffer.commit":
                self._commit()
            case "input_audio_buffer.clear":
                self._clear()
            case _:
                message = f"There is no event {kind!r} in a transcription session here."
                self._send_failure("unknown_event", message, "type")

    def _update(self, event: Json, *, beta: bool) -> None:
        changed = self.settings.updated(read_update(event.get("session"), beta=beta))
        language = settings_of(changed.start(), self.service).language
        if self.session is not None:
            if changed.format != self.settings.format:
                message = "The format of the audio cannot change after the first audio."
                raise SettingsError("session.audio.input.format", message)
            self.session.receive_configure({**changed.changeable(), "language": language})
        self.beta = beta
        self.settings = changed
        kind = "transcription_session.updated" if beta else "session.updated"
        self._send(kind, session=self._session_fields())

    def _append(self, event: Json) -> None:
        try:
            audio = base64.b64decode(event.get("audio") or "", validate=True)
        except (ValueError, TypeError):
            self._send_failure("invalid_value", "audio is no base64.", "audio")
            return
        if self.session is None:
            self.open_session(self.settings.start())
        self.add_audio(audio)

    def _commit(self) -> None:
        """End the item that grows: with turn detection the utterance, else all audio so far."""
        buffered_ms = (self._held_sample - self._buffered_from) * 1000 // SAMPLE_RATE
        if self.session is None or buffered_ms < SHORTEST_COMMIT_MS:
            self._send_failure(
                "input_audio_buffer_commit_empty",
                f"The buffer holds {buffered_ms} ms of audio; commit at least "
                f"{SHORTEST_COMMIT_MS} ms.",
                None,
            )
            return
        item = self._growing() or self._new_item(self._buffered_from)
        self._end_item(item, self._held_sample, discarded=False)
        self._announce_item(item)

    def _clear(self) -> None:
        """Drop the audio that is not committed."""
        if self.session is not None:
            item = self._growing() or self._new_item(self._buffered_from)
            self._end_item(item, self._held_sample, discarded=True)
        self._send("input_audio_buffer.cleared")

    def _end_item(self, item: Item, end_sample: int, *, discarded: bool) -> None:
        assert self.session
        item.end_sample, item.discarded, item.mark = end_sample, discarded, next(self._mark_ids)
        self._buffered_from = end_sample
        self.session.receive_finalize(item.mark)

    # Items

    @property
    def _held_sample(self) -> int:
        """All audio so far, in 16 kHz samples."""
        if self.session is None:
            return 0
        return self.session.held * SAMPLE_RATE // self.session.settings.sample_rate

    def _growing(self) -> Item | None:
        """Return the item whose audio has not ended; None if there is none."""
        last = self._items[-1] if self._items else None
        return last if last is not None and last.end_sample is None else None

    def _new_item(self, start_sample: int) -> Item:
        item = Item(f"item_{self.session_id}_{next(self._item_ids)}", start_sample)
        self._items.append(item)
        return item

    def _announce_item(self, item: Item) -> None:
        """Tell that an item is committed."""
        before, self._previous_id = self._previous_id, item.id
        self._send("input_audio_buffer.committed", item_id=item.id, previous_item_id=before)
        fields = {"previous_item_id": before, "item": conversation_item(item)}
        if self.beta:
            self._send("conversation.item.created", **fields)
        else:
            self._send("conversation.item.added", **fields)
            self._send("conversation.item.done", **fields)

    def _complete(self, item: Item) -> None:
        """Tell the transcript of the oldest item."""
        assert self._items[0] is item
        self._items.popleft()
        if item.discarded:
            return
        end = item.end_sample if item.end_sample is not None else item.start_sample
        fields: Json = {
            "item_id": item.id,
            "content_index": 0,
            "transcript": item.transcript,
            "usage": {
                "type": "duration",
                "seconds": round((end - item.start_sample) / SAMPLE_RATE, 3),
            },
        }
        if self.settings.logprobs:
            fields["logprobs"] = logprobs(item.words, self.service.token_bytes)
        if item.language:
            fields["languages"] = [{"code": item.language}]
        self._send(f"{TRANSCRIPTION}.completed", **fields)

    # Events of the session

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the events that follow from an event of the session."""
        match event:
            case events.SpeechStarted(sample=sample):
                self._begin_speech(sample)
            case events.SpeechEnded(sample=sample):
                self._end_speech(sample)
            case events.Partial(committed=committed):
                item = self._oldest()
                self._send_delta(item, item.words + committed)
            case events.Final():
                self._take_final(event)
            case events.MarkReached(id=mark):
                while self._items and mark >= (self._items[0].mark or mark + 1):
                    self._complete(self._items[0])
            case events.Failure(code="transcription_failed", message=message):
                item = self._oldest()
                error = {"type": "server_error", "code": "transcription_failed", "message": message}
                self._send(f"{TRANSCRIPTION}.failed", item_id=item.id, content_index=0, error=error)
            case events.Failure(code=code, message=message):
                self._send_failure(code, message, None)

    def _oldest(self) -> Item:
        """Return the item that the next words belong to."""
        return self._items[0] if self._items else self._new_item(self._buffered_from)

    def _begin_speech(self, sample: int) -> None:
        if self.settings.turn_detection is None:
            return
        item = self._growing() or self._new_item(sample)
        start_ms = sample * 1000 // SAMPLE_RATE
        self._send("input_audio_buffer.speech_started", item_id=item.id, audio_start_ms=start_ms)

    def _end_speech(self, sample: int) -> None:
        item = self._growing()
        if self.settings.turn_detection is None or item is None:
            return
        item.end_sample = sample
        self._buffered_from = sample
        end_ms = sample * 1000 // SAMPLE_RATE
        self._send("input_audio_buffer.speech_stopped", item_id=item.id, audio_end_ms=end_ms)
        self._announce_item(item)

    def _take_final(self, final: events.Final) -> None:
        item = self._oldest()
        item.words += final.words
        if self.settings.language == "auto" and final.words:
            item.language = final.language
        self._send_delta(item, item.words)
        if item.mark is None and item.end_sample is not None:
            self._complete(item)

    def _send_delta(self, item: Item, words: Sequence[Word]) -> None:
        text, new = item.delta(words)
        if not text or item.discarded:
            return
        fields: Json = {"item_id": item.id, "content_index": 0, "delta": text}
        if self.settings.logprobs:
            fields["logprobs"] = logprobs(new, self.service.token_bytes)
        self._send(f"{TRANSCRIPTION}.delta", **fields)

    # Messages to the client

    def _session_fields(self) -> Json:
        write = self.settings.beta_fields if self.beta else self.settings.fields
        return write(f"sess_{self.session_id}", self.service, self._expires_at)

    def _send(self, kind: str, **fields: object) -> None:
        event_id = f"event_{self.session_id}_{next(self._event_ids)}"
        self.send(QueuedMessage({"type": kind, "event_id": event_id, **fields}))

    def _send_failure(self, code: str, sentence: str, param: str | None) -> None:
        """Queue an error after which the session goes on."""
        self.counts.errors += 1
        self._send_error("invalid_request_error", code, sentence, param)

    def _send_error(self, kind: str, code: str, sentence: str, param: str | None) -> None:
        error = {"type": kind, "code": code, "message": sentence, "param": param}
        self._send("error", error={**error, "event_id": self._client_event_id})

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `error`."""
        kind = "server_error" if code == "internal" else "invalid_request_error"
        self._send_error(kind, code, sentence, None)

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of an event."""
        return msgspec.json.encode(message.body).decode()
