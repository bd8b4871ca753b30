"""Eligibility on a real Postgres under the real unit of work."""

import itertools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from services.eligibility import domain, handlers, store
from services.eligibility.facts import ClaimState, restored
from services.eligibility.handlers import Eligibility
from shared import clock, run
from shared.bus import Record
from shared.bus.outbox import Outgoing
from shared.bus.pipeline import GaveUp, Pipeline
from shared.bus.relay import Relay
from shared.bus.store import unpublished
from shared.db import Pool, connect
from shared.events import ClaimAssessed, parse_data
from shared.events.topics import ADMISSIONS, DECISIONS
from shared.policy.book import PolicyBook
from shared.policy.model import Deadlines
from shared.policy.problem import PolicyError
from shared.settings import Settings
from tests.conftest import MakeDatabase
from tests.unit.eligibility_stage import GOOD, Stage, book

PACKAGES = ["shared.bus", "services.eligibility"]
DECISION_TYPES = ("claim.decided.v1", "claim.referred.v1", "claim.settled.v1", "review.refused.v1")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


class Raw:
    timestamp = 1_700_000_000_000

    def __init__(self, topic: str, lane: int, offset: int, type_: str, number: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = topic, lane, offset
        self.key: bytes | None = b"k"
        self.value: bytes | None = value
        source = "refund-calculation" if topic == DECISIONS else "intake"
        attributes = {"ce_type": type_, "ce_id": f"{lane}-{number}", "ce_source": f"/makegood/{source}"}
        self.headers = tuple((name, text.encode()) for name, text in attributes.items())


class Bench:
    """A process of the service; hands in records, reads the outbox."""

    def __init__(self, pool: Pool, dsn: str = "") -> None:
        self.pool = pool
        self.dsn = dsn
        self.pipeline = Pipeline(Eligibility(book), pool, Relay("eligibility", "nowhere:1", pool), retry_limit=0.5)
        self.pipeline.lanes_in_all = 2
        self._numbers = itertools.count(1)
        self._offsets: dict[tuple[str, int], itertools.count[int]] = {}

    def record(self, type_: str, data: dict[str, object] | bytes, lane: int = 0) -> Record:
        topic = DECISIONS if type_ in DECISION_TYPES else ADMISSIONS
        offset = next(self._offsets.setdefault((topic, lane), itertools.count()))
        value = data if isinstance(data, bytes) else json.dumps(data).encode()
        return Record.of(Raw(topic, lane, offset, type_, next(self._numbers), value))

    async def take(self, *records: Record) -> None:
        await self.pipeline.process(records, lambda *at: pytest.fail(f"asked to read again from {at}"))

    async def emitted(self) -> list[Outgoing]:
        async with self.pool.acquire() as conn:
            return [event for lane in (0, 1) for row in await unpublished(conn, lane, 0, 1000) for event in row.events]

    async def told(self) -> list[str]:
        found = []
        for event in await self.emitted():
            if event.headers is not None:
                found.append(f"dead {dict(event.headers)['dlq_path'].decode()}")
                continue
            assessed = parse_data(event.type, event.value or b"")
            assert isinstance(assessed, ClaimAssessed)
            late = " overdue" if assessed.overdue else ""
            found.append(f"{assessed.claim_id} {assessed.awaiting or assessed.status}{late}")
        return found

    async def due(self) -> list[datetime | None]:
        async with self.pool.acquire() as conn:
            return [row["due"] for row in await conn.fetch("SELECT due FROM claim_state ORDER BY claim_id")]


@pytest.fixture
async def bench(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr(clock, "now", lambda: NOW)
    dsn = await make_database(PACKAGES)
    pool = await connect(dsn, 4, application="test")
    made = Bench(pool, dsn)
    await made.pipeline.claim([0, 1])
    yield made
    await pool.close()


class Pen(Stage):
    """Writes the events of a stage down instead of playing them."""

    def tell(self, type_: str, **data: object) -> ClaimAssessed | None:
        self.written = (type_, data)
        return None


def write(what: str, claim_id: str = "c-1", order_id: str = "o-1", **stage: object) -> tuple[str, dict[str, object]]:
    """An event as (type, data). `what`: admit, give_back, cancel, decide, review or an answer."""
    pen = Pen(**{"facts": GOOD, "received_at": None, **stage})  # type: ignore[arg-type]
    if what in ("admit", "give_back", "cancel", "review"):
        getattr(pen, what)()
    elif what == "decide":
        pen.decide("refund", revision=1)
    else:
        pen.answer(what)
    type_, data = pen.written
    ids = {"merchant": pen.merchant, "order_id": order_id, "claim_id": claim_id}
    if type_ == "claim.admitted.v1":
        for part in ("claim", "order"):
            inner = data[part]
            assert isinstance(inner, dict)
            inner |= {name: value for name, value in ids.items() if name in inner}
    return type_, {**ids, **data}


def delivered(order_id: str = "o-1") -> tuple[str, dict[str, object]]:
    data: dict[str, object] = {
        "merchant": "gejet-mall", "order_id": order_id, "received_at": "2026-10-05T10:00:00Z"}  # fmt: skip
    return "order.delivered.v1", data


async def test_a_claim_is_assessed_and_kept(bench: Bench) -> None:
    await bench.take(bench.record(*write("admit")))
    assert await bench.told() == ["c-1 delivery"]
    (event,) = await bench.emitted()
    assert (event.topic, event.key, event.subject) == ("assessments.v1", b"gejet-mall/o-1", "c-1")
    async with bench.pool.acquire() as conn:
        row = await conn.fetchrow("SELECT * FROM claim_state")
        past = await conn.fetch("SELECT what FROM history")
    assert row is not None
    assert (row["merchant"], row["order_id"], row["claim_id"], row["lane"], row["revision"]) == (
        "gejet-mall", "o-1", "c-1", 0, 1)  # fmt: skip
    assert restored(row["state"]).claim is not None
    assert [one["what"] for one in past] == ["assessed: awaiting delivery"]


async def test_a_delivery_is_for_all_claims_of_its_order_and_for_no_other(bench: Bench) -> None:
    await bench.take(
        bench.record(*write("admit", "c-1")),
        bench.record(*write("admit", "c-2")),
        bench.record(*write("admit", "c-3", "o-2")),
    )
    await bench.take(bench.record(*delivered()))
    assert await bench.told() == ["c-1 delivery", "c-2 delivery", "c-3 delivery", "c-1 return", "c-2 return"]


async def test_one_batch_or_many_end_the_same(bench: Bench) -> None:
    events = [write("admit"), delivered(), write("give_back", reason="withdrawal")]
    events[0] = write("admit", reason="withdrawal")
    await bench.take(*(bench.record(*event) for event in events))
    assert await bench.told() == ["c-1 delivery", "c-1 return", "c-1 eligible"]
    other = [(type_, {**data, "order_id": "o-2", "claim_id": "c-2"}) for type_, data in events[1:]]
    await bench.take(bench.record(*write("admit", "c-2", "o-2", reason="withdrawal"), lane=1))
    for event in other:
        await bench.take(bench.record(*event, lane=1))
    assert (await bench.told())[3:] == ["c-2 delivery", "c-2 return", "c-2 eligible"]


async def test_what_comes_before_its_claim_is_kept(bench: Bench) -> None:
    await bench.take(bench.record(*write("refund_full", merchant="hakago")))
    assert await bench.told() == []
    await bench.take(bench.record(*write("admit", merchant="hakago", reason="wrong_item")))
    assert await bench.told() == ["c-1 eligible"]
    await bench.take(bench.record(*write("decide", merchant="hakago")))
    assert await bench.told() == ["c-1 eligible"]


async def test_what_comes_to_a_closed_claim_is_kept_in_its_history(bench: Bench) -> None:
    await bench.take(
        bench.record(*write("admit", merchant="hakago", reason="wrong_item")),
        bench.record(*write("refund_full", merchant="hakago")),
    )
    await bench.take(bench.record(*write("decide", merchant="hakago")))
    await bench.take(bench.record(*write("give_back", merchant="hakago")))
    async with bench.pool.acquire() as conn:
        past = [row["what"] for row in await conn.fetch("SELECT what FROM history ORDER BY at, what")]
    assert sorted(past) == sorted(
        [
            "assessed: awaiting seller",
            "seller answered refund_full (a-1)",
            "assessed: eligible",
            "return received (r-1); the claim is closed: no effect",
        ]
    )


async def test_what_it_cannot_read_is_a_dead_letter_and_its_neighbours_go_on(bench: Bench) -> None:
    type_, data = write("admit", "c-1")
    await bench.take(
        bench.record(type_, data),
        bench.record(type_, b"{"),
        bench.record(type_, {**data, "claim": None}),
        bench.record(*write("admit", "c-2")),
    )
    assert await bench.told() == ["dead $", "dead $.claim", "c-1 delivery", "c-2 delivery"]


async def test_a_claim_on_which_the_pure_part_fails_stands_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real = domain.say

    def fails(state: ClaimState, *others: object) -> object:
        if state.claim_id == "c-2":
            raise ZeroDivisionError("a bug")
        return real(state, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(handlers, "say", fails)
    await bench.take(*(bench.record(*write("admit", claim)) for claim in ("c-1", "c-2", "c-3")))
    assert await bench.told() == ["c-1 delivery", "dead $", "c-3 delivery"]
    async with bench.pool.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM claim_state") == 2


async def test_types_that_say_nothing_about_a_claim_are_not_even_read(bench: Bench) -> None:
    for type_ in (
        "claim.refused.v1",
        "claim.parked.v1",
        "return.shipped.v1",
        "order.cancelled.v1",
        "refund.settled.v1",
    ):
        await bench.take(bench.record(type_, b"not even JSON"))
    assert await bench.told() == []


async def test_a_due_time_that_passes_is_told_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.take(bench.record(*write("admit", merchant="hakago", reason="wrong_item")))
    due = NOW + timedelta(days=7)
    assert await bench.due() == [due]
    monkeypatch.setattr(clock, "now", lambda: due)
    await bench.pipeline.tick()
    assert await bench.told() == ["c-1 seller"]
    monkeypatch.setattr(clock, "now", lambda: due + timedelta(seconds=1))
    await bench.pipeline.tick()
    await bench.pipeline.tick()
    assert await bench.told() == ["c-1 seller", "c-1 seller overdue"]
    assert await bench.due() == [None]


async def test_a_claim_that_was_closed_meanwhile_is_looked_at_once_and_says_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.take(
        bench.record(*write("admit", merchant="hakago", reason="wrong_item")),
        bench.record(*write("review", merchant="hakago")),
    )
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=8))
    await bench.pipeline.tick()
    assert await bench.told() == ["c-1 seller"]
    assert await bench.due() == [None]


async def test_a_look_that_fails_is_left_for_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.take(
        *(bench.record(*write("admit", claim, merchant="hakago", reason="wrong_item")) for claim in ("c-1", "c-2"))
    )
    real = domain.say

    def fails(state: ClaimState, *others: object) -> object:
        if state.claim_id == "c-1":
            raise ZeroDivisionError("a bug")
        return real(state, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(handlers, "say", fails)
    late = NOW + timedelta(days=8)
    monkeypatch.setattr(clock, "now", lambda: late)
    await bench.pipeline.tick()
    assert await bench.told() == ["c-1 seller", "c-2 seller", "c-2 seller overdue"]
    assert await bench.due() == [late + handlers.LEFT_FOR, None]
    monkeypatch.setattr(handlers, "say", real)
    monkeypatch.setattr(clock, "now", lambda: late + timedelta(hours=2))
    await bench.pipeline.tick()
    assert (await bench.told())[-1] == "c-1 seller overdue"


async def test_only_lanes_that_are_owned_are_looked_at(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    await bench.take(bench.record(*write("admit", merchant="hakago", reason="wrong_item"), lane=1))
    bench.pipeline.lose([1])
    monkeypatch.setattr(clock, "now", lambda: NOW + timedelta(days=8))
    await bench.pipeline.tick()
    assert await bench.told() == ["c-1 seller"]


# --- policies that govern claims stay as they are ---


def changed(merchant: str) -> PolicyBook:
    """The book with one merchant's policy as if its file had been edited."""
    later = Deadlines(seller_days=8, return_days=15)
    return PolicyBook(
        one.model_copy(update={"deadlines": later}) if one.merchant == merchant else one for one in book().all()
    )


def without(merchant: str) -> PolicyBook:
    return PolicyBook(one for one in book().all() if one.merchant != merchant)


async def begin(bench: Bench, policies: PolicyBook) -> None:
    """Another process of the service starts over the same database."""
    async with bench.pool.acquire() as conn:
        await Eligibility(lambda: policies).begin(conn)


async def test_a_service_does_not_start_when_a_policy_that_governs_claims_has_changed(bench: Bench) -> None:
    await bench.take(bench.record(*write("admit")))
    await begin(bench, book())
    with pytest.raises(PolicyError, match=r"gejet-mall/v1\.yaml:1: a version that is in use has changed"):
        await begin(bench, changed("gejet-mall"))
    with pytest.raises(PolicyError, match=r"gejet-mall/v1\.yaml:1: a version that is in use is gone"):
        await begin(bench, without("gejet-mall"))


async def test_a_policy_that_governs_no_claim_yet_may_change(bench: Bench) -> None:
    await begin(bench, changed("gejet-mall"))
    await bench.take(bench.record(*write("admit", merchant="nobody")))
    await bench.take(bench.record(*write("admit", "c-2", "o-2")), bench.record(*write("admit", "c-3", "o-2")))
    await begin(bench, changed("hakago"))
    await begin(bench, without("hakago"))


async def test_the_process_ends_with_status_1_before_it_reads_anything(bench: Bench) -> None:
    await bench.take(bench.record(*write("admit")))
    settings = Settings(database=bench.dsn, kafka="nowhere:1")
    assert await run.serve(Eligibility(lambda: changed("gejet-mall")), settings) == 1


async def test_two_processes_do_not_judge_by_different_texts_of_a_version(bench: Bench) -> None:
    async with bench.pool.acquire() as conn:
        await conn.execute("INSERT INTO policy_used VALUES ('gejet-mall', 1, 'what the other has read', now())")
    with pytest.raises(GaveUp):
        await bench.take(bench.record(*write("admit")))
    assert await bench.told() == []
    async with bench.pool.acquire() as conn:
        assert await conn.fetchval("SELECT count(*) FROM claim_state") == 0


async def test_what_is_noted_survives_a_batch_that_is_rolled_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise OSError("the database is gone")

    record = bench.record(*write("admit"))
    with monkeypatch.context() as patch:
        patch.setattr(store, "note_policies", broken)
        with pytest.raises(GaveUp):
            await bench.take(record)
    await bench.take(record)
    with pytest.raises(PolicyError):
        await begin(bench, changed("gejet-mall"))
