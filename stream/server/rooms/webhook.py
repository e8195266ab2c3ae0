"""Delivers the finals of rooms to a URL of the operator by HTTP POST.

Requests are signed and retried as https://www.standardwebhooks.com specifies, so that its libraries
can verify them. Each room has a queue, which is delivered in order and never delays a stream. If a
queue is full because the URL does not respond, new messages are dropped and counted.
"""

import asyncio
import base64
import binascii
import hmac
import logging
import secrets
import time
from collections import Counter, deque
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
"""Prefix of a secret in the standard; the rest is base64."""

TIMEOUT_S = 10.0
"""Timeout of a request, in seconds."""

TRIES = 10
"""Attempts to deliver a message; the waits between them add up to six minutes."""

LONGEST_WAIT_S = 120.0

QUEUE_LIMIT = 1000
"""Messages in the queue of a room: about an hour of speech."""

TOTAL_QUEUE_LIMIT = 20_000
"""Messages in all queues, for any number of rooms."""

QUEUE_BYTES = 8 << 20
"""Bytes of the messages in the queue of a room. A longer message is delivered if no other waits."""

TOTAL_QUEUE_BYTES = 64 << 20
"""Bytes of the messages in all queues."""

Count = Callable[[str], None]
"""Called with `delivered`, `failed` or `dropped` for each message."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message to deliver; its id is the same for all attempts."""

    id: str
    body: bytes


def key_of(secret: str) -> bytes:
    """Decode the key of a secret. Raises `UsageError` if it is not 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not 24 <= len(key) <= 64:
        raise UsageError(
            "webhook_secret is missing or too short; make one with"
            ' echo "whsec_$(openssl rand -base64 24)" and configure the receiver with it.'
        )
    return key


def signature(key: bytes, id: str, timestamp: int, body: bytes) -> str:
    """Return the value of `webhook-signature`; `timestamp` is in seconds since 1970."""
    signed = f"{id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def wait_s(tries: int) -> float:
    """Return the seconds to wait after the given number of failed attempts."""
    return float(min(2.0 ** (tries - 1), LONGEST_WAIT_S))


def body_of(room: Room, message: Message, now: float) -> bytes | None:
    """Return the JSON body of a message; None if the webhook does not send it."""
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
    """Return the fields of a message, without its type."""
    return {field: getattr(message, field) for field in message.__struct_fields__}


class Webhook:
    """Delivers the messages of all rooms to one URL."""

    def __init__(
        self,
        url: str,
        secret: str | None,
        count: Count,
        client: httpx2.AsyncClient | None = None,
        first_wait_s: float = 1.0,
        total_limit: int = TOTAL_QUEUE_LIMIT,
    ) -> None:
        """Prepare to deliver.

        Args:
            url: where to send the requests.
            secret: signs the requests.
            count: counts the outcome of each message.
            client: HTTP client; a new one if None.
            first_wait_s: scales the waits between attempts.
            total_limit: messages in all queues, at most.

        Raises:
            UsageError: the secret is missing or invalid.
        """
        self.url = url
        self._key = key_of(secret or "")
        self._count = count
        # Waiting for a free connection of the client must not count as a timeout of the URL.
        timeout = httpx2.Timeout(TIMEOUT_S, pool=None)
        self._client = client or httpx2.AsyncClient(timeout=timeout)
        self._first_wait_s = first_wait_s
        self._queues: dict[str, deque[Delivery]] = {}
        self._n_queued = 0
        self._bytes: Counter[str] = Counter()
        """Bytes of the messages in each queue, by the name of the room."""
        self._total_limit = total_limit
        self._tasks: dict[asyncio.Task[None], str] = {}
        """The tasks that deliver queues, with the names of their rooms."""

    def enqueue(self, room: Room, message: Message) -> None:
        """Queue a message of a room, and start a task that delivers the queue if there is none."""
        body = body_of(room, message, time.time())
        if body is None:
            return
        queue = self._queues.get(room.name)
        if queue is None:
            queue = self._queues[room.name] = deque()
            task = asyncio.create_task(self._deliver_all(room.name, queue))
            self._tasks[task] = room.name
            task.add_done_callback(self._tasks.pop)
        full = self._n_queued >= self._total_limit or self._bytes.total() > TOTAL_QUEUE_BYTES
        if full or (queue and not self._has_space(room.name, len(queue), len(body))):
            self._count("dropped")
            return
        queue.append(Delivery(f"msg_{secrets.token_hex(12)}", body))
        self._n_queued += 1
        self._bytes[room.name] += len(body)

    def _has_space(self, room: str, n_queued: int, n_bytes: int) -> bool:
        """Return whether one more message fits into the queue of a room."""
        return n_queued < QUEUE_LIMIT and self._bytes[room] + n_bytes <= QUEUE_BYTES

    def forget(self, room: str) -> None:
        """Drop the messages of a room that were not delivered."""
        queue = self._queues.pop(room, deque())
        del self._bytes[room]
        self._n_queued -= len(queue)
        while queue:
            queue.pop()
            self._count("dropped")
        for task, name in list(self._tasks.items()):
            if name == room:
                task.cancel()

    async def close(self, timeout_s: float) -> None:
        """Deliver the queued messages for at most `timeout_s`, then close the client."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        for task in list(self._tasks):
            task.cancel()
        await self._client.aclose()

    async def _deliver_all(self, room: str, queue: deque[Delivery]) -> None:
        """Deliver the queue of a room in order, until it is empty."""
        try:
            while queue:
                self._count("delivered" if await self._deliver(queue[0]) else "failed")
                if queue:  # the room may have been deleted meanwhile
                    self._bytes[room] -= len(queue.popleft().body)
                    self._n_queued -= 1
        finally:
            self._n_queued -= len(queue)
            if self._queues.get(room) is queue:
                del self._queues[room]
                del self._bytes[room]

    async def _deliver(self, delivery: Delivery) -> bool:
        """Deliver a message in up to `TRIES` attempts; return whether one succeeded."""
        for tries in range(1, TRIES + 1):
            problem = await self._try(delivery)
            if problem is None:
                return True
            log.warning("a webhook request failed (attempt %d): %s", tries, problem)
            if tries < TRIES:
                await asyncio.sleep(wait_s(tries) * self._first_wait_s)
        return False

    async def _try(self, delivery: Delivery) -> str | None:
        """Send one request; return the error as text, or None if it succeeded."""
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
