"""Gauges that are read out of the service's database, every few seconds and never more than one query each."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Protocol, runtime_checkable

import asyncpg
import structlog

from shared import clock, metrics
from shared.bus import store
from shared.bus.pipeline import INFRASTRUCTURE, Pipeline, Service
from shared.db import Conn, Pool

log = structlog.get_logger(__name__)

MOST = 10_000
"""Rows that a read-out counts at most: what is more is more than enough to act on."""
_LIMIT = 5.0


@runtime_checkable
class HasGauges(Protocol):
    """A service with gauges of its own in its database."""

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set them for these lanes, one bounded query each; returns how many seconds its oldest timer is overdue."""


class Readout:
    """Sets the gauges of one process. While the database does not answer they stay; the outbox's age goes on rising."""

    def __init__(self, service: Service, pool: Pool, pipeline: Pipeline) -> None:
        self._service = service
        self._pool = pool
        self._pipeline = pipeline
        self._oldest: datetime | None = None

    async def run(self, stop: asyncio.Event, every: float) -> None:
        """Read out every so many seconds until `stop`."""
        while not stop.is_set():
            try:
                await self.once()
            except (*INFRASTRUCTURE, asyncpg.PostgresError) as error:
                log.info("gauges_not_read_out", error=repr(error))
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await stop.wait()

    async def once(self) -> None:
        """Read out now."""
        name, owned, now = self._service.name, dict(self._pipeline.owned), clock.now()
        published = {n: self._pipeline.published(n) for n in owned}
        waiting = {n: published[n] for n, lane in owned.items() if lane.emitted > published[n]}
        metrics.OUTBOX_EVENTS.labels(name).set(sum(owned[n].emitted - at for n, at in waiting.items()))
        if not waiting:
            self._oldest = None
        try:
            async with self._pool.acquire(timeout=_LIMIT) as conn, asyncio.timeout(_LIMIT):
                if waiting:
                    self._oldest = await store.oldest_unpublished(conn, waiting)
                lanes = sorted(owned)
                metrics.DEAD_LETTERS_OPEN.labels(name).set(await store.dead_letters_open(conn, lanes, MOST))
                if isinstance(self._service, HasGauges):
                    late = await self._service.read_out(conn, lanes, now)
                    metrics.TIMER_LAG_SECONDS.labels(name).set(late)
        finally:
            age = 0.0 if self._oldest is None else max(0.0, (now - self._oldest).total_seconds())
            metrics.OUTBOX_OLDEST_SECONDS.labels(name).set(age)
