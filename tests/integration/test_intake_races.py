"""Two processes of intake that meet events of the same orders, claims and ids at the same time."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from services.intake import store
from shared.db import Conn, Pool, connect
from shared.events import ClaimAdmitted, parse_data
from tests.conftest import MakeDatabase
from tests.intake_samples import HAKAGO, Sample, answer, cancelled, claim, decided, order, returned
from tests.integration.intake_bench import PACKAGES, Replica, Topics, count, emitted, told
from tests.stack import eventually

ROUNDS = 20
LIMIT = 60.0
NOW = datetime(2026, 11, 20, tzinfo=UTC)


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await connect(await make_database(PACKAGES), 8, application="test")
    yield pool
    await pool.close()


@pytest.fixture
async def pair(pool: Pool) -> tuple[Replica, Replica]:
    return await Replica(pool).own(0), await Replica(pool).own(1)


class Contest:
    """Hands two batches to two processes at once."""

    def __init__(self, pair: tuple[Replica, Replica]) -> None:
        self.pair = pair
        self.topics = Topics()

    async def run(self, one: list[Sample], other: list[Sample], *, ids: str = "") -> None:
        """With `ids`, the same event of both sides has the same id."""
        batches = [
            [
                self.topics.put(sample, lane=lane, id=f"{ids}{sample.type}{sample.data.get('claim_id')}" if ids else "")
                for sample in samples
            ]
            for lane, samples in enumerate((one, other))
        ]
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(*(replica.take(*batch) for replica, batch in zip(self.pair, batches, strict=True)))


async def no_deadlock(pool: Pool) -> bool:
    return not await count(pool, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")


async def test_claims_on_one_order(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    """Of twice as many claims as there are units, half are admitted, and no unit is given twice."""
    contest = Contest(pair)
    for number in range(ROUNDS):
        await contest.run([order(f"o-{number}", quantity=4)], [])
        claims = [claim(f"c-{number}-{each}", f"o-{number}") for each in range(8)]
        await contest.run(claims[:4], claims[4:])
    units: dict[str, list[int]] = defaultdict(list)
    for event in await emitted(pool):
        if event.type == ClaimAdmitted.type:
            admitted = parse_data(event.type, event.value or b"")
            assert isinstance(admitted, ClaimAdmitted)
            units[admitted.order_id] += admitted.units["1"]
    assert {order_id: sorted(each) for order_id, each in units.items()} == {
        f"o-{number}": [1, 2, 3, 4] for number in range(ROUNDS)
    }
    assert await no_deadlock(pool)


async def test_the_same_event_on_both_sides(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    contest = Contest(pair)
    for number in range(ROUNDS):
        samples = [
            order(f"o-{number}"),
            claim(f"c-{number}", f"o-{number}"),
            answer(f"c-{number}", f"o-{number}", f"a-{number}"),
        ]
        await contest.run(samples, samples[::-1], ids=f"{number}-")
    came = await told(pool)
    assert sorted(each for each in came if not each.startswith("parked")) == sorted(
        [f"contact o-{n}" for n in range(ROUNDS)]
        + [f"admitted c-{n} 1:1" for n in range(ROUNDS)]
        + [f"seller.answered c-{n}" for n in range(ROUNDS)]
    )
    assert await no_deadlock(pool)


async def test_one_answer_id_under_two_events(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    contest = Contest(pair)
    for number in range(ROUNDS):
        ids = (f"c-{number}", f"o-{number}", f"a-{number}")
        await contest.run([order(ids[1]), claim(ids[0], ids[1])], [])
        await contest.run([answer(*ids)], [answer(*ids, answer="refuse")])
    came = await told(pool)
    assert sum(each.startswith("seller.answered") for each in came) == ROUNDS
    assert came.count("dead seller.answered $.answer_id") == ROUNDS


async def test_one_claim_id_for_two_orders(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    contest = Contest(pair)
    for number in range(ROUNDS):
        one, other = f"o-{number}a", f"o-{number}b"
        await contest.run([order(one)], [order(other)])
        await contest.run([claim(f"c-{number}", one)], [claim(f"c-{number}", other)])
    came = await told(pool)
    assert sum(each.startswith("admitted") for each in came) == ROUNDS
    assert sum(each.endswith("duplicate_claim_id@$.claim_id") for each in came) == ROUNDS


async def test_the_order_and_its_claim(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    """The order on one side, the claim and what follows it on the other: nothing is left waiting, nothing is lost."""
    contest = Contest(pair)
    for number in range(ROUNDS):
        ids = (f"c-{number}", f"o-{number}")
        await contest.run([order(ids[1]), cancelled(*ids)], [returned(*ids, f"r-{number}"), claim(*ids)])
    came = await told(pool)
    for what in ("admitted", "return.received", "claim.cancelled"):
        assert sum(each.startswith(what) for each in came) == ROUNDS
    assert await count(pool, "SELECT count(*) FROM waiting") == 0
    assert await no_deadlock(pool)


async def test_an_event_about_a_claim_that_is_being_admitted_for_another_order(
    pool: Pool, pair: tuple[Replica, Replica]
) -> None:
    """The claim's row exists since something was kept for it: what comes at the same time is not kept for ever."""
    contest = Contest(pair)
    for number in range(ROUNDS):
        ids = (f"c-{number}", f"o-{number}")
        await contest.run([order(ids[1])], [cancelled(ids[0], "another")])
        await contest.run([claim(*ids)], [answer(ids[0], "another", f"a-{number}")])
    came = await told(pool)
    assert came.count("dead seller.answered $.order_id") == ROUNDS
    assert came.count("dead claim.cancelled $.order_id") == ROUNDS
    assert await count(pool, "SELECT count(*) FROM waiting") == 0


