"""Random lives of streams: clients come, break, come back and are cut, in any order.

The connections, the registry and the parked streams are real; websockets, protocol and engine are
simple fakes, so that each life takes milliseconds.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosedError
from websockets.protocol import State as WebsocketState

from stream.config import ServerConfig
from stream.core.load import Load
from stream.protocols.close_codes import CloseCode
from stream.protocols.interface import (
    Closing,
    QueuedMessage,
    Resumption,
    RoomMembership,
    StreamCounts,
)
from stream.protocols.session_protocol import SessionProtocol
from stream.server.metrics import Metrics
from stream.server.outbox import LIMIT
from stream.server.rooms.rooms import Rooms
from stream.server.rooms.store import RoomStore
from stream.server.streams.connection import Connection
from stream.server.streams.open_streams import Streams
from stream.server.streams.states import State
from stream.server.streams.stream import StreamContext
from stream.server.visitors import Visitors

WAIT_S = 5
TURNS = 20
"""Of the event loop: enough for all that follows from an action."""
GOING_AWAY = Closing(CloseCode.GOING_AWAY, "")
ENDED = Closing(CloseCode.ENDED, "")


class FakeWebsocket:
    """Does what the test says; closing takes some turns of the event loop."""

    remote_address = None

    def __init__(self) -> None:
        self.state = WebsocketState.OPEN
        self.close_code: int | None = None
        self.transport = self
        self.sent: list[str] = []
        self.stalled = False
        """Whether its client takes nothing, not even a close frame."""
        self._inbox: asyncio.Queue[str | None] = asyncio.Queue()
        self._closed = asyncio.Event()

    def get_extra_info(self, name: str) -> "FakeWebsocket":
        return self

    def setsockopt(self, *args: int) -> None:
        pass

    def put(self, text: str) -> None:
        self._inbox.put_nowait(text)

    def end(self, code: int) -> None:
        """Be closed by the client, or break (1006)."""
        if not self._closed.is_set():
            self.state, self.close_code = WebsocketState.CLOSED, code
            self._closed.set()
            self._inbox.put_nowait(None)

    def abort(self) -> None:
        self.end(1006)

    async def recv(self) -> str:
        text = None if self._closed.is_set() else await self._inbox.get()
        if text is None:
            raise ConnectionClosedError(None, None)
        return text

    async def send(self, frame: str) -> None:
        if self.stalled:
            await self._closed.wait()
        if self._closed.is_set():
            raise ConnectionClosedError(None, None)
        self.sent.append(frame)

    async def wait_closed(self) -> None:
        await self._closed.wait()

    async def close(self, code: int, reason: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0)
        self.end(1006 if self.stalled else code)


class FakeSessions:
    """One session at most, in a room or not."""

    audio_clock_s = 0.0
    decoding = False

    def __init__(self) -> None:
        self._opened: list[SimpleNamespace] = []

    def __iter__(self) -> Iterator[SimpleNamespace]:
        return iter(self._opened)

    def open(self, session_id: str, room: str | None = None) -> None:
        membership = RoomMembership(room, 1, 16_000) if room else None
        session = SimpleNamespace(id=session_id, decoder=None)
        self._opened = [SimpleNamespace(session=session, membership=membership)]

    @property
    def in_room(self) -> bool:
        return any(opened.membership for opened in self._opened)


class FakeProtocol:
    """Streams that answer each message, and get their finals when the test says so."""

    pending_s = 0.0
    idle_s = None
    has_steps = False

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.sessions = FakeSessions()
        self.closing: Closing | None = None
        self.resumption: Resumption | None = None
        self.counts = StreamCounts()
        self.no_more_audio = False
        self.started = False
        """Whether the client knows the token."""
        self._closing_after_finals = ENDED
        self._messages: list[QueuedMessage] = []

    @property
    def resumable(self) -> bool:
        return self.started and self.closing in (None, self._closing_after_finals)

    def receive_text(self, text: str, now: float) -> None:
        match text.split():
            case _ if self.closing:
                pass
            case ["start", *room]:
                self.started = True
                self.sessions.open(self.session_id, *room)
                self._messages.append(QueuedMessage("ready"))
            case ["resume", session, token, seq] if not self.started:
                self.resumption = Resumption(session, token, int(seq))
            case ["say", count]:
                self._messages += [QueuedMessage("words")] * int(count)
            case ["fault"]:
                raise ValueError("a mistake of ours")

    def notes_to_log(self) -> list[str]:
        return []

    def finish(self, closing: Closing) -> None:
        if not self.no_more_audio:
            self.no_more_audio = True
            self._closing_after_finals = closing
            if not self.started:
                self.closing = closing

    def receive_finals(self) -> None:
        if self.no_more_audio:
            self.closing = self.closing or self._closing_after_finals

    def fail(self, code: str, message: str) -> None:
        self._messages.append(QueuedMessage("error"))
        self.closing = self.closing or Closing(CloseCode.INTERNAL, code)

    def receive_return(self) -> None:
        self._messages.append(QueuedMessage("ready"))

    def receive_load(self, load: Load) -> None:
        pass

    def forget_ended(self) -> list[str]:
        return []

    def close_frame(self, closing: Closing) -> Closing:
        return closing

    def windows_to_transcribe(self) -> list[Any]:
        return []

    def captions_to_share(self) -> list[Any]:
        return []

    def messages_to_send(self) -> list[QueuedMessage]:
        messages, self._messages = self._messages, []
        return messages

    def encode(self, message: QueuedMessage, now: float) -> str:
        return str(message.body)


class FakeEngine:
    """Counts how often each session was released."""

    def __init__(self) -> None:
        self.released: Counter[str] = Counter()

    def forget(self, session: str) -> None:
        self.released[session] += 1

    def owes(self, session: str) -> bool:
        return False


class World:
    """A server's streams and their clients."""

    def __init__(self) -> None:
        config = ServerConfig(max_sessions=3, drain_s=3600)
        self.engine, self.metrics = FakeEngine(), Metrics()
        self.rooms = Rooms(RoomStore(), keep_s=60, max_readers=1)
        visitors = Visitors(config, self.metrics, self.rooms)
        self.context = StreamContext(
            cast(Any, self.engine),
            config,
            self.metrics,
            self.rooms,
            lambda: Load.NORMAL,
            visitors.of_tcp(SessionProtocol, "192.0.2.1"),
        )
        self.streams = Streams(config, self.metrics, visitors.keyring.signer)
        self.connections: list[Connection] = []
        self.websockets: list[FakeWebsocket] = []
        self.tasks: list[asyncio.Task[None]] = []

    def connect(self, *messages: str) -> None:
        """Let a client come and send messages."""
        session_id = f"s{len(self.connections)}"
        connection = Connection(cast(Any, FakeProtocol(session_id)), session_id, self.context)
        websocket = FakeWebsocket()
        serving = self.streams.serve(connection, cast(ServerConnection, websocket))
        self.connections.append(connection)
        self.websockets.append(websocket)
        self.tasks.append(asyncio.create_task(serving))
        for message in messages:
            websocket.put(message)

    def act(self, action: str, who: int) -> None:
        """Let something happen to one of the clients, or to the server."""
        streams = [c for c in self.connections if c.state is not State.ENDED] or self.connections
        connection = streams[who % len(streams)]
        websocket = self.websocket_of(connection)
        match action.split():
            case ["connect"]:
                self.connect()
            case ["connect", *_]:
                self.connect(action.removeprefix("connect "))
            case ["resume", seq]:
                known = cast(FakeProtocol, connection.protocol).started
                token = self.streams.parked.token(connection.session_id) if known else "guessed"
                first = ["keepalive"] if seq == "0" else []
                self.connect(*first, f"resume {connection.session_id} {token} {seq}")
            case ["break"]:
                websocket.end(1006)
            case ["close"]:
                websocket.end(1000)
            case ["stall"]:
                websocket.stalled = True
                websocket.put("say 1")
                websocket.put(f"say {LIMIT + 1}")
            case ["vanish"]:
                connection.finish(ENDED)
                connection._feed(cast(FakeProtocol, connection.protocol).receive_finals)
                websocket.stalled = not connection.sender.outbox
            case ["finish"]:
                connection.finish(ENDED)
            case ["finals"]:
                connection._feed(cast(FakeProtocol, connection.protocol).receive_finals)
            case ["cut"] if connection in list(self.streams):
                connection.cut(GOING_AWAY)
            case ["age"]:
                self.streams.parked.make_room(0)
            case _:
                websocket.put(action)

    def websocket_of(self, connection: Connection) -> FakeWebsocket:
        """Return the websocket that a stream has now, or had last."""
        if connection.state is State.NEW:
            return self.websockets[self.connections.index(connection)]
        return cast(FakeWebsocket, connection._socket._websocket)

    async def close(self) -> None:
        """Close as a server does, until no task is left."""
        while not all(task.done() for task in self.tasks):
            for stream in self.streams:
                stream.cut(GOING_AWAY)
            await asyncio.sleep(0)
        await asyncio.gather(*self.tasks)
        await self.streams.parked.close(GOING_AWAY)


