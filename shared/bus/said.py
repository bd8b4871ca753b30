"""What a service has said last, by the ends of its own topics: numbers that a database which is older does not know."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.record import Record, number_of

TAIL = 100
"""How many offsets before the end are looked at. Events of one lane lie in one partition, save intake's where senders
partition otherwise than Kafka does."""
_LIMIT = 30.0


async def last_numbers(
    kafka: str, service: str, partitions: Iterable[TopicPartition], *, whole: bool = False
) -> dict[int, int]:
    """The highest number of each lane among the last events of these partitions, as committed readers have them.
    `whole`: waits for transactions that are still being finished.

    Raises:
        KafkaError, OSError, TimeoutError: Kafka does not answer, or not within 30 s.
    """
    wanted = list(partitions)
    found: dict[int, int] = {}
    async with asyncio.timeout(_LIMIT), _consumer(kafka, "read_committed") as consumer:
        begins, ends = await consumer.beginning_offsets(wanted), await consumer.end_offsets(wanted)
        if whole:
            async with _consumer(kafka, "read_uncommitted") as other:
                ends = await other.end_offsets(wanted)
        left = {tp for tp in wanted if begins[tp] < ends[tp]}
        consumer.assign(list(left))
        for tp in left:
            consumer.seek(tp, max(begins[tp], ends[tp] - TAIL))
        while left:
            for raw in [one for batch in (await consumer.getmany(timeout_ms=200)).values() for one in batch]:
                record = Record.of(raw)
                lane, number = number_of(record.id)
                if record.source == f"/makegood/{service}" and number is not None and not record.redrive:
                    found[lane] = max(found.get(lane, 0), number)
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    return found


@contextlib.asynccontextmanager
async def _consumer(kafka: str, isolation_level: str) -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=15_000,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()
