"""`distil-stream call` against the real server, with a scripted engine behind it."""

import asyncio
import io
import json
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from distil_stream_client import Final, Partial
from rich.console import Console

from stream.cli.call import RATE, PhoneLine, Turns, call
from stream.config import ServerConfig
from stream.core.audio import ALAW, MULAW
from stream.errors import UsageError
from stream.server.running import running
from tests.clients import recording

SAID = list(recording.BURSTS)


async def through_a_server(files: list[Path], **options):
    """Play a call to a server of our own; returns its exit status and the server's rooms."""
    async with running(ServerConfig(port=0), recording.transcriber) as server:
        arguments = {"server": server.address, "fast": True, **options}
        status = await asyncio.to_thread(call, files, **arguments)
        return status, server.state.rooms.live | {
            listed.room: server.state.rooms.find(listed.room)
            for listed in server.state.rooms.listing()
        }


@pytest.fixture
def stereo(tmp_path) -> Path:
    """The agent says both sentences; the customer falls silent after the first."""
    agent = recording.samples(RATE)
    customer = agent * (np.arange(len(agent)) < 3.5 * RATE)[:, None]
    soundfile.write(tmp_path / "call.wav", np.hstack([agent, customer]), RATE, subtype="ULAW")
    return tmp_path / "call.wav"


@pytest.mark.slow
async def test_a_dialogue_line_by_line(stereo, capsys):
    status, _ = await through_a_server([stereo])
    assert status == 0
    assert capsys.readouterr().out.splitlines() == [
        f"00:00  Agent     {SAID[0]}",
        f"00:00  Customer  {SAID[0]}",
        f"00:03  Agent     {SAID[1]}",
    ]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["mulaw", "alaw"])
async def test_two_files_and_json(tmp_path, capsys, encoding):
    for name, rate in (("agent.flac", 44_100), ("customer.ogg", 16_000)):
        soundfile.write(tmp_path / name, recording.samples(rate), rate)
    files = [tmp_path / "agent.flac", tmp_path / "customer.ogg"]
    options = {"json": True, "encoding": encoding, "speakers": "Ada,Bob"}
    status, _ = await through_a_server(files, **options)
    assert status == 0
    turns = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(turn["speaker"], turn["text"]) for turn in turns] == [
        (speaker, text) for text in SAID for speaker in ("Ada", "Bob")
    ]
    for turn in turns:
        assert [word["word"] for word in turn["words"]] == turn["text"].split()
        assert turn["start"] <= turn["words"][0]["start"] < turn["end"]


@pytest.mark.slow
async def test_others_read_along(stereo):
    _, rooms = await through_a_server([stereo], room="desk-3", speakers="Ada")
    assert {line.speaker for line in rooms["desk-3"].finals} == {"Ada", "Speaker 2"}


@pytest.mark.parametrize(("encoding", "table"), [("mulaw", MULAW), ("alaw", ALAW)])
async def test_the_line_is_g711_at_8_khz(tmp_path, encoding, table):
    clean = recording.samples(RATE, 2)
    soundfile.write(tmp_path / "call.wav", clean, RATE, subtype="FLOAT")
    line = PhoneLine([tmp_path / "call.wav"], encoding)
    packets = [packet async for packet in line.frames(fast=True)]
    assert {len(packet) for packet in packets[:-1]} == {320}
    heard = table[np.frombuffer(b"".join(packets), np.uint8)].reshape(-1, 2)
    assert heard.shape == clean.shape
    assert np.abs(heard - clean).max() < 0.05 * np.abs(clean).max()


async def test_it_sends_at_the_pace_of_a_telephone_line(tmp_path):
    soundfile.write(tmp_path / "call.wav", recording.samples(RATE)[: RATE // 2], RATE)
    began = time.monotonic()
    async for _ in PhoneLine([tmp_path / "call.wav"], "mulaw").frames(fast=False):
        pass
    assert time.monotonic() - began >= 0.48


async def test_a_party_that_ends_early_is_silent(tmp_path):
    soundfile.write(tmp_path / "long.wav", recording.samples(RATE), RATE)
    soundfile.write(tmp_path / "short.wav", recording.samples(RATE)[:RATE], RATE)
    line = PhoneLine([tmp_path / "long.wav", tmp_path / "short.wav"], "alaw")
    packets = [packet async for packet in line.frames(fast=True)]
    assert len(b"".join(packets)) == 2 * round(recording.SECONDS * RATE)
    assert set(packets[-1][1::2]) == {0xD5}


async def test_a_file_that_is_damaged_in_the_middle(tmp_path):
    soundfile.write(tmp_path / "call.mp3", recording.samples(RATE), RATE)
    whole = (tmp_path / "call.mp3").read_bytes()
    middle = len(whole) // 2
    damaged = whole[:middle] + bytes(range(256)) * 8 + whole[middle + 2048 :]
    (tmp_path / "call.mp3").write_bytes(damaged)
    line = PhoneLine([tmp_path / "call.mp3"], "mulaw")
    packets = [packet async for packet in line.frames(fast=True)]
    assert len(b"".join(packets)) > 0.7 * recording.SECONDS * RATE


def test_what_is_no_call(tmp_path):
    soundfile.write(tmp_path / "mono.wav", recording.samples(RATE), RATE)
    soundfile.write(tmp_path / "stereo.wav", recording.samples(RATE, 2), RATE)
    (tmp_path / "notes.txt").write_text("These are notes.")
    for files, complaint in {
        ("missing.wav",): "No such file",
        ("notes.txt",): "is not a sound or video file",
        ("mono.wav", "stereo.wav"): "must have one channel",
    }.items():
        with pytest.raises(UsageError, match=complaint):
            PhoneLine([tmp_path / name for name in files], "mulaw")


def test_refusals_of_the_server_are_shown(stereo, capsys):
    assert call([stereo], server="ws://127.0.0.1:9") == 1
    assert "No server answers" in capsys.readouterr().err


def test_the_terminal_shows_speakers_and_unconfident_words():
    screen = io.StringIO()
    turns = Turns(Console(file=screen, force_terminal=True, width=60), ["Agent", "Customer"])
    place = {"channel": 1, "utterance": 1, "start": 61.0, "end": 62.0}
    with turns:
        turns.now(Partial(**place, revision=1, committed="My car", tentative=" makes"))
        assert "Customer" in screen.getvalue()
        assert "My car\x1b[2m makes" in screen.getvalue()
        final = Final(**place, text="My car [bold]makes[/bold] a noise.")
        turns.turn(final)
        turns.now(final)
    assert "My car [bold]makes[/bold] a noise." in screen.getvalue()
    assert "01:01" in screen.getvalue()
