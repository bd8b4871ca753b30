"""Refund-calculation on a real Postgres under the real unit of work: decision and instruction in one transaction."""

import itertools
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from services.refund_calculation import handlers
from services.refund_calculation.codec import decode
from services.refund_calculation.domain import take
from services.refund_calculation.handlers import RefundCalculation
from shared.bus import Record
from shared.bus.outbox import Outgoing
from shared.bus.pipeline import Pipeline
from shared.bus.relay import Relay
from shared.bus.store import unpublished
from shared.db import Pool, connect
from shared.events import ClaimAdmitted, ClaimAssessed, Event, OrderDelivered, RefundSettled, dump
from shared.events.topics import ADMISSIONS, ASSESSMENTS, REFUNDS
from tests.conftest import MakeDatabase
from tests.unit.calculation_stage import START, Stage, book

PACKAGES = ["shared.bus", "services.refund_calculation"]


class Raw:
    timestamp = 1_700_000_000_000

    def __init__(self, topic: str, lane: int, offset: int, type_: str, number: int, value: bytes) -> None:
        self.topic, self.partition, self.offset = topic, lane, offset
        self.key: bytes | None = b"k"
        self.value: bytes | None = value
        source = "eligibility" if topic == ASSESSMENTS else "intake"
        attributes = {"ce_type": type_, "ce_id": f"{lane}-{number}", "ce_source": f"/makegood/{source}"}
        self.headers = tuple((name, text.encode()) for name, text in attributes.items())


class Bench:
    """A process of the service; hands in records, reads the outbox."""

    def __init__(self, pool: Pool, patience: timedelta = timedelta(0)) -> None:
        self.pool = pool
        service = RefundCalculation(book, patience)
        self.pipeline = Pipeline(service, pool, Relay(service.name, "nowhere:1", pool, REFUNDS), retry_limit=0.5)
        self.pipeline.lanes_in_all = 2
        self._numbers = itertools.count(1)
        self._offsets: dict[tuple[str, int], itertools.count[int]] = {}

    def record(self, event: Event | bytes, lane: int = 0, type_: str = "") -> Record:
        topic = ASSESSMENTS if isinstance(event, ClaimAssessed) or type_ == ClaimAssessed.type else ADMISSIONS
        offset = next(self._offsets.setdefault((topic, lane), itertools.count()))
        value = event if isinstance(event, bytes) else dump(event)
        name = type_ or (event.type if isinstance(event, Event) else "")
        return Record.of(Raw(topic, lane, offset, name, next(self._numbers), value))

    async def take(self, *records: Record) -> None:
        await self.pipeline.process(records, lambda *at: pytest.fail(f"asked to read again from {at}"))

    async def emitted(self) -> list[Outgoing]:
        async with self.pool.acquire() as conn:
            return [event for lane in (0, 1) for row in await unpublished(conn, lane, 0, 1000) for event in row.events]

    async def told(self) -> list[str]:
        return [f"{event.topic} {event.type}".strip() for event in await self.emitted()]


@pytest.fixture
async def bench(make_database: MakeDatabase) -> AsyncIterator[Bench]:
    pool = await connect(await make_database(PACKAGES), 4, application="test")
    made = Bench(pool)
    await made.pipeline.claim([0, 1])
    yield made
    await pool.close()


def claim_of(order_id: str) -> Sequence[Event]:
    """An admission and its eligible assessment."""
    stage = Stage()
    admitted = stage.admission("a", "technical_fault", {1: [1]})
    assessed = stage.assessment("a")
    order = admitted.order.model_copy(update={"order_id": order_id})
    return (
        admitted.model_copy(update={"order_id": order_id, "claim_id": order_id, "order": order}),
        assessed.model_copy(update={"order_id": order_id, "claim_id": order_id}),
    )


DECIDED = ["decisions.v1 claim.decided.v1", "refunds.v1 refund.instructed.v1"]


async def test_a_decision_and_its_instruction_are_one_transaction(bench: Bench) -> None:
    await bench.take(*(bench.record(event) for event in claim_of("o-9")))
    assert await bench.told() == DECIDED
    [decided, instructed] = await bench.emitted()
    assert (decided.key, decided.subject) == (b"gejet-mall/o-9", "o-9")
    assert instructed.number == decided.number + 1
    async with bench.pool.acquire() as conn:
        [row] = await conn.fetch("SELECT * FROM order_money")
        [past] = await conn.fetch("SELECT what FROM history")
    assert decode("gejet-mall", "o-9", row["state"]).left() == 500_000
    assert past["what"] == "refund decided by policy: 10000000 IRR"


