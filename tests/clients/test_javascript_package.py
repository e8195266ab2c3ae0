"""The JavaScript client as a user installs it: packed by npm, in Node, Deno and Bun.

What it is packed and run with comes from `make test-clients`.
"""

import asyncio
import json
import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile

from stream.server.running import running_server
from tests.clients import recording
from tests.clients.breakable import breakable
from tests.clients.javascript_runtimes import RUNTIMES, TOOLS, needs, runtime_command
from tests.server.serving import serving

pytestmark = [pytest.mark.slow]

ROOT = Path(__file__).parents[2]
CLIENT = ROOT / "clients" / "javascript"
DOCUMENT = ROOT / "docs" / "javascript.md"
PROGRAMS = Path(__file__).with_name("javascript") / "programs"
RATE = 16_000
LIMIT_S = 120


def called(*command: str | Path, cwd: Path) -> str:
    """The output of a command; fails with what it printed if it fails."""
    finished = subprocess.run(command, capture_output=True, text=True, cwd=cwd)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.fixture(scope="session")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tarball that npm would publish."""
    needs(TOOLS)
    folder = tmp_path_factory.mktemp("dist")
    called("make", "--silent", "javascript", f"DIST={folder}", cwd=ROOT)
    (tarball,) = folder.iterdir()
    return tarball


@pytest.fixture(scope="session")
def project(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has the package installed, and what it may be used with."""
    folder = tmp_path_factory.mktemp("project")
    modules = folder / "node_modules"
    shutil.unpack_archive(packed, folder)
    shutil.copytree(TOOLS / "node_modules", modules, symlinks=True)
    (folder / "package").rename(modules / "distil-stream-client")
    (folder / "package.json").write_text('{"type": "module"}')
    for program in PROGRAMS.iterdir():
        shutil.copy(program, folder)
    return folder


def test_the_package_has_what_it_declares(project: Path) -> None:
    package = project / "node_modules" / "distil-stream-client"
    manifest = json.loads((package / "package.json").read_text())
    assert manifest["version"] == version_of_the_python_client()
    for entry in manifest["exports"].values():
        for path in entry.values() if isinstance(entry, dict) else [entry]:
            assert (package / path).is_file(), path
    shipped = {file.name for file in package.iterdir()}
    assert shipped == {file.name for file in CLIENT.glob("*.js")} | {
        "README.md", "package.json", "types",
    }  # fmt: skip


def version_of_the_python_client() -> str:
    from distil_stream_client import __version__

    return __version__


@pytest.mark.parametrize(
    ("source", "options"),
    # The declarations of the SDK do not pass a full check.
    [("types.ts", []), ("types-ai-sdk.ts", ["--skipLibCheck"])],
)
def test_the_declarations_fit_a_typescript_program(
    project: Path, source: str, options: list[str]
) -> None:
    strict = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext"]
    platform = ["--lib", "es2023,dom,dom.iterable", "--types", "node"]
    tsc = TOOLS / "node_modules" / ".bin" / "tsc"
    called(tsc, *strict, *platform, *options, source, cwd=project)


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """The samples that the scripted engine has the words of."""
    (tmp_path / "samples.pcm").write_bytes(recording.pcm(RATE))
    return tmp_path / "samples.pcm"


