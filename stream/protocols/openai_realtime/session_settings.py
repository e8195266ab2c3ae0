"""The settings of OpenAI's transcription sessions, in the shape of today and in that of the beta.

A `session.update` names what changes; the rest stays.
"""

from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from stream.errors import SettingsError
from stream.protocols.interface import Service

Json = dict[str, Any]

FORMATS = {"audio/pcm": "pcm_s16le", "audio/pcmu": "mulaw", "audio/pcma": "alaw"}
BETA_FORMATS = {"pcm16": "audio/pcm", "g711_ulaw": "audio/pcmu", "g711_alaw": "audio/pcma"}
PCM_RATE = 24_000
TELEPHONE_RATE = 8_000
"""Hertz."""

SILENCE_MS = 500
"""Silence that ends an item of `server_vad`."""
EAGERNESS_MS = {"low": 1200, "medium": 700, "auto": 700, "high": 400}
"""Silence that ends an item of `semantic_vad`; no model predicts whether a sentence is over."""
NO_ENDPOINT_MS = 10_000
"""Without turn detection the client ends items; the longest wait that a session takes."""

LOGPROBS = "item.input_audio_transcription.logprobs"
DELAYS = ("minimal", "low", "medium", "high", "xhigh")


class Format(Struct, frozen=True):
    """The encoding of the audio."""

    type: str
    rate: int | None = None


class Transcription(Struct, frozen=True):
    """What is transcribed, and how."""

    model: str | UnsetType | None = UNSET
    language: str | UnsetType | None = UNSET
    languages: tuple[str, ...] | UnsetType | None = UNSET
    prompt: str | UnsetType | None = UNSET
    keywords: tuple[str, ...] | UnsetType | None = UNSET
    delay: str | UnsetType | None = UNSET


class TurnDetection(Struct, frozen=True):
    """What ends an item."""

    type: str = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    eagerness: str | None = None


class AudioInput(Struct, frozen=True):
    """`session.audio.input`."""

    format: Format | UnsetType | None = UNSET
    transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class Audio(Struct, frozen=True):
    """`session.audio`."""

    input: AudioInput | UnsetType = UNSET


class SessionUpdate(Struct, frozen=True):
    """`session` of a `session.update`."""

    type: str = "transcription"
    audio: Audio | UnsetType = UNSET
    include: tuple[str, ...] | UnsetType | None = UNSET


class BetaSessionUpdate(Struct, frozen=True):
    """`session` of a `transcription_session.update`."""

    input_audio_format: str | UnsetType | None = UNSET
    input_audio_transcription: Transcription | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET
    include: tuple[str, ...] | UnsetType | None = UNSET

    def as_update(self) -> SessionUpdate:
        """Return the same in the shape of today. Raises `SettingsError` for an unknown format."""
        form: Format | UnsetType | None = UNSET
        if isinstance(self.input_audio_format, str):
            if self.input_audio_format not in BETA_FORMATS:
                raise SettingsError(
                    "input_audio_format",
                    f"input_audio_format is {self.input_audio_format!r}; use one of "
                    f"{', '.join(BETA_FORMATS)}.",
                )
            form = Format(BETA_FORMATS[self.input_audio_format])
        audio_input = AudioInput(form, self.input_audio_transcription, self.turn_detection)
        return SessionUpdate(audio=Audio(audio_input), include=self.include)


PCM = Format("audio/pcm", PCM_RATE)
SERVER_VAD = TurnDetection()


