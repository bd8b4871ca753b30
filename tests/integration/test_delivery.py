"""The delivery kit's promises, each broken on purpose at the point where it could fail."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from shared.bus.record import Record
from shared.bus.redrive import Redrive, before_burial, marked
from shared.bus.relay import ExactlyOnce
from shared.bus.work import Work
from shared.db import Pool
from tests.integration.delivery_bench import (
    CutPool,
    Owner,
    Toy,
    applied,
    create_topics,
    inputs,
    outbox_rows,
    owner,
    prepare,
    read_all,
)
from tests.stack import Servers


@pytest.fixture
async def toy(servers: Servers) -> Toy:
    run = uuid4().hex[:8]
    service = Toy(f"toy-output-{run}", f"toy-refunds-{run}", name=f"toy-{run}")
    await create_topics(servers.kafka, service.output, service.refunds, f"toy-input.{service.name}.dlq")
    return service


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    pool = await prepare(database)
    yield pool
    await pool.close()


def values(records: list[Record]) -> list[bytes]:
    return [r.value or b"" for r in records]


async def test_killed_between_commit_and_publish_the_next_owner_publishes(
    servers: Servers, toy: Toy, pool: Pool
) -> None:
    first = owner(pool, servers.kafka, toy)
    await first.claim()
    await first.process(inputs(b"a", b"b", b"c"))
    await first.crash()
    assert await read_all(servers.kafka, toy.output) == []

    second = owner(pool, servers.kafka, toy)
    await second.claim()
    second.publish()
    await second.published()
    assert values(await read_all(servers.kafka, toy.output)) == [b"a", b"b", b"c"]
    assert values(await read_all(servers.kafka, toy.refunds)) == [b"a", b"b", b"c"]
    await second.crash()


async def test_killed_between_send_and_mark_readers_see_each_once(servers: Servers, toy: Toy, pool: Pool) -> None:
    first = owner(pool, servers.kafka, toy)
    await first.claim()
    first.publish()
    await first.process(inputs(b"a", b"b"))
    await first.published()
    await first.crash()

    second = owner(pool, servers.kafka, toy)
    await second.claim()
    second.publish()
    await second.published()
    repeated = await read_all(servers.kafka, toy.output)
    assert values(repeated) == [b"a", b"b", b"a", b"b"], "the internal topic repeats what was not marked"
    assert [r.id for r in repeated[:2]] == [r.id for r in repeated[2:]], "a repeat has the same id"
    assert values(await read_all(servers.kafka, toy.refunds)) == [b"a", b"b"], "instructions are there once"
    await second.crash()

    reader = Toy("unused", "unused", name="reader", topics=(toy.output,), foreign=frozenset())
    async with pool.acquire() as conn:
        await conn.execute("TRUNCATE applied, lane, position, inbox_mark, outbox")
    behind = owner(pool, servers.kafka, reader)
    await behind.claim()
    await behind.process(repeated)
    assert await applied(pool) == ["a", "b"]
    await behind.crash()


async def test_an_open_kafka_transaction_of_a_dead_owner_is_not_seen(servers: Servers, toy: Toy, pool: Pool) -> None:
    first = owner(pool, servers.kafka, toy)
    await first.claim()
    first.publish()
    await first.process(inputs(b"a"))
    await first.published()
    exact = first.relay._publishers[1]._sender
    assert isinstance(exact, ExactlyOnce)
    lane = exact._lanes[0]
    assert lane._producer is not None
    await lane._producer.begin_transaction()
    await lane._producer.send_and_wait(toy.refunds, b"half", key=b"k", partition=0)

    second = owner(pool, servers.kafka, toy)
    await second.claim()
    second.publish()
    await second.process(inputs(b"b", first=1))
    await second.published()
    assert values(await read_all(servers.kafka, toy.refunds)) == [b"a", b"b"]
    await first.crash()
    await second.crash()


async def test_a_paused_owner_that_lost_its_lane_commits_nothing(servers: Servers, toy: Toy, pool: Pool) -> None:
    paused, taker = owner(pool, servers.kafka, toy), owner(pool, servers.kafka, toy)
    await paused.claim()
    await paused.process(inputs(b"a"))
    await taker.claim([0])
    await paused.process(inputs(b"b", first=1) + inputs(b"other-lane", lane=1))
    assert await applied(pool) == ["a", "other-lane"], "the lane it lost is refused, the one it has goes on"
    assert 0 not in paused.pipeline.owned
    await taker.process(inputs(b"b", first=1))
    assert await applied(pool) == ["a", "b", "other-lane"]
    taker.publish()
    await taker.published()
    assert values(await read_all(servers.kafka, toy.output)) == [b"a", b"b"]
    await paused.crash()
    await taker.crash()


async def test_the_same_records_again_have_no_effect(servers: Servers, toy: Toy, pool: Pool) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    await one.process(inputs(b"a", b"b"))
    await one.process(inputs(b"a", b"b"))
    await one.process(inputs(b"b", b"c", first=1))
    assert await applied(pool) == ["a", "b", "c"]
    await one.crash()


async def test_poison_in_the_middle_of_a_batch_goes_to_its_topic_as_it_came(
    servers: Servers, toy: Toy, pool: Pool
) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    one.publish()
    poison = Record("toy-input", 0, 1, 0, b"\xff key", b"poison", (("h", b"\xff\x00"), ("h", b"twice")))
    await one.process([*inputs(b"a"), poison, *inputs(b"c", first=2)])
    await one.published()
    assert await applied(pool) == ["a", "c"]
    (dead,) = await read_all(servers.kafka, f"toy-input.{toy.name}.dlq")
    assert (dead.key, dead.value) == (b"\xff key", b"poison")
    assert dead.headers[:2] == (("h", b"\xff\x00"), ("h", b"twice"))
    told = dict(dead.headers[2:])
    assert told["dlq_reason"] == b"poison"
    assert told["dlq_path"] == b"$.value"
    assert (told["dlq_topic"], told["dlq_partition"], told["dlq_offset"]) == (b"toy-input", b"0", b"1")
    assert told["dlq_service"] == toy.name.encode()
    await one.crash()


async def test_a_bug_on_one_record_is_narrowed_down_to_it(servers: Servers, toy: Toy, pool: Pool) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    one.publish()
    await one.process(inputs(b"a", b"b", b"bug", b"d", b"e"))
    await one.published()
    assert await applied(pool) == ["a", "b", "d", "e"]
    (dead,) = await read_all(servers.kafka, f"toy-input.{toy.name}.dlq")
    assert dead.value == b"bug"
    assert dict(dead.headers)["dlq_reason"].startswith(b"handler: ValueError")
    assert values(await read_all(servers.kafka, toy.output)) == [b"a", b"b", b"d", b"e"]
    await one.crash()


class Shaken(Toy):
    """Its database fails in one way after the other before it works."""

    def fail_first(self, *errors: Exception) -> None:
        self.errors = list(errors)

    async def consume(self, work: Work) -> None:
        if self.errors:
            raise self.errors.pop(0)
        await super().consume(work)


async def test_what_is_the_databases_doing_is_tried_again_and_blamed_on_no_record(
    servers: Servers, toy: Toy, pool: Pool
) -> None:
    shaken = Shaken(toy.output, toy.refunds, name=toy.name)
    shaken.fail_first(
        asyncpg.ConnectionDoesNotExistError("closed in the middle of operation"),
        asyncpg.ReadOnlySQLTransactionError("cannot execute INSERT in a read-only transaction"),
        asyncpg.InterfaceError("connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
    )
    one = owner(pool, servers.kafka, shaken)
    await one.claim()
    one.publish()
    await one.process(inputs(b"a", b"b"))
    await one.published()
    assert await applied(pool) == ["a", "b"]
    assert await read_all(servers.kafka, f"toy-input.{toy.name}.dlq") == []
    await one.crash()


async def test_a_connection_cut_in_the_middle_of_commit_is_neither_lost_nor_twice(
    servers: Servers, toy: Toy, pool: Pool
) -> None:
    cutting = CutPool(pool)
    one = owner(pool, servers.kafka, toy, lend_from=cutting)
    await one.claim()
    one.publish()
    cutting.cut_next_commit = True
    await one.process(inputs(b"a", b"b"))
    await one.process(inputs(b"c", first=2))
    await one.published()
    assert await applied(pool) == ["a", "b", "c"]
    assert values(await read_all(servers.kafka, toy.output)) == [b"a", b"b", b"c"]
    assert values(await read_all(servers.kafka, toy.refunds)) == [b"a", b"b", b"c"]
    await one.crash()


async def test_records_that_do_not_join_on_are_read_again(servers: Servers, toy: Toy, pool: Pool) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    await one.process(inputs(b"a"))
    await one.process(inputs(b"later", first=5))
    assert one.seeks == [("toy-input", 0, 1)]
    assert await applied(pool) == ["a"], "what came too soon waits for what lies between"
    await one.process(inputs(b"later", first=5))
    assert await applied(pool) == ["a", "later"], "the same gap when read again is Kafka's own"
    await one.crash()


async def test_published_events_leave_the_outbox(servers: Servers, toy: Toy, pool: Pool) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    one.publish()
    await one.process(inputs(b"a", b"b"))
    await one.published()
    assert await outbox_rows(pool) == 1
    await one.pipeline.tick()
    assert await outbox_rows(pool) == 0
    await one.crash()


async def test_numbers_go_on_without_gaps_over_owners(servers: Servers, toy: Toy, pool: Pool) -> None:
    crashed: list[Owner] = []
    for turn in range(3):
        one = owner(pool, servers.kafka, toy)
        await one.claim()
        one.publish()
        await one.process(inputs(f"v{turn}".encode(), first=turn))
        await one.published()
        await one.crash()
        crashed.append(one)
    ids = {int(r.id.partition("-")[2]) for r in await read_all(servers.kafka, toy.output)}
    instructed = {int(r.id.partition("-")[2]) for r in await read_all(servers.kafka, toy.refunds)}
    assert ids | instructed == set(range(1, 7))
    assert not ids & instructed


async def test_a_redriven_dead_letter_is_applied_once_even_when_redriven_twice(
    servers: Servers, toy: Toy, pool: Pool
) -> None:
    behind = Toy(toy.output, toy.refunds, name=toy.name, topics=("toy-input",), foreign=frozenset())
    one = owner(pool, servers.kafka, behind)
    await one.claim()
    one.publish()
    headers = (("ce_id", b"0-1"), ("ce_source", b"/elsewhere"), ("own", b"\xfe"))
    bad = replace(inputs(b"bug")[0], headers=headers, id="0-1", source="/elsewhere")
    later = replace(inputs(b"later", first=1)[0], id="0-2", source="/elsewhere")
    await one.process([bad, later])
    await one.published()
    (dead,) = await read_all(servers.kafka, f"toy-input.{toy.name}.dlq")
    assert before_burial(dead.headers) == list(headers)

    mark = Redrive(toy.name, 0, 0, attempts=1, first_at=datetime(2026, 11, 1, tzinfo=UTC))
    again = Record.of(_Raw(2, b"mended", tuple(marked(before_burial(dead.headers), mark))))
    other = Record.of(
        _Raw(3, b"for-another", tuple(marked((), Redrive("another", 0, 0, attempts=1, first_at=mark.first_at))))
    )
    twice = Record.of(_Raw(4, b"mended", again.headers))
    await one.process([again, other, twice])
    assert await applied(pool) == ["later", "mended"]
    async with pool.acquire() as conn:
        assert await conn.fetchval("SELECT state FROM dead_letter") == "redriven"
    await one.crash()


async def test_a_redriven_letter_that_dies_again_counts_its_attempts(servers: Servers, toy: Toy, pool: Pool) -> None:
    one = owner(pool, servers.kafka, toy)
    await one.claim()
    one.publish()
    await one.process(inputs(b"poison"))
    first = datetime(2026, 11, 1, tzinfo=UTC)
    mark = Redrive(toy.name, 0, 0, attempts=1, first_at=first)
    await one.process([Record.of(_Raw(1, b"poison", tuple(marked((), mark))))])
    await one.published()
    _, second = await read_all(servers.kafka, f"toy-input.{toy.name}.dlq")
    told = dict(second.headers)
    assert (told["dlq_attempts"], told["dlq_first_time"]) == (b"2", b"2026-11-01T00:00:00.000Z")
    async with pool.acquire() as conn:
        states = await conn.fetch("SELECT state, attempts FROM dead_letter ORDER BY record_offset")
    assert [tuple(r) for r in states] == [("redriven", 1), ("dead", 2)]
    await one.crash()


@dataclass
class _Raw:
    """A record as the consumer gives it."""

    offset: int
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    topic: str = "toy-input"
    partition: int = 0
    timestamp: int = 0
    key: bytes | None = b"m/o"
