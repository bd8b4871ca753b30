"""Intake on a real Postgres under the real unit of work: the scenarios, and every row of the contract's last table."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import ormsgpack
import pytest

from shared.bus import lane_of
from shared.db import Pool, connect
from tests.conftest import MakeDatabase
from tests.intake_samples import Sample, answer, claim, decided, delivered, order, returned, settled
from tests.integration.intake_bench import LANES, PACKAGES, Replica, Topics, count, emitted, short, told
from tests.unit.test_intake_admit import SCENARIOS


@pytest.fixture
async def pool(make_database: MakeDatabase) -> AsyncIterator[Pool]:
    pool = await connect(await make_database(PACKAGES), 8, application="test")
    yield pool
    await pool.close()


@pytest.fixture
async def intake(pool: Pool) -> Replica:
    return await Replica(pool).own(*range(LANES))


# --- the scenarios of the pure function, through the database


@pytest.mark.parametrize("at_once", [False, True], ids=["one_by_one", "at_once"])
async def test_scenarios(make_database: MakeDatabase, at_once: bool) -> None:
    """Each scenario in a merchant of its own would need other data; so the tables are emptied in between."""
    pool = await connect(await make_database(PACKAGES), 2, application="test")
    wrong: dict[str, tuple[list[str], list[str]]] = {}
    for name, (steps, expected) in SCENARIOS.items():
        if any(isinstance(step, float) for step in steps):
            continue
        async with pool.acquire() as conn:
            await conn.execute(
                "TRUNCATE order_state, claim, waiting, seen, lane, position, inbox_mark, outbox, history, dead_letter"
            )
        replica = await Replica(pool).own(0)
        topics = Topics()
        records = [topics.put(step) for step in steps]
        for batch in [records] if at_once else [[record] for record in records]:
            await replica.take(*batch)
        visible = [each for each in expected if each not in ("duplicate", "kept")]
        came = await told(pool)
        if came != visible:
            wrong[name] = (came, visible)
        await no_dead_letter_waits(pool)
    await pool.close()
    assert wrong == {}


async def no_dead_letter_waits(pool: Pool) -> None:
    async with pool.acquire() as conn:
        dead = {(r["topic"], r["lane"], r["record_offset"]) for r in await conn.fetch("SELECT * FROM dead_letter")}
        waiting = await conn.fetch("SELECT record FROM waiting")
        places = {tuple(ormsgpack.unpackb(row["record"])[:3]) for row in waiting}
    assert not dead & places


# --- rows of the contract's table


def headers(type_: str, **others: str) -> list[tuple[str, bytes]]:
    attributes = {"ce_specversion": "1.0", "ce_id": "x-1", "ce_source": "/shop", "ce_type": type_} | others
    return [(name, value.encode()) for name, value in attributes.items()]


BAD_INPUT: dict[str, tuple[str, bytes | None, list[tuple[str, bytes]], str, str]] = {
    "no value": ("claims.v1", None, headers("claim.submitted.v1"), "$", "value"),
    "not JSON": ("claims.v1", b"{", headers("claim.submitted.v1"), "$", "JSON"),
    "unknown type": ("claims.v1", claim().value, headers("claim.lost.v1"), "$", "claim.lost.v1"),
    "a type on another's topic": ("orders.v1", claim().value, headers("claim.submitted.v1"), "$", "claims.v1"),
    "a schema error": (
        "claims.v1",
        claim(channel="fax").value,
        headers("claim.submitted.v1"),
        "$.channel",
        "$.channel",
    ),
    "a bad amount": (
        "orders.v1",
        order(transaction_fee="1,000").value,
        headers("order.placed.v1"),
        "$.transaction_fee",
        "$.transaction_fee",
    ),
    "payments that do not add up": (
        "orders.v1",
        order(transaction_fee="7").value,
        headers("order.placed.v1"),
        "$.payments",
        "257",
    ),
    "too large": (
        "claims.v1",
        claim(x="x" * 262_144).value,
        headers("claim.submitted.v1"),
        "$",
        "262144",
    ),
    "bytes in a header": ("claims.v1", claim().value, [("ce_type", b"\xff")], "$", "ce_type"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
async def test_bad_input_is_a_dead_letter_and_the_partition_goes_on(name: str, intake: Replica) -> None:
    topic, value, sent, path, named = BAD_INPUT[name]
    topics = Topics()
    before = topics.put(order())
    bad = topics.raw(topic, value, key=b"\x00key", headers=sent)
    after = topics.put(claim())
    await intake.take(before, bad, after)
    events = await emitted(intake.pool)
    letters = [event for event in events if event.headers is not None]
    assert [short(event) for event in events if event.headers is None] == ["contact o-1", "admitted c-1 1:1"]
    assert len(letters) == 1
    letter, told_headers = letters[0], dict(letters[0].headers or ())
    assert (letter.topic, letter.key, letter.value) == (f"{topic}.intake.dlq", b"\x00key", value)
    assert set(sent) <= set(letter.headers or ())
    assert told_headers["dlq_path"].decode() == path
    assert named in told_headers["dlq_reason"].decode()
    assert told_headers["dlq_offset"] == str(bad.offset).encode()


async def test_a_claim_for_an_order_not_seen_yet(pool: Pool) -> None:
    """Parked; taken up when the order comes; refused after the parking time, whoever then has the lane."""
    replica = await Replica(pool, parking=timedelta(0)).own(*range(LANES))
    topics = Topics()
    await replica.take(topics.put(claim("c-1", "o-1"), lane=2), topics.put(claim("c-2", "o-2"), lane=2))
    await replica.take(topics.put(order("o-2"), lane=1))
    heir = await Replica(pool, parking=timedelta(0)).own(2)
    await heir.tick()
    await heir.tick()
    assert sorted(await told(pool)) == [
        "admitted c-2 1:1",
        "contact o-2",
        "parked c-1",
        "parked c-2",
        "refused c-1 unknown_order@$.order_id",
    ]
    assert await count(pool, "SELECT count(*) FROM waiting") == 0
    await heir.take(topics.put(order("o-1"), lane=2), topics.put(claim("c-1", "o-1"), lane=2))
    assert "admitted c-1 1:1" in await told(pool)


async def test_a_parked_claim_is_left_to_the_owner_of_its_lane(pool: Pool) -> None:
    replica = await Replica(pool, parking=timedelta(0)).own(1, 2)
    await replica.take(Topics().put(claim(), lane=1))
    other = await Replica(pool, parking=timedelta(0)).own(2, 3)
    await other.tick()
    assert await told(pool) == ["parked c-1"]


async def test_what_comes_before_its_claim_is_kept_over_batches_and_owners(pool: Pool) -> None:
    topics = Topics()
    first = await Replica(pool).own(*range(LANES))
    await first.take(topics.put(answer(), lane=1), topics.put(delivered(), lane=3))
    await first.take(topics.put(returned(), lane=2), topics.put(answer(), lane=1))
    second = await Replica(pool).own(*range(LANES))
    await second.take(topics.put(claim(), lane=3))
    await second.take(topics.put(order(), lane=0))
    assert (await told(pool))[:5] == [
        "contact o-1",
        "order.delivered o-1",
        "admitted c-1 1:1",
        "seller.answered c-1",
        "return.received c-1",
    ]
    assert await count(pool, "SELECT count(*) FROM waiting") == 0


async def test_what_was_kept_and_does_not_fit_is_a_dead_letter_as_it_came(pool: Pool) -> None:
    topics = Topics()
    first = await Replica(pool).own(3)
    wrong = topics.put(answer(order_id="o-2"), lane=3, key=b"\xffodd", id="wrong", ce_extra="kept")
    await first.take(wrong)
    second = await Replica(pool).own(0)
    await second.take(topics.put(order()), topics.put(claim()))
    letter = next(event for event in await emitted(pool) if event.headers is not None)
    assert (letter.topic, letter.partition, letter.key, letter.value) == (
        "sellers.v1.intake.dlq",
        3,
        b"\xffodd",
        wrong.value,
    )
    assert set(wrong.headers) <= set(letter.headers or ())
    assert await count(pool, "SELECT count(*) FROM dead_letter WHERE lane = 3") == 1
    await second.take(topics.put(answer(), id="wrong"))
    assert (await told(pool))[-1] == "seller.answered c-1", "its event id and its answer id are free again"


async def test_the_same_event_any_number_of_times(pool: Pool) -> None:
    """In one batch, in another, in another lane, by another process: no effect. With other data: a dead letter."""
    topics = Topics()
    first = await Replica(pool).own(0, 1)
    second = await Replica(pool).own(2, 3)
    await first.take(*[topics.put(sample, id=sample.type) for sample in (order(), claim(), answer()) for _ in range(3)])
    for sample in (order(), claim(), answer()):
        await first.take(topics.put(sample, lane=1, id=sample.type))
        await second.take(topics.put(sample, lane=2, id=sample.type))
    expected = ["contact o-1", "admitted c-1 1:1", "seller.answered c-1"]
    assert await told(pool) == expected
    await second.take(topics.put(claim("c-1", lines={"1": 2}), lane=2, id="claim.submitted.v1"))
    assert await told(pool) == [*expected, "dead claim.submitted $"]


async def test_what_waits_is_known_when_the_inbox_has_forgotten_it(intake: Replica) -> None:
    topics = Topics()
    await intake.take(topics.put(answer(), id="1"), topics.put(returned(), id="2"))
    async with intake.pool.acquire() as conn:
        await conn.execute("TRUNCATE seen")
    await intake.take(topics.put(answer(), id="1"), topics.put(returned(fault="none"), id="2"))
    await intake.take(topics.put(order()), topics.put(claim()))
    assert await told(intake.pool) == [
        "dead return.received $",
        "contact o-1",
        "admitted c-1 1:1",
        "seller.answered c-1",
        "return.received c-1",
    ]


async def test_the_members_order_and_white_space_do_not_make_other_data(intake: Replica) -> None:
    topics = Topics()
    sample = order()
    turned = Sample(sample.type, dict(reversed(sample.data.items())))
    await intake.take(topics.put(sample, id="1"), topics.put(turned, id="1"))
    assert await told(intake.pool) == ["contact o-1"]


async def test_units_and_decisions(intake: Replica) -> None:
    topics = Topics()
    await intake.take(topics.put(order(quantity=1)), topics.put(claim("c-1")), topics.put(claim("c-2")))
    await intake.take(topics.put(decided("c-1", outcome="cancelled")))
    await intake.take(topics.put(claim("c-2")))
    await intake.take(topics.put(decided("c-2", outcome="refund", verdicts={"1": ("eligible", 1)})))
    await intake.take(topics.put(claim("c-3")))
    taken = "units_already_claimed@$.lines[0].quantity"
    assert await told(intake.pool) == [
        "contact o-1",
        "admitted c-1 1:1",
        f"refused c-2 {taken}",
        "admitted c-2 1:1",
        f"refused c-3 {taken}",
    ]


async def test_what_else_is_on_the_decisions_topic_is_passed_over(intake: Replica) -> None:
    topics = Topics()
    other = topics.raw("decisions.v1", b"{}", headers=headers("claim.settled.v1", ce_id="0-1"))
    broken = topics.raw("decisions.v1", b"{}", headers=headers("claim.decided.v1", ce_id="0-2"))
    await intake.take(other, broken)
    assert await told(intake.pool) == ["dead claim.decided $.claim_id"]


# --- what is emitted


async def test_outputs_are_keyed_by_the_data_and_carry_subject_and_trace(intake: Replica) -> None:
    topics = Topics()
    traces = {
        name: f"00-{digit * 32}-{digit * 16}-01" for name, digit in (("claim", "a"), ("answer", "b"), ("order", "c"))
    }
    await intake.take(
        topics.put(claim(), lane=1, traceparent=traces["claim"]),
        topics.put(answer(), lane=2, traceparent=traces["answer"]),
        topics.put(order(), lane=3, traceparent=traces["order"]),
        topics.put(settled(), lane=3),
    )
    events = {event.type: event for event in await emitted(intake.pool)}
    key = b"gejet-mall/o-1"
    assert {event.key for event in events.values()} == {key}
    assert {event.partition for event in events.values()} == {lane_of(key, LANES)}
    assert {name: event.topic for name, event in events.items() if event.topic != "admissions.v1"} == {
        "customer.contact.v1": "contacts.v1"
    }
    assert {name: event.subject for name, event in events.items()} == {
        "claim.parked.v1": "c-1",
        "customer.contact.v1": "o-1",
        "claim.admitted.v1": "c-1",
        "seller.answered.v1": "c-1",
        "refund.settled.v1": "c-1",
    }
    assert events["customer.contact.v1"].traceparent == traces["order"]
    assert events["claim.admitted.v1"].traceparent == events["claim.parked.v1"].traceparent == traces["claim"]
    assert events["seller.answered.v1"].traceparent == traces["answer"]


async def test_ids_in_persian_digits_are_the_same_ids(intake: Replica) -> None:
    topics = Topics()
    await intake.take(topics.put(order("o-۱")), topics.put(claim("c-١", "o-1")), topics.put(claim("c-1", "o-۱")))
    assert await told(intake.pool) == ["contact o-1", "admitted c-1 1:1", "refused c-1 duplicate_claim_id@$.claim_id"]


async def test_a_structured_event(intake: Replica) -> None:
    topics = Topics()
    envelope: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/s", "type": "order.placed.v1"}
    whole = Sample("order.placed.v1", envelope | {"data": order().data}).value
    record = topics.raw("orders.v1", whole, headers=[("content-type", b"application/cloudevents+json")])
    again = topics.put(order(), id="1", ce_source="/s")
    await intake.take(record, again)
    assert await told(intake.pool) == ["contact o-1"]


async def test_no_contact_data_in_the_database_beyond_the_outbox(intake: Replica) -> None:
    topics = Topics()
    await intake.take(topics.put(claim()), topics.put(order()), topics.put(answer()))
    async with intake.pool.acquire() as conn:
        await conn.execute("TRUNCATE outbox")
        for table in ("order_state", "claim", "waiting", "seen", "history"):
            rows = await conn.fetch(f"SELECT row_to_json(t)::text AS row FROM {table} t")
            assert not any("example.org" in row["row"] for row in rows)