@dataclass(frozen=True, slots=True)
class RealtimeSettings:
    """The settings in force."""

    format: Format = PCM
    language: str = "auto"
    prompt: str = ""
    keywords: tuple[str, ...] = ()
    delay: str | None = None
    turn_detection: TurnDetection | None = SERVER_VAD
    logprobs: bool = False

    def updated(self, update: SessionUpdate) -> "RealtimeSettings":
        """Return the settings after an update. Raises `SettingsError` for one that is unknown."""
        if update.type != "transcription":
            raise SettingsError(
                "session.type",
                f"session.type is {update.type!r}; this server transcribes: use 'transcription'.",
            )
        changed = self
        if update.include is not UNSET:
            changed = replace(changed, logprobs=LOGPROBS in (update.include or ()))
        asked = update.audio.input if isinstance(update.audio, Audio) else UNSET
        if not isinstance(asked, AudioInput):
            return changed
        if isinstance(asked.format, Format):
            changed = replace(changed, format=checked_format(asked.format))
        if asked.turn_detection is not UNSET:
            changed = replace(changed, turn_detection=checked_turns(asked.turn_detection))
        if isinstance(asked.transcription, Transcription):
            changed = changed._transcribing(asked.transcription)
        return changed

    def _transcribing(self, asked: Transcription) -> "RealtimeSettings":
        changed = self
        if isinstance(asked.languages, tuple):
            only = asked.languages[0] if len(asked.languages) == 1 else "auto"
            changed = replace(changed, language=only)
        if asked.language is not UNSET:
            changed = replace(changed, language=asked.language or "auto")
        if asked.prompt is not UNSET:
            changed = replace(changed, prompt=asked.prompt or "")
        if asked.keywords is not UNSET:
            changed = replace(changed, keywords=asked.keywords or ())
        if asked.delay is not UNSET:
            if asked.delay is not None and asked.delay not in DELAYS:
                raise SettingsError("delay", f"delay is {asked.delay!r}; use {', '.join(DELAYS)}.")
            changed = replace(changed, delay=asked.delay)
        return changed

    @property
    def endpointing_ms(self) -> int:
        """Silence that ends an utterance."""
        turns = self.turn_detection
        if turns is None:
            return NO_ENDPOINT_MS
        if turns.type == "semantic_vad":
            return EAGERNESS_MS[turns.eagerness or "auto"]
        asked = SILENCE_MS if turns.silence_duration_ms is None else turns.silence_duration_ms
        return max(100, min(asked, NO_ENDPOINT_MS))

    def changeable(self) -> Json:
        """Return the fields of the native `configure`."""
        return {
            "language": self.language,
            "endpointing_ms": self.endpointing_ms,
            "keyterms": self.keywords,
            "prompt": self.prompt,
        }

    def start(self) -> Json:
        """Return the fields of the native `start`."""
        return {
            **self.changeable(),
            "encoding": FORMATS[self.format.type],
            "sample_rate": self.format.rate,
            "words": True,
        }

    def fields(self, session_id: str, service: Service, expires_at: int) -> Json:
        """Return the session in the shape of today."""
        form: Json = {"type": self.format.type}
        if self.format.type == "audio/pcm":
            form["rate"] = self.format.rate
        transcription: Json = {
            "model": service.model,
            "language": None if self.language == "auto" else self.language,
            "prompt": self.prompt,
        }
        if self.keywords:
            transcription["keywords"] = list(self.keywords)
        if self.delay:
            transcription["delay"] = self.delay
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "expires_at": expires_at,
            "audio": {
                "input": {
                    "format": form,
                    "transcription": transcription,
                    "noise_reduction": None,
                    "turn_detection": self._turn_fields(),
                }
            },
            "include": [LOGPROBS] if self.logprobs else None,
        }

    def beta_fields(self, session_id: str, service: Service, expires_at: int) -> Json:
        """Return the session in the shape of the beta."""
        names = {form: name for name, form in BETA_FORMATS.items()}
        fields = self.fields(session_id, service, expires_at)
        audio_input = fields["audio"]["input"]
        return {
            "id": session_id,
            "object": "realtime.transcription_session",
            "expires_at": expires_at,
            "modalities": ["text"],
            "input_audio_format": names[self.format.type],
            "input_audio_transcription": audio_input["transcription"],
            "turn_detection": audio_input["turn_detection"],
            "input_audio_noise_reduction": None,
            "include": fields["include"],
        }

    def _turn_fields(self) -> Json | None:
        turns = self.turn_detection
        if turns is None:
            return None
        if turns.type == "semantic_vad":
            return {"type": "semantic_vad", "eagerness": turns.eagerness or "auto"}
        return {
            "type": "server_vad",
            "threshold": 0.5 if turns.threshold is None else turns.threshold,
            "prefix_padding_ms": turns.prefix_padding_ms or 300,
            "silence_duration_ms": self.endpointing_ms,
        }


def checked_format(asked: Format) -> Format:
    """Return the format with its rate. Raises `SettingsError` for an unknown one."""
    if asked.type not in FORMATS:
        raise SettingsError(
            "format.type", f"format.type is {asked.type!r}; use one of {', '.join(FORMATS)}."
        )
    usual = PCM_RATE if asked.type == "audio/pcm" else TELEPHONE_RATE
    return Format(asked.type, asked.rate or usual)


def checked_turns(asked: TurnDetection | UnsetType | None) -> TurnDetection | None:
    """Return the turn detection asked for; None if null or unset: then only commits end items.

    Raises:
        SettingsError: its kind or its eagerness is unknown.
    """
    if not isinstance(asked, TurnDetection):
        return None
    if asked.type not in ("server_vad", "semantic_vad"):
        raise SettingsError(
            "turn_detection.type",
            f"turn_detection.type is {asked.type!r}; use server_vad, semantic_vad, or null.",
        )
    if asked.eagerness not in (None, *EAGERNESS_MS):
        raise SettingsError(
            "turn_detection.eagerness",
            f"eagerness is {asked.eagerness!r}; use one of {', '.join(EAGERNESS_MS)}.",
        )
    return asked


def read_update(session: object, *, beta: bool) -> SessionUpdate:
    """Return the update that a message holds. Raises `SettingsError` if it does not fit."""
    try:
        if beta:
            return msgspec.convert(session, BetaSessionUpdate, strict=False).as_update()
        return msgspec.convert(session, SessionUpdate, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError("session", f"The session does not fit: {error}.") from None
