"""A real-time transcription server; the same models transcribe recordings.

from stream import transcribe

print(transcribe("talk.mp3").text)
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stream.recordings.api import Model, Segment, TimedWord, Transcription, transcribe

__version__ = "0.2.0"
"""The version of the package; `pyproject.toml` reads it from here."""

__all__ = ["Model", "Segment", "TimedWord", "Transcription", "transcribe"]


def __getattr__(name: str) -> Any:
    """Import the public names on first use, so that `import stream` does not load the models."""
    if name in __all__:
        from stream.recordings import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
