"""A consumer whose fetches are paced, and whose records come in the order of time: records wait little, and a
transaction holds several."""

import math
import time
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.bus.held import Held, Records

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
A_PARTITION: Final = 100
"""Records of a partition from which on no more of it are taken in: what is held stays small."""
MOST: Final = 1000
"""Records of a poll that does not say how many."""
PATIENCE: Final = 2.0
"""Seconds that newer records are held back for a partition that has older ones and does not give them."""


class PacedConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's consumer, as FastStream had best poll it (figures: docs/speed.md).

    It listens longer than FastStream asks it to: that pauses after an empty poll, and hears nothing meanwhile. And
    where many records come one by one the broker gathers them: a transaction and an answer of the broker cost the same
    for one record as for ten, and services that commit as often as they can only take the processor from each other.
    The next fetch goes out when the records of the last one are taken, so that the broker gathers while they are
    worked on.

    Where more lies at the broker than a poll can give, aiokafka gives partition after partition, and a seller's answer
    is read long before its claim, to be put aside and taken up again. Here the oldest records of all partitions come
    first. Nothing rests on that: what comes early is kept until it can be taken, as ever.
    """

    _polled = 0.0
    _recent = 0.0

    def __init__(self, *topics: str, **settings: Any) -> None:
        super().__init__(*topics, **settings)
        self._held = Held()
        self._gave = 0.0
        self._given_up: set[TopicPartition] = set()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Records:
        """As aiokafka's, of all partitions; an empty answer takes longer, a busy service is given what came at its
        pace, and the oldest records come first."""
        found = await self._oldest(max(timeout_ms, LISTEN_MS), max_records or MOST)
        # aiokafka has no way to change these later; each request is made with what they are then.
        self._fetcher._fetch_min_bytes, self._fetcher._fetch_max_wait_ms = (
            (PLENTY, PACE_MS) if self._takes_its_time(sum(map(len, found.values()))) else AT_ONCE
        )
        return found

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """As aiokafka's; what is held of the partition is forgotten."""
        self._held.drop(partition)
        super().seek(partition, offset)

    async def position(self, partition: TopicPartition) -> int:
        """As aiokafka's: the offset of the next record that is given."""
        held = self._held.next_offset(partition)
        return int(await super().position(partition)) if held is None else held

    async def _oldest(self, timeout_ms: int, most: int) -> Records:
        until = await self._sure_until()
        ready = self._held.ready(until)
        if ready < most:
            await self._take_in(0 if ready else timeout_ms)
            until = await self._sure_until()
        given = self._held.give(most, until)
        now = time.monotonic()
        if given or not self._held:
            self._gave = now
        elif now - self._gave > PATIENCE:
            self._given_up |= {partition for partition, _ in await self._behind()}
        return given

    async def _take_in(self, timeout_ms: int) -> None:
        """Take over what aiokafka has fetched of the partitions of which little is held."""
        short = [partition for partition in self.assignment() if self._held.count(partition) < A_PARTITION]
        if not short and self._held:
            return
        fetched = await super().getmany(*short, timeout_ms=timeout_ms, max_records=A_PARTITION)
        if self._held.add(fetched) == A_PARTITION:  # there may be more, of the others too
            for partition in short:
                fetched |= (mine := await super().getmany(partition, max_records=A_PARTITION))
                self._held.add(mine)
        self._given_up -= fetched.keys()

    async def _sure_until(self) -> float:
        """The stamp up to which nothing older than what is held can come any more; of little all is given at once."""
        if len(self._held) < MANY:
            return math.inf
        return min((stamp for _, stamp in await self._behind()), default=math.inf)

    async def _behind(self) -> list[tuple[TopicPartition, int]]:
        """The partitions that have more than was taken in, each with a stamp before which nothing comes of it."""
        return [
            (partition, self._held.last_ms(partition))
            for partition in self.assignment() - self._given_up
            if await self._has_more(partition)
        ]

    async def _has_more(self, partition: TopicPartition) -> bool:
        end = self.last_stable_offset(partition)  # None before the first fetch, -1 where transactions are not looked at
        if end is None or end < 0:
            end = self.highwater(partition)
        return end is not None and await super().position(partition) < end

    def _takes_its_time(self, count: int) -> bool:
        """Whether the broker is to gather what comes, after a poll that had `count` records."""
        now = time.monotonic()
        self._recent = self._recent * 0.5 ** ((now - self._polled) / HALF) + count
        self._polled = now
        return 0 < count < MANY and self._recent > BUSY * HALF / math.log(2)
