"""What the benchmark asks of Kafka: topics made and removed, ends, and everything between two ends."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

LANES = 4
"""Partitions of every topic, as deploy/topics.yaml has it."""


class TookTooLong(Exception):  # noqa: N818 - read as a sentence
    """Something that a measurement waits for has not come in time."""


@dataclass(slots=True)
class Span:
    """The records of a topic between two ends; bytes are those of key, value and headers, instants are the broker's."""

    topic: str
    records: int = 0
    bytes: int = 0
    value_bytes: int = 0
    types: Counter[str] = field(default_factory=Counter)
    first_ms: int = 0
    last_ms: int = 0
    last_ms_of: dict[str, int] = field(default_factory=dict)


class Topics:
    """A reader without a group; it looks at any topic."""

    def __init__(self, kafka: str) -> None:
        self.kafka = kafka
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=4 << 20,
        )

    @classmethod
    @asynccontextmanager
    async def of(cls, kafka: str) -> AsyncIterator["Topics"]:
        topics = cls(kafka)
        await topics._consumer.start()
        try:
            yield topics
        finally:
            await topics._consumer.stop()

    async def ends(self, *names: str) -> dict[TopicPartition, int]:
        """The end of each partition of these topics."""
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(
            [TopicPartition(name, lane) for name in names for lane in range(LANES)]
        )
        return found

    async def count(self, name: str) -> int:
        """All records that a topic ever had, transaction markers included."""
        return sum((await self.ends(name)).values())

    async def span(self, name: str, since: Mapping[TopicPartition, int]) -> Span:
        """Read a topic from `since` to its end now."""
        ends = {tp: end for tp, end in (await self.ends(name)).items() if end > since[tp]}
        found = Span(name)
        if not ends:
            return found
        self._consumer.assign(list(ends))
        for tp in ends:
            self._consumer.seek(tp, since[tp])
        async with asyncio.timeout(300):
            while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
                for tp, records in (await self._consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        if record.offset < ends[tp]:
                            _add(found, record.key, record.value, record.headers, record.timestamp)
        self._consumer.unsubscribe()
        return found


def _add(
    span: Span, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]], timestamp: int
) -> None:
    span.records += 1
    span.value_bytes += len(value or b"")
    span.bytes += len(key or b"") + len(value or b"") + sum(len(name) + len(one) for name, one in headers)
    type = next((one.decode() for name, one in headers if name == "ce_type"), "")
    span.types[type] += 1
    span.last_ms_of[type] = max(span.last_ms_of.get(type, 0), timestamp)
    span.first_ms = min(span.first_ms or timestamp, timestamp)
    span.last_ms = max(span.last_ms, timestamp)


@asynccontextmanager
async def made(kafka: str, names: Iterable[str]) -> AsyncIterator[None]:
    """Topics of LANES partitions with the broker's time stamps, removed at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka, request_timeout_ms=30_000)
    await admin.start()
    topics = sorted(set(names))
    configs = {"message.timestamp.type": "LogAppendTime"}
    try:
        await admin.create_topics([NewTopic(name, LANES, 1, topic_configs=configs) for name in topics])
        yield
        await admin.delete_topics(topics)
    finally:
        await admin.close()


async def until(condition: Callable[[], Awaitable[bool]], limit: float, what: str, *, every: float = 0.1) -> float:
    """Wait until the condition holds; seconds it took. Raises TookTooLong after `limit` seconds."""
    started = time.monotonic()
    while not await condition():
        if time.monotonic() - started > limit:
            raise TookTooLong(f"not within {limit:.0f} s: {what}")
        await asyncio.sleep(every)
    return time.monotonic() - started


async def committed_records(
    kafka: str, since: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int], limit: float = 300.0
) -> list[ConsumerRecord[bytes, bytes]]:
    """What was committed in these partitions from `since` up to `ends`, each partition's in order.

    Raises TimeoutError after `limit` seconds.
    """
    left = {lane for lane, end in ends.items() if end > since[lane]}
    found: list[ConsumerRecord[bytes, bytes]] = []
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, isolation_level="read_committed", enable_auto_commit=False, auto_offset_reset="none"
    )
    await consumer.start()
    try:
        consumer.assign(list(left))
        for lane in left:
            consumer.seek(lane, since[lane])
        async with asyncio.timeout(limit):
            while left:
                for lane, records in (await consumer.getmany(timeout_ms=200)).items():
                    found += (record for record in records if record.offset < ends[lane])
                left = {lane for lane in left if await consumer.position(lane) < ends[lane]}
    finally:
        await consumer.stop()
    return found
