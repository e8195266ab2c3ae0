"""The settings of one stream, chosen by its client, and the tuning of all streams of a server.

A setting of a stream takes this path: the fields of the client's first message, `messages.Start`,
or of the query string become `StreamSettings` in `protocols/start_settings.py`; `Session` keeps
them, and passes them to each `Channel`. The channel gives `endpointing_ms` to its `Endpointer`, and
puts the settings of decoding, such as the language, into the `DecodingOptions` of each window,
which the engine receives. `Session.receive_configure` replaces them during the stream.
"""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from stream.errors import SettingsError

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw", "container"]
Task = Literal["transcribe", "translate"]

CONTAINER = "container"
"""The encoding of files: WebM, Ogg, WAV, MP3, FLAC or AAC; the core does not decode them."""
CONTAINER_RATE = 16_000
"""Hertz. Containers are resampled to this rate, so it is also the rate of their sample counts."""

MAX_KEYTERMS = 500
MAX_KEYTERM_LENGTH = 100
MAX_PROMPT_LENGTH = 4_000
"""Characters. Prompt and key terms are tokenised for every window, while other windows wait: 500
terms take 20 ms, a prompt of a megabyte takes a second. The model uses about 1000 characters."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """The settings that a client chose for one stream; `check` raises for values out of range."""

    encoding: str = "pcm_s16le"
    sample_rate: int = 16_000
    """Hertz, of each channel."""
    channels: int = 1
    language: str = "en"
    task: str = "transcribe"
    partials: bool = True
    words: bool = False
    endpointing_ms: int = 500
    """Milliseconds of silence that end an utterance."""
    max_utterance_s: float = 30.0
    """An utterance without pauses is split, between two words, when it reaches this length."""
    keyterms: tuple[str, ...] = ()
    prompt: str = ""

    def check(self) -> None:
        """Raise `SettingsError` for the first setting out of its range."""
        one_of("encoding", self.encoding, get_args(Encoding))
        within("sample_rate", self.sample_rate, 8_000, 48_000, "Hz")
        if self.encoding == CONTAINER and self.sample_rate != CONTAINER_RATE:
            raise SettingsError(
                "sample_rate",
                "A container has a sample rate of its own: leave sample_rate out. Samples are "
                f"counted at {CONTAINER_RATE} Hz.",
            )
        within("channels", self.channels, 1, 8, "channels")
        one_of("task", self.task, get_args(Task))
        within("endpointing_ms", self.endpointing_ms, 100, 10_000, "ms")
        within("max_utterance_s", self.max_utterance_s, 5, 300, "s")
        within("keyterms", len(self.keyterms), 0, MAX_KEYTERMS, "terms")
        longest = max(map(len, self.keyterms), default=0)
        within("keyterms", longest, 0, MAX_KEYTERM_LENGTH, "characters each")
        within("prompt", len(self.prompt), 0, MAX_PROMPT_LENGTH, "characters")


def one_of(field: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise `SettingsError` unless the value is among the allowed ones."""
    if value not in allowed:
        raise SettingsError(field, f"{field} is {value!r}; use one of {', '.join(allowed)}.")


def within(field: str, value: float, low: float, high: float, unit: str) -> None:
    """Raise `SettingsError` unless low <= value <= high."""
    if not low <= value <= high:
        raise SettingsError(field, f"{field} is {value:g}; use {low:g} to {high:g} {unit}.")


@dataclass(frozen=True, slots=True)
class SessionTuning:
    """How sessions detect speech, request windows and commit words; the same for a whole server."""

    partial_hop_ms: int = 1000
    """New audio that makes the next partial due."""
    first_hop_ms: int = 400
    """New audio that makes a partial due until the utterance has words to show."""
    wordless_hop_ms: int = 3000
    """The longest interval of partials while speech goes on without recognised words, as in a noise
    of many voices."""
    pre_roll_ms: int = 300
    """Audio before the detected onset that belongs to the utterance: its first consonant may be too
    soft to be detected."""
    onset_ms: int = 90
    """Speech that must be detected before an utterance begins."""
    tail_ms: int = 240
    """Silence after the speech that the window of a final includes; the window is not requested
    before it."""
    final_ahead_ms: int = 260
    """The decoding of a final begins this long before the endpoint is confirmed. It does not begin
    in every pause, because speech continues after most pauses."""
    commit_delay_ms: int = 850
    """Audio after a word that a hypothesis must cover before the word is committed, once two
    hypotheses agree on it."""
    commit_partials: bool = True
    """Whether words on which partials agree are committed. If False, only finals commit words; this
    is needed if the partials are decoded by another model."""
    sure_from: float = 0.95
    """A word of at least this confidence is committed by one hypothesis that covers `sure_delay_ms`
    of audio after it."""
    sure_delay_ms: int = 500
    unsure_below: float = 0.45
    """A word of less confidence, or on which hypotheses do not agree, is committed once
    `unsure_delay_ms` of audio after it are covered, because more context may correct it. That is
    longer than the window of a partial, so for most sentences only the final commits the word."""
    unsure_delay_ms: int = 12_000
    guesses_below: float = 0.6
    """Mean confidence below which all words of a hypothesis are guesses: they are not committed
    early, and a later hypothesis without words removes them."""
    edge_ms: int = 100
    """A word that ends within this distance of the end of a partial's window may be cut off. It is
    not shown until a window contains all of it."""
    shown_from: float = 0.6
    """A word of less confidence is shown only if two hypotheses agree on it."""
    first_shown_from: float = 0.3
    """Takes the place of `shown_from` for the first words of an utterance, which should be shown
    early."""
    max_partial_s: float = 10.0
    """The longest window of a partial, provided that a gap between two known words allows it to
    start so late. It bounds the cost of a partial in a long utterance. Until it is reached, the
    window of a partial starts where the previous one started."""
    restart_partial_s: float = 10.0
    """Length of the window of a partial that starts anew because the previous start would make it
    longer than `max_partial_s`; at most `max_partial_s`."""
    max_window_s: float = 28.0
    """The longest window of any kind; Whisper encodes at most 30 s."""
    overlap_s: float = 6.0
    """Audio before a cut that the next window includes."""
    max_gap_s: float = 3600.0
    """The longest gap in the time stamps of a stream by which its clock advances; a longer one is
    an error of the sender. Recordings have no limit."""
    context_s: float = 12.0
    """Audio before an utterance that its windows include: the model recognises a sentence better
    with the previous one."""
    context_pause_s: float = 6.0
    """The longest pause before an utterance across which the previous words are used as context.
    Near a long pause the model often passes over speech, or repeats it."""


def for_memory(tuning: SessionTuning) -> SessionTuning:
    """Return the tuning for an engine whose encoder keeps results of earlier windows.

    The windows of partials grow from 8 s to 16 s before one starts anew, so that they have the same
    start for eight seconds (docs/decisions/024).
    """
    return replace(tuning, max_partial_s=16.0, restart_partial_s=8.0)