actions = st.tuples(
    st.sampled_from(
        ["connect", "connect start", "connect start room", "keepalive", "say 1", "fault"]
        + ["resume 0", "resume 1", "resume 99", "break", "close", "age"] * 2
        + ["stall", "vanish", f"say {LIMIT + 9}", "finish", "finals", "cut"]
    ),
    st.integers(0, 5),
    st.sampled_from([0, 1, 2, 3, 4, 6, 9, *[TURNS] * 4]),
)
"""What happens, to which client, and how many turns the event loop has afterwards."""


async def live(steps: list[tuple[str, int, int]]) -> World:
    world = World()
    world.connect("start")
    world.connect("start room")
    for _ in range(TURNS):
        await asyncio.sleep(0)
    for action, who, turns in steps:
        world.act(action, who)
        for _ in range(turns):
            await asyncio.sleep(0)
    async with asyncio.timeout(WAIT_S):
        await world.close()
    return world


class Mistakes(logging.Handler):
    """Remembers what the connections logged as their own mistakes."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.slow
@given(st.lists(actions, max_size=25))
@settings(max_examples=300, deadline=None)
def test_every_stream_ends_and_is_released_once(steps: list[tuple[str, int, int]]) -> None:
    mistakes = Mistakes()
    logger = logging.getLogger("stream.server.streams.connection")
    logger.addHandler(mistakes)
    world = asyncio.run(live(steps))
    logger.removeHandler(mistakes)
    assert not mistakes.records
    assert {connection.state for connection in world.connections} == {State.ENDED}
    started = [c for c in world.connections if cast(FakeProtocol, c.protocol).started]
    assert world.engine.released == {connection.session_id: 1 for connection in started}
    assert not world.rooms.live
    assert not len(world.streams.parked)
    value = world.metrics.registry.get_sample_value
    closed = sum(
        sample.value
        for metric in world.metrics.closed.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )
    resumed = value("distil_stream_sessions_resumed_total")
    assert closed == len(world.connections) - resumed, "each but those that resumed another"
    assert value("distil_stream_sessions") == 0


def test_a_stream_that_is_resumed_replaced_and_given_up() -> None:
    """The random lives contain such steps as these."""
    actions = ["break", "resume 1", "resume 1", "say 1", "resume 99"]
    world = asyncio.run(live([(action, 0, TURNS) for action in actions]))
    assert world.metrics.registry.get_sample_value("distil_stream_sessions_resumed_total") == 2
    codes = [websocket.close_code for websocket in world.websockets]
    assert codes == [1006, 1001, 1000, 1000, 1011]
    assert [websocket.sent for websocket in world.websockets[2:]] == [
        ["ready"],
        ["ready", "ready", "words"],  # the first was sent before, and not seen by the client
        ["error"],
    ]
