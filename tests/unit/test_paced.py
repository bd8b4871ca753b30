"""When the broker is asked to gather records, and in which order what came is given."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError

from shared.bus import paced
from shared.bus.paced import A_PARTITION, AT_ONCE, MANY, PACE_MS, PATIENCE, PLENTY, PacedConsumer
from tests.fetched import Fetched

LANES = [TopicPartition(topic, lane) for topic in ("claims.v1", "sellers.v1") for lane in (0, 1)]
CLAIMS, _, SELLERS, _ = LANES
GATHERED = (PLENTY, PACE_MS)


class Polls:
    """A consumer above an aiokafka that has fetched what it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.fetched: dict[TopicPartition, list[Fetched]] = {lane: [] for lane in LANES}
        self.at = dict.fromkeys(LANES, 0)
        self.ends: dict[TopicPartition, int] = dict.fromkeys(LANES, 0)
        self.listened: list[int] = []
        self.stopped = False
        monkeypatch.setattr(paced, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(AIOKafkaConsumer, "__init__", lambda *_, **__: None)
        monkeypatch.setattr(AIOKafkaConsumer, "getmany", self._getmany)
        monkeypatch.setattr(AIOKafkaConsumer, "assignment", lambda _: set(LANES))
        monkeypatch.setattr(AIOKafkaConsumer, "last_stable_offset", lambda _, lane: self.ends[lane])
        monkeypatch.setattr(AIOKafkaConsumer, "position", self._position)
        monkeypatch.setattr(AIOKafkaConsumer, "seek", self._seek)
        self.consumer = PacedConsumer()
        self.consumer._closed = True
        self.consumer._fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=100)

    async def _getmany(
        self, *lanes: TopicPartition, timeout_ms: int = 0, max_records: int = 0
    ) -> dict[TopicPartition, list[Fetched]]:
        if self.stopped:
            raise ConsumerStoppedError
        self.listened.append(timeout_ms)
        found = {}
        for lane in lanes or LANES:
            if mine := self.fetched[lane][:max_records]:
                found[lane] = mine
                max_records -= len(mine)
                del self.fetched[lane][: len(mine)]
                self.at[lane] = mine[-1].offset + 1
        return found

    async def _position(self, lane: TopicPartition) -> int:
        return self.at[lane]

    def _seek(self, lane: TopicPartition, offset: int) -> None:
        self.at[lane] = offset

    def come(self, lane: TopicPartition, *stamps: int, fetched: bool = True) -> None:
        """Records come to the broker; aiokafka has fetched them, or not yet."""
        records = [Fetched(lane.topic, lane.partition, self.ends[lane] + n, stamp) for n, stamp in enumerate(stamps)]
        self.ends[lane] += len(records)
        if fetched:
            self.fetched[lane] += records

    async def poll(self, most: int = 1000) -> list[tuple[str, int]]:
        """Topic and stamp of what is given, in the order of the stamps."""
        found: dict[TopicPartition, list[Any]] = await self.consumer.getmany(timeout_ms=10, max_records=most)
        return sorted(((r.topic, r.timestamp) for records in found.values() for r in records), key=lambda r: r[1])

    async def asks(self, *counts: int, after: float = 0.0) -> tuple[int, int]:
        """Poll so many records of each lane; returns what the next fetch asks for."""
        self.now += after
        for lane, count in zip(LANES, counts, strict=False):
            self.come(lane, *[int(self.now * 1000)] * count)
        while await self.poll() and sum(map(len, self.fetched.values())):
            pass
        return self.consumer._fetcher._fetch_min_bytes, self.consumer._fetcher._fetch_max_wait_ms


@pytest.fixture
def polls(monkeypatch: pytest.MonkeyPatch) -> Polls:
    return Polls(monkeypatch)


async def test_a_quiet_service_is_given_what_comes_at_once(polls: Polls) -> None:
    assert [await polls.asks(1, 1, after=1.0) for _ in range(5)] == [AT_ONCE] * 5


async def test_for_a_busy_one_the_broker_gathers_until_it_is_quiet_again(polls: Polls) -> None:
    assert await polls.asks(20, 20) == GATHERED
    assert await polls.asks(3, after=0.03) == GATHERED
    assert await polls.asks(1, after=1.0) == AT_ONCE


