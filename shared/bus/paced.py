"""A consumer whose polls are paced: records wait little, and a transaction holds several."""

import asyncio
import contextlib
import math
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

LISTEN_MS: Final = 200
"""How long a poll listens at least."""
BUSY: Final = 100.0
"""Records a second from which on a service takes its time,"""
MANY: Final = 100
"""unless a poll has so many."""
HALF: Final = 0.25
"""Seconds after which what came counts half for how busy it is."""
PACE: Final = 0.03
"""Seconds from one poll to the next of a service that takes its time."""
MOMENT_MS: Final = 8
"""How long it waits for what came since the records at hand were fetched: a few answers of a broker."""


class PacedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's consumer, as FastStream had best poll it (figures: docs/speed.md).

    It listens longer than FastStream asks it to: that pauses after an empty poll, and hears nothing meanwhile. And
    where many records come one by one it takes its time: a transaction costs the same for one record as for ten, and
    services that commit as often as they can only take the processor from each other.
    """

    _not_before = 0.0
    _polled = 0.0
    _recent = 0.0

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[Any]]:
        """As aiokafka's; an empty answer takes longer, and one to a busy service comes at its pace."""
        if (pause := self._not_before - time.monotonic()) > 0:
            await asyncio.sleep(pause)
        found: dict[TopicPartition, list[Any]] = await super().getmany(
            *partitions, timeout_ms=max(timeout_ms, LISTEN_MS), max_records=max_records
        )
        count = sum(map(len, found.values()))
        if not self._takes_its_time(count):
            return found
        room = None if max_records is None else max_records - count
        if room is None or room > 0:
            # aiokafka asks for nothing more until all it has is taken: what came meanwhile is still at the broker. An
            # error must not cost the records at hand, which would not be given again; it is met at the next poll.
            with contextlib.suppress(KafkaError):
                more = await super().getmany(*partitions, timeout_ms=MOMENT_MS, max_records=room)
                for place, records in more.items():
                    found[place] = [*found.get(place, ()), *records]
        return found

    def _takes_its_time(self, count: int) -> bool:
        """Whether to look for more now and to pause before the next poll."""
        now = time.monotonic()
        self._recent = self._recent * 0.5 ** ((now - self._polled) / HALF) + count
        self._polled = now
        busy = 0 < count < MANY and self._recent > BUSY * HALF / math.log(2)
        self._not_before = now + PACE if busy else 0.0
        return busy
