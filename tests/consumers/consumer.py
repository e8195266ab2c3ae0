"""Runs the clients of other services, unmodified, as processes against a real server.

Each client has an environment of its own under `.venv-clients`, because they do not fit into one:
a virtual environment of Python, or, in the folders `node-…`, packages from npm.
A program in `programs/` drives it: it prints a JSON object a line, and takes the port of the server
and the name of a file of speech as its first arguments.
"""

import asyncio
import json
import os
import re
import shutil
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stream.engine.checkpoints.checkpoint import Checkpoint
from stream.engine.whisper_transcriber import WhisperTranscriber
from stream.server.app import Server
from tests.clients.javascript_runtimes import needs, runtime_command
from tests.server.serving import serving, until

ROOT = Path(__file__).parents[2]
PROGRAMS = Path(__file__).parent / "programs"
LIMIT_S = 120

SAID = (
    "it was the best of times it was the worst of times it was the age of wisdom it was the age of "
    "foolishness it was the epoch of belief it was the epoch of incredulity"
)
"""The first words of the recording that the fixture `spoken` cuts out."""


def python_of(client: str) -> str:
    """The interpreter of a client's environment; skips the test if there is none."""
    python = ROOT / ".venv-clients" / client / "bin/python"
    if not python.exists() or not (ROOT / ".venv-clients" / client / "installed").exists():
        pytest.skip(f"the client {client} is not installed: run `make test-clients`")
    return str(python)


def command_of(client: str, program: str) -> list[str]:
    """The command that runs a program of a client; skips the test if it is not installed.

    Node looks for packages beside the program, so a program of Node is copied to them.
    """
    if not program.endswith(".mjs"):
        return [python_of(client), str(PROGRAMS / program)]
    folder = ROOT / ".venv-clients" / client
    needs(folder)
    # Another worker may run the same program: it must not read a half of it.
    copied = Path(shutil.copy(PROGRAMS / program, folder / f"{os.getpid()}-{program}"))
    copied.replace(folder / program)
    return [*runtime_command("node"), str(folder / program)]


def plain(text: str) -> str:
    """Text without punctuation and capitals."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


@asynccontextmanager
async def serving_speech(checkpoint: Checkpoint, **settings: Any) -> AsyncIterator[Server]:
    """A server with a real model."""
    transcriber = WhisperTranscriber(checkpoint, device="cpu")
    async with serving(transcriber, when_busy="wait", **settings) as server:
        yield server


@asynccontextmanager
async def started(client: str, program: str, *arguments: object) -> AsyncIterator["Program"]:
    """A program that runs; it is killed in the end if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *command_of(client, program),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    errors = asyncio.create_task(process.stderr.read())  # type: ignore[union-attr]
    try:
        yield Program(process, errors)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await errors


class Program:
    """A process that prints a JSON object a line."""

    def __init__(self, process: asyncio.subprocess.Process, errors: "asyncio.Task[bytes]") -> None:
        self.process = process
        self._errors = errors

    async def line(self) -> dict[str, Any]:
        """The next object that it prints; fails with what it wrote to stderr if it ends."""
        assert self.process.stdout
        line = b"x"
        async with asyncio.timeout(LIMIT_S):
            while line and not line.startswith(b"{"):  # clients print notes of their own
                line = await self.process.stdout.readline()
        if not line:
            error = (await self._errors).decode(errors="replace")
            pytest.fail(f"the program ended ({await self.process.wait()}): {error[-3000:]}")
        found: dict[str, Any] = json.loads(line)
        return found

    async def rest(self) -> list[dict[str, Any]]:
        """All further objects; fails unless the program ends well."""
        assert self.process.stdout
        async with asyncio.timeout(LIMIT_S):
            output = await self.process.stdout.read()
            status = await self.process.wait()
        error = (await self._errors).decode(errors="replace")
        assert status == 0, error[-3000:]
        return [json.loads(line) for line in output.splitlines() if line.startswith(b"{")]

    async def errors(self) -> str:
        """What it wrote to stderr, once it has ended."""
        return (await self._errors).decode(errors="replace")

    def pause(self) -> None:
        """Let it read nothing until `resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it without a farewell."""
        self.process.kill()


async def run_with_a_pause(
    server: Server, client: str, program: str, *arguments: object
) -> list[dict[str, Any]]:
    """The same, but the program reads nothing while the server answers what it has sent."""
    async with started(client, program, *arguments) as running:
        first = await running.line()
        running.pause()
        await until(lambda: all(s.protocol.pending_s == 0 for s in server.state.streams))
        running.resume()
        return [first, *await running.rest()]


async def run(client: str, program: str, *arguments: object) -> list[dict[str, Any]]:
    """All that a program prints; fails unless it ends well."""
    async with started(client, program, *arguments) as running:
        return await running.rest()
