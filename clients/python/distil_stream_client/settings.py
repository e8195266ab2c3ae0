"""The settings of a stream, as types: the fields of the protocol's `start` message.

The server fills in what is left out, and refuses what it does not know.
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
    """Silence that ends an utterance, 100 to 10000."""
    keyterms: list[str]
    """Names and terms to expect: at most 500, of 100 characters each."""
    prompt: str
    """Text that the model is given as if it preceded the audio: at most 4000 characters."""


class Settings(Changes, total=False):
    """All settings of a stream."""

    encoding: Encoding
    """Of the audio; `pcm_s16le` unless it is set."""
    sample_rate: int
    """Hertz, 8000 to 48000; 16000 unless it is set."""
    channels: int
    """1 to 8, interleaved in the audio, and each transcribed by itself."""
    task: Literal["transcribe", "translate"]
    model: str
    """A server runs one model and refuses another name."""
    words: bool
    """Whether partials and finals carry the time of each word."""
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
    """Seconds that opening a websocket may take, and then the server's `ready`; 10 by default."""
    proxy: str | Literal[True] | None
    """As in websockets: a proxy's address, True for that of the environment, None for none."""
    reconnect_s: float
    """Seconds within which a lost connection must be replaced, 60 by default; 0: never replaced."""
    silent_s: float
    """Seconds after which a server that owes an answer is given up, 30 by default."""
    keep_alive: bool
    """Whether the stream stays open while nothing is sent: keepalives are sent by themselves."""