async def test_batches_over_the_same_orders_in_opposite_order(pool: Pool, pair: tuple[Replica, Replica]) -> None:
    """Many orders and claims in each transaction, met from both ends: they wait for each other, never in a ring."""
    contest = Contest(pair)
    orders = [order(f"o-{n}", merchant, quantity=12) for n in range(30) for merchant in ("gejet-mall", HAKAGO)]
    await contest.run(orders[:30], orders[::-1])
    for number in range(ROUNDS // 2):
        one = [
            sample
            for n in range(30)
            for sample in (
                claim(f"c-{number}-{n}", f"o-{n}"),
                answer(f"c-{number}-{n}", f"o-{n}", f"a-{number}-{n}"),
                decided(f"c-{number}-{n}", f"o-{n}"),
            )
        ]
        other = [
            sample
            for n in range(30)
            for sample in (
                answer(f"c-{number}-{n}", f"o-{n}", f"a-{number}-{n}"),
                claim(f"d-{number}-{n}", f"o-{n}"),
            )
        ]
        await contest.run(one, other[::-1])
    came = await told(pool)
    assert sum(each.startswith("admitted") for each in came) == 2 * 30 * (ROUNDS // 2)
    assert sum(each.startswith("seller.answered") for each in came) == 30 * (ROUNDS // 2)
    assert await no_deadlock(pool)


async def test_the_parking_time_ends_while_the_order_comes(pool: Pool) -> None:
    """Admitted or refused, never both, never neither."""
    replicas = (await Replica(pool, timedelta(0)).own(0), await Replica(pool, timedelta(0)).own(1))
    topics = Topics()
    for number in range(ROUNDS):
        await replicas[0].take(topics.put(claim(f"c-{number}", f"o-{number}"), lane=0))
        async with asyncio.timeout(LIMIT):
            await asyncio.gather(replicas[0].tick(), replicas[1].take(topics.put(order(f"o-{number}"), lane=1)))
    came = await told(pool)
    ends = [each.split()[1] for each in came if each.startswith(("admitted", "refused"))]
    assert sorted(ends) == sorted(f"c-{number}" for number in range(ROUNDS))
    assert await count(pool, "SELECT count(*) FROM waiting") == 0


TAKEN: dict[str, Callable[[Conn, list[str]], Awaitable[object]]] = {
    "seen": lambda conn, names: store.mark_seen(conn, {name.encode(): b"" for name in names}, NOW),
    "orders": lambda conn, names: store.lock_orders(conn, [("m", name) for name in names]),
    "claims": lambda conn, names: store.lock_claims(conn, {("m", name): None for name in names}),
}


@pytest.mark.parametrize("what", TAKEN)
@pytest.mark.parametrize("known", [False, True], ids=["new", "known"])
async def test_rows_are_taken_in_one_order(what: str, known: bool, pool: Pool) -> None:
    """Whoever waits for the first row does not hold the second, in whatever order it asked for them."""
    take = TAKEN[what]
    async with pool.acquire() as first, pool.acquire() as second, pool.acquire() as third:
        if known and what != "seen":
            await take(first, ["a", "b"])
        async with asyncio.timeout(LIMIT), first.transaction():
            await take(first, ["a"])
            waits = asyncio.create_task(_in_transaction(second, take, ["b", "a"]))
            await eventually(lambda: _is_blocked(third, second.get_server_pid()), why="waiting for the first row")
            await third.execute("SET lock_timeout = '2s'")
            await _in_transaction(third, take, ["b"])
        await waits


async def _in_transaction(conn: Conn, take: Callable[[Conn, list[str]], Awaitable[object]], names: list[str]) -> None:
    async with conn.transaction():
        await take(conn, names)


async def _is_blocked(conn: Conn, pid: int) -> bool:
    return bool(await conn.fetchval("SELECT cardinality(pg_blocking_pids($1)) > 0", pid))
