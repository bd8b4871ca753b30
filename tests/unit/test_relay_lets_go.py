"""The relay while its lanes are taken away and given back in the middle of a round."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from shared.bus.lanes import Lane
from shared.bus.outbox import OutboxRow, Outgoing
from shared.bus.publisher import Publisher
from shared.bus.relay import Relay
from shared.bus.sending import Addressed
from shared.bus.transactional import Abandoned, TransactionalLane
from shared.db import Pool

EVENT = Outgoing(1, "refunds.v1", 0, b"m/o", b"{}", "refund.instructed.v1", "c", "")
ROW = OutboxRow(0, 1, (EVENT,), datetime(2026, 11, 22, tzinfo=UTC))


class Silent(TransactionalLane):
    """Its producer never becomes ready."""

    async def _publish(self, events: Sequence[Addressed]) -> None:
        await asyncio.get_running_loop().create_future()


async def test_what_a_lane_publishes_ends_as_it_is_let_go_of() -> None:
    lane = Silent("service", "nowhere:1", "refunds.v1", 0)
    publishing = asyncio.create_task(lane.publish([(ROW, EVENT)]))
    await asyncio.sleep(0)
    lane.abandon()
    with pytest.raises(Abandoned):
        await asyncio.wait_for(publishing, 5)


async def test_a_lane_that_is_given_up_ends_the_publishing_that_is_cancelled() -> None:
    lane = Silent("service", "nowhere:1", "refunds.v1", 0)
    publishing = asyncio.create_task(lane.publish([(ROW, EVENT)]))
    await asyncio.sleep(0)
    publishing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(publishing, 5)


class Interrupting:
    """A sender during whose work the lane is lost and taken again."""

    publisher: Publisher

    async def send(self, rows: Sequence[OutboxRow], owners: Mapping[int, UUID]) -> int:
        self.publisher.drop([0])
        self.publisher.take(Lane(0, uuid4(), emitted=1, stored_mark=0))
        return 0

    def lose(self, lane: int) -> None: ...

    async def start_over(self) -> None: ...

    async def close(self) -> None: ...


async def test_a_row_counts_as_published_only_for_the_ownership_under_which_it_was_sent() -> None:
    sender = Interrupting()
    sender.publisher = publisher = Publisher("service", cast(Pool, None), sender)
    publisher.take(Lane(0, uuid4(), emitted=1, stored_mark=0))
    publisher._reread.clear()  # what the outbox has is offered here
    await publisher.offer([ROW])
    await publisher._round()
    assert publisher.published() == {0: 0}, "nobody has instructed the row; marked as published, it would be lost"


async def test_a_row_is_done_when_both_publishers_are_past_it() -> None:
    relay = Relay("service", "nowhere:1", cast(Pool, None), "refunds.v1")
    relay.take(Lane(0, uuid4(), emitted=7, stored_mark=5))
    repeating, exact = relay._publishers
    repeating._published[0] = 7
    assert relay.published() == {0: 5}
    exact._published[0] = 6
    assert relay.published() == {0: 6}
    exact.drop([0])
    assert relay.published() == {}


async def test_a_cluster_that_lists_no_broker_is_a_failure_of_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nobody(_: object) -> None:
        raise AssertionError("Did we not perform bootstrap?")

    monkeypatch.setattr(AIOKafkaProducer, "start", nobody)
    lane = TransactionalLane("service", "127.0.0.1:1", "refunds.v1", 0)
    with pytest.raises(KafkaConnectionError):
        await lane.publish([(ROW, EVENT)])
