"""Counts from the broker: how far each service is behind, how many records topics hold."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.bus.markers import LOOKING, without_records

LIMIT = 10.0


async def lags(bootstrap: str, readers: Mapping[str, Sequence[str]], limit: float = LIMIT) -> dict[str, int]:
    """Records not read yet by each group of `readers` in its topics: their ends minus what the group has committed;
    nothing where only markers of transactions are left.

    Raises OSError or TimeoutError when Kafka does not answer.
    """
    async with _clients(bootstrap, limit) as (consumer, admin):
        lanes = await _lanes(admin, sorted({topic for topics in readers.values() for topic in topics}))
        every = [lane for topic in lanes.values() for lane in topic]
        ends, starts = await consumer.end_offsets(every), await consumer.beginning_offsets(every)
        found = {}
        for group, topics in readers.items():
            committed = await admin.list_consumer_group_offsets(group)
            mine = [lane for topic in topics for lane in lanes.get(topic, ())]
            positions = {lane: committed[lane].offset if lane in committed else starts[lane] for lane in mine}
            rests = {lane: (positions[lane], ends[lane]) for lane in mine if positions[lane] < ends[lane]}
            read = await without_records(consumer, rests)
            found[group] = sum(end - position for lane, (position, end) in rests.items() if lane not in read)
        return found


async def counts(bootstrap: str, topics: Sequence[str], limit: float = LIMIT) -> dict[str, int]:
    """How many records each topic holds (transaction markers included), for those that are there.

    Raises OSError or TimeoutError when Kafka does not answer.
    """
    async with _clients(bootstrap, limit) as (consumer, admin):
        lanes = await _lanes(admin, topics)
        every = [lane for topic in lanes.values() for lane in topic]
        ends, starts = await consumer.end_offsets(every), await consumer.beginning_offsets(every)
        return {topic: sum(ends[lane] - starts[lane] for lane in of_topic) for topic, of_topic in lanes.items()}


@contextlib.asynccontextmanager
async def _clients(bootstrap: str, limit: float) -> AsyncIterator[tuple[AIOKafkaConsumer, AIOKafkaAdminClient]]:
    milliseconds = int(limit * 1000)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, request_timeout_ms=milliseconds, **LOOKING)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=milliseconds)
    try:
        async with asyncio.timeout(limit):
            await consumer.start()
            await admin.start()
            yield consumer, admin
    except KafkaError as error:
        raise OSError(str(error)) from error
    finally:
        await consumer.stop()
        await admin.close()


async def _lanes(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, list[TopicPartition]]:
    described = await admin.describe_topics(list(topics))
    return {
        topic["topic"]: [TopicPartition(topic["topic"], one["partition"]) for one in topic["partitions"]]
        for topic in described
        if topic["error_code"] == 0
    }
