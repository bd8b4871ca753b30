"""The search of `claims recover`: a service takes its inputs again, and ends where it was when it said what it said."""

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.recovery.finding import Group, Irreproducible, Search, instant
from cli.recovery.recovering import Report, _answers
from cli.recovery.services import first_told, groups_of, service_named
from cli.recovery.standing import Database, Log, Output, behind, expired, fresh
from services.eligibility.handlers import Eligibility
from services.refund_calculation.handlers import RefundCalculation
from shared import clock
from shared.bus import Record
from shared.bus.redrive import Redrive, drop_of, marked
from shared.bus.store import unpublished
from shared.db import Pool, connect
from shared.events.topics import ADMISSIONS, ASSESSMENTS, REFUNDS
from tests.conftest import MakeDatabase
from tests.intake_samples import Sample, answer, claim, order, returned, review
from tests.integration import test_eligibility_service as eligibility
from tests.integration.intake_bench import Replica, Topics
from tests.integration.test_calculation_service import PACKAGES, Bench, claim_of
from tests.unit.calculation_stage import book

AT = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
async def bench(make_database: MakeDatabase) -> AsyncIterator[Bench]:
    pool = await connect(await make_database(PACKAGES), 4, application="test")
    made = Bench(pool)
    await made.pipeline.claim([0, 1])
    yield made
    await pool.close()


