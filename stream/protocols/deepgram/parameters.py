"""The query of a Deepgram request: what it sets here, what is refused, and what has no effect.

Every parameter of deepgram-sdk 7.17 is in one of the sets below. Others are ignored, as Deepgram
does; a note in the log names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stream.core.settings import (
    CONTAINER,
    CONTAINER_RATE,
    MAX_KEYTERM_LENGTH,
    MAX_KEYTERMS,
    StreamSettings,
)
from stream.errors import PeerError
from stream.protocols.declarations import Query
from stream.protocols.interface import Service
from stream.protocols.start_settings import settings_of

RAW_ENCODINGS = {
    "linear16": "pcm_s16le",
    "linear32": "pcm_f32le",
    "mulaw": "mulaw",
    "alaw": "alaw",
}
"""Encodings of samples, and their names in this project."""

PACKED_ENCODINGS = frozenset({"opus", "ogg-opus", "flac"})
"""Encodings that a decoder of containers reads; `opus` may also come as packets, one a message."""

TELEPHONE_RATE = 8_000
"""Hertz, of mu-law and A-law without `sample_rate`."""

SHORTEST_ENDPOINTING_MS = 300
"""A shorter wait cuts sentences at each breath, and the model recognises fragments worse. The 10 ms
that are Deepgram's default are raised to it, too."""
USUAL_ENDPOINTING_MS = 500
"""Milliseconds of silence that end a result if `endpointing=false` or if none is named."""

USED = frozenset(
    {
        "model", "language", "encoding", "sample_rate", "channels", "multichannel",
        "interim_results", "endpointing", "utterance_end_ms", "vad_events", "detect_language",
        "keyterm", "keywords", "punctuate", "smart_format", "redact", "callback", "token",
        "utterances",
        "eot_threshold", "eager_eot_threshold", "eot_timeout_ms",
    }
)  # fmt: skip
"""Parameters that have an effect here."""

WITHOUT_EFFECT = frozenset(
    {"tag", "extra", "mip_opt_out", "version", "callback_method", "custom_topic_mode"}
    | {"custom_intent_mode"}
)
"""Parameters for Deepgram's own account, data and models, which mean nothing here."""

LACKING = {
    "diarize": "The server does not label speakers; send them as channels with multichannel=true.",
    "diarize_model": "The server does not label speakers; send them as channels.",
    "numerals": "The model decides how numbers are written.",
    "dictation": "The server does not write spoken punctuation as signs.",
    "profanity_filter": "The server does not remove profanity.",
    "replace": "The server does not replace words.",
    "search": "The server does not search.",
    "detect_entities": "The server does not label entities.",
    "filler_words": "The model decides whether filler words are written.",
    "paragraphs": "The server does not divide text into paragraphs; use utterances=true.",
    "utt_split": "Utterances end as the server divides the recording.",
    "measurements": "The model decides how measurements are written.",
    "summarize": "The server does not summarise.",
    "topics": "The server does not detect topics.",
    "custom_topic": "The server does not detect topics.",
    "intents": "The server does not detect intents.",
    "custom_intent": "The server does not detect intents.",
    "sentiment": "The server does not analyse sentiment.",
    "language_hint": "The server takes one language, or detects it (language=multi).",
}
"""Parameters that the server cannot serve, each with the sentence of the warning."""

NO = ("", "false", "0", "none")


@dataclass(frozen=True, slots=True)
class ListenParameters:
    """A request that can be served."""

    start: Mapping[str, object]
    """Fields of the native `start`. `channels` are those that the client sends."""
    settings: StreamSettings
    """The same, as the server has checked them."""
    packets: bool
    """Whether messages may be Opus packets without a container."""
    multichannel: bool
    interim_results: bool
    endpointing: bool
    """Whether a pause ends an utterance in the eyes of the client (`speech_final`)."""
    utterance_end_ms: int | None
    vad_events: bool
    punctuated: bool
    utterances: bool
    """Whether the response for a recording lists its utterances."""
    multilingual: bool
    """Whether results name their language."""
    warnings: tuple[dict[str, str], ...] = ()
    unknown: tuple[str, ...] = field(default=())


def flag(query: Query, name: str) -> bool:
    """Return a boolean parameter; it is false if it is missing."""
    return value(query, name).lower() not in NO


def value(query: Query, name: str) -> str:
    """Return the last value of a parameter, empty if it is missing."""
    return (query.get(name) or [""])[-1].strip()


def refused(sentence: str) -> PeerError:
    """Return the error of a request that cannot be served."""
    return PeerError("bad_settings", sentence, None)


def number(query: Query, name: str, otherwise: int) -> int:
    """Return a whole number. Raises `PeerError` if the parameter is none."""
    text = value(query, name)
    try:
        return int(float(text)) if text else otherwise
    except (ValueError, OverflowError):
        raise refused(f"{name} is {text!r}; use a whole number.") from None


