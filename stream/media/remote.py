"""The server's end of decoding: passes bytes to a decoding process and returns what it decodes."""

import asyncio
import socket
import time
from collections.abc import AsyncGenerator, Callable
from typing import BinaryIO

from stream.core.audio import SAMPLE_RATE, Sound
from stream.media import wire
from stream.media.budget import RECORDING_FREE_S, STREAM_FREE_S, STREAM_PACE, SampleBudget
from stream.media.decoding_processes import DecodingProcesses
from stream.media.part import MediaError
from stream.media.wire import Kind, Message, WireError

STEP_TIMEOUT_S = 120.0
"""Seconds within which the decoding process must answer; the kernel ends it after `STEP_CPU_S` of
processor time, so this counts only if it is not scheduled."""

BYTES_AT_ONCE = 1 << 16
"""Bytes of a container that are passed on in one message."""

CRASHED = (
    "The audio cannot be decoded: decoding it takes too much memory or time, or fails. The rest of "
    "it is left out."
)
TOO_LONG = (
    "The recording holds far more silence than its size allows; what follows after {seconds:.0f} s "
    "is left out."
)


class Connection:
    """Exchanges messages with a decoding process without blocking the event loop."""

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._socket = connection
        self._loop = asyncio.get_running_loop()

    async def send(self, message: Message) -> None:
        """Send a message. Raises `WireError` if the process has ended or does not read."""
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                await self._loop.sock_sendall(self._socket, wire.encode(message))
        except (OSError, TimeoutError) as error:
            raise WireError("The decoder takes no message.") from error

    async def receive(self) -> Message:
        """Return the next message. Raises `WireError` if there is none in time, or a wrong one."""
        try:
            async with asyncio.timeout(STEP_TIMEOUT_S):
                kind, length = wire.decode_header(await self._exactly(wire.HEADER.size))
                return Message(kind, await self._exactly(length))
        except (OSError, TimeoutError) as error:
            raise WireError("The decoder sends no message.") from error

    async def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = await self._loop.sock_recv(self._socket, size - len(data))
            if not piece:
                raise WireError("The decoder has ended.")
            data += piece
        return bytes(data)


class ContainerDecoder:
    """Decodes the container of one stream; implements `core.audio.AudioDecoder`.

    `decode` and `flush` only queue bytes. A task of the stream iterates over `sounds`, and passes
    them to the session.
    """

    leftover = 0

    def __init__(self, processes: DecodingProcesses, channels: int) -> None:
        """Prepare to decode; the process starts with `sounds`.

        `channels` is 1 to mix all channels, or the number of channels that the container must have.
        """
        self.channels = channels
        self.started = False
        """Whether a task iterates over `sounds`; set by the caller."""
        self._processes = processes
        self._queue: list[Message] = []
        self._changed = asyncio.Event()
        self._problems: list[str] = []
        self._owes = False
        self._over = False

    @property
    def owes_sounds(self) -> bool:
        """Whether more sounds of the bytes so far follow."""
        return self._owes

    def forget_leftover(self) -> None:
        """Do nothing: a stream of a container is never resumed."""

    def take_problems(self) -> list[str]:
        """Return what could not be decoded, in sentences, each once."""
        problems, self._problems = self._problems, []
        return problems

    def decode(self, data: bytes) -> list[Sound]:
        """Queue bytes; return nothing."""
        for start in range(0, len(data), BYTES_AT_ONCE):
            self._put(Message(Kind.BYTES, data[start : start + BYTES_AT_ONCE]))
        return []

    def flush(self) -> list[Sound]:
        """Queue the end of the container; return nothing."""
        self._put(Message(Kind.END))
        return []

    def _put(self, message: Message) -> None:
        if not self._over:
            self._queue.append(message)
            self._owes = True
            self._changed.set()

    async def sounds(self) -> AsyncGenerator[list[Sound], None]:
        """Yield what is decoded, in pieces of `PIECE_S`; an empty list where `owes_sounds` ends.

        It pauses if the container holds far more audio than its bytes pay for.
        """
        try:
            with self._processes.one() as opened:
                async for sounds in self._converse(Connection(opened)):
                    yield sounds
        except WireError:
            self._problems.append(CRASHED)
        except MediaError as error:
            self._problems.append(str(error))
        self._over, self._owes = True, False
        self._queue.clear()
        yield []

    async def _converse(self, process: Connection) -> AsyncGenerator[list[Sound], None]:
        budget = SampleBudget(STREAM_FREE_S, STREAM_PACE, time.monotonic())
        await process.send(Message(Kind.CONTAINER, bytes([self.channels])))
        while (message := await process.receive()).kind is not Kind.END:
            if message.kind is Kind.NEED:
                self._owes = bool(self._queue)
                if not self._owes:
                    yield []
                data = await self._next_bytes()
                budget.receive_bytes(len(data.content))
                await process.send(data)
            elif message.kind is Kind.PROBLEM:
                self._problems.append(message.content.decode(errors="replace"))
            else:
                sound = wire.sound_of(message)
                yield [sound]
                if (late_s := budget.spend(seconds_of(sound), time.monotonic())) > 0.0:
                    await asyncio.sleep(late_s / STREAM_PACE)

    async def _next_bytes(self) -> Message:
        while not self._queue:
            self._changed.clear()
            await self._changed.wait()
        return self._queue.pop(0)


async def recording_sounds(
    processes: DecodingProcesses, file: BinaryIO, name: str, report: Callable[[str], None]
) -> AsyncGenerator[Sound, None]:
    """Decode a file, mixed to one channel; yield its samples and gaps.

    Args:
        processes: where it is decoded.
        file: an open file with a file descriptor.
        name: how messages refer to it.
        report: called with a sentence for each part that could not be decoded.

    Raises:
        MediaError: nothing could be decoded.
    """
    size = file.seek(0, 2)
    file.seek(0)
    file.flush()
    budget, decoded_s = SampleBudget(RECORDING_FREE_S), 0.0
    budget.receive_bytes(size)
    try:
        with processes.one(file.fileno()) as opened:
            process = Connection(opened)
            await process.send(Message(Kind.RECORDING, name.encode(errors="replace")))
            while (message := await process.receive()).kind is not Kind.END:
                if message.kind is Kind.FAILURE:
                    raise MediaError(message.content.decode(errors="replace"))
                if message.kind is Kind.PROBLEM:
                    report(message.content.decode(errors="replace"))
                    continue
                sound = wire.sound_of(message)
                decoded_s += seconds_of(sound)
                yield sound
                if budget.spend(seconds_of(sound)):
                    report(TOO_LONG.format(seconds=decoded_s))
                    return
    except WireError as error:
        if not decoded_s:
            raise MediaError(CRASHED) from error
        report(CRASHED)


def seconds_of(sound: Sound) -> float:
    """Return how many seconds of one channel samples, (channels, n_samples), are; 0 for a gap."""
    return 0.0 if not hasattr(sound, "size") else sound.size / SAMPLE_RATE
