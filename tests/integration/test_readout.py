"""Gauges that are read out of a service's database: of the lanes owned, and what they show while nothing answers."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

import asyncpg
import pytest
from prometheus_client import REGISTRY

from shared.db import Conn, Pool
from shared.readout import Readout
from tests.integration.delivery_bench import Owner, Toy, inputs, owner, prepare

NOWHERE = "127.0.0.1:1"


@dataclass
class Timed(Toy):
    """A toy with a timer that is seven seconds late in each lane."""

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        return 7.0 * len(lanes)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await prepare(database)
    yield pool
    await pool.close()


def toy() -> Timed:
    return Timed("toy-output", "toy-refunds", name=f"toy-{uuid4().hex[:8]}")


def shown(one: Owner, name: str) -> float:
    found: float | None = REGISTRY.get_sample_value(f"makegood_{name}", {"service": one.service.name})
    assert found is not None, f"{name} is not shown"
    return found


async def committed(pool: Pool, lanes: Sequence[int], *values: bytes) -> tuple[Owner, Readout]:
    """An owner of lanes that has processed values in lane 0, with no Kafka to publish to."""
    one = owner(pool, NOWHERE, toy())
    await one.claim(lanes)
    if values:
        await one.process(inputs(*values))
    return one, Readout(one.service, pool, one.pipeline)


async def test_what_waits_to_be_published(pool: Pool) -> None:
    one, readout = await committed(pool, (0, 1), b"a", b"b")
    await pool.execute("UPDATE outbox SET written_at = written_at - interval '100 seconds'")
    await readout.once()
    assert shown(one, "outbox_events") == 4
    assert 100 <= shown(one, "outbox_oldest_seconds") < 160
    await one.process(inputs(b"c", first=2))
    await readout.once()
    assert shown(one, "outbox_events") == 6
    assert shown(one, "outbox_oldest_seconds") >= 100, "the oldest, not the latest"
    await one.crash()


async def test_nothing_waits(pool: Pool) -> None:
    one, readout = await committed(pool, (0, 1))
    await readout.once()
    assert (shown(one, "outbox_events"), shown(one, "outbox_oldest_seconds")) == (0, 0)
    await one.crash()


async def test_its_age_goes_on_rising_while_the_database_is_away(pool: Pool, database: str) -> None:
    one, readout = await committed(pool, (0, 1), b"a")
    await pool.execute("UPDATE outbox SET written_at = written_at - interval '100 seconds'")
    await readout.once()
    before = shown(one, "outbox_oldest_seconds")
    await pool.close()
    with pytest.raises(asyncpg.InterfaceError):
        await readout.once()
    assert shown(one, "outbox_oldest_seconds") > before
    await one.crash()


async def test_dead_letters_that_wait_for_a_person(pool: Pool) -> None:
    one, readout = await committed(pool, (0, 1), b"poison", b"a", b"poison", b"poison")
    await readout.once()
    assert shown(one, "dead_letters_open") == 3
    await pool.execute("UPDATE dead_letter SET state = 'dropped' WHERE record_offset = 0")
    await pool.execute("UPDATE dead_letter SET state = 'redriven' WHERE record_offset = 2")
    await readout.once()
    assert shown(one, "dead_letters_open") == 1
    await one.crash()


async def test_each_process_tells_of_its_own_lanes(pool: Pool) -> None:
    first, _ = await committed(pool, (0,), b"poison", b"a")
    second, readout = await committed(pool, (1,))
    await readout.once()
    assert (shown(second, "dead_letters_open"), shown(second, "outbox_events")) == (0, 0)
    assert shown(second, "timer_lag_seconds") == 7.0
    first.pipeline.lose([0])
    idle = Readout(first.service, pool, first.pipeline)
    await idle.once()
    assert (shown(first, "dead_letters_open"), shown(first, "outbox_events")) == (0, 0)
    assert shown(first, "timer_lag_seconds") == 0
    await first.crash()
    await second.crash()


async def test_the_index_is_there_for_what_is_asked_every_few_seconds(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("SET LOCAL enable_seqscan = off")
        plan = await conn.fetch("EXPLAIN SELECT FROM dead_letter WHERE state = 'dead' AND lane = ANY('{0,1}'::int[])")
    assert "dead_letter_open" in "\n".join(row[0] for row in plan)
