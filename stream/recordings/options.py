"""How a recording is to be transcribed: what a caller can choose, and what is refused."""

from dataclasses import dataclass
from typing import Literal

from stream.core.settings import MAX_KEYTERMS, MAX_PROMPT_LENGTH
from stream.core.windows import DecodingOptions
from stream.errors import UsageError

LongForm = Literal["chunked", "sequential"]

LONGEST_CHUNK_S = 30.0
"""Whisper hears no further."""
SHORTEST_CHUNK_S = 5.0
USUAL_CHUNK_S: dict[LongForm, float] = {"chunked": 28.0, "sequential": LONGEST_CHUNK_S}
"""A chunk leaves room for silence after it. A sequential window is cut off in speech, and silence
there would tell the model that the last word is complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """How a recording is to be transcribed. Raises `UsageError` for what cannot be."""

    language: str = "auto"
    """Code of the language, or `auto`: what is heard, window by window."""
    task: str = "transcribe"
    """`transcribe`, or `translate` into English."""
    prompt: str = ""
    """Text that the model reads as if it had been said before."""
    keyterms: tuple[str, ...] = ()
    """Names and terms to expect."""
    long_form: LongForm = "chunked"
    """`chunked`: windows by themselves, many at once. `sequential`: one after the other, each with
    the text of the one before."""
    chunk_length_s: float | None = None
    """The longest window, strides included; see `USUAL_CHUNK_S`."""
    stride_s: float | None = None
    """What a window hears beyond either end of its own part, where there is no pause to cut in; a
    sixth of the chunk unless told."""

    def __post_init__(self) -> None:
        if self.task not in ("transcribe", "translate"):
            raise UsageError(f"task is {self.task!r}; use transcribe or translate.")
        if self.long_form not in ("chunked", "sequential"):
            raise UsageError(f"long_form is {self.long_form!r}; use chunked or sequential.")
        if not SHORTEST_CHUNK_S <= self.chunk <= LONGEST_CHUNK_S:
            raise UsageError(
                f"chunk_length_s is {self.chunk:g}; use {SHORTEST_CHUNK_S:g} to "
                f"{LONGEST_CHUNK_S:g} seconds."
            )
        if not 0.1 <= self.stride <= self.chunk / 4:
            raise UsageError(
                f"stride_s is {self.stride:g}; use 0.1 to {self.chunk / 4:g} seconds, a "
                "quarter of the chunk."
            )
        if len(self.prompt) > MAX_PROMPT_LENGTH or len(self.keyterms) > MAX_KEYTERMS:
            raise UsageError(
                f"A prompt has at most {MAX_PROMPT_LENGTH} characters, and there are at most "
                f"{MAX_KEYTERMS} key terms."
            )

    @property
    def chunk(self) -> float:
        """Seconds."""
        length_s = self.chunk_length_s
        return USUAL_CHUNK_S[self.long_form] if length_s is None else length_s

    @property
    def stride(self) -> float:
        """Seconds."""
        return self.chunk / 6 if self.stride_s is None else self.stride_s

    def decoding(
        self, expected_language: str = "", prompt: str | None = None, *, timestamps: bool = False
    ) -> DecodingOptions:
        """What a window's words are asked to be."""
        return DecodingOptions(
            language=self.language,
            expected_language=expected_language,
            task=self.task,
            prompt=self.prompt if prompt is None else prompt,
            keyterms=self.keyterms,
            timestamps=timestamps,
        )
