"""Refund-calculation's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.refund_calculation import settling, store
from services.refund_calculation.codec import decode, encode
from services.refund_calculation.domain import Calculated, calculate
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Order
from services.refund_calculation.store import OrderKey
from shared import metrics
from shared.bus import Record, Work, order_key
from shared.db import Conn
from shared.events import (
    BadEvent,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimCancelled,
    ClaimDecided,
    ClaimReviewed,
    ClaimSettled,
    Event,
    RefundInstructed,
    RefundSettled,
    ReturnReceived,
    dump,
    parse,
)
from shared.events.topics import ADMISSIONS, ASSESSMENTS, DECISIONS, READERS, REFUNDS
from shared.money import minor
from shared.policy.book import PolicyBook
from shared.readout import MOST

log = structlog.get_logger(__name__)

TAKEN: Final[dict[str, dict[str, type[Event]]]] = {
    ADMISSIONS: {
        model.type: model for model in (ClaimAdmitted, ClaimCancelled, ClaimReviewed, RefundSettled, ReturnReceived)
    },
    ASSESSMENTS: {ClaimAssessed.type: ClaimAssessed},
}
"""Topic → the types that are read, with their models; every other type is skipped by its header."""

PATIENCE: Final = timedelta(seconds=20)
"""How long a batch waits for a policy that eligibility has loaded already and this process has not."""

SETTLEMENT: Final = timedelta(hours=72)
"""How long the report of a payment system may take before a refund counts as stuck."""

LATE_A_TICK: Final = 200
"""Stuck refunds that one tick tells of; what is left comes with the next."""

Taken = ClaimAdmitted | ClaimAssessed | ClaimCancelled | ClaimReviewed | RefundSettled | ReturnReceived


class PolicyNotHereYet(TimeoutError):  # noqa: N818 - what it is, for the log; the kit tries the batch again
    """An assessment cites a policy version that this process has not loaded: all read the same files, each in turn."""


class RefundCalculation:
    """The service. `policies` gives the book to calculate by; asked once a batch, so that a reload takes effect."""

    name = "refund-calculation"
    topics = READERS["refund-calculation"]
    foreign: frozenset[str] = frozenset()

    def __init__(
        self,
        policies: Callable[[], PolicyBook],
        patience: timedelta = PATIENCE,
        settlement: timedelta = SETTLEMENT,
    ) -> None:
        self._policies = policies
        self._patience = patience
        self._settlement = settlement
        self._missed: dict[tuple[str, int, str], datetime] = {}

    async def consume(self, work: Work) -> None:
        """Take a batch: one query loads and locks its orders, one writes those that changed."""
        opened = [(record, event) for record in work.records if (event := _open(work, record)) is not None]
        if not opened:
            return
        book = self._policies()
        self._await_policies(book, (event for _, event in opened), work.now)
        keys = {_key(event) for _, event in opened}
        loaded = {key: decode(*key, state) for key, state in (await store.lock_orders(work.conn, keys)).items()}
        orders = {key: loaded.get(key) or Order(*key) for key in keys}
        lanes: dict[OrderKey, int] = {}
        instructed: list[tuple[int, RefundInstructed]] = []
        settled: list[str] = []
        for record, event in opened:
            key = _key(event)
            calculated = _decide(work, record, event, orders[key], book)
            if calculated is not None:
                if calculated.order is not orders[key]:
                    orders[key] = calculated.order
                    lanes[key] = record.partition
                _emit(work, record, key, calculated)
                _tally(work, calculated, book)
                instructed += ((record.partition, e) for e in calculated.events if isinstance(e, RefundInstructed))
                settled += (e.refund_id for e in calculated.events if isinstance(e, ClaimSettled))
        if lanes:
            await store.save_orders(work.conn, {key: (lane, encode(orders[key])) for key, lane in lanes.items()})
        if instructed:
            await settling.await_settlements(work.conn, instructed)
        if settled:
            await settling.settle(work.conn, settled)

    async def tick(self, work: Work) -> None:
        """Say of which refunds no payment system has reported in time. Nothing else follows: a person has to ask."""
        for one in await settling.late(work.conn, work.lanes, work.now - self._settlement, work.now, LATE_A_TICK):
            since = one.instructed_at.isoformat(timespec="seconds")
            log.warning(
                "refund_not_settled",
                refund_id=one.refund_id,
                merchant=one.merchant,
                order_id=one.order_id,
                claim_id=one.claim_id,
                amount=one.amount,
                currency=one.currency,
                instructed_at=since,
            )
            what = f"no settlement of refund {one.refund_id} since {since}: {one.amount} {one.currency}"
            work.history(one.merchant, one.claim_id, what, lane=one.lane)
            work.count("settlement_late")

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set the gauge of stuck refunds; returns how many seconds an alert is overdue."""
        metrics.REFUNDS_STUCK.set(await settling.stuck(conn, lanes, MOST))
        oldest = await settling.oldest_unreported(conn, lanes)
        return 0.0 if oldest is None else max(0.0, (now - oldest - self._settlement).total_seconds())

    def _await_policies(self, book: PolicyBook, events: Iterable[Taken], now: datetime) -> None:
        """Raises `PolicyNotHereYet` while a policy that an assessment cites may still come."""
        for event in events:
            ref = event.policy if isinstance(event, ClaimAssessed) and event.status != "awaiting" else None
            if ref is None:
                continue
            loaded = book.version(ref.id, ref.version)
            if loaded is None or loaded.digest != ref.digest:
                missed = self._missed.setdefault((ref.id, ref.version, ref.digest), now)
                if now - missed < self._patience:
                    raise PolicyNotHereYet(f"{ref.id} version {ref.version} with digest {ref.digest}")


