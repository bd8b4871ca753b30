"""A dead letter that is dropped: by a mark on its own topic, so that its service and the console both know."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from services.console import queries, resolutions
from shared.bus import Record
from shared.bus.outbox import Headers
from shared.bus.redrive import DROP, Redrive, drop_of, marked, read_drop
from shared.db import Pool
from tests.conftest import MakeDatabase
from tests.console_desk import console
from tests.console_samples import Topics, life
from tests.integration.delivery_bench import Toy, applied, inputs, owner, prepare

AT = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await prepare(database)
    yield pool
    await pool.close()


class Raw:
    def __init__(self, offset: int, value: bytes | None, headers: Headers) -> None:
        self.topic, self.partition, self.offset, self.timestamp = "toy-input", 0, offset, 0
        self.key: bytes | None = b"k"
        self.value = value
        self.headers = tuple(headers)


def mark(offset: int = 0, service: str = "toy") -> Redrive:
    return Redrive(service, 0, offset, 1, AT)


async def state(pool: Pool) -> list[tuple[object, ...]]:
    rows = await pool.fetch("SELECT state, closed_by, closed_reason FROM dead_letter ORDER BY record_offset")
    return [tuple(row) for row in rows]


async def test_the_service_closes_its_row(pool: Pool) -> None:
    one = owner(pool, "nowhere:1", Toy("out", "refunds"))
    await one.claim()
    await one.process(inputs(b"poison", b"poison"))
    drop = Record.of(Raw(2, None, drop_of(mark(), "mina", "a test\0")))
    others = Record.of(Raw(3, None, drop_of(mark(1, "another"), "mina", "not ours")))
    await one.process([drop, others])
    assert await state(pool) == [("dropped", "mina", "a test␀"), ("dead", None, None)]
    back = Record.of(Raw(4, b"mended", marked((), mark())))
    await one.process([back, Record.of(Raw(5, None, drop_of(mark(), "omid", "again")))])
    assert await state(pool) == [("dropped", "mina", "a test␀"), ("dead", None, None)], "what was dropped stays so"
    assert await applied(pool) == []
    await one.crash()


async def test_what_has_gone_back_is_not_dropped(pool: Pool) -> None:
    one = owner(pool, "nowhere:1", Toy("out", "refunds"))
    await one.claim()
    await one.process(inputs(b"poison"))
    back = Record.of(Raw(1, b"mended", marked((), mark())))
    await one.process([back, Record.of(Raw(2, None, drop_of(mark(), "mina", "too late")))])
    assert await state(pool) == [("redriven", None, None)]
    assert await applied(pool) == ["mended"]
    await one.crash()


def test_a_mark_is_read_as_it_was_written() -> None:
    assert read_drop(drop_of(mark(), "میـنا", 'why: "x"; y')) == ("میـنا", 'why: "x"; y')
    assert read_drop(marked([("a", b"b")], mark())) is None
    assert read_drop([(DROP, b"\xff")]) == ("", "")
    assert marked(drop_of(mark(), "a", "b"), mark(7)) == [mark(7).header()], "no mark is carried on"


@pytest.mark.parametrize("seed", range(4))
async def test_the_console_knows_in_whatever_order_it_reads(
    make_database: MakeDatabase, tmp_path: Path, seed: int
) -> None:
    topics = Topics()
    life(topics, "a", "paid")
    bad = [
        topics.raw("claims.v1", 0, b"k", b"{", [("ce_type", b"claim.submitted.v1"), ("n", b"%d" % n)]) for n in range(3)
    ]
    for record in bad:
        topics.dead(record, "intake", "not JSON")
    marks = [Redrive("intake", 0, record.offset, 1, AT) for record in bad]
    topics.raw("claims.v1", 0, b"k", None, drop_of(marks[0], "mina", "a test"))
    topics.raw("claims.v1", 0, b"k", b"{", marked((), marks[1]))
    letters = [r for r in topics.records if r.topic.endswith(".dlq")]
    rest = [r for r in topics.records if not r.topic.endswith(".dlq")]
    mixed = letters + rest if seed == 0 else rest + letters if seed == 1 else topics.records
    async with console(await make_database(["shared.bus", "services.console"]), tmp_path) as desk:
        await desk.read(mixed, batch=random.Random(seed).choice((1, 3, 100)))
        fingerprint = await desk.pool.fetchval("SELECT DISTINCT fingerprint FROM letter")
        async with desk.pool.acquire() as conn:
            found = await resolutions.letters(conn, fingerprint)
            unfolded = await queries.unfolded(conn)
    told = [None if r is None else (r.what, r.actor, r.reason) for _, r in found]
    assert told == [("dropped", "mina", "a test"), ("redriven", "", ""), None]
    assert unfolded == 0


async def test_what_is_dropped_on_the_page_is_said_on_the_topic(make_database: MakeDatabase, tmp_path: Path) -> None:
    topics = Topics()
    life(topics, "a", "paid")
    bad = topics.raw("claims.v1", 0, b"k", b"{", [("ce_type", b"claim.submitted.v1")])
    topics.dead(bad, "intake", "not JSON")
    async with console(await make_database(["shared.bus", "services.console"]), tmp_path) as desk:
        await desk.read(topics.records)
        fingerprint = await desk.pool.fetchval("SELECT fingerprint FROM letter")
        async with desk.browser("staff") as browser:
            await browser.post(f"/dead-letters/{fingerprint}/drop", {"reason": "a test"})
        said = await desk.emitted()
    assert [(one.topic, one.partition, one.value, read_drop(one.headers or [])) for one in said] == [
        ("claims.v1", 0, None, ("staff", "a test"))
    ]
