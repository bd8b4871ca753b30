"""A consumer whose fetches are paced: records wait little, and a transaction holds several."""

import math
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

LISTEN_MS: Final = 200
"""How long a poll listens at least."""
BUSY: Final = 100.0
"""Records a second from which on a service takes its time,"""
MANY: Final = 100
"""unless a poll has so many."""
HALF: Final = 0.25
"""Seconds after which what came counts half for how busy it is."""
PACE_MS: Final = 25
"""How long the broker gathers records for a service that takes its time,"""
PLENTY: Final = 1 << 20
"""unless it has so many bytes."""
AT_ONCE: Final = (1, 100)
"""Bytes and milliseconds that the broker waits for otherwise: a record is given when it comes."""


class PacedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's consumer, as FastStream had best poll it (figures: docs/speed.md).

    It listens longer than FastStream asks it to: that pauses after an empty poll, and hears nothing meanwhile. And
    where many records come one by one the broker gathers them: a transaction and an answer of the broker cost the same
    for one record as for ten, and services that commit as often as they can only take the processor from each other.
    The next fetch goes out when the records of the last one are taken, so that the broker gathers while they are
    worked on.
    """

    _polled = 0.0
    _recent = 0.0

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """As aiokafka's; an empty answer takes longer, and a busy service is given what came at its pace."""
        found: dict[TopicPartition, list[Any]] = await super().getmany(
            *partitions, timeout_ms=max(timeout_ms, LISTEN_MS), max_records=max_records
        )
        # aiokafka has no way to change these later; each request is made with what they are then.
        self._fetcher._fetch_min_bytes, self._fetcher._fetch_max_wait_ms = (
            (PLENTY, PACE_MS) if self._takes_its_time(sum(map(len, found.values()))) else AT_ONCE
        )
        return found

    def _takes_its_time(self, count: int) -> bool:
        """Whether the broker is to gather what comes, after a poll that had `count` records."""
        now = time.monotonic()
        self._recent = self._recent * 0.5 ** ((now - self._polled) / HALF) + count
        self._polled = now
        return 0 < count < MANY and self._recent > BUSY * HALF / math.log(2)
