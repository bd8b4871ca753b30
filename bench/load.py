"""The load generator: record batches built beforehand and poured in behind a window, or claims one by one at a rate."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import islice

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from bench.topics import LANES
from bench.workload import Claim, Event
from shared.bus import lane_of

SLICE = 500
"""Claims in one go: their record batches are sent together."""
BATCH_BYTES = 500_000

TopicOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some claims' record batches by topic and partition."""

    claims: int
    batches: Sequence[tuple[str, int, BatchBuilder]]


class Loader:
    """A producer that sends what was built for it."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    @classmethod
    @asynccontextmanager
    async def of(cls, kafka: str) -> AsyncIterator["Loader"]:
        producer = AIOKafkaProducer(
            bootstrap_servers=kafka, acks="all", linger_ms=0, max_batch_size=BATCH_BYTES, max_request_size=4 << 20
        )
        await producer.start()
        try:
            yield cls(producer)
        finally:
            await producer.stop()

    def built(self, claims: Iterable[Claim], topic_of: TopicOf = str, *, before: bool = False) -> list[Slice]:
        """The claims in slices; `before` takes what is published before the clock starts."""
        slices = []
        waiting = iter(claims)
        while some := list(islice(waiting, SLICE)):
            events = [event for claim in some for event in (claim.before if before else claim.after)]
            slices.append(Slice(len(some), self._batches(events, topic_of)))
        return slices

    async def send(self, one: Slice) -> None:
        """Send a slice; returns when the broker has it."""
        sent = [await self._producer.send_batch(batch, topic, partition=lane) for topic, lane, batch in one.batches]
        await asyncio.gather(*sent)

    async def pour(self, slices: Sequence[Slice], done: Callable[[], Awaitable[float]], window: int) -> None:
        """Send all slices, never more than `window` claims ahead of those that are `done`."""
        sent = 0
        finished = 0.0
        for one in slices:
            while sent - finished > window:
                finished = await done()
                if sent - finished > window:
                    await asyncio.sleep(0.05)
            await self.send(one)
            sent += one.claims

    async def pace(self, claims: Iterable[Claim], rate: float) -> dict[str, float]:
        """Publish `rate` claims a second, each with what follows it; the instant when each was due, by claim id."""
        due: dict[str, float] = {}
        started = time.time()
        acknowledged: list[Awaitable[object]] = []
        for n, claim in enumerate(claims):
            at = started + n / rate
            if (wait := at - time.time()) > 0:
                await asyncio.sleep(wait)
            due[claim.claim_id] = at
            for event in claim.after:
                acknowledged.append(
                    await self._producer.send(
                        event.topic,
                        event.value,
                        key=event.key,
                        headers=event.headers,
                        partition=lane_of(event.key, LANES),
                    )
                )
        await asyncio.gather(*acknowledged)
        return due

    def _batches(self, events: Iterable[Event], topic_of: TopicOf) -> list[tuple[str, int, BatchBuilder]]:
        lanes: dict[bytes, int] = {}
        found: list[tuple[str, int, BatchBuilder]] = []
        open_batches: dict[tuple[str, int], BatchBuilder] = {}
        for event in events:
            lane = lanes.get(event.key)
            if lane is None:
                lane = lanes[event.key] = lane_of(event.key, LANES)
            at = (topic_of(event.topic), lane)
            batch = open_batches.get(at)
            if (
                batch is None
                or batch.append(timestamp=None, key=event.key, value=event.value, headers=event.headers) is None
            ):
                batch = open_batches[at] = self._producer.create_batch()
                found.append((*at, batch))
                batch.append(timestamp=None, key=event.key, value=event.value, headers=event.headers)
        for _, _, batch in found:
            batch.close()
        return found
