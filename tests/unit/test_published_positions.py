"""Kafka is told a position only when all that came of the records before it is published."""

from typing import cast
from uuid import uuid4

from shared.bus.host import Host
from shared.bus.lanes import Lane
from shared.bus.pipeline import Pipeline
from shared.settings import Settings


class Publishing:
    """The part of a pipeline that says how far a lane is published."""

    def __init__(self) -> None:
        self.done = 0

    def published(self, lane: int) -> int:
        return self.done


class Reader:
    """A service that only has its name and topics."""

    name = "reader"
    topics: tuple[str, ...] = ("claims.v1",)
    foreign: frozenset[str] = frozenset()

    async def consume(self, work: object) -> None:
        """Nothing."""

    async def tick(self, work: object) -> None:
        """Nothing."""


def test_a_position_waits_for_its_events_and_is_told_although_new_ones_keep_coming() -> None:
    publishing = Publishing()
    host = Host(Reader(), cast(Pipeline, publishing), Settings())
    lane = Lane(0, uuid4(), emitted=0, positions={"claims.v1": 1})
    assert host._published_positions(lane) == {"claims.v1": 1}

    lane.emitted, lane.positions["claims.v1"] = 5, 10
    assert host._published_positions(lane) == {}
    lane.emitted, lane.positions["claims.v1"] = 9, 20
    publishing.done = 4
    assert host._published_positions(lane) == {}
    publishing.done = 5
    assert host._published_positions(lane) == {"claims.v1": 10}
    publishing.done = 8
    assert host._published_positions(lane) == {}
    publishing.done = 9
    assert host._published_positions(lane) == {"claims.v1": 20}
