"""The relay while its lanes are taken away and given back in the middle of a round."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import cast
from uuid import uuid4

import pytest

from shared.bus.lanes import Lane
from shared.bus.outbox import OutboxRow, Outgoing
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


class Interrupted(Relay):
    """Loses its lane while a row is being instructed, and takes it again before the round ends."""

    async def _next_rows(self) -> list[OutboxRow]:
        return [ROW]

    async def _instruct(self, lane: int, events: Sequence[Addressed]) -> None:
        self.drop([lane])
        self.take(Lane(lane, uuid4(), emitted=1, stored_mark=0))


async def test_a_row_counts_as_published_only_for_the_ownership_under_which_it_was_sent() -> None:
    relay = Interrupted("service", "nowhere:1", cast(Pool, None), "refunds.v1")
    relay.take(Lane(0, uuid4(), emitted=1, stored_mark=0))
    await relay._round()
    assert relay.published() == {0: 0}, "nobody has instructed the row; marked as published, it would be lost"
