"""Offsets that no reader is given: a topic written in transactions holds their markers, and records of aborted ones."""

import time
from collections.abc import Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

LOOKING: Final[Mapping[str, Any]] = {
    "isolation_level": "read_committed",
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",  # where a position is no longer there
    "max_partition_fetch_bytes": 1024,  # as much as it takes to see that there is a record
}
"""Options of the consumer of `without_records`, which is of no group."""


async def without_records(
    consumer: AIOKafkaConsumer, rests: Mapping[TopicPartition, tuple[int, int]], limit: float = 1.0
) -> set[TopicPartition]:
    """Those partitions in which no record is left from a position up to an end (`rests`: both, the end not included).

    `consumer` (made with `LOOKING`) is assigned these partitions. What is not known after `limit` seconds is taken for
    records.

    Raises:
        KafkaError: Kafka does not answer.
    """
    waiting = {tp for tp, (position, end) in rests.items() if position < end}
    found = set(rests) - waiting
    consumer.assign(sorted(waiting))
    for tp in waiting:
        consumer.seek(tp, rests[tp][0])
    until = time.monotonic() + limit
    try:
        while waiting and time.monotonic() < until:
            given = await consumer.getmany(*waiting, timeout_ms=50)
            waiting -= {tp for tp, records in given.items() if records and records[0].offset < rests[tp][1]}
            passed = {tp for tp in waiting if await consumer.position(tp) >= rests[tp][1]}
            found |= passed
            waiting -= passed
    finally:
        consumer.pause(*consumer.assignment())  # or it would go on fetching
    return found
