"""From consumed records to a committed unit of work, and what happens when something fails on the way."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Protocol, runtime_checkable
from uuid import UUID, uuid4

import asyncpg
import structlog

from shared import clock, metrics, tracing
from shared.bus import redrive, store
from shared.bus.lanes import Lane, LaneLost, lane_of
from shared.bus.record import Record
from shared.bus.relay import Relay
from shared.bus.work import Work
from shared.db import Conn

log = structlog.get_logger(__name__)

INFRASTRUCTURE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # a connection that was told to end and is used before it has closed
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
    asyncpg.InternalServerError,
)
"""Errors that say nothing about the records: the batch is tried again, and no record is ever dead-lettered for them."""


class Service(Protocol):
    """What a service gives the kit."""

    name: str
    topics: tuple[str, ...]
    foreign: frozenset[str]

    async def consume(self, work: Work) -> None:
        """Handle a batch of new records."""

    async def tick(self, work: Work) -> None:
        """Handle what has become due in the work's lanes."""


@runtime_checkable
class Watcher(Protocol):
    """A service that sees other services' dead letters go back or be dropped, and takes none of them."""

    watches: bool


class GaveUp(Exception):  # noqa: N818 - the process ends with it
    """An infrastructure error that outlasted the limit: the supervisor starts the process again."""