async def test_what_is_read_in_separate_batches_and_in_the_other_order_ends_the_same(bench: Bench) -> None:
    admitted, assessed = claim_of("o-9")
    for event in (assessed, admitted, assessed):
        await bench.take(bench.record(event))
    assert await bench.told() == DECIDED


async def test_orders_of_two_lanes_in_one_batch(bench: Bench) -> None:
    events = [(event, lane) for lane, order in enumerate(("o-2", "o-1")) for event in claim_of(order)]
    await bench.take(*(bench.record(event, lane) for event, lane in events))
    assert await bench.told() == DECIDED * 2
    async with bench.pool.acquire() as conn:
        rows = await conn.fetch("SELECT order_id, lane FROM order_money ORDER BY order_id")
    assert [tuple(row) for row in rows] == [("o-1", 1), ("o-2", 0)]


async def test_types_that_say_nothing_about_money_are_skipped_unread(bench: Bench) -> None:
    await bench.take(bench.record(b"{ not JSON", type_=OrderDelivered.type))
    assert await bench.told() == []


@pytest.mark.parametrize(
    ("poison", "type_", "path"),
    [
        (b"{", ClaimAdmitted.type, "$"),
        (b'{"claim_id": 1}', ClaimAssessed.type, "$."),
        (
            dump(
                RefundSettled.model_validate(
                    {
                        "refund_id": "r-nobody-knows",
                        "merchant": "gejet-mall",
                        "order_id": "o-7",
                        "claim_id": "c",
                        "status": "failed",
                        "settled_at": START,
                    }
                )
            ),
            RefundSettled.type,
            "$.refund_id",
        ),
    ],
)
async def test_a_bad_record_is_a_dead_letter_and_its_neighbours_go_on(
    bench: Bench, poison: bytes, type_: str, path: str
) -> None:
    admitted, assessed = claim_of("o-9")
    await bench.take(bench.record(admitted), bench.record(poison, type_=type_), bench.record(assessed))
    dead, *rest = sorted(await bench.emitted(), key=lambda event: event.headers is None)
    assert dead.topic.endswith(".refund-calculation.dlq")
    assert dead.value == poison
    assert dict(dead.headers or ())["dlq_path"].decode().startswith(path)
    assert [event.type for event in rest] == ["claim.decided.v1", "refund.instructed.v1"]


async def test_a_claim_that_the_code_cannot_take_leaves_the_others_alone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(order, event, *rest):  # type: ignore[no-untyped-def]  # stands in for the real one, whatever it takes
        if event.claim_id == "o-1":
            raise ZeroDivisionError("a bug")
        return take(order, event, *rest)

    monkeypatch.setattr(handlers, "take", breaks)
    await bench.take(*(bench.record(event) for order in ("o-1", "o-2") for event in claim_of(order)))
    dead = [event for event in await bench.emitted() if event.headers is not None]
    assert [dict(event.headers or ())["dlq_reason"] for event in dead] == [b"handler: ZeroDivisionError('a bug')"] * 2
    assert [event.subject for event in await bench.emitted() if event.headers is None] == ["o-2", "o-2"]
    async with bench.pool.acquire() as conn:
        assert [row["order_id"] for row in await conn.fetch("SELECT order_id FROM order_money")] == ["o-2"]


async def test_a_policy_that_is_not_here_yet_is_waited_for_and_then_is_a_dead_letter(bench: Bench) -> None:
    admitted, assessed = claim_of("o-9")
    assert isinstance(assessed, ClaimAssessed)
    assert assessed.policy is not None
    unknown = assessed.model_copy(update={"policy": assessed.policy.model_copy(update={"version": 2})})
    patient = Bench(bench.pool, timedelta(seconds=0.2))
    await patient.pipeline.claim([0, 1])
    await patient.take(patient.record(admitted), patient.record(unknown))
    [dead] = await patient.emitted()
    assert dead.value == dump(unknown)
    assert b"not loaded" in dict(dead.headers or ())["dlq_reason"]
