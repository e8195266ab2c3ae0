"""The examples, run as a user runs them, and what they say of themselves."""

import asyncio
import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile

from tests.clients import recording
from tests.server.serving import WAIT_S, serving, until

FOLDER = Path(__file__).parents[2] / "clients" / "python" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.py"))
SAID = list(recording.BURSTS)


async def start(name: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(FOLDER / name),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        env={"PYTHONPATH": str(FOLDER.parent)},
    )


async def output(process: asyncio.subprocess.Process) -> list[str]:
    said, _ = await asyncio.wait_for(process.communicate(), 2 * WAIT_S)
    assert process.returncode == 0
    return said.decode().splitlines()


@pytest.fixture
def wav(tmp_path) -> str:
    soundfile.write(tmp_path / "said.wav", recording.samples(8_000), 8_000, subtype="PCM_16")
    return str(tmp_path / "said.wav")


@pytest.mark.slow
async def test_file(wav):
    async with serving(recording.transcriber()) as server:
        lines = await output(await start("file.py", wav, server.address))
    assert [line.split(maxsplit=1)[1] for line in lines] == SAID


@pytest.mark.slow
async def test_call_and_room_viewer(wav):
    async with serving(recording.transcriber()) as server:
        viewer = await start("room_viewer.py", "desk-1", server.address)
        await until(lambda: server.state.rooms.n_readers == 1)
        lines = await output(await start("call.py", wav, wav, server.address))
        turns = [json.loads(line) for line in lines]
        said = {(speaker, text) for speaker in ("Agent", "Customer") for text in SAID}
        assert {(turn["speaker"], turn["text"]) for turn in turns} == said
        assert len(turns) == 4
        async with asyncio.timeout(WAIT_S):
            seen = [(await viewer.stdout.readline()).decode().strip() for _ in range(4)]
        assert set(seen) == {f"{speaker}: {text}" for speaker, text in said}
        viewer.terminate()
        await viewer.wait()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_skipped_part_names_what_it_needs(path):
    text = path.read_text()
    (block,) = re.findall(r"^# /// script$\n((?:^#.*$\n)+?)^# ///$", text, re.M)
    said = tomllib.loads("".join(line.removeprefix("#")[1:] + "\n" for line in block.splitlines()))
    packages = {re.split(r"[<>=]", name)[0].replace("-", "_") for name in said["dependencies"]}
    imported = set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) - sys.stdlib_module_names
    assert {name.removesuffix("_client") for name in packages} == {
        name.removesuffix("_client") for name in imported
    }
    assert (FOLDER / said["tool"]["uv"]["sources"]["distil-stream-client"]["path"]).is_dir()
    compile(text, path.name, "exec")
