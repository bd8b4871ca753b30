"""Intake's processes, without Kafka: records are handed in, what they lead to is read from the outbox."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from services.intake.handlers import Intake
from shared.bus import Record
from shared.bus.outbox import Outgoing
from shared.bus.pipeline import Pipeline
from shared.bus.relay import Relay
from shared.bus.store import unpublished
from shared.db import Pool
from shared.events import ClaimDecided, parse_data
from tests.intake_samples import Sample, in_short
from tests.unit.test_intake_admit import CURRENCIES

LANES = 4
PACKAGES = ["shared.bus", "services.intake"]


class Topics:
    """The input topics: gives each record its place."""

    def __init__(self) -> None:
        self._next: dict[tuple[str, int], int] = defaultdict(int)
        self._ids = itertools.count(1)

    def put(self, sample: Sample, *, lane: int = 0, id: str = "", key: bytes = b"any key", **headers: str) -> Record:
        """A record of an event, in CloudEvents' binary mode, in a lane of its sender's choice."""
        attributes = {
            "ce_specversion": "1.0",
            "ce_type": sample.type,
            "ce_id": id or f"e-{next(self._ids)}",
            "ce_source": "/shop",
        }
        if sample.type == ClaimDecided.type:
            attributes |= {"ce_source": "/makegood/refund-calculation", "ce_id": f"{lane}-{next(self._ids)}"}
        told = tuple((name, value.encode()) for name, value in (attributes | headers).items())
        return self.raw(sample.topic, sample.value, lane=lane, key=key, headers=told)

    def raw(
        self, topic: str, value: bytes | None, *, lane: int = 0, key: bytes = b"k", headers: Sequence[tuple[str, bytes]]
    ) -> Record:
        offset = self._next[topic, lane]
        self._next[topic, lane] += 1
        return Record.of(_Raw(topic, lane, offset, key, value, tuple(headers)))


class _Raw:
    timestamp = 1_700_000_000_000

    def __init__(
        self,
        topic: str,
        partition: int,
        offset: int,
        key: bytes | None,
        value: bytes | None,
        headers: tuple[tuple[str, bytes], ...],
    ) -> None:
        self.topic, self.partition, self.offset = topic, partition, offset
        self.key, self.value, self.headers = key, value, headers


class Replica:
    """One process of intake: its own connections, its own lanes."""

    def __init__(self, pool: Pool, parking: timedelta = timedelta(days=1)) -> None:
        self.pool = pool
        self.service = Intake(CURRENCIES.get, parking)
        self.pipeline = Pipeline(self.service, pool, Relay("intake", "nowhere:1", pool), retry_limit=20)
        self.pipeline.lanes_in_all = LANES
        self.seeks: list[tuple[str, int, int]] = []

    async def own(self, *lanes: int) -> "Replica":
        await self.pipeline.claim(list(lanes))
        return self

    async def take(self, *records: Record) -> None:
        await self.pipeline.process(records, lambda *at: self.seeks.append(at))
        assert not self.seeks

    async def tick(self) -> None:
        await self.pipeline.tick()


async def emitted(pool: Pool) -> list[Outgoing]:
    """Everything in the outbox, lane by lane."""
    async with pool.acquire() as conn:
        return [
            event for lane in range(LANES) for row in await unpublished(conn, lane, 0, 10_000) for event in row.events
        ]


async def told(pool: Pool) -> list[str]:
    """The outbox in short form, dead letters with their path."""
    return [short(event) for event in await emitted(pool)]


def short(event: Outgoing) -> str:
    if event.headers is not None:
        letter = dict(event.headers)
        return f"dead {letter['ce_type'].decode().removesuffix('.v1')} {letter['dlq_path'].decode()}"
    assert event.value is not None
    return in_short(parse_data(event.type, event.value))


async def count(pool: Pool, query: str) -> int:
    async with pool.acquire() as conn:
        return int(await conn.fetchval(query))
