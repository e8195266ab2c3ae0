"""The options of transcribing a recording, and the checks of their values."""

from dataclasses import dataclass
from typing import Literal

from stream.core.settings import MAX_KEYTERMS, MAX_PROMPT_LENGTH
from stream.core.windows import DecodingOptions
from stream.errors import UsageError

LongForm = Literal["chunked", "sequential"]

MAX_CHUNK_S = 30.0
"""The length of Whisper's encoder input."""
MIN_CHUNK_S = 5.0
DEFAULT_CHUNK_S: dict[LongForm, float] = {"chunked": 28.0, "sequential": MAX_CHUNK_S}
"""A chunk is followed by silence up to 30 s. A sequential window uses all 30 s, because it can end
in the middle of a word, and silence there would mark the last word as complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileOptions:
    """Options of transcribing a recording. Raises `UsageError` for a value that is not allowed."""

    language: str = "auto"
    """Code of the language, or `auto`: it is detected in each window."""
    task: str = "transcribe"
    """`transcribe`, or `translate` into English."""
    prompt: str = ""
    """Text that is given to the model as the transcript of speech before the recording."""
    keyterms: tuple[str, ...] = ()
    """Names and terms that are likely to occur in the speech."""
    long_form: LongForm = "chunked"
    """`chunked`: independent windows, transcribed in batches. `sequential`: one window after the
    other, each conditioned on the text of the previous one."""
    chunk_length_s: float | None = None
    """Maximum length of a window in seconds, including strides; None for `DEFAULT_CHUNK_S`."""
    stride_s: float | None = None
    """Seconds by which a chunk extends beyond a cut that is not in a pause; None for a sixth of the
    chunk length."""

    def __post_init__(self) -> None:
        if self.task not in ("transcribe", "translate"):
            raise UsageError(f"task is {self.task!r}; use transcribe or translate.")
        if self.long_form not in ("chunked", "sequential"):
            raise UsageError(f"long_form is {self.long_form!r}; use chunked or sequential.")
        if not MIN_CHUNK_S <= self.chunk <= MAX_CHUNK_S:
            raise UsageError(
                f"chunk_length_s is {self.chunk:g}; use {MIN_CHUNK_S:g} to {MAX_CHUNK_S:g} seconds."
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
        """Maximum length of a window, in seconds."""
        length_s = self.chunk_length_s
        return DEFAULT_CHUNK_S[self.long_form] if length_s is None else length_s

    @property
    def stride(self) -> float:
        """Stride in seconds."""
        return self.chunk / 6 if self.stride_s is None else self.stride_s

    def decoding(
        self, expected_language: str = "", prompt: str | None = None, *, timestamps: bool = False
    ) -> DecodingOptions:
        """Return the decoding options of a window.

        Args:
            expected_language: code of the language of the audio before; empty if unknown.
            prompt: replaces the prompt of these options, unless it is None.
            timestamps: whether the model also decodes timestamps.
        """
        return DecodingOptions(
            language=self.language,
            expected_language=expected_language,
            task=self.task,
            prompt=self.prompt if prompt is None else prompt,
            keyterms=self.keyterms,
            timestamps=timestamps,
        )
