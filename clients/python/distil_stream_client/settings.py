"""The settings of a stream, as types: the fields of the protocol's `start` message.

The server uses its defaults for fields that are missing, and refuses unknown fields.
"""

from typing import Literal, TypedDict

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw", "container"]


class Changes(TypedDict, total=False):
    """The settings that `configure` changes while the stream is open."""

    language: str
    """A language code of the model, or `auto`."""
    partials: bool
    """Whether partial hypotheses are sent."""
    endpointing_ms: float
    """Milliseconds of silence that end an utterance, 100 to 10000."""
    keyterms: list[str]
    """Names and terms that are likely to occur: at most 500, of at most 100 characters each."""
    prompt: str
    """Text that the model gets as the transcript of preceding speech; at most 4000 characters."""


class Settings(Changes, total=False):
    """All settings of a stream."""

    encoding: Encoding
    """Encoding of the audio; `pcm_s16le` by default."""
    sample_rate: int
    """Hertz, 8000 to 48000; 16000 by default."""
    channels: int
    """Number of channels, 1 to 8, interleaved in the audio; each is transcribed on its own."""
    task: Literal["transcribe", "translate"]
    model: str
    """Name of the model that is expected; a server runs one model and refuses another name."""
    words: bool
    """Whether partials and finals contain the times of each word."""
    max_utterance_s: float
    """Length at which an utterance without a pause is cut between two words, 5 to 300 seconds."""
    room: str
    """Name of the room in which others read the transcript."""
    speakers: list[str]
    """Labels of the channels in that room."""


class Options(Settings, total=False):
    """The settings of a stream, and how the client connects."""

    api_key: str | None
    """The key of a server that requires one."""
    open_timeout: float
    """Most seconds to open a websocket, and again to get the server's `ready`; 10 by default."""
    proxy: str | Literal[True] | None
    """Address of a proxy, True for the proxy of the environment, None for no proxy."""
    reconnect_s: float
    """Seconds within which a lost connection must be replaced, 60 by default; 0 disables it."""
    silent_s: float
    """Seconds without an expected answer after which the connection is considered lost; 30 by
    default."""
    keep_alive: bool
    """Whether the client sends keepalives by itself, so that an idle stream stays open."""
