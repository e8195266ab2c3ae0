"""What is sent to the webhook, checked with the standard's own library."""

import asyncio
import json
from typing import Any

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook as Oracle

from stream.core.events import KeyPressed
from stream.errors import UsageError
from stream.protocols.interface import RoomMembership
from stream.server.rooms.rooms import Rooms
from stream.server.rooms.store import RoomStore
from stream.server.rooms.webhook import (
    LONGEST_WAIT_S,
    QUEUE_BYTES,
    QUEUE_LIMIT,
    TRIES,
    Webhook,
    wait_s,
)
from tests.rooms.test_room import final, partial
from tests.server.rooms.test_rooms import MEMBER
from tests.server.serving import WAIT_S, until

SECRET = "whsec_" + "A" * 32


class Receiver:
    """An address that answers as told, the last answer again and again."""

    def __init__(self, *answers: int | Exception, **options: int) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.outcomes: list[str] = []
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(self.answer))
        self.webhook = Webhook(
            "http://example.test/hook",
            SECRET,
            self.outcomes.append,
            client,
            first_wait_s=0,
            **options,
        )
        self.rooms = Rooms(RoomStore(), keep_s=60, max_readers=1)
        self.rooms.subscribers.append(self.webhook.enqueue)

    def answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return httpx2.Response(answer)

    async def call(self) -> None:
        """Somebody says two lines and leaves."""
        room, ada = self.rooms.join(MEMBER)
        self.rooms.receive(room, ada, partial(0, "good"))
        self.rooms.receive(room, ada, final(0, "good morning", 1))
        self.rooms.receive(room, ada, final(2, "", 2))
        self.rooms.receive(room, ada, final(4, "goodbye", 3))
        self.rooms.leave(room, ada)
        await self.webhook.close(WAIT_S)

    @property
    def received(self) -> list[dict[str, Any]]:
        return [json.loads(request.content) for request in self.requests]


async def test_events_are_sent_in_order_and_signed() -> None:
    receiver = Receiver(204)
    await receiver.call()
    assert [message["type"] for message in receiver.received] == [
        "room.live",
        "room.line",
        "room.line",
        "room.ended",
    ]
    assert [m["data"].get("text") for m in receiver.received[1:3]] == ["good morning", "goodbye"]
    for message in receiver.received:
        assert message["data"]["room"] == "standup"
        assert message["data"]["about"] == {"call": "CA123"}
    assert [line["text"] for line in receiver.received[3]["data"]["lines"]] == [
        "good morning",
        "goodbye",
    ]
    oracle = Oracle(SECRET)
    for request in receiver.requests:
        assert oracle.verify(request.content, dict(request.headers)) == json.loads(request.content)
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 4
    assert receiver.outcomes == ["delivered"] * 4


@pytest.mark.parametrize("trouble", [500, 404, 302, httpx2.ConnectError("refused")])
async def test_failures_are_retried_with_the_same_id(trouble: int | Exception) -> None:
    receiver = Receiver(trouble, trouble, 200)
    await receiver.call()
    first = receiver.requests[:3]
    assert len({request.headers["webhook-id"] for request in first}) == 1
    assert len({request.content for request in first}) == 1
    assert len(receiver.requests) == 6
    assert receiver.outcomes == ["delivered"] * 4


async def test_permanent_failures_are_counted_and_the_next_event_is_sent() -> None:
    receiver = Receiver(*[500] * TRIES, 200)
    await receiver.call()
    assert receiver.outcomes == ["failed", *["delivered"] * 3]


async def test_a_key_is_sent_on_and_is_in_no_transcript() -> None:
    receiver = Receiver(204)
    room, ada = receiver.rooms.join(MEMBER)
    receiver.rooms.receive(room, ada, KeyPressed(0, "5", 16_000))
    receiver.rooms.leave(room, ada)
    await receiver.webhook.close(WAIT_S)
    _, key, ended = receiver.received
    assert key["type"] == "room.key"
    assert (key["data"]["speaker"], key["data"]["key"]) == ("Ada", "5")
    assert key["data"]["time"] == pytest.approx(1, abs=0.5)
    assert ended["data"]["lines"] == []


