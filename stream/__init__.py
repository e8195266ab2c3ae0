"""A real-time transcription server; the same models transcribe recordings.

from stream import transcribe

print(transcribe("talk.mp3").text)
"""

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.recordings.api import Model, Segment, TimedWord, Transcription, transcribe

__all__ = ["Model", "Segment", "TimedWord", "Transcription", "transcribe"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import stream` does not load the models."""
    if name in __all__:
        from stream.recordings import api

        return getattr(api, name)
    if name == "__version__":
        return metadata.version("distil-stream")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
