"""Pruning on a real Postgres: in bites, only what has served its time, and never in another's way."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from services.intake.app import build as build_intake
from shared.bus.sweep import HasSweeps, Sweep, Sweeper, kit_sweeps
from shared.db import Pool, connect
from tests.conftest import MakeDatabase
from tests.stack import eventually

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = timedelta(days=1)
OLD, NEW = NOW - 31 * DAY, NOW - 29 * DAY
PACKAGES = ["shared.bus", "services.intake"]
HISTORY = (Sweep("history", "at", 30 * DAY),)


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await connect(await make_database(PACKAGES), 4, application="test")
    yield pool
    await pool.close()


async def write(pool: Pool, rows: int, at: datetime) -> None:
    await pool.execute(
        "INSERT INTO history (merchant, claim_id, what, lane, at) SELECT 'm', 'c' || n, repeat('x', 200), 0, $2 "
        "FROM generate_series(1, $1) n",
        rows,
        at,
    )


async def count(pool: Pool, where: str = "history") -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {where}"))


async def test_one_round_deletes_what_is_old_bite_by_bite(pool: Pool) -> None:
    await write(pool, 2000, OLD)
    await write(pool, 1000, NEW)
    await write(pool, 500, OLD)
    pages = await pool.fetchval("SELECT pg_relation_size('history') / 8192")
    assert pages > 80
    sweeper = Sweeper("intake", pool, HISTORY, pages=16)
    bites = [await sweeper.bite(NOW) for _ in range(-(-pages // 16))]
    assert sum(bites) == 2500
    assert max(bites) < 800, "a bite is bounded by its pages"
    assert 0 in bites, "and walks on where there is nothing to delete"
    assert await count(pool) == 1000
    await write(pool, 10, OLD)
    assert sum([await sweeper.bite(NOW) for _ in range(-(-pages // 16))]) == 10, "then it begins again"


async def test_it_is_done_by_page_without_an_index(pool: Pool) -> None:
    await write(pool, 5000, NEW)
    await pool.execute("ANALYZE history")
    plan = "\n".join(
        r[0]
        for r in await pool.fetch(
            "EXPLAIN SELECT ctid FROM history WHERE ctid >= '(0,0)'::tid AND ctid < '(16,0)'::tid AND at < now()"
        )
    )
    assert "Tid Range Scan" in plan


async def test_what_another_has_locked_waits_for_the_next_round(pool: Pool) -> None:
    await write(pool, 3, OLD)
    sweeper = Sweeper("intake", pool, HISTORY)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT 1 FROM history WHERE claim_id = 'c2' FOR UPDATE")
        assert await sweeper.bite(NOW) == 2
    assert await sweeper.bite(NOW) == 1


async def test_replicas_take_turns(pool: Pool) -> None:
    await write(pool, 3, OLD)
    sweeper = Sweeper("intake", pool, HISTORY)
    await sweeper.bite(NOW - 90 * DAY)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT 1 FROM sweep WHERE name = 'history' FOR UPDATE")
        assert await sweeper.bite(NOW) == 0
    assert await sweeper.bite(NOW) == 3


async def test_open_dead_letters_are_kept_for_ever(pool: Pool) -> None:
    states = [("dead", None), ("redriven", OLD), ("dropped", OLD), ("dropped", NEW)]
    for offset, (state, closed_at) in enumerate(states):
        await pool.execute(
            "INSERT INTO dead_letter (topic, lane, record_offset, headers, reason, path, fingerprint, attempts, at, "
            "state, closed_at) VALUES ('t', 0, $1, '', '', '', '', 1, $2, $3, $4)",
            offset,
            OLD - 900 * DAY,
            state,
            closed_at,
        )
    assert await Sweeper("intake", pool, kit_sweeps(30 * DAY, 30 * DAY)).bite(NOW) == 2
    left = await pool.fetch("SELECT record_offset FROM dead_letter ORDER BY 1")
    assert [r["record_offset"] for r in left] == [0, 3]


async def test_intakes_inbox_forgets(pool: Pool) -> None:
    service = build_intake()
    assert isinstance(service, HasSweeps)
    for key, at in ((b"old", NOW - 46 * DAY), (b"new", NOW - 44 * DAY)):
        await pool.execute("INSERT INTO seen (key, digest, seen_at) VALUES ($1, '', $2)", key, at)
    assert await Sweeper("intake", pool, service.sweeps()).bite(NOW) == 1
    assert await pool.fetchval("SELECT key FROM seen") == b"new"


async def test_what_fails_is_done_later(pool: Pool) -> None:
    await write(pool, 3, OLD)
    await pool.execute("ALTER TABLE sweep RENAME TO elsewhere")
    stop, failed = asyncio.Event(), asyncio.Event()

    class Watched(Sweeper):
        async def bite(self, now: datetime) -> int:
            try:
                return await super().bite(now)
            except asyncpg.PostgresError:
                failed.set()
                raise

    running = asyncio.create_task(Watched("intake", pool, HISTORY).run(stop, 0.01))
    await asyncio.wait_for(failed.wait(), 10)
    await pool.execute("ALTER TABLE elsewhere RENAME TO sweep")
    await pool.execute("UPDATE history SET at = at - interval '10 years'")
    await eventually(lambda: emptied(pool), 10, why="the rows were deleted")
    stop.set()
    await asyncio.wait_for(running, 10)


async def emptied(pool: Pool) -> bool:
    return await count(pool) == 0
