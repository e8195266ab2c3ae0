"""A server of our own, in a process of its own: so that its cost and its clock are its own."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from stream.config import WhenBusy
from stream.errors import UsageError

COMMAND = (sys.executable, "-c", "from stream.cli.main import main; main()", "serve")
"""`distil-stream serve`, wherever its script is."""

MAX_SESSIONS = 64
"""What a server takes unless told."""


USUAL_COMMAND = (sys.executable, "-m", "stream.bench.rivals.usual_server")
"""A server built the usual way, to measure against."""


@contextmanager
def server_process(
    model: str, streams: int, when_busy: WhenBusy = "shed"
) -> Iterator[tuple[str, int]]:
    """Start a server and yield its address and process id, once it is ready; stop it at the end.

    Settings come from the environment, as always: DISTIL_STREAM_PARTIAL_HOP_MS=250 and so on.
    Raises `UsageError` where it does not start, with what it said last.
    """
    options = ["--port", "0", "--model", model, "--when-busy", when_busy]
    if streams > MAX_SESSIONS:
        options += ["--max-sessions", str(streams)]
    with _process([*COMMAND, *options]) as found:
        yield found


@contextmanager
def usual_server_process(model: str) -> Iterator[tuple[str, int]]:
    """Start the usual server and yield the same. Raises `UsageError` where it does not start."""
    with _process([*USUAL_COMMAND, model]) as found:
        yield found


@contextmanager
def _process(command: Sequence[str]) -> Iterator[tuple[str, int]]:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            yield _address(process, log), process.pid
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdout is not None
            process.stdout.close()


def _address(process: "subprocess.Popen[str]", log: IO[str]) -> str:
    """Wait for the line that tells the address."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found.group()
    process.wait()
    log.seek(0, os.SEEK_SET)
    said = log.read().strip().splitlines()
    raise UsageError(f"The server did not start: {said[-1] if said else 'it said nothing'}")
