"""When the broker is asked to gather records, and when to give them at once."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError

from shared.bus import paced
from shared.bus.paced import AT_ONCE, MANY, PACE_MS, PLENTY, PacedConsumer

LANES = [TopicPartition("claims.v1", lane) for lane in (0, 1)]
GATHERED = (PLENTY, PACE_MS)


class Polls:
    """A consumer whose polls give what they are told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.answer: dict[TopicPartition, list[Any]] | Exception = {}
        self.asked: list[tuple[int, int | None]] = []
        monkeypatch.setattr(AIOKafkaConsumer, "getmany", self._getmany)
        monkeypatch.setattr(paced, "time", SimpleNamespace(monotonic=lambda: self.now))
        self.consumer = PacedConsumer.__new__(PacedConsumer)
        self.consumer._fetcher = SimpleNamespace(_fetch_min_bytes=1, _fetch_max_wait_ms=100)

    async def _getmany(self, *_: object, timeout_ms: int, max_records: int | None) -> dict[TopicPartition, list[Any]]:
        self.asked.append((timeout_ms, max_records))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def of(self, *counts: int, after: float = 0.0) -> tuple[int, int]:
        """Poll so many records of each lane; returns what the next fetch asks for."""
        self.now += after
        self.answer = {lane: list(range(count)) for lane, count in zip(LANES, counts, strict=False)}
        assert await self.consumer.getmany(timeout_ms=10, max_records=1000) == self.answer
        assert self.asked.pop() == (paced.LISTEN_MS, 1000)
        return self.consumer._fetcher._fetch_min_bytes, self.consumer._fetcher._fetch_max_wait_ms


async def test_a_quiet_service_is_given_what_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = Polls(monkeypatch)
    assert [await polls.of(1, 1, after=1.0) for _ in range(5)] == [AT_ONCE] * 5


async def test_for_a_busy_one_the_broker_gathers_until_it_is_quiet_again(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = Polls(monkeypatch)
    assert await polls.of(20, 20) == GATHERED
    assert await polls.of(3, after=0.03) == GATHERED
    assert await polls.of(1, after=1.0) == AT_ONCE


async def test_five_records_every_hundredth_of_a_second_are_busy_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = Polls(monkeypatch)
    assert [await polls.of(1, after=0.011) for _ in range(300)][-1] == AT_ONCE
    assert [await polls.of(5, after=0.010) for _ in range(300)][-1] == GATHERED


@pytest.mark.parametrize("counts", [(), (MANY,), (MANY, MANY)])
async def test_a_full_batch_and_an_empty_one_are_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, ...]
) -> None:
    polls = Polls(monkeypatch)
    assert await polls.of(40) == GATHERED
    assert await polls.of(*counts) == AT_ONCE


async def test_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    polls = Polls(monkeypatch)
    polls.answer = ConsumerStoppedError()
    with pytest.raises(ConsumerStoppedError):
        await polls.consumer.getmany()
