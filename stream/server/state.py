"""The state of a server behind its ports: engine, streams, rooms, and whether it is ready."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from stream.config import ServerConfig
from stream.core.load import Load
from stream.core.settings import SessionTuning, for_memory
from stream.engine.engine import Engine
from stream.engine.transcriber import Transcriber
from stream.engine.voice_detectors import choose_detector
from stream.media.decoding_processes import DecodingProcesses
from stream.media.opus_packets import OpusPackets
from stream.media.remote import ContainerDecoder
from stream.protocols.interface import Closing, Service
from stream.server.blocking import run_blocking
from stream.server.connection_shares import ConnectionShares
from stream.server.load_watch import LoadWatch
from stream.server.metrics import Metrics
from stream.server.rooms.service import RoomService
from stream.server.streams.open_streams import Streams
from stream.server.streams.stream import StreamContext
from stream.server.visitors import ENDED, Visitor, Visitors

LOOK_EVERY_S = 1.0
"""Seconds between two looks at the file of keys."""

log = logging.getLogger(__name__)


class ServerState:
    """Holds the engine, the streams and the rooms of a server; opens no port."""

    def __init__(self, config: ServerConfig, tuning: SessionTuning | None = None) -> None:
        """Create the state of a server that has no model yet.

        Args:
            config: settings of the server.
            tuning: tuning of all streams and uploads; settings of `config` take precedence.

        Raises:
            UsageError: the file of rooms cannot be used.
        """
        self.config = config
        self.tuning = replace(
            tuning or SessionTuning(),
            partial_hop_ms=config.partial_hop_ms,
            commit_partials=config.partials == "model",
            max_gap_s=config.max_gap_s,
        )
        if config.encoder_memory_mb:
            self.tuning = for_memory(self.tuning)
        self.metrics = Metrics()
        self.room_service = RoomService(config, self.metrics)
        self.rooms = self.room_service.rooms
        self.visitors = Visitors(config, self.metrics, self.rooms)
        self.streams = Streams(config, self.metrics, self.visitors.keyring.signer)
        most, share = config.max_connections, config.max_per_address
        # All clients of a trusted proxy come from its address.
        self.shares = ConnectionShares(most, share or (most if config.trust_proxy else None))
        self.decoders = DecodingProcesses(config.max_sessions + config.max_uploads)
        self.draining = False
        self.uploads = ConnectionShares(config.max_uploads, config.max_per_address)
        """Recordings that are being received or transcribed."""
        self.engine: Engine | None = None
        self.service: Service | None = None
        self.load_watch: LoadWatch | None = None
        self._watching: list[asyncio.Task[None]] = []

    async def start_engine(self, load: Callable[[], Transcriber]) -> None:
        """Load the model, start the engine and admit clients.

        Args:
            load: returns a transcriber that is warmed up; called on a thread.
        """
        config = self.config
        detector = choose_detector(config.vad, config.vad_aggressiveness)
        transcriber = await run_blocking(load)
        self.service = Service(
            model=transcriber.name,
            languages=transcriber.languages,
            max_frame_bytes=config.max_frame_bytes,
            max_ahead_s=config.max_ahead_s,
            idle_s=config.idle_s,
            tuning=self.tuning,
            detector=detector,
            resume_token=self.streams.parked.token,
            container=partial(ContainerDecoder, self.decoders),
            opus=OpusPackets,
            token_bytes=transcriber.token_bytes,
            wall_time=time.time,
        )
        self.load_watch = LoadWatch(self.metrics, self._announce_load, config.when_busy == "shed")
        self.engine = Engine(transcriber, config.max_batch, self.load_watch.receive_batch)
        self.metrics.watch(self.engine)
        self.engine.start()
        self._watching = [
            asyncio.create_task(self.load_watch.watch(self.engine)),
            asyncio.create_task(self._watch_keys()),
        ]
        self.metrics.ready.set(1)

    @property
    def ready(self) -> bool:
        """Whether clients are admitted."""
        return self.engine is not None and not self.draining

    @property
    def too_busy(self) -> bool:
        """Whether the engine is so far behind that new streams are refused."""
        return self.load_watch is not None and not self.load_watch.rung.admits

    @property
    def load(self) -> Load:
        """What streams omit at present because the server is busy."""
        return self.load_watch.rung.load if self.load_watch else Load.NORMAL

    def stream_context(self, visitor: Visitor) -> StreamContext:
        """Return the objects that all streams share, and the client; the server must be ready."""
        assert self.engine
        return StreamContext(
            self.engine, self.config, self.metrics, self.rooms, lambda: self.load, visitor
        )

    async def drain(self, closing: Closing) -> None:
        """Stop admitting clients, and wait until all streams have their finals and are closed.

        Args:
            closing: close code and reason of the streams.
        """
        self.draining = True
        self.metrics.ready.set(0)
        log.info("draining %d streams", len(self.streams))
        for stream in self.streams:
            stream.finish(closing)
        await self.streams.closed()
        await self.streams.parked.drain()
        self.rooms.end_readers()

    async def close(self, closing: Closing) -> None:
        """Close the remaining streams at once with `closing`, then the rooms and their readers."""
        self.draining = True
        for stream in self.streams:
            stream.cut(closing)
        await self.streams.closed()
        await self.streams.parked.close(closing)
        await self.room_service.close()

    async def stop_engine(self) -> None:
        """Stop watching load and keys, close the audit log, and stop the engine.

        The engine finishes its current batches; queued windows are dropped.
        """
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        self.visitors.audit.close()
        if self.engine:
            await run_blocking(partial(self.engine.stop, drain=False))

    async def _watch_keys(self) -> None:
        """Read the file of keys again whenever it changes; runs until it is cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self.look_at_keys()

    def look_at_keys(self) -> None:
        """Read the keys again if they changed; end streams and readers whose key is not valid."""
        self.visitors.keyring.reload_if_changed()
        for stream in self.streams:
            if not stream.visitor.still_welcome:
                stream.fail("not_allowed", ENDED)
        self.streams.parked.give_up_unwelcome()
        self.rooms.end_unwelcome_readers()

    def _announce_load(self, load: Load) -> None:
        """Pass the new load to every open stream, which applies it and reports it to the client."""
        log.info("load: %s", load.value)
        for stream in self.streams:
            stream.receive_load(load)
