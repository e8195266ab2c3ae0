"""`distil-stream transcribe`: transcribe recordings, locally or through a server.

`transcribe_local` implements the first, `transcribe_remote` the second.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.cli.transcribe_local import OutputOptions

OFFLINE_GROUP = Group("Without a server", sort_key=1)
STREAM_GROUP = Group("As a stream", sort_key=2)

Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RecognitionOptions:
    """Options of the recognition and of its output, with or without a server."""

    model: str | None = None
    """Name of the model: `base` by default; with --server, the model of that server."""

    language: str | None = None
    """Language code, or `auto` to detect it. The default is `auto` without a server, and English as
    a stream."""

    task: Literal["transcribe", "translate"] = "transcribe"
    """`transcribe`, or `translate` into English."""

    prompt: str = ""
    """Text that the model is conditioned on as if it preceded the recording."""

    words: Flag = False
    """Print the words below each line: start and end in seconds, confidence 0 to 1."""


@Parameter(name="*", group=OFFLINE_GROUP)
@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineOptions:
    """Command-line options of transcription without a server; None is the default of `Model`."""

    format: Literal["txt", "json", "srt", "vtt", "tsv"] = "txt"
    """Format of the transcript. Subtitles (srt, vtt) have two lines of 42 characters at most."""

    output: Path | None = None
    """Folder to write the transcripts to, a file each, instead of printing them."""

    assistant: str | None = None
    """Smaller model with the same tokens, whose drafts the model verifies."""

    channels: Literal["mix", "split"] = "mix"
    """`mix` them to one, or `split`: transcribe each separately. A stream always splits them."""

    long_form: Literal["chunked", "sequential"] = "chunked"
    """`chunked`: independent windows in batches; `sequential`: each is given the text before it."""

    chunk_length_s: float | None = None
    """Maximum length of a window, in seconds: 28 by default, or 30 if sequential."""

    stride_s: float | None = None
    """Seconds by which a chunk extends beyond a cut in the middle of speech; by default a sixth of
    the chunk."""

    batch_size: int | None = None
    """Number of windows in a batch, on each core of a CPU; more take more memory."""

    def output_options(self, recognition: RecognitionOptions) -> "OutputOptions":
        """Return the options of `transcribe_offline`."""
        from stream.cli.transcribe_local import OutputOptions

        return OutputOptions(
            format=self.format,
            output=self.output,
            words=recognition.words,
            channels=self.channels,
            options={
                "language": recognition.language or "auto",
                "task": recognition.task,
                "prompt": recognition.prompt,
                "long_form": self.long_form,
                "chunk_length_s": self.chunk_length_s,
                "stride_s": self.stride_s,
            },
        )


@Parameter(name="*", group=STREAM_GROUP)
@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOptions:
    """Options of streaming to a server."""

    server: str | None = None
    """Address of a running server, such as ws://127.0.0.1:8765."""

    fast: Flag = False
    """Stream the audio as fast as the server accepts it, not in real time."""

    endpointing_ms: int = 500
    """Silence that ends an utterance, in milliseconds."""

    api_key: Annotated[str | None, Parameter(env_var="DISTIL_STREAM_API_KEY")] = None
    """Key of the server."""


RECOGNITION, OFFLINE_DEFAULTS, STREAM_DEFAULTS = (
    RecognitionOptions(),
    OfflineOptions(),
    StreamOptions(),
)


def transcribe(
    files: Annotated[list[Path], Parameter(negative=(), allow_leading_hyphen=True)],
    /,
    *,
    offline: bool | None = None,
    recognition: RecognitionOptions = RECOGNITION,
    local: OfflineOptions = OFFLINE_DEFAULTS,
    streaming: StreamOptions = STREAM_DEFAULTS,
) -> int:
    """Transcribe recordings: any audio or video that FFmpeg reads.

    Without a server, each is transcribed as fast as possible; if you interrupt it, the transcript
    so far is written. With --server or --no-offline, each is streamed, and a terminal shows the
    words as they are recognised: committed ones are solid, words that may change are dim. If a file
    cannot be transcribed, the others still are, and the exit status is 1.

    Parameters
    ----------
    files
        Files, folders, patterns, or - for standard input.
    offline
        Transcribe without a server; the default without --server.
    """
    for path in files:
        if str(path).startswith("--") and not path.exists():
            raise UsageError(f"There is no option {path}; see distil-stream transcribe --help.")
    if offline and streaming.server is not None:
        raise UsageError("--offline and --server exclude each other; leave one of them out.")
    if streaming.server is None and not streaming.fast and offline is not False:
        from stream.cli.transcribe_local import transcribe_offline
        from stream.recordings.api import BATCH_SIZE, Model

        name = recognition.model or "base"
        size = BATCH_SIZE if local.batch_size is None else local.batch_size
        model = Model(name, assistant=local.assistant, batch_size=size)
        return transcribe_offline(model, files, local.output_options(recognition))
    if local.format != "txt" or local.output is not None:
        raise UsageError(
            "A stream is printed while it arrives: use --format and --output with --offline."
        )
    from stream.cli.transcribe_local import recordings

    return 0 if asyncio.run(stream_files(recordings(files), recognition, streaming)) else 1


async def stream_files(
    files: Sequence[Path], recognition: RecognitionOptions, streaming: StreamOptions
) -> bool:
    """Stream recordings one after the other to a server; return whether all succeeded.

    If no server is named, one is started.
    """
    from stream.cli.transcribe_remote import own_server, transcribe_files

    settings: dict[str, Any] = {
        "language": recognition.language or "en",
        "task": recognition.task,
        "words": recognition.words,
        "endpointing_ms": streaming.endpointing_ms,
        "prompt": recognition.prompt,
    }
    if streaming.server is None:
        async with own_server(recognition.model or "base") as url:
            return await transcribe_files(files, url, {**settings, "proxy": None}, streaming.fast)
    settings["api_key"] = streaming.api_key
    if recognition.model:
        settings["model"] = recognition.model
    return await transcribe_files(files, streaming.server, settings, streaming.fast)
