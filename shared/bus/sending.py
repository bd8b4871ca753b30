"""Sending events in record batches, the same for both kinds of producer."""

import asyncio
from collections.abc import Coroutine, Sequence

import structlog
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared.bus.outbox import OutboxRow, Outgoing, kafka_headers

log = structlog.get_logger(__name__)

BATCH_BYTES = 900_000
"""Largest record batch: under the topics' limit of 1 MiB; a larger single record travels alone."""

Addressed = tuple[OutboxRow, Outgoing]


async def send_in_order(
    producer: AIOKafkaProducer, service: str, tp: TopicPartition, events: Sequence[Addressed]
) -> None:
    """Send one partition's events in record batches, the next only when the one before is acknowledged."""
    batch = producer.create_batch()
    for row, event in events:
        headers = kafka_headers(service, row.lane, event, row.written_at)
        at = int(row.written_at.timestamp() * 1000)
        if batch.append(timestamp=at, key=event.key, value=event.value, headers=headers) is None:
            await (await producer.send_batch(batch, tp.topic, partition=tp.partition))
            batch = producer.create_batch()
            batch.append(timestamp=at, key=event.key, value=event.value, headers=headers)
    await (await producer.send_batch(batch, tp.topic, partition=tp.partition))


async def all_of(*work: Coroutine[None, None, None], limit: float) -> None:
    """Wait for all of them to end, then raise what went wrong in the first that failed.

    Raises:
        TimeoutError: some had not ended after `limit` seconds. They are cancelled and not waited for: a producer whose
            broker is gone may wait in its own clean-up.
    """
    if not work:
        return
    tasks = [asyncio.ensure_future(one) for one in work]
    for task in tasks:  # only the first error is raised: nobody asks for the others
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait(tasks, timeout=limit)
    finally:
        pending = [task for task in tasks if not task.done()]
        for task in pending:
            task.cancel()
    for task in tasks:
        if task.done() and not task.cancelled() and (error := task.exception()) is not None:
            raise error
    if pending:
        raise TimeoutError(f"{len(pending)} sends had not ended after {limit:g} s")


async def close(producer: AIOKafkaProducer) -> None:
    """Stop a producer, waiting 5 s at most."""
    try:
        async with asyncio.timeout(5):
            await producer.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.info("producer_closed_badly", error=repr(error))