async def test_an_address_that_hangs_blocks_no_other() -> None:
    hanging = asyncio.Event()

    async def hang(request: httpx2.Request) -> httpx2.Response:
        await hanging.wait()
        return httpx2.Response(200)

    outcomes: list[str] = []
    client = httpx2.AsyncClient(transport=httpx2.MockTransport(hang))
    webhook = Webhook("http://example.test/hook", SECRET, outcomes.append, client)
    rooms = Rooms(RoomStore(), keep_s=60, max_readers=1)
    rooms.subscribers.append(webhook.enqueue)
    room, ada = rooms.join(MEMBER)
    for n in range(QUEUE_LIMIT + 10):
        rooms.receive(room, ada, final(n, "said", n))
    assert outcomes == ["dropped"] * 11
    hanging.set()
    await webhook.close(WAIT_S)
    assert outcomes.count("delivered") == QUEUE_LIMIT


async def test_many_rooms_do_not_fill_the_memory() -> None:
    receiver = Receiver(200, total_limit=5)
    for n in range(7):
        receiver.rooms.join(RoomMembership(f"room-{n}", 1, 8_000))
    assert receiver.outcomes == ["dropped"] * 2
    await asyncio.gather(*receiver.webhook._tasks)
    receiver.rooms.join(RoomMembership("later", 1, 8_000))
    await receiver.webhook.close(WAIT_S)
    assert receiver.outcomes.count("delivered") == 6


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_short", "not base64 at all!"])
def test_a_secret_that_is_none(secret: str | None) -> None:
    with pytest.raises(UsageError, match="openssl"):
        Webhook("http://example.test", secret, lambda outcome: None)


def test_retry_delays_grow_and_are_bounded() -> None:
    waits = [wait_s(tries) for tries in range(1, TRIES)]
    assert waits == sorted(waits)
    assert waits[0] == 1
    assert waits[-1] == LONGEST_WAIT_S
    assert sum(waits) < 600


async def test_a_queue_is_limited_in_bytes() -> None:
    """Long lines are dropped before they are a thousand; other rooms are still delivered."""
    receiver = Receiver(200)
    room, ada = receiver.rooms.join(MEMBER)
    for i in range(40):
        receiver.rooms.receive(room, ada, final(2 * i, "x" * (QUEUE_BYTES // 20), i))
    assert receiver.outcomes.count("dropped") == 40 - 19
    assert receiver.webhook._bytes[room.name] <= QUEUE_BYTES
    other = RoomMembership("other", 1, 8_000)
    receiver.rooms.join(other)
    await receiver.webhook.close(WAIT_S)
    assert receiver.outcomes.count("delivered") == 21
    assert not receiver.webhook._bytes


async def test_a_line_that_is_longer_than_the_queue_is_delivered_alone() -> None:
    receiver = Receiver(200)
    room, ada = receiver.rooms.join(MEMBER)
    await until(lambda: receiver.outcomes == ["delivered"] and not receiver.webhook._queues)
    receiver.rooms.receive(room, ada, final(0, "x" * 2 * QUEUE_BYTES, 1))
    await receiver.webhook.close(WAIT_S)
    assert receiver.outcomes == ["delivered", "delivered"]
    assert not receiver.webhook._bytes


async def test_messages_of_a_deleted_room_are_dropped() -> None:
    receiver = Receiver(204)
    receiver.rooms.forgetters.append(receiver.webhook.forget)
    for name in ("standup", "other"):
        room, number = receiver.rooms.join(RoomMembership(name, 1, 8_000))
        receiver.rooms.receive(room, number, final(0, f"said in {name}", 1))
    receiver.rooms.delete("standup")
    again, number = receiver.rooms.join(RoomMembership("standup", 1, 8_000))
    receiver.rooms.receive(again, number, final(0, "said later", 1))
    await receiver.webhook.close(WAIT_S)
    texts = [message["data"].get("text") for message in receiver.received]
    assert sorted(text for text in texts if text) == ["said in other", "said later"]
    assert receiver.outcomes.count("dropped") == 2
    assert receiver.webhook._n_queued == 0
