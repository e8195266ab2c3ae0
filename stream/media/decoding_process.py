"""The process that decodes the media of one client, with limits of memory and time.

FFmpeg parses what strangers send. So it runs apart from the server: a crash ends one stream, and a
file that takes gigabytes or minutes to decode is stopped by the kernel. `fork_on_request` is the
main function of a process that imports only what decoding needs, and forks once for each client.
"""

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from typing import BinaryIO

from stream.core.audio import SAMPLE_RATE, Gap
from stream.media import wire
from stream.media.budget import PIECE_S
from stream.media.container import decode_container
from stream.media.part import Block
from stream.media.recording import MediaError, open_recording
from stream.media.wire import Kind, Message, WireError

STEP_CPU_S = 10
"""Seconds of processor time for one message of the client, or until the next audio comes out."""

MEMORY_BYTES = 512 << 20
"""Bytes of address space that decoding may take, in addition to those of the idle process."""

OPEN_FILES = 64


class Wire:
    """The decoder's end of the socket; `read` is the input of FFmpeg."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._bytes = b""
        self._ended = False

    def receive(self) -> Message:
        """Return the next message. Raises `WireError` at the end."""
        kind, length = wire.decode_header(self._exactly(wire.HEADER.size))
        content = self._exactly(length)
        allow_processor_time()
        return Message(kind, content)

    def send(self, message: Message) -> None:
        """Send a message; waits while the server does not read."""
        self._socket.sendall(wire.encode(message))

    def emit(self, sound: Block | Gap) -> None:
        """Send samples, (channels, n_samples), in pieces, or a gap."""
        for piece in [sound] if isinstance(sound, Gap) else pieces_of(sound):
            self.send(wire.message_of(piece))
        allow_processor_time()

    def report(self, problem: str) -> None:
        """Send a sentence about what could not be decoded."""
        self.send(Message(Kind.PROBLEM, problem.encode(errors="replace")))

    def read(self, size: int) -> bytes:
        """Return 1 to `size` bytes of the container; none at its end. It blocks."""
        while not self._bytes and not self._ended:
            self.send(Message(Kind.NEED))
            message = self.receive()
            self._ended = message.kind is Kind.END
            self._bytes = message.content
        data, self._bytes = self._bytes[:size], self._bytes[size:]
        return data

    def ignore_the_rest(self) -> None:
        """Consume the bytes that still come, without decoding them."""
        self._bytes = b""
        while self.read(1 << 16):
            pass

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                raise WireError("The server has closed the connection.")
            data += piece
        return bytes(data)


def pieces_of(block: Block) -> Iterator[Block]:
    """Yield samples, (channels, n_samples), in pieces of at most `PIECE_S` over all channels."""
    size = max(int(PIECE_S * SAMPLE_RATE) // block.shape[0], 1)
    for start in range(0, block.shape[1], size):
        yield block[:, start : start + size]


def allow_processor_time() -> None:
    """Let this process use `STEP_CPU_S` more seconds; then the kernel ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    limit = int(used.ru_utime + used.ru_stime) + STEP_CPU_S
    resource.setrlimit(resource.RLIMIT_CPU, (limit, hard))


def limit_resources() -> None:
    """Limit what this process may use: memory, time, files; it writes no file and no core dump."""
    pages = 0
    if sys.platform == "linux":
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[0])
        resource.setrlimit(
            resource.RLIMIT_AS, limits(pages * resource.getpagesize() + MEMORY_BYTES)
        )
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, limits(OPEN_FILES))
    allow_processor_time()


def limits(most: int) -> tuple[int, int]:
    """Return a soft and a hard limit."""
    return most, most


def decode_for(connection: socket.socket, file: BinaryIO | None) -> None:
    """Decode what the first message asks for, until the end or until the server hangs up."""
    channel = Wire(connection)
    job = channel.receive()
    if job.kind is Kind.CONTAINER:
        decode_container(channel, job.content[0])
        channel.ignore_the_rest()
    elif job.kind is Kind.RECORDING and file is not None:
        decode_recording(channel, file, job.content.decode())
    channel.send(Message(Kind.END))


def decode_recording(channel: Wire, file: BinaryIO, name: str) -> None:
    """Send the audio of a file, mixed to one channel, and what of it is damaged."""
    try:
        with open_recording(file, name) as recording:
            for sound in recording.blocks():
                channel.emit(sound)
            if recording.damage:
                channel.report(recording.damage)
    except MediaError as error:
        channel.send(Message(Kind.FAILURE, str(error).encode(errors="replace")))


def serve_one(fds: list[int]) -> None:
    """Decode for one client: its socket, and its file if it is a recording. Never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        limit_resources()
        file = os.fdopen(fds[1], "rb") if len(fds) > 1 else None
        with socket.socket(fileno=fds[0]) as connection:
            decode_for(connection, file)
        status = 0
    except (WireError, OSError, MemoryError):
        pass  # the server gets the end of the connection
    finally:
        os._exit(status)


def fork_on_request(control: socket.socket) -> None:
    """Fork a process for each request, until the server closes its end."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the server ends this process when it has drained
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    while True:
        data, fds, _, _ = socket.recv_fds(control, 1, 2)
        if not data:
            return
        if os.fork() == 0:
            control.close()
            serve_one(fds)
        for fd in fds:
            os.close(fd)


if __name__ == "__main__":
    fork_on_request(socket.socket(fileno=0))
