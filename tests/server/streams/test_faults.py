"""Whatever breaks, wherever: afterwards no stream, no room and no task is left.

Clients do random things and break off, and handlers on the server are cancelled at random points of
their lives; each await is such a point.
"""

import asyncio
import io
import json
import random
from contextlib import suppress

import numpy as np
import pytest
import soundfile
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from stream.server.app import Server
from tests.server.serving import SECOND, WAIT_S, client, serving, until

N_CLIENTS = 12


def flac() -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(20_000), 8000, format="FLAC")
    return file.getvalue()


FLAC = flac()


class Chaos:
    """One client after another, each of which breaks off somewhere."""

    def __init__(self, server: Server, seed: int) -> None:
        self.server = server
        self.random = random.Random(seed)
        self.ready: dict | None = None
        """The stream that can be resumed."""

    async def live(self, turns: int) -> None:
        for _ in range(turns):
            with suppress(ConnectionClosed, OSError, InvalidHandshake, TimeoutError):
                async with asyncio.timeout(WAIT_S), client(self.server) as websocket:
                    await self.begin(websocket)
                    for _ in range(self.random.randrange(5)):
                        await self.act(websocket)
                    if self.random.random() < 0.7:
                        websocket.transport.abort()

    async def begin(self, websocket: ClientConnection) -> None:
        start: dict = {"type": "start", "room": f"room{self.random.randrange(4)}"}
        if self.ready and self.random.random() < 0.6:
            asked = {"session": self.ready["session"], "token": self.ready["resume_token"]}
            start = {"type": "start", "resume": {**asked, "seq": self.random.randrange(3)}}
        elif self.random.random() < 0.3:
            start["encoding"] = "container"
        await websocket.send(json.dumps(start))
        if self.random.random() < 0.5:
            first = json.loads(await websocket.recv())
            if first["type"] == "ready" and first["resume_token"]:
                self.ready = first

    async def act(self, websocket: ClientConnection) -> None:
        match self.random.randrange(7):
            case 0:
                await websocket.send(bytes(self.random.randrange(3 * SECOND)))
            case 1:
                await websocket.send(FLAC[: self.random.randrange(len(FLAC))])
            case 2:
                await websocket.send('{"type":"end"}')
            case 3:
                await websocket.send('{"type":"finalize"}')
            case 4:
                await websocket.send(b"" for _ in range(5000))  # more fragments than are allowed
            case 5:
                await websocket.send("no JSON")
            case _:
                for _ in range(self.random.randrange(30)):
                    await asyncio.sleep(0)


async def cancel_handlers(server: Server, seed: int) -> None:
    """Cancel handlers of connections until this task is cancelled."""
    chance = random.Random(seed)
    while True:
        for _ in range(chance.randrange(1, 200)):
            await asyncio.sleep(0)
        if tasks := list(server.door._websockets.handler_tasks):
            chance.choice(tasks).cancel()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
async def test_nothing_is_left_after_faults(seed: int) -> None:
    async with serving(resume_s=0.2, drain_s=1, idle_s=2) as server:
        cancelling = asyncio.create_task(cancel_handlers(server, seed))
        clients = [Chaos(server, 100 * seed + i).live(turns=6) for i in range(N_CLIENTS)]
        await asyncio.gather(*clients)
        cancelling.cancel()
        state = server.state
        await until(lambda: not (len(state.streams) or len(state.streams.parked)))
        await until(lambda: not state.streams.parked._finishing)
        await until(lambda: not state.rooms.live)
        await until(lambda: not state.decoders.running)
        await until(lambda: not len(state.shares))
        assert state.streams._begun == set()
        assert all(entry.ended_at is not None for entry in state.rooms.listing())
        assert not any("_decode" in repr(task.get_coro()) for task in asyncio.all_tasks())


async def test_a_message_of_too_many_fragments_leaves_nothing() -> None:
    async with serving(resume_s=0) as server:
        async with client(server) as websocket:
            await websocket.send('{"type":"start","room":"fragments"}')
            await websocket.recv()
            with suppress(ConnectionClosed):
                await websocket.send("" for _ in range(5000))
            await asyncio.wait_for(websocket.wait_closed(), WAIT_S)
        await until(lambda: not server.state.rooms.live)


async def test_a_client_that_comes_back_and_breaks_at_once_keeps_its_stream() -> None:
    async with serving(resume_s=5) as server:
        async with client(server) as websocket:
            await websocket.send('{"type":"start","room":"flapping"}')
            ready = json.loads(await websocket.recv())
            websocket.transport.abort()
        asked = {"session": ready["session"], "token": ready["resume_token"], "seq": 0}
        resume = json.dumps({"type": "start", "resume": asked})
        for turns in range(20):
            async with client(server) as websocket:
                await websocket.send(resume)
                for _ in range(turns):
                    await asyncio.sleep(0)
                websocket.transport.abort()
        async with client(server) as websocket:
            await websocket.send(resume)
            assert json.loads(await websocket.recv())["type"] == "ready"
            await websocket.send('{"type":"end"}')
            await websocket.wait_closed()
        await until(lambda: not server.state.rooms.live)
