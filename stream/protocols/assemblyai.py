"""AssemblyAI's streaming API, version 3: `/v3/ws`.

Theory of operation. A turn is one utterance or several. An utterance ends after `min_turn_silence`;
if the mean confidence of its words reaches `end_of_turn_confidence_threshold`, the turn is over,
and if not, after `max_turn_silence` or with `ForceEndpoint`. All of this goes by the audio clock.
The settings are in the query. A setting that cannot be served is refused before the handshake, and
one that has no effect causes a `Warning` after `Begin`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from stream.core import events
from stream.core.audio import SAMPLE_RATE, samples_of_ms
from stream.core.settings import CONTAINER, CONTAINER_RATE, StreamSettings
from stream.core.windows import Word
from stream.errors import PeerError, SettingsError
from stream.protocols.channel_mixing import unpacked
from stream.protocols.close_codes import CloseCode
from stream.protocols.declarations import HttpResponse, KeyPlaces, Query
from stream.protocols.deepgram.results import transcript, word_fields
from stream.protocols.interface import PacketDecoder, QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession
from stream.protocols.session_protocol import ENDED, SessionProtocol
from stream.protocols.start_settings import settings_of

Json = dict[str, Any]

ENCODINGS = {
    "pcm_s16le": "pcm_s16le",
    "pcm_mulaw": "mulaw",
    "opus": "pcm_f32le",
    "ogg_opus": CONTAINER,
    "aac": CONTAINER,
}
"""Encodings, and what a session is given."""

SESSION_S = 3 * 3600
"""Seconds after which a session expires, as `Begin` reports it to the client."""

SHORTEST_SILENCE_MS = 300
"""A shorter pause would cut sentences at each breath."""

FORMATTED_MODELS = ("u3", "universal-3", "whisper")
"""Beginnings of the names of models whose turns are always formatted."""

LACKING = {
    "speaker_labels": "Speakers are not labelled.",
    "filter_profanity": "Profanity is not removed.",
    "session_heartbeat": "There are no heartbeats.",
    "acknowledge_silence": "Silence is not acknowledged.",
    "llm_gateway": "There is no language model.",
    "voice_focus": "Noise is not suppressed.",
    "domain": "There are no models of a domain.",
}
"""What a client may ask for and does not get, with the sentence of the warning."""

REFUSED = {
    "redact_pii": "redact_pii is not supported: the words would leave the server as they were "
    "spoken. Leave it out, and redact the text yourself.",
    "webhook_url": "webhook_url is not supported; read the turns from this connection.",
}

NO = ("", "false", "0", "none")


@dataclass(frozen=True, slots=True)
class Turning:
    """When a turn is over."""

    confidence: float = 0.4
    min_silence_ms: int = 400
    max_silence_ms: int = 1280

    @property
    def pause_ms(self) -> int:
        """Silence that ends an utterance."""
        return max(SHORTEST_SILENCE_MS, min(self.min_silence_ms, 10_000))


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that can be served."""

    settings: StreamSettings
    start: Json
    turning: Turning
    packets: bool
    formatted: bool
    changing: bool
    """Whether the transcript of a turn that goes on has words that may change."""
    names_language: bool
    warnings: tuple[str, ...]
    inactivity_s: float | None


