"""Records that wait in a consumer: the oldest of all partitions first, each partition in its order."""

import math

from aiokafka import TopicPartition

from shared.bus.held import Held
from tests.fetched import Fetched

CLAIMS = TopicPartition("claims.v1", 0)
SELLERS = TopicPartition("sellers.v1", 0)


def of(lane: TopicPartition, *stamps: int, first: int = 0) -> dict[TopicPartition, list[Fetched]]:
    return {lane: [Fetched(lane.topic, lane.partition, first + n, stamp) for n, stamp in enumerate(stamps)]}


def shown(given: dict[TopicPartition, list[Fetched]]) -> list[tuple[str, int]]:
    return sorted((record.topic, record.offset) for records in given.values() for record in records)


def test_the_oldest_come_first_whatever_partition_they_lie_in() -> None:
    held = Held()
    assert held.add(of(SELLERS, 10, 30, 50) | of(CLAIMS, 5, 20, 40)) == 6
    assert shown(held.give(3, math.inf)) == [("claims.v1", 0), ("claims.v1", 1), ("sellers.v1", 0)]
    assert shown(held.give(9, math.inf)) == [("claims.v1", 2), ("sellers.v1", 1), ("sellers.v1", 2)]
    assert len(held) == 0


def test_nothing_later_than_the_given_stamp_is_given() -> None:
    held = Held()
    held.add(of(SELLERS, 10, 30, 50))
    assert held.ready(30) == 2
    assert shown(held.give(9, 30)) == [("sellers.v1", 0), ("sellers.v1", 1)]
    assert held.give(9, 30) == {}
    assert held.count(SELLERS) == 1
    assert held.last_ms(SELLERS) == 50


def test_a_clock_set_back_does_not_change_the_order_of_a_partition() -> None:
    held = Held()
    held.add(of(CLAIMS, 100, 20, 21))
    held.add(of(SELLERS, 60))
    assert shown(held.give(1, math.inf)) == [("sellers.v1", 0)]
    assert [record.offset for record in held.give(2, math.inf)[CLAIMS]] == [0, 1]
    assert held.last_ms(CLAIMS) == 100


def test_a_partition_that_is_read_again_from_elsewhere_is_forgotten() -> None:
    held = Held()
    held.add(of(CLAIMS, 1, 2, first=7) | of(SELLERS, 3))
    assert held.next_offset(CLAIMS) == 7
    held.drop(CLAIMS)
    assert held.count(CLAIMS) == 0
    assert held.next_offset(CLAIMS) is None
    assert held.last_ms(CLAIMS) == 0
    assert shown(held.give(9, math.inf)) == [("sellers.v1", 0)]
    assert held.count(SELLERS) == 0