def read(service: Service, query: Query) -> ListenParameters:
    """Read the query of `/v1/listen`. Raises `PeerError` for what cannot be served."""
    if flag(query, "redact"):
        raise refused(
            "redact is not supported: the words would leave the server as they were spoken. Leave "
            "it out, and redact the text yourself."
        )
    if value(query, "callback"):
        raise refused("callback is not supported; read the results from this connection.")
    encoding, rate = audio_format(query)
    channels = number(query, "channels", 1)
    endpointing = value(query, "endpointing").lower()
    wait_ms = 0 if endpointing in (*NO, "true") else number(query, "endpointing", 0)
    language, multilingual = language_of(query)
    start: dict[str, object] = {
        "encoding": encoding,
        "sample_rate": rate,
        "channels": channels,
        "words": True,
        "partials": flag(query, "interim_results"),
        "endpointing_ms": max(SHORTEST_ENDPOINTING_MS, min(wait_ms, 10_000))
        if wait_ms
        else USUAL_ENDPOINTING_MS,
        "language": language,
        "keyterms": keyterms_of(query),
    }
    return ListenParameters(
        start=start,
        settings=settings_of(start, service),
        packets=value(query, "encoding").lower() == "opus" and service.opus is not None,
        multichannel=flag(query, "multichannel"),
        interim_results=flag(query, "interim_results"),
        endpointing=endpointing != "false",
        utterance_end_ms=number(query, "utterance_end_ms", 0) or None,
        vad_events=flag(query, "vad_events"),
        punctuated=flag(query, "punctuate") or flag(query, "smart_format"),
        utterances=flag(query, "utterances"),
        multilingual=multilingual,
        warnings=warnings_of(query),
        unknown=unknown_of(query),
    )


def audio_format(query: Query) -> tuple[str, int]:
    """Return the encoding, by this project's names, and the sample rate in hertz."""
    name = value(query, "encoding").lower()
    if not name or name in PACKED_ENCODINGS:
        return CONTAINER, CONTAINER_RATE
    if name not in RAW_ENCODINGS:
        known = ", ".join([*RAW_ENCODINGS, *sorted(PACKED_ENCODINGS)])
        raise refused(
            f"encoding is {name!r}; use {known}, or leave it out and send a container "
            "(WebM, Ogg, WAV, MP3, FLAC, AAC)."
        )
    rate = number(query, "sample_rate", TELEPHONE_RATE if name in ("mulaw", "alaw") else 0)
    if rate == 0:
        raise refused(f"sample_rate is missing; encoding={name} needs it.")
    return RAW_ENCODINGS[name], rate


def language_of(query: Query) -> tuple[str, bool]:
    """Return the language, or `auto`, and whether results name it."""
    language = value(query, "language").lower()
    detect = value(query, "detect_language").lower() not in NO
    if language == "multi" or (detect and not language):
        return "auto", True
    return language or "en", detect


def keyterms_of(query: Query) -> tuple[str, ...]:
    """Return the key terms, `keyword:boost` without its boost. Raises `PeerError` for too many."""
    legacy = [term.rpartition(":") for term in query.get("keywords", ())]
    words = [before if before and is_number(boost) else f"{before}{colon}{boost}"
             for before, colon, boost in legacy]  # fmt: skip
    terms = [term.strip() for term in (*query.get("keyterm", ()), *words)]
    return checked_keyterms(list(dict.fromkeys(term for term in terms if term)))


def is_number(text: str) -> bool:
    """Return whether a text is a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def checked_keyterms(terms: list[str]) -> tuple[str, ...]:
    """Return the terms. Raises `PeerError` if there are too many, or if one is too long."""
    if len(terms) > MAX_KEYTERMS or max(map(len, terms), default=0) > MAX_KEYTERM_LENGTH:
        raise refused(
            f"There are {len(terms)} key terms; use at most {MAX_KEYTERMS}, of at most "
            f"{MAX_KEYTERM_LENGTH} characters each."
        )
    return tuple(terms)


def warnings_of(query: Query) -> tuple[dict[str, str], ...]:
    """Return a warning for each parameter that the server cannot serve."""
    return tuple(
        {"parameter": name, "type": "unsupported_parameter", "message": sentence}
        for name, sentence in LACKING.items()
        if flag(query, name)
    )


def unknown_of(query: Query) -> tuple[str, ...]:
    """Return the names of parameters that Deepgram has none of, or that mean nothing here."""
    return tuple(sorted(set(query) - USED - set(LACKING) - WITHOUT_EFFECT))


def note_of(unknown: tuple[str, ...]) -> str:
    """Return the sentence for the log that names the unknown parameters."""
    return f"ignored unknown parameters of a Deepgram request: {', '.join(unknown)}"
