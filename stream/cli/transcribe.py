"""`distil-stream transcribe`: recordings alone, or as streams.

`transcribe_local` does the first, `transcribe_remote` the second.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from stream.errors import UsageError

if TYPE_CHECKING:
    from stream.cli.transcribe_local import Wanted

OFFLINE = Group("Without a server", sort_key=1)
STREAMED = Group("As a stream", sort_key=2)

Flag = Annotated[bool, Parameter(negative=())]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked of the words."""

    model: str | None = None
    """Name of the model: `base` unless a server is named, which has its own."""

    language: str | None = None
    """Language code, or `auto`: what is heard. Without a server that is the default; a stream is
    English unless told."""

    task: Literal["transcribe", "translate"] = "transcribe"
    """`transcribe`, or `translate` into English."""

    prompt: str = ""
    """Text that the model reads as if it had been said before."""

    words: Flag = False
    """Below each line, its words: start and end in seconds, confidence 0 to 1."""


@Parameter(name="*", group=OFFLINE)
@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """How recordings are transcribed without a server, and what becomes of the transcripts."""

    format: Literal["txt", "json", "srt", "vtt", "tsv"] = "txt"
    """Of the transcript. Subtitles (srt, vtt) have two lines of 42 characters at most."""

    output: Path | None = None
    """Folder for the transcripts, a file each, instead of printing them."""

    assistant: str | None = None
    """A smaller model of the same tokens that drafts what the model verifies."""

    channels: Literal["mix", "split"] = "mix"
    """Mixed, or `split`, each transcribed by itself, as of a call. Streamed ones are."""

    long_form: Literal["chunked", "sequential"] = "chunked"
    """`chunked`, many windows at once, or `sequential`, each with the text before it."""

    chunk_length_s: float | None = None
    """The longest window, in seconds: 28, or 30 if sequential, unless told."""

    stride_s: float | None = None
    """What chunks that are cut in the middle of speech hear beyond either end, in seconds; a sixth
    of the chunk unless told."""

    batch_size: int | None = None
    """Windows that the model hears at once, on each core of a CPU; more take more memory."""

    def wanted(self, asked: Asked) -> "Wanted":
        """Return what becomes of each transcript."""
        from stream.cli.transcribe_local import Wanted

        return Wanted(
            format=self.format,
            output=self.output,
            words=asked.words,
            channels=self.channels,
            options={
                "language": asked.language or "auto",
                "task": asked.task,
                "prompt": asked.prompt,
                "long_form": self.long_form,
                "chunk_length_s": self.chunk_length_s,
                "stride_s": self.stride_s,
            },
        )


@Parameter(name="*", group=STREAMED)
@dataclass(frozen=True, slots=True, kw_only=True)
class Streamed:
    """How recordings are streamed."""

    server: str | None = None
    """Address of a running server, such as ws://127.0.0.1:8765."""

    fast: Flag = False
    """Stream the audio as fast as the server takes it, not at the pace of speech."""

    endpointing_ms: int = 500
    """Silence that ends an utterance, in milliseconds."""

    api_key: Annotated[str | None, Parameter(env_var="DISTIL_STREAM_API_KEY")] = None
    """Key that the named server asks for."""


ASKED, ALONE, AS_STREAM = Asked(), Offline(), Streamed()


def transcribe(
    files: Annotated[list[Path], Parameter(negative=(), allow_leading_hyphen=True)],
    /,
    *,
    offline: bool | None = None,
    asked: Asked = ASKED,
    alone: Offline = ALONE,
    streamed: Streamed = AS_STREAM,
) -> int:
    """Transcribe recordings, any sound or video that FFmpeg reads.

    Without a server each is transcribed as fast as the machine can, and what is done is kept when
    you interrupt. With one, or with --no-offline, it is streamed, and on a terminal the words
    appear as they are heard: solid once they are sure, dim while they may still change. The exit
    status is 1 when a file could not be transcribed; the others still are.

    Parameters
    ----------
    files
        Files, folders, patterns, or - for standard input.
    offline
        Without a server: the default, unless one is named.
    """
    for path in files:
        if str(path).startswith("--") and not path.exists():
            raise UsageError(f"There is no option {path}; see distil-stream transcribe --help.")
    if offline and streamed.server is not None:
        raise UsageError("--offline needs no --server; leave one of them out.")
    if streamed.server is None and not streamed.fast and offline is not False:
        from stream.cli.transcribe_local import transcribe_offline
        from stream.recordings.api import BATCH_SIZE, Model

        name = asked.model or "base"
        size = BATCH_SIZE if alone.batch_size is None else alone.batch_size
        model = Model(name, assistant=alone.assistant, batch_size=size)
        return transcribe_offline(model, files, alone.wanted(asked))
    if alone.format != "txt" or alone.output is not None:
        raise UsageError(
            "A stream is printed as it comes: --format and --output are for --offline."
        )
    from stream.cli.transcribe_local import recordings

    return 0 if asyncio.run(stream_files(recordings(files), asked, streamed)) else 1


async def stream_files(files: Sequence[Path], asked: Asked, streamed: Streamed) -> bool:
    """Stream recordings to the named server, or to one of our own; True if all went well."""
    from stream.cli.transcribe_remote import own_server, transcribe_files

    settings: dict[str, Any] = {
        "language": asked.language or "en",
        "task": asked.task,
        "words": asked.words,
        "endpointing_ms": streamed.endpointing_ms,
        "prompt": asked.prompt,
    }
    if streamed.server is None:
        async with own_server(asked.model or "base") as url:
            return await transcribe_files(files, url, {**settings, "proxy": None}, streamed.fast)
    settings["api_key"] = streamed.api_key
    if asked.model:
        settings["model"] = asked.model
    return await transcribe_files(files, streamed.server, settings, streamed.fast)
