"""A real-time streaming transcription server, and the same models for recordings.

from stream import transcribe

print(transcribe("talk.mp3").text)
"""

from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.recordings.api import Model, Segment, TimedWord, Transcription, transcribe

__all__ = ["Model", "Segment", "TimedWord", "Transcription", "transcribe"]


def __getattr__(name: str) -> Any:
    """Import what is asked for: whoever imports a part of the package pays for that part alone."""
    if name in __all__:
        from stream.recordings import api

        return getattr(api, name)
    if name == "__version__":
        return metadata.version("distil-stream")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
