"""The settings of a stream that its client chooses, and the tuning that its server sets for all."""

from dataclasses import dataclass, replace
from typing import Literal, get_args

from stream.errors import SettingsError

Encoding = Literal["pcm_s16le", "pcm_f32le", "mulaw", "alaw", "container"]
Task = Literal["transcribe", "translate"]

CONTAINER = "container"
"""WebM, Ogg, WAV, MP3, FLAC or AAC; its decoder is not part of the core."""
CONTAINER_RATE = 16_000
"""The rate at which its samples are counted, in hertz, whatever its own rate is."""

MAX_KEYTERMS = 500
MAX_KEYTERM_LENGTH = 100
MAX_PROMPT_LENGTH = 4_000
"""Characters. Prompt and terms are tokenised for every window, while other windows wait: 500 terms
take 20 ms, and a prompt of a megabyte takes a second. The model reads about 1000 characters."""


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """A client's choices for one stream; `check` refuses those that cannot be served."""

    encoding: str = "pcm_s16le"
    sample_rate: int = 16_000
    """Hertz, of each channel."""
    channels: int = 1
    language: str = "en"
    task: str = "transcribe"
    partials: bool = True
    words: bool = False
    endpointing_ms: int = 500
    """Silence that ends an utterance."""
    max_utterance_s: float = 30.0
    """An utterance without pauses is split, between two words, at about this length."""
    keyterms: tuple[str, ...] = ()
    prompt: str = ""

    def check(self) -> None:
        """Raise `SettingsError` for the first setting out of its range."""
        one_of("encoding", self.encoding, get_args(Encoding))
        within("sample_rate", self.sample_rate, 8_000, 48_000, "Hz")
        if self.encoding == CONTAINER and self.sample_rate != CONTAINER_RATE:
            raise SettingsError(
                "sample_rate",
                "A container knows its own rate: leave sample_rate out. Samples are counted at "
                f"{CONTAINER_RATE} Hz.",
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
    """How a session detects speech, requests windows and commits words; one for all of a server."""

    partial_hop_ms: int = 1000
    """New audio that makes the next partial due."""
    first_hop_ms: int = 400
    """New audio that makes a partial due until the utterance has words to show."""
    wordless_hop_ms: int = 3000
    """The longest hop of partials while speech goes on and no words are found in it, as in a noise
    of many voices."""
    pre_roll_ms: int = 300
    """Audio before the detector's onset that belongs to the utterance: a soft first consonant."""
    onset_ms: int = 90
    """Speech that starts an utterance."""
    tail_ms: int = 240
    """Silence after the speech that the window of a final includes: no final is decoded sooner."""
    final_ahead_ms: int = 260
    """How long before the endpoint is confirmed the final is decoded. It is not decoded in each
    pause, because speech continues after most of them."""
    commit_delay_ms: int = 850
    """Audio after a word that a hypothesis must cover before the word is committed, once two
    hypotheses agree on it."""
    commit_partials: bool = True
    """Whether words that partials agree on are committed; else only those of finals are, as if
    another model decodes the partials."""
    sure_from: float = 0.95
    """A word of such confidence is committed by one hypothesis, after `sure_delay_ms` of audio."""
    sure_delay_ms: int = 500
    unsure_below: float = 0.45
    """A word of less confidence, or that hypotheses do not agree on, waits for `unsure_delay_ms` of
    audio after it, because more context may correct it. That is longer than a partial's window, so
    the word waits for the final of most sentences."""
    unsure_delay_ms: int = 12_000
    guesses_below: float = 0.6
    """Words of less mean confidence are guesses: no partial commits any of them, and a final
    without words removes them."""
    edge_ms: int = 100
    """A word that ends so near the end of a partial's window may be cut off: it is not shown until
    a window contains all of it."""
    shown_from: float = 0.6
    """A word of less confidence is shown when two hypotheses agree on it."""
    first_shown_from: float = 0.3
    """The same for the first words of an utterance, which its reader waits for."""
    max_partial_s: float = 10.0
    """The longest window of a partial, if the known words let it start so late: the cost of a
    second of speech does not grow with the utterance. Until then it starts where the window before
    it did."""
    restart_partial_s: float = 10.0
    """The length with which the window of a partial starts anew when that is reached; not above
    `max_partial_s`."""
    max_window_s: float = 28.0
    """The longest window of all: Whisper itself encodes at most 30 s."""
    overlap_s: float = 6.0
    """Audio before a cut that the next window includes."""
    context_s: float = 12.0
    """Audio before an utterance that its windows include: the model recognises a sentence better
    with the previous one."""


def for_memory(tuning: SessionTuning) -> SessionTuning:
    """Return the tuning for an engine that remembers what it encoded.

    Windows of partials keep their beginning for eight seconds (docs/decisions/023).
    """
    return replace(tuning, max_partial_s=16.0, restart_partial_s=8.0)
