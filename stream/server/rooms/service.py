"""Starts and stops the rooms of a server: storage, deletion of old rooms, and the webhook."""

import asyncio

from stream.config import ServerConfig
from stream.server.metrics import Metrics
from stream.server.rooms.rooms import Rooms
from stream.server.rooms.store import RoomStore
from stream.server.rooms.webhook import Webhook

WEBHOOK_CLOSE_S = 5.0
"""Seconds for which closing the server waits for the last messages to the webhook."""


class RoomService:
    """The rooms of a server and their background tasks."""

    def __init__(self, config: ServerConfig, metrics: Metrics) -> None:
        """Open the storage. Raises `UsageError` if the file of rooms cannot be used."""
        self.config = config
        self.metrics = metrics
        store = RoomStore(config.rooms_file)
        self.rooms = Rooms(store, config.rooms_keep_h * 3600, config.max_readers)
        self.webhook: Webhook | None = None
        self._forgetting: asyncio.Task[None] | None = None
        metrics.readers.set_function(lambda: self.rooms.n_readers)

    def open(self) -> None:
        """Start the background tasks. Raises `UsageError` if the webhook's secret is invalid."""
        self._forgetting = asyncio.create_task(self.rooms.forget())
        if self.config.webhook_url is not None:
            self.webhook = Webhook(
                self.config.webhook_url, self.config.webhook_secret, self.metrics.count_webhook
            )
            self.rooms.subscribers.append(self.webhook.enqueue)
            self.rooms.forgetters.append(self.webhook.forget)

    async def close(self) -> None:
        """Disconnect all readers, and deliver waiting webhook messages for at most some seconds."""
        self.rooms.close()
        if self.webhook:
            await self.webhook.close(WEBHOOK_CLOSE_S)
        if self._forgetting:
            self._forgetting.cancel()
            await asyncio.gather(self._forgetting, return_exceptions=True)
