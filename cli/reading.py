"""Reading topics from outside, as any client could: committed records, no consumer group, every wait with a limit."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cli.stack.errors import StackError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

CONNECT_LIMIT = 15.0
POLL_MS = 200
STRUCTURED = "application/cloudevents+json"


@dataclass(frozen=True)
class Seen:
    """A record as it lies on its topic. `data` is null where the value is not a JSON object."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Mapping[str, bytes] = field(hash=False)

    @classmethod
    def of(cls, record: ConsumerRecord[bytes, bytes]) -> Seen:
        """What a consumer gave."""
        return cls(
            record.topic,
            record.partition,
            record.offset,
            record.timestamp,
            record.key,
            record.value,
            {name.lower(): value or b"" for name, value in reversed(record.headers)},
        )

    @property
    def written_at(self) -> datetime:
        return datetime.fromtimestamp(self.timestamp_ms / 1000, UTC)

    @property
    def type(self) -> str:
        return self.attribute("type")

    @property
    def id(self) -> str:
        return self.attribute("id")

    @cached_property
    def _tree(self) -> dict[str, Any] | None:
        try:
            tree = json.loads(self.value or b"")
        except (ValueError, RecursionError):
            return None
        return tree if isinstance(tree, dict) else None

    @property
    def _structured(self) -> bool:
        return self.header("content-type").lower().startswith(STRUCTURED)

    @property
    def data(self) -> dict[str, Any] | None:
        """The event's data, in binary or structured mode."""
        if not self._structured or self._tree is None:
            return self._tree
        inner = self._tree.get("data")
        return inner if isinstance(inner, dict) else None

    def header(self, name: str) -> str:
        """A header as text, "" where it is missing."""
        return self.headers.get(name, b"").decode(errors="replace")

    def attribute(self, name: str) -> str:
        """An attribute of the event, "" where it is missing."""
        if self._structured and self._tree is not None:
            return str(self._tree.get(name, ""))
        return self.header(f"ce_{name}")


class Topics:
    """An open look at some topics: `async with Topics.open(kafka, names) as topics`. Missing topics are left out.

    Raises StackError where Kafka does not answer.
    """

    def __init__(self, consumer: AIOKafkaConsumer, lanes: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self.lanes = lanes

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, kafka: str, names: Iterable[str]) -> AsyncIterator[Topics]:
        """Connect and find the partitions; positioned at the end."""
        from aiokafka import AIOKafkaConsumer, TopicPartition
        from aiokafka.admin import AIOKafkaAdminClient
        from aiokafka.errors import KafkaError

        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        try:
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    await consumer.start()
                    await admin.start()
                    described = await admin.describe_topics(sorted(set(names)))
                    lanes = [
                        TopicPartition(topic["topic"], partition["partition"])
                        for topic in described
                        if topic["error_code"] == 0
                        for partition in topic["partitions"]
                    ]
                    consumer.assign(lanes)
                    if lanes:
                        await consumer.seek_to_end(*lanes)
            except (KafkaError, TimeoutError, OSError) as error:
                raise StackError(f"Kafka at {kafka} does not answer ({error or type(error).__name__})") from None
            yield cls(consumer, lanes)
        finally:
            await consumer.stop()
            await admin.close()

    async def ends(self) -> dict[TopicPartition, int]:
        """The end of each lane, as far as records are committed."""
        found: dict[TopicPartition, int] = await self._consumer.end_offsets(list(self.lanes))
        return found

    async def rewind(self) -> None:
        """To the beginning."""
        if self.lanes:
            await self._consumer.seek_to_beginning(*self.lanes)

    async def poll(self, timeout_ms: int = POLL_MS) -> list[Seen]:
        """What came since the last poll, waiting at most that long."""
        if not self.lanes:
            return []
        batches = await self._consumer.getmany(timeout_ms=timeout_ms)
        return [Seen.of(record) for batch in batches.values() for record in batch]

    async def to_the_end(self, limit: float) -> AsyncIterator[Seen]:
        """Everything from where it stands up to what is there now. Raises StackError after `limit` seconds."""
        ends = await self.ends()
        until = time.monotonic() + limit
        left = set(ends)
        while left:
            for one in await self.poll():
                yield one
            for lane in list(left):
                if await self._consumer.position(lane) >= ends[lane]:
                    left.discard(lane)
            if left and time.monotonic() > until:
                raise StackError(f"reading the topics took more than {limit:.0f} s")


async def all_of(kafka: str, names: Iterable[str], limit: float = 60.0) -> list[Seen]:
    """Every committed record of some topics, each lane's in order."""
    async with Topics.open(kafka, names) as topics:
        await topics.rewind()
        return [one async for one in topics.to_the_end(limit)]
