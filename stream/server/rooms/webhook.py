"""What is said in rooms, sent on to an address of the operator's as it becomes final.

Requests are signed and retried as https://www.standardwebhooks.com has it, so that its libraries
verify them. They wait in a queue for each room, in order, and never hold up a stream: when an
address is away for so long that too much waits, the newest is dropped and counted.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx2
import msgspec

from stream.errors import UsageError
from stream.rooms.messages import Final, Key, Live, Message
from stream.rooms.room import Room

log = logging.getLogger(__name__)

PREFIX = "whsec_"
"""Of a secret, as the standard writes it; the rest is base64."""

TIMEOUT_S = 10.0
"""Of a request."""

TRIES = 10
"""Of a message, the waits between which add up to six minutes."""

LONGEST_WAIT_S = 120.0

QUEUE_LIMIT = 1000
"""Messages of a room that wait: an hour of talk."""

TOTAL_LIMIT = 20_000
"""Messages of all rooms that wait: some megabytes, however many calls come while nobody answers."""

Count = Callable[[str], None]
"""Called with `delivered`, `failed` or `dropped` for each message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to be delivered; its id stays the same however often it is tried."""

    id: str
    body: bytes


def key_of(secret: str) -> bytes:
    """Return the key in a secret. Raises `UsageError` where there is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise UsageError(
            "webhook_secret is missing or too short; make one with"
            ' echo "whsec_$(openssl rand -base64 24)" and give it to whoever receives.'
        )
    return key


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; `timestamp` is in seconds since 1970."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def wait_s(tries: int) -> float:
    """How long to wait after so many tries."""
    return float(min(2.0 ** (tries - 1), LONGEST_WAIT_S))


def body_of(room: Room, message: Message, now: float) -> bytes | None:
    """Return the JSON for a message that is worth sending on; None for any other."""
    match message:
        case Final(text=text) if text:
            type, data = "room.line", {**fields_of(message), "about": room.about}
        case Key():
            type, data = "room.key", {**fields_of(message), "about": room.about}
        case Live(live=True):
            type, data = "room.live", {"speakers": message.speakers, "about": room.about}
        case Live():
            lines = [fields_of(line) for line in room.finals]
            type, data = "room.ended", {"lines": lines, "about": room.about}
        case _:
            return None
    time = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
    return msgspec.json.encode(
        {"type": type, "timestamp": time, "data": {"room": room.name, **data}}
    )


def fields_of(message: Final | Key) -> dict[str, object]:
    """A message without its type."""
    return {field: getattr(message, field) for field in message.__struct_fields__}


class Webhook:
    """Delivers messages of rooms to one address."""

    def __init__(
        self,
        url: str,
        secret: str | None,
        count: Count,
        client: httpx2.AsyncClient | None = None,
        first_wait_s: float = 1.0,
        total_limit: int = TOTAL_LIMIT,
    ) -> None:
        """Raise `UsageError` for a secret that is none. `first_wait_s` scales the waits."""
        self.url = url
        self._key = key_of(secret or "")
        self._count = count
        # Waiting for one of the client's connections is no fault of the address.
        timeout = httpx2.Timeout(TIMEOUT_S, pool=None)
        self._client = client or httpx2.AsyncClient(timeout=timeout)
        self._first_wait_s = first_wait_s
        self._waiting: dict[str, deque[Delivery]] = {}
        self._n_waiting = 0
        self._total_limit = total_limit
        self._tasks: set[asyncio.Task[None]] = set()

    def listen(self, room: Room, message: Message) -> None:
        """Take a message of a room."""
        body = body_of(room, message, time.time())
        if body is None:
            return
        waiting = self._waiting.get(room.name)
        if waiting is None:
            waiting = self._waiting[room.name] = deque()
            task = asyncio.create_task(self._deliver_all(room.name, waiting))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if len(waiting) < QUEUE_LIMIT and self._n_waiting < self._total_limit:
            waiting.append(Delivery(f"msg_{secrets.token_hex(12)}", body))
            self._n_waiting += 1
        else:
            self._count("dropped")

    async def close(self, timeout_s: float) -> None:
        """Deliver what waits, as far as there is time for it."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await self._client.aclose()

    async def _deliver_all(self, room: str, waiting: deque[Delivery]) -> None:
        """Deliver a room's messages in order, until none waits."""
        try:
            while waiting:
                self._count("delivered" if await self._deliver(waiting[0]) else "failed")
                waiting.popleft()
                self._n_waiting -= 1
        finally:
            self._n_waiting -= len(waiting)
            del self._waiting[room]

    async def _deliver(self, delivery: Delivery) -> bool:
        """Deliver a message; gives up after `TRIES`."""
        for tries in range(1, TRIES + 1):
            trouble = await self._try(delivery)
            if trouble is None:
                return True
            log.warning("the webhook did not take a message (try %d): %s", tries, trouble)
            if tries < TRIES:
                await asyncio.sleep(wait_s(tries) * self._first_wait_s)
        return False

    async def _try(self, delivery: Delivery) -> str | None:
        """Send a message; returns what went wrong, if something did."""
        now = int(time.time())
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery.id,
            "webhook-timestamp": str(now),
            "webhook-signature": signature(self._key, delivery.id, now, delivery.body),
        }
        try:
            answer = await self._client.post(self.url, content=delivery.body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            return str(error) or type(error).__name__
        return None if answer.is_success else f"HTTP {answer.status_code}"
