"""Refunds of which no payment system reports in time: due rows, told of once, gone with the report."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from services.refund_calculation.handlers import RefundCalculation
from shared import clock, metrics
from shared.bus.pipeline import Pipeline
from shared.bus.relay import Relay
from shared.db import Pool, connect
from shared.events import Event, RefundInstructed, RefundSettled, parse_data
from shared.events.topics import REFUNDS
from tests.conftest import MakeDatabase
from tests.integration.test_calculation_service import PACKAGES, Bench, claim_of
from tests.unit.calculation_stage import book

LANES = [0, 1]


class Aged(Bench):
    """A process of the service whose clock a test sets forward."""

    def __init__(self, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(pool)
        self.now = datetime.now(UTC)
        self.service = RefundCalculation(book, timedelta(0), settlement=timedelta(hours=48))
        self.pipeline = Pipeline(self.service, pool, Relay("refund-calculation", "nowhere:1", pool, REFUNDS))
        self.pipeline.lanes_in_all = 2
        monkeypatch.setattr(clock, "now", lambda: self.now)

    async def tick(self, hours: float) -> list[str]:
        """Let hours pass; the refunds that the log then tells of."""
        self.now += timedelta(hours=hours)
        with capture_logs() as told:
            await self.pipeline.tick()
        return [one["order_id"] for one in told if one["event"] == "refund_not_settled"]

    async def stuck(self) -> float:
        """The gauge after a read-out."""
        async with self.pool.acquire() as conn:
            await self.service.read_out(conn, LANES, self.now)
        return float(metrics.REFUNDS_STUCK._value.get())

    async def instructions(self) -> list[RefundInstructed]:
        found = [parse_data(e.type, e.value or b"") for e in await self.emitted() if e.topic == REFUNDS]
        return [one for one in found if isinstance(one, RefundInstructed)]


@pytest.fixture
async def bench(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Aged]:
    pool = await connect(await make_database(PACKAGES), 4, application="test")
    made = Aged(pool, monkeypatch)
    await made.pipeline.claim(LANES)
    yield made
    await pool.close()


def settled(refund: RefundInstructed, status: str = "succeeded") -> Event:
    return RefundSettled.model_validate(
        {
            "refund_id": refund.refund_id,
            "merchant": refund.merchant,
            "order_id": refund.order_id,
            "claim_id": refund.claim_id,
            "status": status,
            "settled_at": datetime.now(UTC),
        }
    )


async def test_a_refund_that_nobody_reports_on_is_told_of_once(bench: Aged) -> None:
    await bench.take(*(bench.record(event) for event in claim_of("o-1")))
    assert await bench.tick(47.9) == []
    assert await bench.stuck() == 0
    assert await bench.tick(0.2) == ["o-1"]
    assert await bench.stuck() == 1
    assert await bench.tick(48) == [], "once"
    notes = [r["what"] for r in await bench.pool.fetch("SELECT what FROM history WHERE what LIKE 'no settlement%'")]
    assert len(notes) == 1
    assert notes[0].endswith("10000000 IRR")


@pytest.mark.parametrize("status", ["succeeded", "failed"])
async def test_the_report_ends_the_wait_whatever_it_says(bench: Aged, status: str) -> None:
    for order in ("o-1", "o-2"):
        await bench.take(*(bench.record(event) for event in claim_of(order)))
    first, second = await bench.instructions()
    await bench.take(bench.record(settled(first, status)))
    assert await bench.tick(49) == ["o-2"]
    await bench.take(bench.record(settled(second, status)))
    assert await bench.stuck() == 0
    assert await bench.pool.fetchval("SELECT count(*) FROM awaited_settlement") == 0


async def test_instruction_and_report_in_one_batch(bench: Aged) -> None:
    events = claim_of("o-1")
    await bench.take(*(bench.record(event) for event in events))
    (refund,) = await bench.instructions()
    await bench.pool.execute("TRUNCATE order_money, awaited_settlement")
    await bench.take(*(bench.record(event) for event in (*events, settled(refund))))
    assert await bench.pool.fetchval("SELECT count(*) FROM awaited_settlement") == 0


async def test_a_process_tells_of_its_own_lanes(bench: Aged) -> None:
    await bench.take(*(bench.record(event, 1) for event in claim_of("o-1")))
    bench.pipeline.lose([1])
    assert await bench.tick(100) == []
    await bench.pipeline.claim([1])
    assert await bench.tick(0) == ["o-1"]


async def test_the_timer_that_waits_longest(bench: Aged) -> None:
    await bench.take(*(bench.record(event) for event in claim_of("o-1")))
    bench.now += timedelta(hours=50)
    async with bench.pool.acquire() as conn:
        late = await bench.service.read_out(conn, LANES, bench.now)
    assert late == pytest.approx(7200, abs=60)
