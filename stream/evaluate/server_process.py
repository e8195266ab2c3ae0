"""Starts a server in its own process, so that its cost can be measured separately."""

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
"""Runs `distil-stream serve` without the script, which may not be on the path."""

MAX_SESSIONS = 64
"""The default limit of streams of a server."""


USUAL_COMMAND = (sys.executable, "-m", "stream.bench.rivals.usual_server")
"""Runs the server that `rivals.usual_server` defines, for comparison."""


@contextmanager
def server_process(
    model: str, streams: int, when_busy: WhenBusy = "shed", more: Sequence[str] = ()
) -> Iterator[tuple[str, int]]:
    """Start a server, yield its address and process id when it is ready, and stop it at the end.

    Other settings come from the environment, such as DISTIL_STREAM_PARTIAL_HOP_MS=250.

    Args:
        model: name of the model.
        streams: number of streams that the server must accept.
        when_busy: what the server does under load, as in `serve --when-busy`.
        more: further options of `serve`.

    Raises:
        UsageError: the server did not start; the message has the last line of its log.
    """
    options = ["--port", "0", "--model", model, "--when-busy", when_busy, *more]
    if streams > MAX_SESSIONS:
        options += ["--max-sessions", str(streams)]
    with _process([*COMMAND, *options]) as found:
        yield found


@contextmanager
def usual_server_process(model: str) -> Iterator[tuple[str, int]]:
    """Start the usual server, and yield its address and process id; stop it at the end.

    Raises:
        UsageError: the server did not start.
    """
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
    """Wait for the line with the address, and return the address."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(r"http://\S+", line):
            return found.group()
    process.wait()
    log.seek(0, os.SEEK_SET)
    lines = log.read().strip().splitlines()
    raise UsageError(f"The server did not start: {lines[-1] if lines else 'its log is empty'}")