class Pipeline:
    """Owns lanes and turns records into committed units of work, one at a time."""

    def __init__(
        self,
        service: Service,
        pool: "asyncpg.Pool[asyncpg.Record]",
        relay: Relay,
        *,
        retry_limit: float = 600.0,
        statement_limit: float = 30.0,
    ) -> None:
        self._service = service
        self._watches = isinstance(service, Watcher) and service.watches
        self._pool = pool
        self._relay = relay
        self._retry_limit = retry_limit
        self._statement_limit = statement_limit
        self._turn = asyncio.Lock()
        self._doubtful = False
        self._seen_gap: dict[tuple[str, int], tuple[int, int]] = {}
        self.owned: dict[int, Lane] = {}
        self.retrying = False
        self.lanes_in_all = 0
        self.stopping = asyncio.Event()
        self.last_progress = time.monotonic()

    def published(self, lane: int) -> int:
        """Number up to which the lane's events are in Kafka; 0 for a lane that is not ours."""
        return self._relay.published().get(lane, 0)

    async def claim(
        self, lanes: Sequence[int], fit: Callable[[dict[int, Lane]], Awaitable[None]] | None = None
    ) -> dict[int, Lane]:
        """Become the owner of the lanes and publish what their former owner left; returns where they stand. What `fit`
        raises about where they stand is raised here, and nothing has been done in them."""
        token = uuid4()
        async with self._turn:
            found = await self._claim_patiently(lanes, token)
            if fit is not None:
                await fit(found)
            self.owned.update(found)
            for lane in found.values():
                self._relay.take(lane)
        self._progressed()
        return found

    def lose(self, lanes: Iterable[int]) -> None:
        """Stop working on lanes that were revoked."""
        for lane in lanes:
            self.owned.pop(lane, None)
            self._relay.drop([lane])
        self._progressed()

    async def process(self, records: Sequence[Record], seek: Callable[[str, int, int], None]) -> None:
        """Process polled records to the end: committed, dead-lettered, or dropped where their lane is not ours.

        `seek(topic, partition, offset)` is called where the records do not join on to what is committed.
        """
        self._progressed()
        started = time.monotonic()
        delay = 0.05
        while not self.stopping.is_set():
            try:
                await self._attempt(records, seek)
            except LaneLost as lost:
                log.info("lanes_lost", lanes=sorted(lost.lanes))
                self.lose(lost.lanes)
            except INFRASTRUCTURE as error:
                self.retrying = True
                metrics.RETRIES.labels(self._service.name).inc()
                log.warning("batch_failed_will_retry", error=repr(error), records=len(records), delay=delay)
                if time.monotonic() - started > self._retry_limit:
                    raise GaveUp(repr(error)) from error
                await self._pause(delay)
                delay = min(delay * 2, 5.0)
            else:
                self.retrying = False
                self._progressed()
                return

    async def tick(self) -> None:
        """Let the service handle what is due, and clear the outbox of what was published since the last batch."""
        if not self.owned:
            return
        try:
            async with self.unit() as work:
                await self._service.tick(work)
        except LaneLost as lost:
            self.lose(lost.lanes)
        except INFRASTRUCTURE as error:
            log.warning("tick_failed_will_retry", error=repr(error))

    async def store_marks(self) -> None:
        """Store what has been published, so that the next owner publishes nothing again."""
        try:
            async with self.unit():
                pass
        except (LaneLost, *INFRASTRUCTURE) as error:
            log.info("marks_not_stored", error=repr(error))

    @asynccontextmanager
    async def unit(self, records: Sequence[Record] = ()) -> AsyncIterator[Work]:
        """Open a unit of work over the records' lanes (without records: over all lanes owned) and commit it.

        Raises:
            LaneLost: a lane has another owner; nothing was committed.
        """
        async with self._turn:
            started = time.perf_counter()
            try:
                if self._doubtful:
                    await self._read_again()
                lanes = self._lanes({r.partition for r in records} or set(self.owned))
                async with (
                    self._pool.acquire(timeout=10) as conn,
                    asyncio.timeout(self._statement_limit),
                    conn.transaction(),
                ):
                    await store.lock_lanes(conn, lanes)
                    fresh, positions, marks = self._fresh(lanes, records)
                    now = clock.now()
                    fresh = await self._without_repeated_redrives(conn, fresh, now)
                    work = Work(conn, now, fresh, self._service.name, lanes, self._target)
                    if tracing.active is not None:
                        work.hops = tracing.active.unit()
                    yield work
                    published = self._relay.published()
                    rows = {}
                    if (
                        records
                        or not work.untouched
                        or any(lane.stored_mark != published.get(n) for n, lane in lanes.items())
                    ):
                        rows = await store.save(conn, work, positions, marks, published)
            except BaseException:
                # Whether the commit went through is not known here; the next unit of work reads where the lanes stand.
                self._doubtful = True
                raise
            for number, lane in lanes.items():
                lane.emitted = rows[number].number if number in rows else lane.emitted
                lane.stored_mark = published.get(number, lane.stored_mark)
            for (topic, number), offset in positions.items():
                lanes[number].positions[topic] = offset
            for (topic, number, origin), mark in marks.items():
                lanes[number].inbox[topic, origin] = mark
            self._measure(work, records, time.perf_counter() - started)
            await self._relay.offer(rows.values())

    def _lanes(self, numbers: set[int]) -> dict[int, Lane]:
        lost = numbers - set(self.owned)
        if lost:
            raise LaneLost(lost)
        return {n: self.owned[n] for n in sorted(numbers)}

    async def _attempt(self, records: Sequence[Record], seek: Callable[[str, int, int], None]) -> None:
        """One try at a batch; a bug that shows on some record is narrowed down to that record by halving."""
        records = self._joining(records, seek)
        if not records:
            return
        try:
            async with self.unit(records) as work:
                if work.records:
                    await self._service.consume(work)
        except (LaneLost, *INFRASTRUCTURE):
            raise
        except Exception as bug:
            if len(records) > 1:
                log.warning("batch_failed_halving", error=repr(bug), records=len(records))
                half = len(records) // 2
                await self._attempt(records[:half], seek)
                await self._attempt(records[half:], seek)
                return
            log.exception("record_failed", topic=records[0].topic, lane=records[0].partition, offset=records[0].offset)
            async with self.unit(records) as work:
                for record in work.records:
                    work.dead(record, f"handler: {type(bug).__name__}: {bug}")

    def _joining(self, records: Sequence[Record], seek: Callable[[str, int, int], None]) -> list[Record]:
        """Keep the records of owned lanes that join on to the committed positions; where they do not, read again.

        A gap is legitimate where Kafka itself has one (transaction markers, expired records). It shows as the same gap
        when read again; anything else is a batch polled before the lane changed hands, or one that failed.
        """
        kept: list[Record] = []
        waiting: set[tuple[str, int]] = set()
        checked: set[tuple[str, int]] = set()
        for record in records:
            at = (record.topic, record.partition)
            if record.partition not in self.owned or at in waiting:
                continue
            if at not in checked:
                checked.add(at)
                position = self.owned[record.partition].positions.get(record.topic, 0)
                if record.offset > position and self._seen_gap.get(at) != (position, record.offset):
                    self._seen_gap[at] = (position, record.offset)
                    waiting.add(at)
                    seek(record.topic, record.partition, position)
                    continue
            kept.append(record)
        return kept

    def _fresh(
        self, lanes: dict[int, Lane], records: Sequence[Record]
    ) -> tuple[list[Record], dict[tuple[str, int], int], dict[tuple[str, int, str], int]]:
        """Drop what lies below the positions or was heard before; return the rest and where both will stand."""
        fresh: list[Record] = []
        positions: dict[tuple[str, int], int] = {}
        marks: dict[tuple[str, int, str], int] = {}
        for record in records:
            lane = lanes[record.partition]
            at = (record.topic, record.partition)
            if record.offset < positions.get(at, lane.positions.get(record.topic, 0)):
                continue
            positions[at] = record.offset + 1
            if record.redrive and (mark := redrive.read(record.redrive)):
                if mark.service == self._service.name or self._watches:
                    fresh.append(record)
                continue
            if record.topic not in self._service.foreign:
                origin, number = _origin(record)
                heard = marks.get((*at, origin), lane.inbox.get((record.topic, origin), 0))
                if number is not None and number <= heard:
                    metrics.EVENTS.labels(self._service.name, "repeated").inc()
                    continue
                if number is not None:
                    marks[*at, origin] = number
            fresh.append(record)
        return fresh, positions, marks

    async def _without_repeated_redrives(self, conn: Conn, fresh: list[Record], now: datetime) -> list[Record]:
        """Keep of the redriven records those whose dead letter is still open, each once; drop what is to be dropped."""
        letters = {
            record: (record.topic, mark.lane, mark.offset)
            for record in fresh
            if record.redrive and (mark := redrive.read(record.redrive)) and mark.service == self._service.name
        }
        if not letters:
            return fresh
        drops = {record: told for record in letters if (told := redrive.read_drop(record.headers)) is not None}
        back = [letter for record, letter in letters.items() if record not in drops]
        still_open = await store.take_redriven(conn, back, now)
        await store.drop_letters(conn, [(*letters[record], *told) for record, told in drops.items()], now)
        kept: list[Record] = []
        for record in fresh:
            letter = letters.get(record)
            if letter is not None and (record in drops or letter not in still_open):
                metrics.EVENTS.labels(self._service.name, "dropped" if record in drops else "repeated").inc()
                continue
            still_open.discard(letter or ("", 0, 0))
            kept.append(record)
        return kept

    def _target(self, key: bytes, lane: int) -> int:
        """Partition of an output: behind intake the lane itself; foreign inputs may have come on any."""
        return lane_of(key, self.lanes_in_all) if self._service.foreign else lane

    async def _claim_patiently(self, lanes: Sequence[int], token: UUID) -> dict[int, Lane]:
        started, delay = time.monotonic(), 0.05
        while True:
            try:
                return await self._claim(lanes, token)
            except INFRASTRUCTURE as error:
                if self.stopping.is_set() or time.monotonic() - started > self._retry_limit:
                    raise GaveUp(repr(error)) from error
                log.warning("claim_failed_will_retry", error=repr(error), lanes=sorted(lanes))
                await self._pause(delay)
                delay = min(delay * 2, 5.0)

    async def _claim(self, lanes: Sequence[int], token: UUID) -> dict[int, Lane]:
        async with self._pool.acquire(timeout=10) as conn, asyncio.timeout(self._statement_limit), conn.transaction():
            return await store.claim_lanes(conn, lanes, self._service.topics, token)

    async def _read_again(self) -> None:
        """After a doubtful commit: the database knows what became of it."""
        async with self._pool.acquire(timeout=10) as conn, asyncio.timeout(self._statement_limit):
            for number, lane in list(self.owned.items()):
                found = await store.read_lanes(conn, [number], lane.token)
                if number in self.owned and self.owned[number] is lane:
                    self.owned[number] = found[number]
        self._relay.reread(self.owned)
        self._doubtful = False

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            return

    def _progressed(self) -> None:
        self.last_progress = time.monotonic()
        metrics.LANES_OWNED.labels(self._service.name).set(len(self.owned))

    def _measure(self, work: Work, records: Sequence[Record], seconds: float) -> None:
        name = self._service.name
        for outcome, n in work.counts.items():
            metrics.EVENTS.labels(name, outcome).inc(n)
        for (metric, labels), n in work.tallies.items():
            metric.labels(*labels).inc(n)
        if work.hops is not None:
            work.hops.end()
        metrics.EVENTS.labels(name, "consumed").inc(len(work.records))
        metrics.EVENTS.labels(name, "emitted").inc(sum(len(events) for events in work.outgoing.values()))
        metrics.TRANSACTION_SECONDS.labels(name).observe(seconds)
        if records:
            metrics.BATCH_RECORDS.labels(name).observe(len(records))
            oldest = min(r.timestamp_ms for r in records) / 1000
            metrics.EVENT_AGE_SECONDS.labels(name).observe(max(0.0, work.now.timestamp() - oldest))


def _origin(record: Record) -> tuple[str, int | None]:
    """Origin (source and its lane) and number of one of our own events; no number where the id is not of our making."""
    lane, dash, number = record.id.partition("-")
    if dash and lane.isascii() and lane.isdigit() and number.isascii() and number.isdigit():
        return f"{record.source}:{lane}", int(number)
    return record.source, None
