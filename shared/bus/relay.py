"""The relay: carries committed events from the outbox to Kafka, each lane's in the order of its numbers.

A lane's row is sent only when the row before it has been acknowledged, so whoever reads the lane's events finds no
gap and can tell a repeat by its number. After any doubtful error the producers are dropped, new ones made, and all past
the last acknowledged number is read from the outbox and published again.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from uuid import UUID

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared import metrics
from shared.bus import store
from shared.bus.lanes import Lane
from shared.bus.outbox import OutboxRow
from shared.bus.sending import BATCH_BYTES, Addressed, all_of, close, send_in_order
from shared.bus.transactional import Abandoned, TransactionalLane

log = structlog.get_logger(__name__)

_ROWS_A_ROUND = 64
_QUEUE_ROWS = 256
_ROUND_SECONDS = 45.0
# Longer than a request may take with its retries, shorter than whoever watches loses patience.


class Relay:
    """Publishes the outbox rows of the lanes that this process owns.

    `exactly_once` names the topic that goes through a transactional producer per lane; all other topics go through one
    idempotent producer, and readers drop repeats by number.
    """

    def __init__(
        self, service: str, kafka: str, pool: "asyncpg.Pool[asyncpg.Record]", exactly_once: str | None = None
    ) -> None:
        self._service = service
        self._kafka = kafka
        self._pool = pool
        self._exactly_once = exactly_once
        self._producer: AIOKafkaProducer | None = None
        self._transactional: dict[int, TransactionalLane] = {}
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
            transactional = self._transactional.pop(lane, None)
            if transactional is not None:
                transactional.abandon()

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

    async def drain(self, limit: float) -> bool:
        """Wait until all that was offered is published; False when the limit (seconds) came first."""
        try:
            async with asyncio.timeout(limit):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

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
            except (
                KafkaError,
                OSError,
                TimeoutError,
                Abandoned,
                asyncpg.PostgresError,
                asyncpg.InterfaceError,
            ) as error:
                failures += 1
                metrics.RELAY_FAILURES.labels(self._service).inc()
                self.failing_since = self.failing_since or time.monotonic()
                log.warning("relay_failed", error=repr(error), failures=failures)
                await self._start_over()
                await asyncio.sleep(min(0.05 * 2**failures, 2.0))

    async def stop(self) -> None:
        """Stop publishing and close the producers; what is not published stays in the outbox."""
        self._stopping = True
        self._wake.set()
        self._room.set()
        lanes = list(self._transactional.values())
        await self._close_producers()
        await asyncio.gather(*(lane.closed() for lane in lanes))

    async def _round(self) -> None:
        rows = await self._next_rows()
        if not rows:
            return
        started = time.perf_counter()
        tokens = dict(self._tokens)
        to_all: list[Addressed] = []
        exact: dict[int, list[Addressed]] = defaultdict(list)
        for row in rows:
            for event in row.events:
                (exact[row.lane] if event.topic == self._exactly_once else to_all).append((row, event))
        await all_of(
            self._publish(to_all),
            *(self._instruct(lane, events) for lane, events in exact.items()),
            limit=_ROUND_SECONDS,
        )
        for row in rows:
            # A lane that was lost and taken again meanwhile starts anew: what this round did not instruct, it has to.
            if row.lane in self._published and self._tokens[row.lane] == tokens.get(row.lane):
                self._published[row.lane] = max(self._published[row.lane], row.number)
        metrics.PUBLISHED.labels(self._service).inc(sum(len(row.events) for row in rows))
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

    async def _publish(self, events: Sequence[Addressed]) -> None:
        if not events:
            return
        producer = await self._get_producer()
        by_partition: dict[TopicPartition, list[Addressed]] = defaultdict(list)
        for row, event in events:
            by_partition[TopicPartition(event.topic, event.partition)].append((row, event))
        await all_of(
            *(send_in_order(producer, self._service, tp, each) for tp, each in by_partition.items()),
            limit=_ROUND_SECONDS,
        )

    async def _instruct(self, lane: int, events: Sequence[Addressed]) -> None:
        assert self._exactly_once is not None
        transactional = self._transactional.get(lane)
        if transactional is None:
            # Starting a producer fences the lane's former one: only the owner may.
            if not await self._still_owner(lane):
                self.drop([lane])
                return
            transactional = TransactionalLane(self._service, self._kafka, self._exactly_once, lane)
            self._transactional[lane] = transactional
        await transactional.publish(events)

    async def _still_owner(self, lane: int) -> bool:
        async with self._pool.acquire(timeout=10) as conn:
            return await store.owner(conn, lane) == self._tokens.get(lane)

    async def _get_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._kafka,
                client_id=f"{self._service}-relay",
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                max_request_size=4 << 20,
                request_timeout_ms=15_000,
            )
            try:
                await producer.start()
            except BaseException:
                await close(producer)
                raise
            self._producer = producer
        return self._producer

    async def _start_over(self) -> None:
        await self._close_producers()
        self._queue.clear()
        self._room.set()
        for lane, published in self._published.items():
            self._expected[lane] = published + 1
        self._reread.update(self._published)

    async def _close_producers(self) -> None:
        for transactional in self._transactional.values():
            transactional.abandon()
        self._transactional.clear()
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer)
