"""Deepgram's turns, `/v2/listen` (Flux).

Theory of operation. A turn is one utterance or several. An utterance ends at a pause of fixed
length: 500 ms, or 300 ms if the client asks for eager ends. Its confidence, the mean of those of
its words, decides what follows. If it reaches `eot_threshold`, the turn is over: at once, or, if
the client asked for eager ends, after 700 ms of silence, and until then the end is eager. If it
does not, the turn goes on until `eot_timeout_ms` of silence have passed. Words in between resume
the turn. All of this goes by the audio clock, so that a recorded stream gives the same turns.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from stream.core import events
from stream.core.audio import samples_of_ms
from stream.core.windows import Word
from stream.errors import PeerError
from stream.protocols.declarations import Query
from stream.protocols.deepgram import parameters
from stream.protocols.deepgram.connection import DeepgramConnection
from stream.protocols.deepgram.parameters import ListenParameters, refused, value
from stream.protocols.deepgram.results import Json
from stream.protocols.event_messages import seconds, text_of
from stream.protocols.interface import QueuedMessage, Service
from stream.protocols.open_sessions import OpenSession

EAGER_PAUSE_MS = 300
PAUSE_MS = 500
"""Silence that ends an utterance, if the client asks for eager ends or does not."""
CERTAIN_PAUSE_MS = 700
"""Silence after which an eager end is the end of the turn."""
TIMEOUT_MS = 5_000
"""Silence that ends a turn whose end is not sure, unless the client names another."""


class State(Enum):
    """How far a turn is."""

    LISTENING = auto()
    """It has no words yet."""
    SPEAKING = auto()
    PAUSED = auto()
    """Its last utterance is over, and the turn may be."""
    EAGER = auto()
    """The same, and the client was told so."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a turn is over."""

    eot_threshold: float = 0.7
    eager_eot_threshold: float | None = None
    eot_timeout_ms: int = TIMEOUT_MS

    def __post_init__(self) -> None:
        within("eot_threshold", self.eot_threshold, 0.5, 0.9)
        within("eot_timeout_ms", self.eot_timeout_ms, 500, 60_000)
        if self.eager_eot_threshold is not None:
            within("eager_eot_threshold", self.eager_eot_threshold, 0.3, self.eot_threshold)

    @property
    def pause_ms(self) -> int:
        """Silence that ends an utterance."""
        return PAUSE_MS if self.eager_eot_threshold is None else EAGER_PAUSE_MS

    def fields(self) -> Json:
        """Return the thresholds as they are on the wire."""
        fields: Json = {"eot_threshold": self.eot_threshold, "eot_timeout_ms": self.eot_timeout_ms}
        if self.eager_eot_threshold is not None:
            fields["eager_eot_threshold"] = self.eager_eot_threshold
        return fields


def within(name: str, number: float, low: float, high: float) -> None:
    """Raise `PeerError` unless low <= number <= high."""
    if not low <= number <= high:
        raise refused(f"{name} is {number:g}; use {low:g} to {high:g}.")


def thresholds_of(query: Query) -> Thresholds:
    """Return the thresholds of a query. Raises `PeerError` for one out of its range."""
    given = {name: value(query, name) for name in ("eot_threshold", "eager_eot_threshold")}
    try:
        numbers = {name: float(text) for name, text in given.items() if text}
    except ValueError:
        raise refused("eot_threshold and eager_eot_threshold are numbers.") from None
    timeout_ms = parameters.number(query, "eot_timeout_ms", TIMEOUT_MS)
    return Thresholds(eot_timeout_ms=timeout_ms, **numbers)


