"""The messages of the native protocol and its error codes, each declared once.

`docs/protocol.md` explains them, and a test checks that the two agree. This module only contains
structs; `native.py` handles them.
"""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from stream.protocols.close_codes import FATAL_ERRORS, CloseCode

Integer = Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""An integer that every JSON parser represents exactly."""


ERROR_CODES: dict[str, CloseCode | None] = {
    "bad_message": None,
    "malformed": FATAL_ERRORS["malformed"],
    "bad_settings": FATAL_ERRORS["bad_settings"],
    "resume_refused": FATAL_ERRORS["resume_refused"],
    "too_many_marks": None,
    "audio_after_end": None,
    "truncated_audio": None,
    "bad_audio": None,
    "damaged_audio": None,
    "gap_too_long": None,
    "transcription_failed": None,
    "internal": FATAL_ERRORS["internal"],
}
"""Each `error.code`, and the close code that follows if the error is fatal.

`bad_settings` is fatal in `start` and in the query string, and not in `configure`.
"""


class ClientMessage(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"
):
    """A text frame from the client. A missing field is UNSET, so that sources can be merged."""

    def given(self) -> dict[str, object]:
        """The fields that the client has set, with their values; null and "" count as not set.

        An exception is an empty prompt, which replaces a previous one.
        """
        values = {field: getattr(self, field) for field in self.__struct_fields__}
        for field, value in tuple(values.items()):
            if value is UNSET or value is None or (value == "" and field != "prompt"):
                del values[field]
        return values


class Resume(Struct, frozen=True, forbid_unknown_fields=True):
    """The session to resume, and the last message of it that the client received."""

    session: str
    token: str
    seq: Integer = 0
    """Number of the last message that the client received."""


class Start(ClientMessage, frozen=True, kw_only=True, tag="start"):
    """The settings of the stream, in the units of `StreamSettings`."""

    encoding: str | UnsetType | None = UNSET
    sample_rate: Integer | UnsetType | None = UNSET
    channels: Integer | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    task: str | UnsetType | None = UNSET
    model: str | UnsetType | None = UNSET
    partials: bool | UnsetType | None = UNSET
    words: bool | UnsetType | None = UNSET
    endpointing_ms: Integer | UnsetType | None = UNSET
    max_utterance_s: float | UnsetType | None = UNSET
    keyterms: tuple[str, ...] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    room: str | UnsetType | None = UNSET
    speakers: tuple[str, ...] | UnsetType | None = UNSET
    resume: Resume | UnsetType | None = UNSET


class Configure(ClientMessage, frozen=True, kw_only=True, tag="configure"):
    """Settings that may change while the stream runs."""

    language: str | UnsetType | None = UNSET
    partials: bool | UnsetType | None = UNSET
    endpointing_ms: Integer | UnsetType | None = UNSET
    keyterms: tuple[str, ...] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET


class Finalize(ClientMessage, frozen=True, kw_only=True, tag="finalize"):
    """Requests the finals of all audio so far, and the mark after them."""

    mark: Integer | None = None


class Mark(ClientMessage, frozen=True, kw_only=True, tag="mark"):
    """Requests `MarkReached` as soon as every sample before it is settled."""

    id: Integer


class KeepAlive(ClientMessage, frozen=True, kw_only=True, tag="keepalive"):
    """Resets the idle timer."""


class End(ClientMessage, frozen=True, kw_only=True, tag="end"):
    """The end of the audio."""


Incoming = Start | Configure | Finalize | Mark | KeepAlive | End


class ServerMessage(Struct, frozen=True, kw_only=True, tag_field="type"):
    """A text frame to the client. Times are seconds from the first sample."""

    seq: int = 0
    """Number of the message: 1, 2, 3, … It is set when the message is sent, because partials that
    were replaced are never sent."""


class Limits(Struct, frozen=True):
    """Limits of what the server accepts from a client."""

    max_frame_bytes: int
    max_ahead_s: float
    idle_s: float


class Ready(ServerMessage, frozen=True, kw_only=True, tag="ready"):
    """The stream is open."""

    protocol: int = 1
    session: str
    resume_token: str | None = None
    """Token to resume this stream; None if it cannot be resumed."""
    model: str
    received: int = 0
    """Samples already received: 0, or the sample at which a resumed stream continues."""
    limits: Limits


class SpeechStarted(ServerMessage, frozen=True, kw_only=True, tag="speech_started"):
    """The beginning of the speech of an utterance."""

    channel: int
    utterance: int
    time: float


class SpeechEnded(ServerMessage, frozen=True, kw_only=True, tag="speech_ended"):
    """The end of the speech of an utterance."""

    channel: int
    utterance: int
    time: float


class Word(Struct, frozen=True):
    """One word. Times in seconds, confidence 0..1."""

    word: str
    start: float
    end: float
    confidence: float


class Partial(ServerMessage, frozen=True, kw_only=True, tag="partial"):
    """The hypothesis of an utterance so far: `committed + tentative` is its text."""

    channel: int
    utterance: int
    revision: int
    start: float
    end: float
    committed: str
    tentative: str
    words: tuple[Word, ...] | UnsetType = UNSET


class Latency(Struct, frozen=True):
    """Parts of the time between the last sample of speech and its final, in milliseconds."""

    endpoint_ms: float
    queue_ms: float
    encode_ms: float
    decode_ms: float
    total_ms: float = 0.0
    """The whole time; set when the message is sent."""


class Final(ServerMessage, frozen=True, kw_only=True, tag="final"):
    """The final hypothesis of an utterance."""

    channel: int
    utterance: int
    start: float
    end: float
    text: str
    language: str
    confidence: float
    words: tuple[Word, ...] | UnsetType = UNSET
    problems: tuple[str, ...] | UnsetType = UNSET
    latency: Latency


class Progress(ServerMessage, frozen=True, kw_only=True, tag="progress"):
    """How much audio was received and settled, in samples of each channel at the client's rate."""

    received: int
    settled: int
    lag_ms: float
    load: str = "normal"
    """What the server omits because it is busy: a value of `core.load.Load`."""


class Gap(ServerMessage, frozen=True, kw_only=True, tag="gap"):
    """Time that passed without audio: a hole in time stamps, lost packets."""

    channel: int
    time: float
    """Where it begins."""
    duration: float


class MarkReached(ServerMessage, frozen=True, kw_only=True, tag="mark"):
    """Every sample received before the mark is settled."""

    id: int


class Configured(ServerMessage, frozen=True, kw_only=True, tag="configured"):
    """The settings that are in force from now on."""

    encoding: str
    sample_rate: int
    channels: int
    language: str
    task: str
    partials: bool
    words: bool
    endpointing_ms: int
    max_utterance_s: float
    keyterms: tuple[str, ...]
    prompt: str


class Error(ServerMessage, frozen=True, kw_only=True, tag="error"):
    """An error; `message` describes the fault and the remedy."""

    code: str
    message: str
    fatal: bool


class Ended(ServerMessage, frozen=True, kw_only=True, tag="ended"):
    """The last message of a stream; `received` and `settled` are equal."""

    received: int
    settled: int
    speech_s: float
    finals: int


Outgoing = (
    Ready
    | SpeechStarted
    | SpeechEnded
    | Partial
    | Final
    | Progress
    | Gap
    | MarkReached
    | Configured
    | Error
    | Ended
)