@asynccontextmanager
async def program(
    project: Path, runtime: str, name: str, *arguments: object, **environment: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A program in a runtime; it is killed in the end if it has not ended."""
    process = await asyncio.create_subprocess_exec(
        *runtime_command(runtime), name, *map(str, arguments),
        cwd=project,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
        limit=1 << 24,
    )  # fmt: skip
    try:
        async with asyncio.timeout(LIMIT_S):
            yield process
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def messages(process: asyncio.subprocess.Process) -> AsyncIterator[dict[str, Any]]:
    """The objects that a program prints."""
    assert process.stdout
    while line := await process.stdout.readline():
        yield json.loads(line)


def finals(sent: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in sent if message["type"] == "final"]


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_stream_gets_its_words_and_shows_its_token(
    project: Path, samples: Path, runtime: str
) -> None:
    config = recording.config(api_key="right")
    async with running_server(config, recording.transcriber()) as address:
        arguments = ("stream.mjs", address, samples, RATE)
        async with program(project, runtime, *arguments, TOKEN="right") as process:
            sent = [message async for message in messages(process)]
        async with program(project, runtime, *arguments, TOKEN="wrong") as process:
            refused = [message async for message in messages(process)]
    assert finals(sent) == list(recording.BURSTS)
    assert sent[-1]["type"] == "ended"
    assert sent[-1]["received"] == recording.SECONDS * RATE
    assert [(one["type"], one["code"]) for one in refused] == [("problem", "not_authorised")]


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_the_documented_program(project: Path, tmp_path: Path, runtime: str) -> None:
    section = DOCUMENT.read_text().split("## Node, Deno and Bun")[1]
    snippet = re.search(r"^```js\n(.*?)^```", section, re.M | re.S)
    assert snippet
    soundfile.write(tmp_path / "made.wav", recording.samples(RATE)[:, 0], RATE)
    async with running_server(recording.config(), recording.transcriber()) as address:
        source = snippet[1].replace("http://127.0.0.1:8765", address)
        file = project / f"documented-{runtime}.mjs"
        file.write_text(source.replace("talk.mp3", str(tmp_path / "made.wav")))
        async with program(project, runtime, file.name) as process:
            output, _ = await process.communicate()
    assert output.decode().splitlines() == list(recording.BURSTS)


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_connection_that_breaks_costs_no_word(
    project: Path, samples: Path, runtime: str
) -> None:
    sent = []
    async with (
        running_server(recording.config(), recording.transcriber()) as address,
        breakable(address) as wire,
        program(project, runtime, "stream.mjs", wire.address, samples, RATE) as process,
    ):
        cut_after = ["two", "six"]
        async for message in messages(process):
            sent.append(message)
            shown = message.get("committed", "") + message.get("tentative", "")
            if cut_after and cut_after[0] in shown:
                cut_after.pop(0)
                wire.cut()
    assert not cut_after
    assert finals(sent) == list(recording.BURSTS)
    states = [message["state"] for message in sent if message["type"] == "state"]
    assert states == ["live", "waiting", "live", "waiting", "live"]
    assert sent[-1]["received"] == sent[-1]["settled"] == recording.SECONDS * RATE


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_server_that_is_not_there_is_a_problem(
    project: Path, samples: Path, runtime: str
) -> None:
    async with running_server(recording.config(), recording.transcriber()) as address:
        pass
    async with program(project, runtime, "stream.mjs", address, samples, RATE) as process:
        (problem,) = [message async for message in messages(process)]
    assert problem["code"] == "away"


@pytest.mark.parametrize("runtime", RUNTIMES)
async def test_a_room_is_read(project: Path, samples: Path, runtime: str) -> None:
    async with (
        running_server(recording.config(), recording.transcriber()) as address,
        program(project, runtime, "room.mjs", address, "node") as reader,
    ):
        read = messages(reader)
        assert (await anext(read))["type"] == "room"
        async with program(project, "node", "stream.mjs", address, samples, RATE) as process:
            await process.communicate()
        shown = [message async for message in read]
    assert finals(shown) == list(recording.BURSTS)
    assert {message["speaker"] for message in shown if message["type"] == "final"} == {"Speaker 1"}
    assert shown[-1] == {"type": "rooms", "rooms": ["node"]}


async def test_the_ai_sdk_transcribes(project: Path, tmp_path: Path) -> None:
    wav = tmp_path / "made.wav"
    soundfile.write(wav, recording.samples(RATE), RATE, subtype="PCM_16")
    async with (
        serving(recording.transcriber(), vad="webrtc") as server,
        program(project, "node", "ai-sdk.mjs", server.address, wav) as process,
    ):
        live, whole = [message async for message in messages(process)]
    text = " ".join(recording.BURSTS)
    assert live["text"] == live["deltas"] == text
    assert live["finals"] == [one["text"] for one in live["segments"]] == list(recording.BURSTS)
    assert (live["seconds"], live["language"], live["model"]) == (7.0, "en", "scripted")
    assert whole["text"] == text
    assert whole["seconds"] == pytest.approx(7.0, abs=0.01)
