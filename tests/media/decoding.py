"""Decoders of containers for tests that run no event loop: they wait for the decoding process."""

import socket
import weakref
from contextlib import ExitStack

from stream.core.audio import Sound
from stream.media import wire
from stream.media.decoding_processes import DecodingProcesses
from stream.media.wire import Kind, Message

WAIT_S = 60


class ContainerDecoder:
    """As `stream.media.remote.ContainerDecoder`, but `decode` returns what the bytes complete."""

    leftover = 0
    owes_sounds = False

    def __init__(self, channels: int) -> None:
        self.problems: list[str] = []
        self._stack = ExitStack()
        self._socket: socket.socket = self._stack.enter_context(DecodingProcesses(1).one())
        self._socket.settimeout(WAIT_S)
        self._file = self._stack.enter_context(self._socket.makefile("rb"))
        self._over = False
        weakref.finalize(self, self._stack.close)
        self._exchange(Message(Kind.CONTAINER, bytes([channels])))

    def forget_leftover(self) -> None: ...

    def take_problems(self) -> list[str]:
        problems, self.problems = self.problems, []
        return problems

    def decode(self, data: bytes) -> list[Sound]:
        return self._exchange(Message(Kind.BYTES, data)) if data else []

    def flush(self) -> list[Sound]:
        return self._exchange(Message(Kind.END))

    def _exchange(self, message: Message) -> list[Sound]:
        sounds: list[Sound] = []
        if self._over:
            return sounds
        self._socket.sendall(wire.encode(message))
        while True:
            kind, length = wire.decode_header(self._file.read(wire.HEADER.size))
            answer = Message(kind, self._file.read(length))
            if kind is Kind.NEED:
                return sounds
            if kind is Kind.END:
                self._over = True
                self._stack.close()
                return sounds
            if kind is Kind.PROBLEM:
                self.problems.append(answer.content.decode())
            else:
                sounds.append(wire.sound_of(answer))
