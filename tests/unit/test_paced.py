"""The pace of polls: nothing that was given is lost, and a batch stays within its bound."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from shared.bus import paced
from shared.bus.paced import PacedConsumer

LANES = [TopicPartition("claims.v1", lane) for lane in (0, 1)]


class Broker:
    """What aiokafka's own polls answer, one after the other, and what they were asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, answers: Sequence[dict[TopicPartition, list[int]] | Exception]):
        self.answers = list(answers)
        self.asked: list[tuple[int, int | None]] = []
        self.slept: list[float] = []
        self.now = 100.0
        monkeypatch.setattr(AIOKafkaConsumer, "getmany", self._getmany)
        monkeypatch.setattr(paced, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(paced, "asyncio", SimpleNamespace(sleep=self._sleep))
        self.consumer = PacedConsumer.__new__(PacedConsumer)

    async def _sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 3))
        self.now += seconds

    async def _getmany(self, *_: object, timeout_ms: int, max_records: int | None) -> dict[TopicPartition, list[int]]:
        self.asked.append((timeout_ms, max_records))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def poll(self, max_records: int | None = 1000) -> dict[TopicPartition, list[Any]]:
        return await self.consumer.getmany(timeout_ms=10, max_records=max_records)


def some(count: int, start: int = 0) -> list[int]:
    return list(range(start, start + count))


async def test_a_quiet_service_is_given_what_comes_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [{LANES[0]: some(2)}, {LANES[0]: some(2, 2)}])
    assert await broker.poll() == {LANES[0]: [0, 1]}
    broker.now += 1
    assert await broker.poll() == {LANES[0]: [2, 3]}
    assert (broker.asked, broker.slept) == ([(paced.LISTEN_MS, 1000)] * 2, [])


async def test_a_busy_one_is_given_what_came_meanwhile_and_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [{LANES[0]: some(50)}, {LANES[0]: some(2, 50), LANES[1]: some(3)}, {}])
    assert await broker.poll() == {LANES[0]: some(52), LANES[1]: some(3)}
    assert broker.asked == [(paced.LISTEN_MS, 1000), (paced.MOMENT_MS, 950)]
    broker.now += 0.01
    assert await broker.poll() == {}
    assert broker.slept == [round(paced.PACE - 0.01, 3)]


@pytest.mark.parametrize(("count", "most"), [(paced.MANY, 1000), (50, 50), (paced.MANY + 1, None)])
async def test_a_full_batch_is_not_added_to(monkeypatch: pytest.MonkeyPatch, count: int, most: int | None) -> None:
    broker = Broker(monkeypatch, [{LANES[0]: some(count)}])
    assert await broker.poll(most) == {LANES[0]: some(count)}


async def test_an_error_after_the_first_records_costs_none_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(monkeypatch, [{LANES[0]: some(50)}, KafkaError("of the fetch"), KafkaError("still")])
    assert await broker.poll() == {LANES[0]: some(50)}
    with pytest.raises(KafkaError, match="still"):
        await broker.poll()


async def test_an_end_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConsumerStoppedError):
        await Broker(monkeypatch, [ConsumerStoppedError()]).poll()