def read(service: Service, query: Query) -> Asked:
    """Read the query. Raises `PeerError` for what cannot be served."""
    fields: Json = {name: values[-1].strip() for name, values in query.items()}
    for name, sentence in REFUSED.items():
        if str(fields.get(name, "")).lower() not in NO:
            raise SettingsError(name, sentence)
    encoding = fields.get("encoding") or "pcm_s16le"
    if encoding not in ENCODINGS:
        known = ", ".join(ENCODINGS)
        raise SettingsError("encoding", f"encoding is {encoding!r}; use one of {known}.")
    packets = encoding == "opus"
    if packets and service.opus is None:
        raise SettingsError("encoding", "This server does not decode Opus packets.")
    model = str(fields.get("speech_model", ""))
    formatted = is_on(fields, "format_turns") or model.startswith(FORMATTED_MODELS)
    turning = changed_turning(Turning(), fields)
    language, named = language_of(fields, model)
    start: Json = {
        "encoding": ENCODINGS[encoding],
        "sample_rate": rate_of(fields, encoding),
        "language": language,
        "keyterms": list_of(fields, "keyterms_prompt"),
        "prompt": fields.get("prompt", ""),
        "endpointing_ms": turning.pause_ms,
        "words": True,
    }
    inactivity = fields.get("inactivity_timeout")
    return Asked(
        settings=settings_of(start, service),
        start=start,
        turning=turning,
        packets=packets,
        formatted=formatted,
        changing=model.startswith(FORMATTED_MODELS),
        names_language=named,
        warnings=tuple(LACKING[name] for name in LACKING if is_on(fields, name)),
        inactivity_s=number(fields, "inactivity_timeout", 0) if inactivity else None,
    )


def is_on(fields: Json, name: str) -> bool:
    """Return whether a field is given and not false."""
    return str(fields.get(name, "")).lower() not in NO


def number(fields: Json, name: str, otherwise: float) -> float:
    """Return a number. Raises `SettingsError` if the field is none."""
    value = fields.get(name)
    try:
        found = float(otherwise if value in (None, "") else value)
    except (TypeError, ValueError):
        found = float("nan")
    if not 0 <= found < 1e9:
        raise SettingsError(name, f"{name} is {value!r}; use a number.")
    return found


def rate_of(fields: Json, encoding: str) -> int:
    """Return the sample rate in hertz. Raises `SettingsError` if it is missing."""
    if ENCODINGS[encoding] == CONTAINER:
        return CONTAINER_RATE
    if encoding == "opus":
        return 48_000
    rate = round(number(fields, "sample_rate", 0))
    if rate == 0:
        raise SettingsError("sample_rate", f"sample_rate is missing; {encoding} needs it.")
    return rate


def list_of(fields: Json, name: str) -> tuple[str, ...]:
    """Return a list, which the query holds as JSON. Raises `SettingsError` if it is none."""
    value = fields.get(name) or []
    try:
        found = msgspec.json.decode(value) if isinstance(value, str) else value
        return tuple(str(one) for one in found)
    except (msgspec.DecodeError, TypeError):
        raise SettingsError(name, f"{name} is no JSON list of texts.") from None


def language_of(fields: Json, model: str) -> tuple[str, bool]:
    """Return the language, or `auto`, and whether turns name it."""
    codes = list_of(fields, "language_codes") or tuple(filter(None, [fields.get("language_code")]))
    detect = is_on(fields, "language_detection")
    if len(codes) == 1:
        return str(codes[0]), detect
    english = not model or model.endswith("english")
    return ("en" if english and not codes and not detect else "auto"), detect


def changed_turning(turning: Turning, fields: Json) -> Turning:
    """Return the turning with what the fields name. Raises `SettingsError` for a bad number."""
    shortest = "min_turn_silence"
    if shortest not in fields:
        shortest = "min_end_of_turn_silence_when_confident"
    return Turning(
        number(fields, "end_of_turn_confidence_threshold", turning.confidence),
        round(number(fields, shortest, turning.min_silence_ms)),
        round(number(fields, "max_turn_silence", turning.max_silence_ms)),
    )


