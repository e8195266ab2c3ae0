"""Commands as they are typed."""

from collections.abc import Sequence
from pathlib import Path

from stream.cli.main import app


def transcribe(files: Sequence[Path], **options: object) -> int:
    """Run `distil-stream transcribe FILE… --OPTION VALUE…`; return its exit status."""
    flags: list[str] = []
    for name, value in options.items():
        flag = f"--{name.replace('_', '-')}"
        flags += [flag] if value is True else [flag, str(value)]
    status = app(["transcribe", *map(str, files), *flags], result_action="return_value")
    assert isinstance(status, int)
    return status