async def test_five_records_every_hundredth_of_a_second_are_busy_one_is_not(polls: Polls) -> None:
    assert [await polls.asks(1, after=0.011) for _ in range(300)][-1] == AT_ONCE
    assert [await polls.asks(5, after=0.010) for _ in range(300)][-1] == GATHERED


@pytest.mark.parametrize("counts", [(), (MANY,), (MANY, MANY)])
async def test_a_full_batch_and_an_empty_one_are_not_waited_for(polls: Polls, counts: tuple[int, ...]) -> None:
    assert await polls.asks(40) == GATHERED
    assert await polls.asks(*counts) == AT_ONCE


async def test_an_end_is_told(polls: Polls) -> None:
    polls.stopped = True
    with pytest.raises(ConsumerStoppedError):
        await polls.consumer.getmany()


async def test_of_much_the_oldest_comes_first_and_no_poll_is_larger_than_asked(polls: Polls) -> None:
    polls.come(SELLERS, *range(7, 1800, 6))
    polls.come(CLAIMS, *range(0, 1800, 2))
    first = await polls.poll(100)
    assert len(first) == 100
    assert [stamp for topic, stamp in first if topic == "claims.v1"] == list(range(0, 152, 2))
    assert [stamp for topic, stamp in first if topic == "sellers.v1"] == list(range(7, 150, 6))


async def test_what_is_newer_waits_for_a_partition_whose_older_records_are_on_their_way(polls: Polls) -> None:
    polls.come(CLAIMS, 10, 20)
    assert await polls.poll() == [("claims.v1", 10), ("claims.v1", 20)]
    polls.come(CLAIMS, 30, 40, fetched=False)
    polls.come(SELLERS, 15, *[35] * MANY)
    assert await polls.poll() == [("sellers.v1", 15)]
    assert await polls.poll() == []
    assert polls.listened[-1] == paced.LISTEN_MS
    polls.fetched[CLAIMS] = [
        Fetched(CLAIMS.topic, CLAIMS.partition, 2, 30),
        Fetched(CLAIMS.topic, CLAIMS.partition, 3, 40),
    ]
    assert await polls.poll() == [("claims.v1", 30), *[("sellers.v1", 35)] * MANY, ("claims.v1", 40)]


async def test_of_little_nothing_waits(polls: Polls) -> None:
    polls.come(CLAIMS, 10)
    await polls.poll()
    polls.come(CLAIMS, 30, fetched=False)
    polls.come(SELLERS, *[35] * (MANY - 1))
    assert len(await polls.poll()) == MANY - 1


async def test_it_waits_no_longer_than_its_patience_and_then_not_for_that_partition_again(polls: Polls) -> None:
    polls.come(CLAIMS, 10, 20)
    await polls.poll()
    polls.come(CLAIMS, 30, fetched=False)
    polls.come(SELLERS, *[35] * MANY)
    assert await polls.poll() == []
    polls.now += PATIENCE + 0.1
    assert await polls.poll() == []
    assert len(await polls.poll()) == MANY
    polls.come(SELLERS, *[36] * MANY)
    assert len(await polls.poll()) == MANY
    polls.fetched[CLAIMS] = [Fetched(CLAIMS.topic, CLAIMS.partition, 2, 30)]
    assert await polls.poll() == [("claims.v1", 30)]
    polls.come(CLAIMS, 40, fetched=False)
    polls.come(SELLERS, *[45] * MANY)
    assert await polls.poll() == []


async def test_little_of_a_partition_is_taken_in_at_once(polls: Polls) -> None:
    polls.come(CLAIMS, *range(5 * A_PARTITION))
    polls.come(SELLERS, 7)
    assert len(await polls.poll(100)) == 100
    assert len(polls.fetched[CLAIMS]) >= 3 * A_PARTITION
    given = 100
    for _ in range(50):
        given += len(await polls.poll(100))
    assert given == 5 * A_PARTITION + 1


async def test_a_partition_that_is_read_again_starts_there(polls: Polls) -> None:
    polls.come(CLAIMS, *range(300))
    assert len(await polls.poll(100)) == 100
    assert await polls.consumer.position(CLAIMS) == 100
    polls.consumer.seek(CLAIMS, 50)
    assert await polls.consumer.position(CLAIMS) == 50
    polls.fetched[CLAIMS] = [Fetched(CLAIMS.topic, CLAIMS.partition, n, n) for n in range(50, 300)]
    assert [stamp for _, stamp in await polls.poll(100)] == list(range(50, 150))
