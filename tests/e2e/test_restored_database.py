"""A service whose database is older than Kafka refuses to work, and says so."""

import asyncpg

from tests.conftest import MakeStack
from tests.e2e.test_many_claims import events_of
from tests.stack import Stack, eventually

SERVICE = "refund-calculation"


async def test_a_database_behind_kafka_is_refused(make_stack: MakeStack, unique: str) -> None:
    stack = make_stack()
    await stack.publish(message for number in range(8) for message in events_of(number, unique))
    await stack.collect("refunds.v1", lambda found: len(found) >= 3, limit=60)
    await stack.quiet()
    await stack.hold(SERVICE)
    await run(stack, "CREATE TABLE kept AS SELECT * FROM position")
    await run(stack, "UPDATE position SET next_offset = greatest(0, next_offset - 1)")
    before = await run(stack, "SELECT * FROM position")
    await stack.release(SERVICE)
    log = stack.logs / f"{SERVICE}-1.log"
    await eventually(lambda: "the database is older than Kafka" in log.read_text(), 30, why="the refusal is logged")
    await eventually(lambda: stack.service(SERVICE).restarts >= 1, 30, why="the process ended")
    assert await run(stack, "SELECT * FROM position") == before, "nothing was committed"
    await run(
        stack,
        "UPDATE position p SET next_offset = k.next_offset FROM kept k WHERE (p.topic, p.lane) = (k.topic, k.lane)",
    )
    await stack.ready()


async def run(stack: Stack, query: str) -> set[tuple[object, ...]]:
    conn = await asyncpg.connect(stack.dsn(SERVICE), timeout=15)
    try:
        return {tuple(r) for r in await conn.fetch(query)}
    finally:
        await conn.close()