class FluxProtocol(DeepgramConnection):
    """One live stream of turns."""

    paths = ("/v2/listen",)

    @classmethod
    def read(cls, service: Service, query: Query) -> ListenParameters:
        """Read the query. Raises `PeerError` for what cannot be served."""
        hints = [hint for hint in query.get("language_hint", ()) if hint]
        many = value(query, "model").endswith("multi")
        language = hints[0] if len(hints) == 1 else "multi" if many else "en"
        known = {name: values for name, values in query.items() if name != "language_hint"}
        asked = parameters.read(
            service,
            {
                **known,
                "language": [language],
                "interim_results": ["true"],
                "smart_format": ["true"],
                "endpointing": [str(thresholds_of(query).pause_ms)],
            },
        )
        if asked.multichannel:
            raise refused("multichannel is not supported; open a connection for each channel.")
        return replace(asked, multilingual=many or len(hints) > 0)

    def prepare(self) -> None:
        """Begin the first turn."""
        self.thresholds = thresholds_of(self.query)
        self.turn = 0
        self.state = State.LISTENING
        self._sequence = 0
        self._turn_start = 0
        """16 kHz sample at which the turn begins: the end of the one before."""
        self._words: tuple[Word, ...] = ()
        """Final words of the turn."""
        self._language = ""
        self._confidence = 0.0
        self._silent_from = 0
        """Where the last speech of the turn ended."""
        self._starts: list[int] = []
        """Where the speech of each utterance begins that has no final yet."""
        self._forced: set[int] = set()
        """Outstanding marks of `ForceEndTurn`."""

    # Messages from the client

    def handle_text(self, text: str) -> None:
        """Act on a JSON message; one that cannot be read is an error, as at Deepgram."""
        if self.no_more_audio:
            return
        try:
            message = self.read_message(text)
        except ValueError as error:
            self.complain("UNPARSABLE_CLIENT_MESSAGE", str(error))
            return
        match message["type"]:
            case "CloseStream":
                self.close_stream()
            case "ForceEndTurn":
                if marked := self.finalize():
                    self._forced.add(marked[0])
            case "Configure":
                self._configure(message)
            case "KeepAlive":
                pass
            case kind:
                self.complain("UNPARSABLE_CLIENT_MESSAGE", f"There is no message of type {kind!r}.")

    def _configure(self, message: Json) -> None:
        """Change thresholds and key terms, or nothing if one of them cannot be."""
        try:
            given = {k: v for k, v in (message.get("thresholds") or {}).items() if v is not None}
            changed = replace(self.thresholds, **given)
            changes: Json = {"endpointing_ms": changed.pause_ms}
            if (terms := message.get("keyterms")) is not None:
                changes["keyterms"] = parameters.checked_keyterms([str(term) for term in terms])
        except (PeerError, TypeError, AttributeError) as error:
            self.counts.errors += 1
            code = "INVALID_CONFIGURE"
            self._send({"type": "ConfigureFailure", "code": code, "description": str(error)})
            return
        self.thresholds = changed
        keyterms = self.asked.settings.keyterms
        if self.session is not None:
            self.session.receive_configure(changes)
            keyterms = self.session.settings.keyterms
        body: Json = {"type": "ConfigureSuccess", "thresholds": changed.fields()}
        self._send({**body, "keyterms": list(keyterms)})

    # Events of the session

    def announce(self, opened: OpenSession) -> None:
        """Queue `Connected`, and a warning for each parameter that has no effect."""
        self._send({"type": "Connected"})
        for warning in self.asked.warnings:
            code = f"{warning['parameter'].upper()}_NOT_SUPPORTED"
            self._send({"type": "Warning", "code": code, "description": warning["message"]})

    def send_event(self, opened: OpenSession, event: events.Event) -> None:
        """Queue the events of turns that follow from an event of the session."""
        match event:
            case events.SpeechStarted(sample=sample):
                self._starts.append(sample)
                self._end_if_silent()
            case events.Partial(committed=committed, tentative=tentative):
                if words := committed + tentative:
                    self._speak(self._words + words, event.end_sample)
            case events.Final():
                self._starts.pop(0)
                self._take_final(opened, event)
            case events.MarkReached(id=mark):
                self._forced.discard(mark)
                self._end_turn("manual", self.now_sample)
            case events.Ended():
                self._end_turn("timeout", self.now_sample)
            case events.Failure(code="bad_audio", message=message) if self.now_sample == 0:
                self.fail("malformed", message)  # nothing could be decoded
            case events.Failure(code=code, message=message):
                self.complain(code, message)

    def collect(self) -> None:
        """Pass on the events of the session, and end a turn that is silent for long enough."""
        super().collect()
        if self.closing is None:
            self._end_if_silent()

    def _speak(self, words: Sequence[Word], end_sample: int) -> None:
        """Tell about words of an utterance that goes on."""
        kind = {State.LISTENING: "StartOfTurn", State.EAGER: "TurnResumed"}.get(
            self.state, "Update"
        )
        self.state = State.SPEAKING
        self._send_turn(kind, words, end_sample, 0.0)

    def _take_final(self, opened: OpenSession, final: events.Final) -> None:
        """Take the words of an utterance that is over: the turn may be, too."""
        if not final.words:
            return
        self._words += final.words
        self._language = final.language
        self._confidence = final.confidence
        if self.state in (State.LISTENING, State.EAGER):
            self._speak(self._words, final.end_sample)
        self._silent_from = max(final.end_sample, final.words[-1].end_sample)
        self.state = State.PAUSED
        if self._forced or final.endpoint_ms == 0:  # the mark follows, or the speech goes on
            return
        eager = self.thresholds.eager_eot_threshold
        if eager is None and self._confidence >= self.thresholds.eot_threshold:
            self._end_turn("model", self._silent_from, opened.speech_received_at(final))
        elif eager is not None and self._confidence >= eager:
            self.state = State.EAGER
            confidence = min(self._confidence, self.thresholds.eot_threshold)
            self._send_turn("EagerEndOfTurn", self._words, self._silent_from, confidence)

    def _end_if_silent(self) -> None:
        """End a turn if the silence after it, up to the next speech or to now, is long enough."""
        if self.state not in (State.PAUSED, State.EAGER):
            return
        silence = (self._starts[0] if self._starts else self.now_sample) - self._silent_from
        if silence >= samples_of_ms(self.thresholds.eot_timeout_ms):
            self._end_turn("timeout", self._silent_from)
        elif (
            self._confidence >= self.thresholds.eot_threshold
            and silence >= samples_of_ms(CERTAIN_PAUSE_MS)
        ):  # fmt: skip
            self._end_turn("model", self._silent_from)

    def _end_turn(self, trigger: str, end_sample: int, received_at: float | None = None) -> None:
        """Tell that the turn is over, and begin the next; do nothing without a turn."""
        if self.state is State.LISTENING:
            return
        end = max(end_sample, self._silent_from)
        body = self._turn_fields("EndOfTurn", self._words, end, self._confidence)
        message = QueuedMessage(
            {**body, "trigger": trigger}, "turn", speech_received_at=received_at
        )
        self.send(message)
        self.turn += 1
        self.state, self._words, self._turn_start = State.LISTENING, (), end

    # Messages to the client

    def _turn_fields(
        self, kind: str, words: Sequence[Word], end_sample: int, confidence: float
    ) -> Json:
        fields: Json = {
            "type": "TurnInfo",
            "event": kind,
            "turn_index": self.turn,
            "audio_window_start": seconds(self._turn_start),
            "audio_window_end": seconds(max(end_sample, self._turn_start)),
            "transcript": text_of(words).strip(),
            "words": [
                {
                    "word": word.text.strip(),
                    "confidence": round(word.confidence, 4),
                    "start": seconds(word.start_sample),
                    "end": seconds(word.end_sample),
                }
                for word in words
            ],
            "end_of_turn_confidence": round(confidence, 4),
        }
        if self.asked.multilingual and self._language:
            fields["languages"] = [self._language]
        return fields

    def _send_turn(
        self, kind: str, words: Sequence[Word], end_sample: int, confidence: float
    ) -> None:
        body = self._turn_fields(kind, words, end_sample, confidence)
        self.send(QueuedMessage(body, subject="turn", replaceable=kind == "Update"))

    def _send(self, body: Json) -> None:
        self.send(QueuedMessage(body))

    def send_error(self, code: str, sentence: str, fatal: bool) -> None:
        """Queue `Error`."""
        self._send({"type": "Error", "code": code, "description": sentence})

    def encode(self, message: QueuedMessage, now: float) -> str:
        """Number the message and return its JSON; numbers begin with 0."""
        fields = {"request_id": self.request_id, "sequence_id": self._sequence}
        self._sequence += 1
        return super().encode(replace(message, body={**message.body, **fields}), now)
