"""`distil-stream watch` and `distil-stream mic`, with a recording for a microphone."""

import asyncio
import io
import signal

import pytest
from distil_stream_client import ConnectionLost
from rich.console import Console

from stream.cli.mic import FRAME_MS, MAX_QUEUED_S, FrameQueue, Microphone, caption
from stream.cli.screen import Screen
from stream.cli.watch import follow, watch
from stream.config import ServerConfig
from stream.errors import UsageError
from stream.protocols.interface import RoomMembership
from stream.server.running import running_server
from tests.clients import recording
from tests.rooms.test_room import final, partial
from tests.server.serving import WAIT_S, serving, until

SAID = list(recording.BURSTS)
MEMBER = RoomMembership("standup", 1, 8_000, ("Ada",))


class Recorded:
    """A microphone that hears a recording."""

    rate = 16_000

    stopped = False

    def frames(self):
        return recording.frames(recording.pcm())

    def stop(self):
        self.stopped = True


def terminal() -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=80, height=20)


async def test_the_microphone_is_captioned():
    console = terminal()
    async with running_server(ServerConfig(port=0), recording.transcriber()) as address:
        screen = Screen("mic", console)
        await caption(Recorded(), address, {"sample_rate": 16_000, "proxy": None}, screen)
    printed = console.file.getvalue().split("\x1b[?1049l")[1]
    assert [line for line in printed.split("\n") if line] == SAID


class Endless(Recorded):
    """One that hears more until it is stopped: half of the recording, and then silence."""

    async def frames(self):
        async for frame in recording.frames(recording.pcm()[: 7 * 16_000]):
            yield frame
        while not self.stopped:
            yield bytes(640)
            await asyncio.sleep(0)


async def test_ctrl_c_ends_with_the_last_words():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background, too
    console = terminal()
    screen = Screen("mic", console)
    async with running_server(ServerConfig(port=0), recording.transcriber()) as address:
        microphone = Endless()
        captioning = asyncio.create_task(
            caption(microphone, address, {"sample_rate": 16_000, "proxy": None}, screen)
        )
        await until(lambda: len(screen.captions) == 1)
        signal.raise_signal(signal.SIGINT)
        await asyncio.wait_for(captioning, WAIT_S)
    signal.signal(signal.SIGINT, before)
    assert microphone.stopped
    assert console.file.getvalue().split("\x1b[?1049l")[1].strip() == SAID[0]


async def test_others_read_along():
    async with serving(recording.transcriber()) as server:
        settings = {"sample_rate": 16_000, "room": "standup", "speakers": ["Ada"]}
        await caption(Recorded(), server.address, settings, Screen("mic", terminal()))
        room = server.state.rooms.find("standup")
        assert [(line.speaker, line.text) for line in room.finals] == [("Ada", t) for t in SAID]


async def test_a_room_is_followed_on_one_screen():
    screen = Screen("standup", terminal())
    async with serving() as server:
        room, ada = server.state.rooms.join(MEMBER)
        server.state.rooms.receive(room, ada, final(0, "before", 1))
        following = asyncio.create_task(follow("standup", server.address, None, screen))
        await until(lambda: len(screen.captions) == 1)
        assert "Ada" in screen.status
        server.state.rooms.receive(room, ada, partial(2, "now", "perhaps", 2))
        await until(lambda: len(screen.captions) == 2)
        assert screen.captions[2].tentative == " perhaps"
        server.state.rooms.leave(room, ada)
        await until(lambda: "No stream" in screen.status)
        following.cancel()
        await asyncio.wait([following])
    assert screen.console.file.getvalue().split("\x1b[?1049l")[1].count("Ada") == 2


async def test_into_a_pipe_lines_are_printed_once_they_are_final(capsys):
    screen = Screen("standup", Console(file=io.StringIO()))
    async with serving() as server:
        room, ada = server.state.rooms.join(MEMBER)
        server.state.rooms.receive(room, ada, final(0, "before", 1))
        following = asyncio.create_task(follow("standup", server.address, None, screen))
        await until(lambda: server.state.rooms.n_readers == 1)
        server.state.rooms.receive(room, ada, partial(2, "now", "perhaps", 2))
        server.state.rooms.receive(room, ada, final(2, "now", 2))
        server.state.rooms.leave(room, ada)
        said = []
        async with asyncio.timeout(WAIT_S):
            while len(said) < 2:
                await asyncio.sleep(0)
                said += capsys.readouterr().out.splitlines()
        following.cancel()
        await asyncio.wait([following])
    assert said == ["Ada: before", "Ada: now"]


def test_a_server_that_is_not_there(capsys):
    assert watch("standup", server="ws://127.0.0.1:9") == 1
    assert "No server answers" in capsys.readouterr().err
    with pytest.raises(ConnectionLost):
        asyncio.run(follow("standup", "ws://127.0.0.1:9", None, Screen("x", terminal())))


def test_a_missing_microphone():
    """Without sounddevice, without PortAudio and without a device alike."""
    with pytest.raises(UsageError, match=r"sounddevice|no such microphone"):
        Microphone("a device that nobody has")


async def test_a_microphone_faster_than_the_server_can_be_stopped():
    queue = FrameQueue()
    frames = [b"%d" % number for number in range(MAX_QUEUED_S * 1000 // FRAME_MS + 2)]
    for frame in frames:
        queue.add(frame)
    queue.stop()
    for _ in frames:
        queue.add(b"after the end")
    async with asyncio.timeout(WAIT_S):
        assert [frame async for frame in queue.frames()] == frames[3:]
    assert queue.dropped_s == pytest.approx(3 * FRAME_MS / 1000)
