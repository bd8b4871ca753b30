"""Hands committed outbox rows to a sender, each lane's in the order of its numbers.

A lane's row is sent only when the row before it has been acknowledged, so whoever reads the lane's events finds no
gap and can tell a repeat by its number. After any doubtful error the sender starts anew, and all past the last
acknowledged number is read from the outbox and sent again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import asyncpg
import structlog
from aiokafka.errors import KafkaError

from shared import metrics
from shared.bus import store
from shared.bus.lanes import Lane, LaneLost
from shared.bus.outbox import OutboxRow
from shared.bus.transactional import Abandoned
from shared.db import Pool

log = structlog.get_logger(__name__)

_ROWS_A_ROUND = 64
_QUEUE_ROWS = 256


class Sender(Protocol):
    """Brings rows to Kafka, or of their events those that are its business."""

    async def send(self, rows: Sequence[OutboxRow], owners: Mapping[int, UUID]) -> int:
        """Send the rows, in order per lane, of lanes owned under these tokens; returns how many events were sent.

        Returns once Kafka has acknowledged all; whatever it raises, the rows will be sent again.

        Raises:
            LaneLost: a lane has another owner.
        """

    def lose(self, lane: int) -> None:
        """Let go of a lane, without waiting."""

    async def start_over(self) -> None:
        """After an error: drop what may be in doubt."""

    async def close(self) -> None:
        """End."""


class Publisher:
    """Publishes the outbox rows of the lanes that this process owns, through one sender."""

    def __init__(self, service: str, pool: Pool, sender: Sender) -> None:
        self._service = service
        self._pool = pool
        self._sender = sender
        self._published: dict[int, int] = {}
        self._expected: dict[int, int] = {}
        self._tokens: dict[int, UUID] = {}
        self._queue: deque[OutboxRow] = deque()
        self._reread: set[int] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False
        self.failing_since: float | None = None

    def published(self) -> dict[int, int]:
        """Per lane, the number up to which all events are in Kafka."""
        return dict(self._published)

    def take(self, lane: Lane) -> None:
        """Take over a lane: everything past its mark is read from the outbox and published first."""
        self.drop([lane.number])
        number, published = lane.number, lane.stored_mark
        self._tokens[number] = lane.token
        self._published[number] = published
        self._expected[number] = published + 1
        self.reread([number])

    def drop(self, lanes: Iterable[int]) -> None:
        """Forget lanes that another process owns now."""
        for lane in lanes:
            self._published.pop(lane, None)
            self._expected.pop(lane, None)
            self._tokens.pop(lane, None)
            self._reread.discard(lane)
            self._sender.lose(lane)

    def reread(self, lanes: Iterable[int]) -> None:
        """Look in the outbox: a commit may have gone through without our knowing."""
        self._reread.update(lane for lane in lanes if lane in self._published)
        self._idle.clear()
        self._wake.set()

    async def offer(self, rows: Iterable[OutboxRow]) -> None:
        """Hand over rows that have just been committed; waits while too many are on their way."""
        for row in rows:
            if row.lane in self._published:
                self._queue.append(row)
        if len(self._queue) > _QUEUE_ROWS:
            self._room.clear()
        self._idle.clear()
        self._wake.set()
        await self._room.wait()

    async def drained(self) -> None:
        """Wait until all that was offered is published."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish until `stop`."""
        failures = 0
        while not self._stopping:
            if not self._queue and not self._reread:
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
                continue
            self._idle.clear()
            try:
                await self._round()
                failures, self.failing_since = 0, None
            except LaneLost as lost:
                self.drop(lost.lanes)
                await self._start_over()
            except (
                KafkaError,
                OSError,
                TimeoutError,
                Abandoned,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
                asyncpg.InternalClientError,
            ) as error:
                failures += 1
                metrics.RELAY_FAILURES.labels(self._service).inc()
                self.failing_since = self.failing_since or time.monotonic()
                log.warning("relay_failed", error=repr(error), failures=failures)
                await self._start_over()
                await asyncio.sleep(min(0.05 * 2**failures, 2.0))

    async def stop(self) -> None:
        """Stop publishing; what is not published stays in the outbox."""
        self._stopping = True
        self._wake.set()
        self._room.set()
        await self._sender.close()

    async def _round(self) -> None:
        rows = await self._next_rows()
        if not rows:
            return
        started = time.perf_counter()
        tokens = dict(self._tokens)
        sent = await self._sender.send(rows, tokens)
        for row in rows:
            # A lane that was lost and taken again meanwhile starts anew: what this round did not send, it has to.
            if row.lane in self._published and self._tokens[row.lane] == tokens.get(row.lane):
                self._published[row.lane] = max(self._published[row.lane], row.number)
        if sent:
            metrics.PUBLISHED.labels(self._service).inc(sent)
            metrics.PUBLISH_SECONDS.labels(self._service).observe(time.perf_counter() - started)

    async def _next_rows(self) -> list[OutboxRow]:
        """Rows to publish now, each lane's without a gap; a gap is filled from the outbox."""
        rows: list[OutboxRow] = []
        for lane in sorted(self._reread):
            rows += await self._from_outbox(lane)
        while self._queue and len(rows) < _ROWS_A_ROUND:
            row = self._queue.popleft()
            expected = self._expected.get(row.lane)
            if expected is None or row.number < expected:
                continue
            if row.first > expected:
                self._reread.add(row.lane)
                continue
            if row.lane in self._reread:
                continue
            rows.append(row)
            self._expected[row.lane] = row.number + 1
        if len(self._queue) <= _QUEUE_ROWS // 2:
            self._room.set()
        return rows

    async def _from_outbox(self, lane: int) -> list[OutboxRow]:
        expected, token = self._expected.get(lane), self._tokens.get(lane)
        if expected is None:
            self._reread.discard(lane)
            return []
        async with self._pool.acquire(timeout=10) as conn:
            rows = await store.unpublished(conn, lane, expected - 1, _ROWS_A_ROUND)
        if lane not in self._expected or self._tokens[lane] != token:
            return []
        if len(rows) < _ROWS_A_ROUND:
            self._reread.discard(lane)
        if rows:
            self._expected[lane] = rows[-1].number + 1
        return rows

    async def _start_over(self) -> None:
        await self._sender.start_over()
        self._queue.clear()
        self._room.set()
        for lane, published in self._published.items():
            self._expected[lane] = published + 1
        self._reread.update(self._published)
