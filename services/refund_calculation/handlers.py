"""Refund-calculation's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.refund_calculation import store
from services.refund_calculation.codec import decode, encode
from services.refund_calculation.domain import Calculated, calculate
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Order
from services.refund_calculation.store import OrderKey
from shared import metrics
from shared.bus import Record, Work, order_key
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

Taken = ClaimAdmitted | ClaimAssessed | ClaimCancelled | ClaimReviewed | RefundSettled | ReturnReceived


class PolicyNotHereYet(TimeoutError):  # noqa: N818 - what it is, for the log; the kit tries the batch again
    """An assessment cites a policy version that this process has not loaded: all read the same files, each in turn."""


class RefundCalculation:
    """The service. `policies` gives the book to calculate by; asked once a batch, so that a reload takes effect."""

    name = "refund-calculation"
    topics = READERS["refund-calculation"]
    foreign: frozenset[str] = frozenset()

    def __init__(self, policies: Callable[[], PolicyBook], patience: timedelta = PATIENCE) -> None:
        self._policies = policies
        self._patience = patience
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
        for record, event in opened:
            key = _key(event)
            calculated = _decide(work, record, event, orders[key], book)
            if calculated is not None:
                if calculated.order is not orders[key]:
                    orders[key] = calculated.order
                    lanes[key] = record.partition
                _emit(work, record, key, calculated)
                _tally(work, calculated, book)
        if lanes:
            await store.save_orders(work.conn, {key: (lane, encode(orders[key])) for key, lane in lanes.items()})

    async def tick(self, work: Work) -> None:
        """Nothing becomes due by itself: eligibility keeps the clocks."""

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