def _decide(work: Work, record: Record, event: Taken, order: Order, book: PolicyBook) -> Calculated | None:
    try:
        return calculate(order, event, book, work.now, (record.value or b"").decode())
    except Unacceptable as problem:
        work.dead(record, str(problem), problem.path)
    except Exception as error:  # one claim that the code cannot take must not stop its neighbours
        log.exception("calculation_failed", merchant=order.merchant, order_id=order.order_id, event_type=event.type)
        work.dead(record, f"handler: {error!r}")
    return None


def _key(event: Taken) -> OrderKey:
    return event.merchant, event.order_id


def _open(work: Work, record: Record) -> Taken | None:
    model = TAKEN[record.topic].get(record.type)
    if model is None:
        work.count("ignored")
        return None
    try:
        event = parse(model, record.value or b"")
    except BadEvent as bad:
        work.dead(record, str(bad), bad.path)
        return None
    assert isinstance(event, Taken)
    return event


def _emit(work: Work, record: Record, key: OrderKey, calculated: Calculated) -> None:
    for event in calculated.events:
        topic = REFUNDS if isinstance(event, RefundInstructed) else DECISIONS
        claim_id = getattr(event, "claim_id", key[1])
        work.emit(topic, event.type, dump(event), key=order_key(*key), subject=claim_id, cause=record)
        work.count(event.type)
    for claim_id, note in calculated.notes:
        work.history(key[0], claim_id, note, cause=record)


def _tally(work: Work, calculated: Calculated, book: PolicyBook) -> None:
    """Count decisions, refunds and money. A merchant that nobody has written a policy for is no label of its own."""
    for event in calculated.events:
        match event:
            case ClaimDecided():
                merchant = "other" if book.currency(event.merchant) is None else event.merchant
                work.tally(metrics.DECISIONS, merchant, event.outcome, event.decided_by.partition(":")[0])
            case RefundInstructed():
                work.tally(metrics.REFUNDS, "instructed", event.currency)
                work.tally(metrics.REFUNDS_MINOR_UNITS, event.currency, n=minor(event.amount, event.currency))
            case ClaimSettled():
                work.tally(metrics.REFUNDS, event.status, calculated.order.the_ledger().currency)