class AssemblyAIProtocol(SessionProtocol):
    """One streaming session."""

    paths = ("/v3/ws",)
    key = KeyPlaces(headers=(("Authorization", "Bearer"), ("Authorization", "")))
    close_codes = {  # noqa: RUF012
        CloseCode.NOT_AUTHORISED: 4001,
        CloseCode.NOT_ALLOWED: 4001,
        CloseCode.OVER_LIMIT: 3009,
        CloseCode.BAD_SETTINGS: 3006,
        CloseCode.MALFORMED: 3006,
        CloseCode.INTERNAL: 3005,
        CloseCode.IDLE: 4031,
    }

    @classmethod
    def refusal(cls, status: int, code: str, sentence: str) -> HttpResponse:
        """Return a refusal as JSON."""
        body = msgspec.json.encode({"error": sentence}).decode()
        return HttpResponse(status, body, {"Content-Type": "application/json"})

    @classmethod
    def check_request(cls, service: Service, query: Query) -> None:
        """Raise `PeerError` for parameters that cannot be served."""
        read(service, query)

    def __init__(self, service: Service, session_id: str, query: Query) -> None:
        super().__init__(service, session_id, query)
        self._created_s = service.wall_time()
        self._opus: PacketDecoder | None = None
        self._turn = 0
        self._words: tuple[Word, ...] = ()
        """Final words of the turn."""
        self._language = ""
        self._confidence = 0.0
        self._silent_from = 0
        self._starts: list[int] = []
        """Where the speech of each utterance begins that has no final yet."""
        self._marks = 0
        self._forced = 0
        """Outstanding marks of `ForceEndpoint`."""
        try:
            self.asked = read(service, query)
        except PeerError as error:  # `check_request` refuses it before, but for other callers
            self.fail(error.code, str(error))
            return
        self.turning = self.asked.turning
        self.idle_s = self.asked.inactivity_s
        if self.asked.packets and service.opus is not None:
            self._opus = service.opus(1)
        self.open_session(self.asked.start)

    # Messages from the client

    def handle_binary(self, data: bytes) -> None:
        """Act on audio."""
        if not self.no_more_audio:
            self.add_audio(unpacked(self._opus, data, to_mono=True) if self._opus else data)

    def handle_text(self, text: str) -> None:
        """Act on a JSON message."""
        if self.no_more_audio:
            return
        try:
            message = msgspec.json.decode(text)
            kind = message["type"]
        except (msgspec.DecodeError, RecursionError, TypeError, KeyError):
            sentence = "The message is no JSON object with a type."
            raise PeerError("malformed", sentence, None) from None
        match kind:
            case "Terminate":
                self.finish(ENDED)
            case "ForceEndpoint" if self.session is not None:
                self._marks += 1
                self._forced += 1
                self.session.receive_finalize(self._marks)
            case "UpdateConfiguration":
                self._update(message)
            case "KeepAlive":
                pass
            case _:
                self._warn(f"There is no message {kind!r} here.")

    def _update(self, message: Json) -> None:
        try:
            self.turning = changed_turning(self.turning, message)
            changes: Json = {"endpointing_ms": self.turning.pause_ms}
            if message.get("keyterms_prompt") is not None:
                changes["keyterms"] = list_of(message, "keyterms_prompt")
            if message.get("prompt") is not None:
                changes["prompt"] = str(message["prompt"])
        except SettingsError as error:
            self._warn(str(error))
            return
        if message.get("format_turns") is not None:
            self.asked = replace(self.asked, formatted=bool(message["format_turns"]))
        if self.session is not None:
            self.session.receive_configure(changes)
        for name in LACKING:
            if is_on(message, name):
                self._warn(LACKING[name])

    # Events of the session

    def announce(self, opened: OpenSession) -> None:
        """Queue `Begin`, and the warnings."""
        configuration = {"model": self.service.model, "api_version": "2025-05-12"}
        self._send(
            "Begin",
            id=self.session_id,
            expires_at=round(self._created_s) + SESSION_S,
            configuration=configuration,
        )
        for sentence in self.asked.warnings:
            self._warn(sentence)

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the messages that follow from an event of the session."""
        match event:
            case events.SpeechStarted(sample=sample):
                self._starts.append(sample)
                self._end_if_silent()
                self._send("SpeechStarted", timestamp=milliseconds(sample))
            case events.Partial(committed=committed, tentative=tentative):
                if words := self._words + committed + tentative:
                    final = len(self._words) + len(committed)
                    body = self._turn_fields(words, final, end=False)
                    self.send(QueuedMessage(body, subject="turn", replaceable=True))
            case events.Final():
                self._starts.pop(0)
                self._take_final(opened, event)
            case events.MarkReached():
                self._forced -= 1
                self._end_turn()
            case events.Ended():
                self._end_turn()
                seconds = round(opened.received_s)
                lasted = round(self.service.wall_time() - self._created_s)
                self._send(
                    "Termination", audio_duration_seconds=seconds, session_duration_seconds=lasted
                )
            case events.Failure(code=code, message=message):
                self.complain(code, message)

    def collect(self) -> None:
        """Pass on the events of the session, and end a turn that is silent for long enough."""
        super().collect()
        if self.closing is None:
            self._end_if_silent()

    def _take_final(self, opened: OpenSession, final: events.Final) -> None:
        if not final.words:
            return
        self._words += final.words
        self._confidence, self._language = final.confidence, final.language
        self._silent_from = max(final.end_sample, final.words[-1].end_sample)
        confident = self._confidence >= self.turning.confidence
        if confident and not self._forced and final.endpoint_ms > 0:
            self._end_turn(opened.speech_received_at(final))

    def _end_if_silent(self) -> None:
        """End a turn if the silence after it, up to the next speech or to now, is long enough."""
        if not self._words or self.session is None:
            return
        now = self.session.received * SAMPLE_RATE // self.session.settings.sample_rate
        silence = (self._starts[0] if self._starts else now) - self._silent_from
        if silence >= samples_of_ms(self.turning.max_silence_ms):
            self._end_turn()

    def _end_turn(self, received_at: float | None = None) -> None:
        """Tell that the turn is over, and begin the next; do nothing if it has no words."""
        if not self._words:
            return
        body = self._turn_fields(self._words, len(self._words), end=True)
        self.send(QueuedMessage(body, "turn", speech_received_at=received_at))
        self._turn += 1
        self._words = ()

    # Messages to the client

    def _turn_fields(self, words: Sequence[Word], n_final: int, *, end: bool) -> Json:
        formatted = self.asked.formatted
        shown = words if end or self.asked.changing else words[:n_final]
        body: Json = {
            "type": "Turn",
            "turn_order": self._turn,
            "turn_is_formatted": formatted and (end or self.asked.changing),
            "end_of_turn": end,
            "transcript": transcript(shown, punctuated=formatted),
            "end_of_turn_confidence": round(self._confidence, 4) if end else 0.0,
            "words": [
                {
                    "start": milliseconds(word.start_sample),
                    "end": milliseconds(word.end_sample),
                    "confidence": round(word.confidence, 4),
                    "text": word.text.strip()
                    if formatted
                    else word_fields(word, "", punctuated=False)["word"],
                    "word_is_final": i < n_final,
                }
                for i, word in enumerate(words)
            ],
        }
        if self.asked.names_language and self._language:
            body |= {"language_code": self._language}
        return body

    def _warn(self, sentence: str) -> None:
        self._send("Warning", warning_code=3006, warning=sentence)

    def _send(self, kind: str, **fields: object) -> None:
        self.send(QueuedMessage({"type": kind, **fields}))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `Error`; after one that is not fatal the stream goes on, so it is a `Warning`."""
        if fatal:
            error_code = 3005 if code == "internal" else 3006
            self._send("Error", error_code=error_code, error=sentence)
        else:
            self._warn(sentence)

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Return the JSON of a message."""
        return msgspec.json.encode(message.body).decode()


def milliseconds(sample: int) -> int:
    """Return the time of a 16 kHz sample."""
    return sample * 1000 // SAMPLE_RATE
