"""Pruning: rows that have served their time are deleted in small bites, by walking through the tables' pages.

A table is walked from its first page to its last and then again, some pages a bite. So pruning needs no index (which
every insert would pay for), a bite costs the same however large the table is, and nothing is ever deleted in one go.
Where a walk stands is a row; replicas take turns.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import asyncpg
import structlog

from shared import clock, metrics
from shared.bus import store
from shared.db import Pool

log = structlog.get_logger(__name__)

PAGES_A_BITE = 64
"""8 KiB each. At one bite in 10 s a table of 4 GiB is walked through in a day."""
_LIMIT = 10.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """Rows of a table to delete: those where `where` holds and `column` lies more than `keep` back."""

    table: str
    column: str
    keep: timedelta
    where: str = "true"


@runtime_checkable
class HasSweeps(Protocol):
    """A service with tables of its own to prune."""

    def sweeps(self) -> Sequence[Sweep]:
        """What is pruned, besides what the kit keeps."""


class Sweeper:
    """Takes one bite of each table at a time."""

    def __init__(self, service: str, pool: Pool, sweeps: Sequence[Sweep], pages: int = PAGES_A_BITE) -> None:
        self._service = service
        self._pool = pool
        self._sweeps = sweeps
        self._pages = pages

    async def run(self, stop: asyncio.Event, every: float) -> None:
        """Take a bite every so many seconds until `stop`. What fails is done in a later round."""
        while not stop.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await stop.wait()
            if stop.is_set():
                return
            try:
                await self.bite(clock.now())
            except (
                OSError,
                TimeoutError,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                log.info("not_swept", error=repr(error))

    async def bite(self, now: datetime) -> int:
        """Walk on by some pages in every table; returns how many rows were deleted. Each table has a transaction of its
        own, and a table that another process is at is left to it."""
        swept = 0
        for sweep in self._sweeps:
            async with self._pool.acquire(timeout=_LIMIT) as conn, conn.transaction():
                found = await store.sweep(conn, sweep.table, sweep.column, sweep.where, now - sweep.keep, self._pages)
            if found:
                log.debug("swept", table=sweep.table, rows=found)
                metrics.EVENTS.labels(self._service, f"swept_{sweep.table}").inc(found)
            swept += found
        return swept


def kit_sweeps(history: timedelta, letters: timedelta) -> tuple[Sweep, ...]:
    """What every service's database has: history, and dead letters that were redriven or dropped."""
    return (
        Sweep("history", "at", history),
        Sweep("dead_letter", "closed_at", letters, "state <> 'dead'"),
    )
