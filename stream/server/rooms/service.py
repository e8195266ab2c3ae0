"""Who gets what is said in rooms: their readers, and the operator's webhook."""

import asyncio

from stream.config import ServerConfig
from stream.server.metrics import Metrics
from stream.server.rooms.rooms import Rooms
from stream.server.rooms.store import RoomStore
from stream.server.rooms.webhook import Webhook

WEBHOOK_CLOSE_S = 5.0
"""Seconds that the last messages have to reach the webhook when the server ends."""


class Audience:
    """The rooms of a server, with all that works for them in the background."""

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        """Raise `UsageError` where the file of rooms cannot be used."""
        self.config = config
        self.metrics = metrics
        store = RoomStore(config.rooms_file)
        self.rooms = Rooms(store, config.rooms_keep_h * 3600, config.max_readers)
        self.webhook: Webhook | None = None
        self._forgetting: asyncio.Task[None] | None = None
        metrics.readers.set_function(lambda: self.rooms.n_readers)

    def open(self) -> None:
        """Begin to work. Raises `UsageError` where the webhook's secret is none."""
        self._forgetting = asyncio.create_task(self.rooms.forget())
        if self.config.webhook_url is not None:
            self.webhook = Webhook(
                self.config.webhook_url, self.config.webhook_secret, self.metrics.count_webhook
            )
            self.rooms.listeners.append(self.webhook.listen)

    async def close(self) -> None:
        """Send what is still to be sent, as far as there is time, and let all readers go."""
        self.rooms.close()
        if self.webhook:
            await self.webhook.close(WEBHOOK_CLOSE_S)
        if self._forgetting:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
