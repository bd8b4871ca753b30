"""When a pipeline has come to rest, seen from outside."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from cli.stack.errors import StackError
from shared.events.topics import READERS

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition
    from aiokafka.admin import AIOKafkaAdminClient

CONNECT_LIMIT = 15.0
EVERY = 0.1


class Rest:
    """Looks at the consumer groups: a service commits to Kafka only after it has published what it made of a record."""

    def __init__(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, begins: dict[TopicPartition, int]
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._begins = begins

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, kafka: str) -> AsyncIterator[Rest]:
        """Connect. Raises StackError."""
        from aiokafka import AIOKafkaConsumer, TopicPartition
        from aiokafka.admin import AIOKafkaAdminClient
        from aiokafka.errors import KafkaError

        consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        try:
            try:
                async with asyncio.timeout(CONNECT_LIMIT):
                    await consumer.start()
                    await admin.start()
                    topics = sorted({topic for read in READERS.values() for topic in read})
                    described = await admin.describe_topics(topics)
            except (KafkaError, TimeoutError, OSError) as error:
                raise StackError(f"Kafka at {kafka} does not answer ({error or type(error).__name__})") from None
            lanes = [
                TopicPartition(topic["topic"], partition["partition"])
                for topic in described
                if topic["error_code"] == 0
                for partition in topic["partitions"]
            ]
            yield cls(consumer, admin, await consumer.beginning_offsets(lanes))
        finally:
            await consumer.stop()
            await admin.close()

    async def until_quiet(self, limit: float) -> None:
        """Return once every service has read all there is, and nothing new has come of it. Raises StackError.

        That is: nobody behind, twice, with the same ends, since what had been read by the first look had been answered
        before the second. It may take `limit` seconds.
        """
        until = time.monotonic() + limit
        last: dict[TopicPartition, int] = {}
        while True:
            ends = await self._consumer.end_offsets(list(self._begins))
            behind = await self._behind(ends)
            if not behind and ends == last:
                return
            last = {} if behind else ends
            if time.monotonic() > until:
                slow = (
                    ", ".join(f"{service} by {count}" for service, count in behind.items()) or "new events all the time"
                )
                raise StackError(f"the pipeline did not come to rest in {limit:.0f} s: behind are {slow}")
            await asyncio.sleep(EVERY)

    async def _behind(self, ends: dict[TopicPartition, int]) -> dict[str, int]:
        behind: dict[str, int] = {}
        for service, topics in READERS.items():
            committed = await self._admin.list_consumer_group_offsets(service)
            count = sum(
                max(0, end - (committed[lane].offset if lane in committed else self._begins[lane]))
                for lane, end in ends.items()
                if lane.topic in topics
            )
            if count:
                behind[service] = count
        return behind
