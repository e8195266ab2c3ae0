"""Starts the processes that decode media: one for each stream or recording, at most `limit`.

They are forked from one process that has imported only FFmpeg and NumPy. It starts once for each
process of the server, and ends with it.
"""

import atexit
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stream.media.recording import MediaError

NO_PLACE = "The server decodes too many recordings at once; try again later."
NO_FORK = "This system cannot decode containers and recordings in a process of their own."

MODULE = "stream.media.decoding_process"


class ForkServer:
    """The process from which the decoding processes are forked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def start(self) -> None:
        """Start the process if it does not run."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()

    def request(self, fds: list[int]) -> None:
        """Fork a process that gets these open files. Raises `OSError` if that is impossible."""
        self.start()
        assert self._control
        socket.send_fds(self._control, [b"f"], fds)

    def stop(self) -> None:
        """End the process; those that it has forked end with their sockets."""
        with self._lock:
            if self._process and self._control:
                self._control.close()
                self._process.wait()
                self._process = self._control = None

    def _start(self) -> None:
        if self._control:
            self._control.close()
        self._control, theirs = socket.socketpair()
        # NumPy must not start threads in a process that forks. The package may not be installed.
        paths = [str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(paths)}
        command = [sys.executable, "-m", MODULE]
        with theirs:
            self._process = subprocess.Popen(command, stdin=theirs.fileno(), env=env)


fork_server = ForkServer()
atexit.register(fork_server.stop)


class DecodingProcesses:
    """The decoding processes of one server: `one` starts one."""

    def __init__(self, limit: int) -> None:
        """Allow `limit` processes at the same time."""
        self.limit = limit
        self.running = 0
        """Processes that decode now."""

    @contextmanager
    def one(self, *files: int) -> Iterator[socket.socket]:
        """Start a process that gets these open files; yield the socket to it.

        The process ends with the block. Raises `MediaError` if there are too many, or if none can
        be started.
        """
        if not hasattr(os, "fork"):
            raise MediaError(NO_FORK)
        if self.running >= self.limit:
            raise MediaError(NO_PLACE)
        ours, theirs = socket.socketpair()
        self.running += 1
        try:
            with theirs:
                fork_server.request([theirs.fileno(), *files])
            yield ours
        except OSError as error:
            raise MediaError(NO_PLACE) from error
        finally:
            self.running -= 1
            ours.close()
