"""A toy service and an owner of lanes that tests can crash at any point, on a real Kafka and a real Postgres."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared.bus.pipeline import Pipeline
from shared.bus.record import Record
from shared.bus.relay import Relay
from shared.bus.work import Work
from shared.db import Pool, connect, migrate

LANES = 2


@dataclass
class Toy:
    """Writes each value once into its table, emits it, and instructs a refund for it."""

    output: str
    refunds: str
    name: str = "toy"
    topics: tuple[str, ...] = ("toy-input",)
    foreign: frozenset[str] = frozenset({"toy-input"})
    seen: list[bytes] = field(default_factory=list)

    async def consume(self, work: Work) -> None:
        for record in work.records:
            value = record.value or b""
            if value == b"poison":
                work.dead(record, "poison", "$.value")
                continue
            if value == b"bug":
                raise ValueError("a bug that this record shows")
            await work.conn.execute("INSERT INTO applied VALUES ($1)", value.decode())
            key = record.key or b""
            work.emit(self.output, "toy.done.v1", value, key=key, subject="s", cause=record)
            work.emit(self.refunds, "refund.instructed.v1", value, key=key, subject="s", cause=record)
            work.history("toy", value.decode(), "applied", cause=record)

    async def tick(self, work: Work) -> None:
        """Nothing becomes due."""


class CutPool:
    """Lends connections whose transaction says that the connection broke although the commit went through."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.cut_next_commit = False

    @contextlib.asynccontextmanager
    async def acquire(self, timeout: float) -> AsyncIterator["_CutConnection"]:  # noqa: ASYNC109 - the pool's own signature
        async with self._pool.acquire(timeout=timeout) as conn:
            yield _CutConnection(conn, self)


class _CutConnection:
    def __init__(self, conn: object, pool: CutPool) -> None:
        self._conn = conn
        self._pool = pool

    def __getattr__(self, name: str) -> object:
        return getattr(self._conn, name)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        async with self._conn.transaction():  # type: ignore[attr-defined]  # it is asyncpg's connection
            yield
        if self._pool.cut_next_commit:
            self._pool.cut_next_commit = False
            raise ConnectionResetError("cut in the middle of COMMIT")


@dataclass
class Owner:
    """One process's pipeline and relay, in this process."""

    service: Toy
    pool: Pool
    relay: Relay
    pipeline: Pipeline
    seeks: list[tuple[str, int, int]] = field(default_factory=list)
    publishing: asyncio.Task[None] | None = None

    async def claim(self, lanes: Iterable[int] = range(LANES)) -> None:
        await self.pipeline.claim(list(lanes))

    async def process(self, records: Sequence[Record]) -> None:
        await self.pipeline.process(records, lambda *at: self.seeks.append(at))

    def publish(self) -> None:
        """Start the relay; an owner that crashed after its commit never got here."""
        self.publishing = asyncio.create_task(self.relay.run())

    async def published(self) -> None:
        assert await self.relay.drain(30), "the relay did not publish within 30 s"

    async def crash(self) -> None:
        """Stop at once: no mark stored, nothing finished."""
        if self.publishing is not None:
            self.publishing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self.publishing
        await self.relay.stop()


async def prepare(dsn: str) -> Pool:
    pool = await connect(dsn, 8, application="test")
    await migrate(pool, ["shared.bus"])
    async with pool.acquire() as conn:
        await conn.execute("CREATE TABLE IF NOT EXISTS applied (value text NOT NULL)")
    return pool


def owner(pool: Pool, kafka: str, service: Toy, *, lend_from: object | None = None) -> Owner:
    relay = Relay(service.name, kafka, pool, service.refunds)
    lender: Pool = lend_from or pool  # type: ignore[assignment]  # a CutPool lends the same way
    pipeline = Pipeline(service, lender, relay, retry_limit=20)
    pipeline.lanes_in_all = LANES
    return Owner(service, pool, relay, pipeline)


async def create_topics(kafka: str, *names: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        with contextlib.suppress(TopicAlreadyExistsError):
            await admin.create_topics([NewTopic(name, LANES, 1) for name in names])
    finally:
        await admin.close()


async def high_watermarks(kafka: str, partitions: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Where the partitions end, open transactions and their markers included.

    A `read_committed` consumer would say where the last finished transaction ends, which the broker learns of a moment
    after the producer.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        found: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return found
    finally:
        with contextlib.suppress(KafkaError):
            await consumer.stop()


async def read_all(kafka: str, topic: str, *, committed: bool = True) -> list[Record]:
    """Everything in a topic now, in order per partition."""
    partitions = [TopicPartition(topic, p) for p in range(LANES)]
    ends = await high_watermarks(kafka, partitions)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level="read_committed" if committed else "read_uncommitted",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        found: list[Record] = []
        async with asyncio.timeout(30):
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [Record.of(r) for r in records]
        return found
    finally:
        with contextlib.suppress(KafkaError):
            await consumer.stop()


def inputs(*values: bytes, lane: int = 0, first: int = 0, topic: str = "toy-input") -> list[Record]:
    return [Record(topic, lane, first + i, 0, b"m/o", value, ()) for i, value in enumerate(values)]


async def applied(pool: Pool) -> list[str]:
    async with pool.acquire() as conn:
        return [r["value"] for r in await conn.fetch("SELECT value FROM applied ORDER BY value")]


async def outbox_rows(pool: Pool) -> int:
    async with pool.acquire() as conn:
        return int(await conn.fetchval("SELECT count(*) FROM outbox"))
