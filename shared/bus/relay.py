"""The relay: carries committed events from the outbox to Kafka.

Two publishers read the same rows side by side, each with its own mark: one for the topics whose readers drop repeats by
number, one for the topic that has every event exactly once. A row is done when both are past it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from aiokafka import AIOKafkaProducer, TopicPartition

from shared.bus import store
from shared.bus.lanes import Lane, LaneLost
from shared.bus.outbox import OutboxRow
from shared.bus.publisher import Publisher
from shared.bus.sending import BATCH_BYTES, Addressed, all_of, close, send_in_order
from shared.bus.transactional import TransactionalLane
from shared.db import Pool

_ROUND_SECONDS = 45.0
# Longer than a request may take with its retries, shorter than whoever watches loses patience.


class Relay:
    """Publishes the outbox rows of the lanes that this process owns.

    `exactly_once` names the topic that goes through a transactional producer per lane; all other topics go through one
    idempotent producer.
    """

    def __init__(self, service: str, kafka: str, pool: Pool, exactly_once: str | None = None) -> None:
        self._publishers = [Publisher(service, pool, Repeating(service, kafka, besides=exactly_once))]
        if exactly_once is not None:
            self._publishers.append(Publisher(service, pool, ExactlyOnce(service, kafka, pool, exactly_once)))

    @property
    def failing_since(self) -> float | None:
        """Since when nothing could be published (monotonic seconds); null: it works."""
        return min((p.failing_since for p in self._publishers if p.failing_since is not None), default=None)

    def published(self) -> dict[int, int]:
        """Per lane, the number up to which all events are in Kafka."""
        marks = [publisher.published() for publisher in self._publishers]
        return {lane: min(mark[lane] for mark in marks) for lane in set.intersection(*map(set, marks))}

    def take(self, lane: Lane) -> None:
        """Take over a lane: everything past its mark is read from the outbox and published first."""
        for publisher in self._publishers:
            publisher.take(lane)

    def drop(self, lanes: Iterable[int]) -> None:
        """Forget lanes that another process owns now."""
        lost = list(lanes)
        for publisher in self._publishers:
            publisher.drop(lost)

    def reread(self, lanes: Iterable[int]) -> None:
        """Look in the outbox: a commit may have gone through without our knowing."""
        doubtful = list(lanes)
        for publisher in self._publishers:
            publisher.reread(doubtful)

    async def offer(self, rows: Iterable[OutboxRow]) -> None:
        """Hand over rows that have just been committed; waits while too many are on their way."""
        committed = list(rows)
        for publisher in self._publishers:
            await publisher.offer(committed)

    async def drain(self, limit: float) -> bool:
        """Wait until all that was offered is published; False when the limit (seconds) came first."""
        try:
            async with asyncio.timeout(limit):
                for publisher in self._publishers:
                    await publisher.drained()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Publish until `stop`."""
        async with asyncio.TaskGroup() as group:
            for publisher in self._publishers:
                group.create_task(publisher.run())

    async def stop(self) -> None:
        """Stop publishing and close the producers; what is not published stays in the outbox."""
        await asyncio.gather(*(publisher.stop() for publisher in self._publishers))


class Repeating:
    """Sends all but one topic through an idempotent producer; after a crash, some events come again."""

    def __init__(self, service: str, kafka: str, besides: str | None = None) -> None:
        self._service = service
        self._kafka = kafka
        self._besides = besides
        self._producer: AIOKafkaProducer | None = None

    async def send(self, rows: Sequence[OutboxRow], owners: Mapping[int, UUID]) -> int:
        """Send the rows' events, partition by partition in order."""
        by_partition: dict[TopicPartition, list[Addressed]] = defaultdict(list)
        for row in rows:
            for event in row.events:
                if event.topic != self._besides:
                    by_partition[TopicPartition(event.topic, event.partition)].append((row, event))
        if not by_partition:
            return 0
        producer = await self._get_producer()
        await all_of(
            *(send_in_order(producer, self._service, tp, each) for tp, each in by_partition.items()),
            limit=_ROUND_SECONDS,
        )
        return sum(len(events) for events in by_partition.values())

    def lose(self, lane: int) -> None:
        """Nothing is kept for a lane."""

    async def start_over(self) -> None:
        """Drop the producer."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await close(producer)

    async def close(self) -> None:
        """Close the producer."""
        await self.start_over()

    async def _get_producer(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._kafka,
                client_id=f"{self._service}-relay",
                enable_idempotence=True,
                acks="all",
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                max_request_size=4 << 20,
                request_timeout_ms=15_000,
            )
            try:
                await producer.start()
            except BaseException:
                await close(producer)
                raise
            self._producer = producer
        return self._producer


class ExactlyOnce:
    """Sends one topic's events through a transactional producer per lane."""

    def __init__(self, service: str, kafka: str, pool: Pool, topic: str) -> None:
        self._service = service
        self._kafka = kafka
        self._pool = pool
        self._topic = topic
        self._lanes: dict[int, TransactionalLane] = {}
        self._closing: list[TransactionalLane] = []

    async def send(self, rows: Sequence[OutboxRow], owners: Mapping[int, UUID]) -> int:
        """Send the rows' events of the topic, lane by lane, each lane's in one Kafka transaction."""
        by_lane: dict[int, list[Addressed]] = defaultdict(list)
        for row in rows:
            for event in row.events:
                if event.topic == self._topic:
                    by_lane[row.lane].append((row, event))
        await all_of(
            *(self._instruct(lane, events, owners.get(lane)) for lane, events in by_lane.items()),
            limit=_ROUND_SECONDS,
        )
        return sum(len(events) for events in by_lane.values())

    def lose(self, lane: int) -> None:
        """Let go of a lane's producer; an open transaction is aborted."""
        transactional = self._lanes.pop(lane, None)
        if transactional is not None:
            transactional.abandon()
            self._closing = [one for one in self._closing if not one.is_closed]
            self._closing.append(transactional)

    async def start_over(self) -> None:
        """Drop all lanes' producers."""
        for lane in list(self._lanes):
            self.lose(lane)

    async def close(self) -> None:
        """Close all lanes' producers and wait for them."""
        await self.start_over()
        await asyncio.gather(*(transactional.closed() for transactional in self._closing))

    async def _instruct(self, lane: int, events: Sequence[Addressed], owner: UUID | None) -> None:
        transactional = self._lanes.get(lane)
        if transactional is None:
            # Starting a producer fences the lane's former one: only the owner may.
            if owner is None or not await self._is_owner(lane, owner):
                raise LaneLost([lane])
            transactional = self._lanes[lane] = TransactionalLane(self._service, self._kafka, self._topic, lane)
        await transactional.publish(events)

    async def _is_owner(self, lane: int, owner: UUID) -> bool:
        async with self._pool.acquire(timeout=10) as conn:
            return await store.owner(conn, lane) == owner