async def said(pool: Pool) -> list[Output]:
    """What the service has said, as it would lie on the topics: an output for each event."""
    found = []
    async with pool.acquire() as conn:
        rows = [row for lane in (0, 1) for row in await unpublished(conn, lane, 0, 1000)]
    for row in rows:
        at = row.written_at.replace(microsecond=row.written_at.microsecond // 1000 * 1000)
        for event in row.events:
            if event.headers is None:
                record = Record(event.topic, row.lane, event.number, 0, event.key, event.value, (), event.type)
                found.append(Output(record, row.lane, event.number, at))
    return found


async def forget(bench: Bench) -> list[tuple[object, ...]]:
    """Empty the service's tables; returns what was in them."""
    rows = await rows_of(bench.pool)
    await bench.pool.execute("TRUNCATE order_money, awaited_settlement")
    return rows


async def rows_of(pool: Pool) -> list[tuple[object, ...]]:
    found = await pool.fetch("SELECT order_id, lane, state FROM order_money ORDER BY order_id")
    waiting = await pool.fetch(
        "SELECT refund_id, lane, amount, instructed_at FROM awaited_settlement ORDER BY refund_id"
    )
    return [tuple(row) for row in (*found, *waiting)]


async def search(pool: Pool, group: Group) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await Search(lambda: RefundCalculation(book, timedelta(0)), conn, None).run(group)


def group_of(records: Iterable[Record], outputs: Sequence[Output]) -> Group:
    sure: dict[tuple[str, int], list[Record]] = {}
    for record in records:
        sure.setdefault((record.topic, record.partition), []).append(record)
    return Group({("gejet-mall", "o-1")}, sure, {}, list(outputs))


def timed(records: Sequence[Record]) -> None:
    """Written one second after the other."""
    for second, record in enumerate(records):
        record.timestamp_ms = int((AT + timedelta(seconds=second)).timestamp() * 1000)


@pytest.mark.parametrize("way", [(0, 1), (1, 0)], ids=["by time", "the other way round"])
async def test_the_state_is_that_of_what_was_said(bench: Bench, way: tuple[int, int]) -> None:
    records = [bench.record(event) for event in claim_of("o-1")]
    timed(records)
    for place in way:
        await bench.take(records[place])
    outputs, before = await said(bench.pool), await forget(bench)
    assert len(outputs) == 2
    await search(bench.pool, group_of(records, outputs))
    assert await rows_of(bench.pool) == before


async def test_of_two_claims_that_raced_the_one_that_was_paid_is_paid(bench: Bench) -> None:
    """Two claims on one unit: whichever assessment was read first got the money. Their times say the other one."""
    first, second = await race(bench)
    timed([*second, *first])  # the loser's records are the older ones
    for record in (first[0], second[0], first[1], second[1]):
        await bench.take(record)
    outputs, before = await said(bench.pool), await forget(bench)
    paid = [one.record.value for one in outputs if one.record.topic == REFUNDS]
    assert len(paid) == 1
    admissions = sorted((first[0], second[0]), key=lambda record: record.offset)
    assessments = sorted((first[1], second[1]), key=lambda record: record.offset)
    await search(bench.pool, group_of([*admissions, *assessments], outputs))
    assert await rows_of(bench.pool) == before


async def race(bench: Bench) -> tuple[list[Record], list[Record]]:
    admitted, assessed = claim_of("o-1")
    other = [e.model_copy(update={"claim_id": "twin"}) for e in (admitted, assessed)]
    return [bench.record(e) for e in (admitted, assessed)], [bench.record(e) for e in other]


async def test_what_was_not_dealt_with_is_left_to_the_service(bench: Bench) -> None:
    admitted, assessed = (bench.record(event) for event in claim_of("o-1"))
    timed([admitted, assessed])
    await bench.take(admitted)
    before = await forget(bench)
    group = Group({("gejet-mall", "o-1")}, {}, {(ADMISSIONS, 0): [admitted], (ASSESSMENTS, 0): [assessed]}, [])
    await search(bench.pool, group)
    assert await rows_of(bench.pool) == [], "nothing says that anything was dealt with"
    await bench.pool.execute("TRUNCATE order_money")
    group.sure, group.open_ = {(ADMISSIONS, 0): [admitted]}, {(ASSESSMENTS, 0): [assessed]}
    await search(bench.pool, group)
    assert await rows_of(bench.pool) == before


async def test_an_input_that_was_answered_was_dealt_with(bench: Bench) -> None:
    records = [bench.record(event) for event in claim_of("o-1")]
    timed(records)
    await bench.take(*records)
    outputs, before = await said(bench.pool), await forget(bench)
    group = Group({("gejet-mall", "o-1")}, {}, {(r.topic, 0): [r] for r in records}, outputs)
    async with bench.pool.acquire() as conn, conn.transaction():
        found = await Search(lambda: RefundCalculation(book, timedelta(0)), conn, None).run(group)
    assert found.reached == {(r.topic, 0): r.offset + 1 for r in records}
    assert await rows_of(bench.pool) == before


async def test_what_does_not_come_out_again_is_named_and_nothing_is_changed(bench: Bench) -> None:
    records = [bench.record(event) for event in claim_of("o-1")]
    timed(records)
    await bench.take(*records)
    outputs = await said(bench.pool)
    await forget(bench)
    changed = outputs[1].record
    changed.value = (changed.value or b"").replace(b'"amount":"10000000"', b'"amount":"99"', 1)
    with pytest.raises(Irreproducible, match=r"refunds.v1/0@\d+ \$\S*amount: said was 99, now it is 10000000"):
        await search(bench.pool, group_of(records, outputs))
    assert await rows_of(bench.pool) == []
    with pytest.raises(Irreproducible, match="would be said"):
        await search(bench.pool, group_of(records, []))


def test_the_instant_is_as_exact_as_the_event_tells() -> None:
    at = datetime(2026, 11, 1, 12, 0, 0, 123_000, tzinfo=UTC)

    def one(type_: str, data: str, number: int = 1, when: datetime = at) -> Output:
        return Output(Record("t", 0, number, 0, None, data.encode(), (), type_), 0, number, when)

    exact = '{"decided_at": "2026-11-01T12:00:00.123456Z"}'
    assert instant([one("claim.decided.v1", exact)]).microsecond == 123_456
    assert instant([one("claim.referred.v1", "{}"), one("claim.decided.v1", exact, 2)]).microsecond == 123_456
    later = one("claim.decided.v1", exact, 2, at + timedelta(seconds=1))
    assert instant([one("claim.referred.v1", "{}"), later]).microsecond == 123_999
    parked = one("claim.parked.v1", '{"until": "2026-11-02T12:00:00.123789Z"}')
    assert instant([parked]).microsecond == 123_789
    kept = one("claim.assessed.v1", '{"since": "2026-10-01T12:00:00.5Z"}')
    assert instant([kept]).microsecond == 123_999, "it came to stand so long before"


def test_behind_and_expired() -> None:
    database = Database(positions={("a", 0): 5}, emitted={0: 7})
    log = Log(told={("a", 0): 5}, begins={("a", 0): 5}, ends={("a", 0): 9}, last={0: 7})
    assert behind(database, log) == []
    assert expired(database, log) == []
    assert behind(database, replace(log, told={("a", 0): 6})) == ["a/0 stands at 5, Kafka was told 6"]
    assert behind(database, replace(log, last={0: 8, 1: 1})) == [
        "lane 0 has said 7 events, Kafka has number 8",
        "lane 1 has said 0 events, Kafka has number 1",
    ]
    assert expired(database, replace(log, begins={("a", 0): 8})) == ["a/0: 5 to 7"]


def test_repeats_are_told_as_the_kit_tells_them() -> None:
    def one(offset: int, id: str, headers: Sequence[tuple[str, bytes]] = ()) -> Record:
        redrive = dict(headers).get("makegood_redrive", b"").decode()
        return Record("a", 0, offset, 0, None, b"", tuple(headers), "", id, "/makegood/x", redrive=redrive)

    mark, other = Redrive("me", 0, 3, 1, AT), Redrive("another", 0, 3, 1, AT)
    records = [
        one(10, "0-5"),
        one(11, "0-6"),
        one(12, "0-6"),
        one(13, "1-1"),
        one(14, "0-2", marked((), mark)),
        one(15, "0-2", marked((), mark)),
        one(16, "0-2", marked((), other)),
        one(17, "", drop_of(Redrive("me", 0, 4, 1, AT), "mina", "why")),
        one(18, "x"),
    ]
    database = Database(marks={("a", 0, "/makegood/x:0"): 5})
    log = Log(inputs={("a", 0): records})
    assert [r.offset for r, _, _ in fresh("me", (), database, log)] == [11, 13, 14, 18]
    assert [r.offset for r, _, _ in fresh("me", ("a",), database, log)] == [10, 11, 12, 13, 14, 18]


async def test_at_the_door_orders_belong_together_that_share_a_claim_or_an_event(make_database: MakeDatabase) -> None:
    pool = await connect(await make_database(["shared.bus", "services.intake"]), 1, application="test")
    try:
        records = [
            door(0, order("o-1"), "e1"),
            door(1, order("o-2"), "e2"),
            door(2, order("o-3"), "e3"),
            door(3, order("o-4"), "e3"),
            door(4, claim(order_id="o-1"), "e4"),
            door(5, answer(order_id="o-2"), "e5"),
            door(6, order("o-5"), "e6"),
        ]
        records.append(Record("orders.v1", 0, 7, 0, b"k", b"{", ()))
        async with pool.acquire() as conn:
            groups = await groups_of(service_named("intake"), records, lambda r: r.offset < 2, [], conn)
    finally:
        await pool.close()
    found = sorted(sorted(order_id for _, order_id in group.orders) for group in groups)
    assert found == [["o-1", "o-2"], ["o-3", "o-4"], ["o-5"]]
    (first,) = (group for group in groups if len(group.orders) == 2 and ("gejet-mall", "o-1") in group.orders)
    assert [r.offset for r in first.sure["orders.v1", 0]] == [0, 1]
    assert {place[0] for place in first.open_} == {"claims.v1", "sellers.v1"}


def test_repeats_of_foreign_events_are_left_out_but_after_a_dead_letter() -> None:
    topics = Topics()
    records = [topics.put(order("o-1"), id=id) for id in ("e1", "e1", "e2")]
    assert [r.offset for r in first_told(records, {"orders.v1"}, set())] == [0, 2]
    assert [r.offset for r in first_told(records, {"orders.v1"}, {("orders.v1", 0, 0)})] == [0, 1, 2]
    assert [r.offset for r in first_told(records, set(), set())] == [0, 1, 2]


def door(offset: int, sample: Sample, id: str) -> Record:
    headers = {"ce_specversion": "1.0", "ce_type": sample.type, "ce_id": id, "ce_source": "/shop"}
    return Record(sample.topic, 0, offset, 0, b"k", sample.value, tuple((k, v.encode()) for k, v in headers.items()))


async def test_a_deadline_that_had_passed_had_passed(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eligibility said because of time that one claim is overdue; the other's deadline is left alone."""
    monkeypatch.setattr(clock, "now", lambda: AT)
    pool = await connect(await make_database(["shared.bus", "services.eligibility"]), 2, application="test")
    try:
        made = eligibility.Bench(pool)
        await made.pipeline.claim([0, 1])
        first, second = (
            made.record(*eligibility.write("admit", name, f"o-{name}", merchant="hakago", reason="wrong_item"), lane=1)
            for name in ("a", "b")
        )
        await made.take(first)
        monkeypatch.setattr(clock, "now", lambda: AT + timedelta(days=8))
        await made.pipeline.tick()
        await made.take(second)
        assert await made.told() == ["a seller", "a seller overdue", "b seller"]
        outputs = await said(pool)
        query = "SELECT claim_id, lane, revision, due, state FROM claim_state ORDER BY 1"
        before = [tuple(row) for row in await pool.fetch(query)]
        await pool.execute("TRUNCATE claim_state, policy_used")
        async with pool.acquire() as conn, conn.transaction():
            groups = await groups_of(service_named("eligibility"), [first, second], lambda _: True, outputs, conn)
            made_again = Search(lambda: Eligibility(book), conn, "claim_state")
            for group in sorted(groups, key=lambda group: -len(group.outputs)):
                await made_again.run(group)
        assert [tuple(row) for row in await pool.fetch(query)] == before
    finally:
        await pool.close()


async def test_a_claim_to_which_nothing_was_said_was_closed_when_it_came(make_database: MakeDatabase) -> None:
    """It is known that the claim was read, and not whether its decision was: it was, before."""
    pool = await connect(await make_database(["shared.bus", "services.eligibility"]), 2, application="test")
    try:
        made = eligibility.Bench(pool)
        await made.pipeline.claim([0, 1])
        admitted = made.record(*eligibility.write("admit", merchant="hakago", reason="wrong_item"))
        decided = made.record(*eligibility.write("decide", merchant="hakago"))
        timed([admitted, decided])
        await made.take(decided, admitted)
        assert await made.told() == []
        before = await pool.fetch("SELECT * FROM claim_state")
        await pool.execute("TRUNCATE claim_state, policy_used")
        place = (decided.topic, decided.partition)
        group = Group({("hakago", "o-1")}, {(admitted.topic, admitted.partition): [admitted]}, {place: [decided]}, [])
        async with pool.acquire() as conn, conn.transaction():
            found = await Search(lambda: Eligibility(book), conn, "claim_state").run(group)
        assert found.reached == {place: decided.offset + 1}
        assert await pool.fetch("SELECT * FROM claim_state") == before
    finally:
        await pool.close()


async def test_what_lies_below_an_answered_input_was_read_when_nothing_came_of_it(make_database: MakeDatabase) -> None:
    """Kafka was told nothing. That the second claim was assessed says that the first was read, to which nothing was
    said: so its decision must have been read before it."""
    pool = await connect(await make_database(["shared.bus", "services.eligibility"]), 2, application="test")
    try:
        made = eligibility.Bench(pool)
        await made.pipeline.claim([0, 1])
        of = {"merchant": "hakago", "reason": "wrong_item"}
        first, second = (made.record(*eligibility.write("admit", name, f"o-{name}", **of)) for name in ("a", "b"))
        decided = made.record(*eligibility.write("decide", "a", "o-a", merchant="hakago"))
        timed([first, second, decided])
        await made.take(decided, first, second)
        assert await made.told() == ["b seller"]
        outputs = await said(pool)
        query = "SELECT * FROM claim_state ORDER BY claim_id"
        before = await pool.fetch(query)
        await pool.execute("TRUNCATE claim_state, policy_used, history")
        places = {(record.topic, 0): record.offset + 1 for record in (first, second, decided)}
        inputs = [(record, "", 0) for record in (first, second, decided)]
        async with pool.acquire() as conn, conn.transaction():
            log = Log(ends=places, outputs=outputs)
            reached = await _answers(conn, service_named("eligibility"), Database(), log, inputs, Report("eligibility"))
        assert reached == places
        assert await pool.fetch(query) == before
    finally:
        await pool.close()


async def test_what_came_again_and_again_does_not_make_the_search_long(make_database: MakeDatabase) -> None:
    """The return was read before the answer that is older, and nothing was said to either until the claim came; their
    repeats, to which nothing was said, could each have been read at many a moment."""
    pool = await connect(await make_database(["shared.bus", "services.intake"]), 2, application="test")
    try:
        replica = await Replica(pool).own(0, 1)
        topics = Topics()
        answers = [topics.put(answer(), lane=1, id="answer") for _ in range(4)]
        returns = [topics.put(returned(), lane=1, id="return") for _ in range(4)]
        reviews = [topics.put(review(), lane=1, id="review") for _ in range(4)]
        placed, claimed = topics.put(order(), lane=1), topics.put(claim(), lane=1)
        timed([*answers, *reviews, *returns, placed, claimed])
        for record in (returns[0], answers[0], reviews[0], placed, claimed, *returns[1:], *answers[1:], *reviews[1:]):
            await replica.take(record)
        outputs = await said(pool)
        told = [
            "customer.contact.v1",
            "claim.admitted.v1",
            "return.received.v1",
            "seller.answered.v1",
            "claim.reviewed.v1",
        ]
        assert [one.record.type for one in outputs] == told
        queries = ("SELECT * FROM order_state", "SELECT * FROM claim", "SELECT * FROM waiting", "SELECT key FROM seen")
        before = [sorted(tuple(row) for row in await pool.fetch(query)) for query in queries]
        await pool.execute("TRUNCATE order_state, claim, waiting, seen")
        records = [placed, claimed, *answers, *returns, *reviews]
        async with pool.acquire() as conn, conn.transaction():
            (group,) = await groups_of(service_named("intake"), records, lambda _: True, outputs, conn)
            await Search(service_named("intake").make, conn, "waiting").run(group)
        assert [sorted(tuple(row) for row in await pool.fetch(query)) for query in queries] == before
    finally:
        await pool.close()


async def test_a_parking_time_that_had_ended_had_ended(
    make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = AT + timedelta(microseconds=123_456)
    monkeypatch.setattr(clock, "now", lambda: now)
    pool = await connect(await make_database(["shared.bus", "services.intake"]), 2, application="test")
    try:
        replica = await Replica(pool).own(0, 1)
        topics = Topics()
        records = [topics.put(claim(claim_id=f"c-{n}", order_id=f"o-{n}"), lane=1) for n in (1, 2)]
        await replica.take(records[0])
        now += timedelta(hours=20)
        await replica.take(records[1])
        now += timedelta(hours=5)
        await replica.tick()
        outputs = await said(pool)
        assert [one.record.type for one in outputs] == ["claim.parked.v1", "claim.parked.v1", "claim.refused.v1"]
        queries = ("SELECT order_id, state FROM order_state ORDER BY 1", "SELECT order_id, lane, until FROM waiting")
        before = [[tuple(row) for row in await pool.fetch(query)] for query in queries]
        await pool.execute("TRUNCATE order_state, claim, waiting, seen")
        async with pool.acquire() as conn, conn.transaction():
            groups = await groups_of(service_named("intake"), records, lambda _: True, outputs, conn)
            made_again = Search(service_named("intake").make, conn, "waiting")
            for group in sorted(groups, key=lambda group: len(group.outputs)):
                await made_again.run(group)
        assert [[tuple(row) for row in await pool.fetch(query)] for query in queries] == before
    finally:
        await pool.close()
