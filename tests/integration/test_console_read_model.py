"""The read model on a real Postgres: rebuilt from the topics it has the same rows, and one bad record stops nothing."""

import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.console import domain, queries
from services.console.facts import ClaimFacts
from services.console.rebuild import Running, rebuild
from shared.bus import Record
from shared.db import connect
from tests.conftest import MakeDatabase
from tests.console_desk import Console1, console
from tests.console_samples import Topics, day, life
from tests.stack import Servers

PACKAGES = ["shared.bus", "services.console"]


@pytest.fixture
async def desk(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Console1]:
    async with console(await make_database(PACKAGES), tmp_path) as one:
        yield one


def mixed(records: list[Record], seed: int) -> list[Record]:
    """Another interleaving of the topics, each topic's lane in its own order."""
    queues: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        queues.setdefault((record.topic, record.partition), []).append(record)
    choice, out = random.Random(seed), []
    while queues:
        at = choice.choice(sorted(queues))
        out.append(queues[at].pop(0))
        if not queues[at]:
            del queues[at]
    return out


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_rebuilt_from_the_topics_it_has_the_same_rows(
    servers: Servers, make_database: MakeDatabase, tmp_path: Path, seed: int
) -> None:
    records = day(28).records
    database = await make_database(PACKAGES)
    async with console(database, tmp_path) as first:
        await first.read(records)
        before = await first.rows()
        async with first.browser("staff"):
            pass
        people = await first.audit()
    assert all(before[table] for table in before if table not in ("unfolded", "closing"))

    assert "claim" in await rebuild(database, servers.kafka)

    async with console(database, tmp_path) as second:
        assert not any((await second.rows()).values())
        await second.read(mixed(records, seed), batch=7)
        assert await second.rows() == before
        assert await second.audit() == people


async def test_a_rebuild_is_refused_while_a_console_runs(make_database: MakeDatabase) -> None:
    database = await make_database(PACKAGES)
    pool = await connect(database, 1, application="console-1")
    try:
        with pytest.raises(Running):
            await rebuild(database, "127.0.0.1:1")
    finally:
        await pool.close()


async def test_what_comes_again_is_folded_once(desk: Console1) -> None:
    records = day(14).records
    await desk.read(records)
    before = await desk.rows()
    await desk.read(records)
    assert await desk.rows() == before


async def test_one_record_that_cannot_be_folded_stops_no_other(desk: Console1, monkeypatch: pytest.MonkeyPatch) -> None:
    topics = Topics()
    for name in ("a", "poison", "b"):
        life(topics, name, "paid")
    real = domain.fold

    def fold(view: ClaimFacts | None, what: domain.Seen) -> ClaimFacts:
        if what.event.claim_id == "C-poison":
            raise KeyError("a bug")
        return real(view, what)

    monkeypatch.setattr("services.console.handlers.fold", fold)
    await desk.read(topics.records)
    async with desk.pool.acquire() as conn:
        found = await queries.claims(conn, queries.Search())
        assert {claim.claim_id: claim.state for claim in found} == {"C-a": "paid", "C-b": "paid"}
        assert await queries.unfolded(conn) == sum(r.subject == "C-poison" for r in topics.records) - 1


async def test_every_search_finds_by_what_it_says(desk: Console1) -> None:
    await desk.read(day(21).records)

    async def find(**search: object) -> set[str]:
        async with desk.pool.acquire() as conn:
            return {c.claim_id for c in await queries.claims(conn, queries.Search.model_validate(search))}

    assert await find(q="C-6") == {"C-6"}
    assert await find(q="O-6") == {"C-6"}
    assert await find(q="c-O-6") == {"C-6"}
    assert await find(state="review") == {"C-5", "C-7", "C-12", "C-14", "C-19", "C-21"}
    assert await find(outcome="refund", merchant="hakago") == {"C-6", "C-21"}
    assert await find(clause="HW.1") == {"C-4", "C-11", "C-18"}
    assert await find(reason="late") == set()
    assert await find(due_before_ms=1) == set()
    assert len(await find(due_before_ms=2**60)) == 6
    assert await find(stuck_before_ms=2**60) == {"C-1", "C-8", "C-15"}


async def test_pages_join_on_without_gap_or_repeat(desk: Console1) -> None:
    await desk.read(day(21).records)
    seen: list[str] = []
    search = queries.Search()
    async with desk.pool.acquire() as conn:
        while found := await queries.claims(conn, search, 4):
            seen += [c.claim_id for c in found]
            last = found[-1]
            search = queries.Search(after=(last.first_ms, last.merchant, last.claim_id))
    assert len(seen) == len(set(seen)) == 21
