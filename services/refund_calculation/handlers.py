"""Refund-calculation's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from itertools import product
from typing import Final, get_args

import structlog

from services.refund_calculation import settling, store
from services.refund_calculation.codec import decode, encode
from services.refund_calculation.domain import Took, take
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reading import TYPES, Assessed, PolicyRef, Taken, read
from services.refund_calculation.state import Order
from services.refund_calculation.store import OrderKey
from services.refund_calculation.writing import Decided, Instructed, SettlementTold, write
from shared import metrics
from shared.bus import Record, Work, order_key
from shared.db import Conn
from shared.events import BadEvent
from shared.events.parts import Outcome
from shared.events.topics import ADMISSIONS, ASSESSMENTS, DECISIONS, READERS, REFUNDS
from shared.money import minor
from shared.policy.book import PolicyBook
from shared.readout import MOST

log = structlog.get_logger(__name__)

TAKEN: Final[dict[str, frozenset[str]]] = {
    ADMISSIONS: TYPES - {Assessed.type},
    ASSESSMENTS: frozenset({Assessed.type}),
}
"""Topic → the types that are read; every other type is skipped by its header."""

PATIENCE: Final = timedelta(seconds=20)
"""How long a batch waits for a policy that eligibility has loaded already and this process has not."""

SETTLEMENT: Final = timedelta(hours=72)
"""How long the report of a payment system may take before a refund counts as stuck."""

OTHER: Final = "other"
"""In place of merchants without a policy, where merchants are counted."""

LATE_A_TICK: Final = 200
"""Stuck refunds that one tick tells of; what is left comes with the next."""


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
        self._shown: PolicyBook | None = None

    async def consume(self, work: Work) -> None:
        """Take a batch: one query loads its orders, one writes those that are new and one those that changed."""
        opened = _open(work)
        if not opened:
            return
        book = self._policies()
        self._await_policies(book, {policy for _, event in opened if (policy := _policy(event))}, work.now)
        known = await store.load_orders(work.conn, {_key(event) for _, event in opened})
        orders = {key: decode(*key, state) for key, state in known.items()}
        lanes: dict[OrderKey, int] = {}
        instructed: list[tuple[int, Instructed]] = []
        settled: list[str] = []
        for record, event in opened:
            key = _key(event)
            order = orders.get(key) or Order(*key)
            took = _take(work, record, event, order, book)
            if took is None:
                continue
            if took.order is not order:
                orders[key] = took.order
                lanes[key] = record.partition
            if took.events:
                _emit(work, record, key, took)
                _tally(work, took, book)
                for said in took.events:
                    if isinstance(said, Instructed):
                        instructed.append((record.partition, said))
                    elif isinstance(said, SettlementTold):
                        settled.append(said.refund_id)
            for claim_id, note in took.notes:
                work.history(event.merchant, claim_id, note, cause=record)
        await _save(work.conn, known, orders, lanes)
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
        self.show_from_zero()
        metrics.REFUNDS_STUCK.set(await settling.stuck(conn, lanes, MOST))
        oldest = await settling.oldest_unreported(conn, lanes)
        return 0.0 if oldest is None else max(0.0, (now - oldest - self._settlement).total_seconds())

    def show_from_zero(self) -> None:
        """Show the counters of every merchant and currency with a policy before anything is counted: a rise from
        nothing is none that an alert could see."""
        book = self._policies()
        if book is self._shown:
            return
        self._shown = book
        for merchant in (*book.merchants(), OTHER):
            for outcome, by in product(get_args(Outcome), ("policy", "staff")):
                metrics.DECISIONS.labels(merchant, outcome, by)
        for currency in filter(None, map(book.currency, book.merchants())):
            metrics.REFUNDS_MINOR_UNITS.labels(currency)
            for outcome in ("instructed", "succeeded", "failed"):
                metrics.REFUNDS.labels(outcome, currency)

    def _await_policies(self, book: PolicyBook, cited: Collection[PolicyRef], now: datetime) -> None:
        """Raises `PolicyNotHereYet` while a policy that an assessment cites may still come."""
        for ref in cited:
            loaded = book.version(ref.id, ref.version)
            if loaded is None or loaded.digest != ref.digest:
                missed = self._missed.setdefault((ref.id, ref.version, ref.digest), now)
                if now - missed < self._patience:
                    raise PolicyNotHereYet(f"{ref.id} version {ref.version} with digest {ref.digest}")


def _open(work: Work) -> list[tuple[Record, Taken]]:
    opened: list[tuple[Record, Taken]] = []
    ignored = 0
    for record in work.records:
        if record.type not in TAKEN[record.topic]:
            ignored += 1
            continue
        try:
            opened.append((record, read(record.type, record.value or b"")))
        except BadEvent as bad:
            work.dead(record, str(bad), bad.path)
    if ignored:
        work.count("ignored", ignored)
    return opened


def _policy(event: Taken) -> PolicyRef | None:
    """The policy that an assessment is to be calculated by."""
    return event.policy if isinstance(event, Assessed) and event.status != "awaiting" else None


def _key(event: Taken) -> OrderKey:
    return event.merchant, event.order_id


def _take(work: Work, record: Record, event: Taken, order: Order, book: PolicyBook) -> Took | None:
    try:
        return take(order, event, record.value or b"", book, work.now)
    except Unacceptable as problem:
        work.dead(record, str(problem), problem.path)
    except Exception as error:  # one claim that the code cannot take must not stop its neighbours
        log.exception("calculation_failed", merchant=order.merchant, order_id=order.order_id, event_type=event.type)
        work.dead(record, f"handler: {error!r}")
    return None


async def _save(
    conn: Conn, known: Collection[OrderKey], orders: dict[OrderKey, Order], lanes: dict[OrderKey, int]
) -> None:
    """Write the orders that changed; `lanes` has them, each with its lane."""
    new: list[store.OrderRow] = []
    changed: list[store.OrderRow] = []
    for key, lane in lanes.items():
        (changed if key in known else new).append((*key, lane, encode(orders[key])))
    if new:
        await store.insert_orders(conn, new)
    if changed:
        await store.update_orders(conn, changed)


def _emit(work: Work, record: Record, key: OrderKey, took: Took) -> None:
    record_key = order_key(*key)
    for event in took.events:
        topic = REFUNDS if isinstance(event, Instructed) else DECISIONS
        work.emit(topic, event.type, write(event), key=record_key, subject=event.claim_id, cause=record)
        work.count(event.type)


def _tally(work: Work, took: Took, book: PolicyBook) -> None:
    """Count decisions, refunds and money. A merchant that nobody has written a policy for is no label of its own."""
    for event in took.events:
        match event:
            case Decided():
                merchant = OTHER if book.currency(event.merchant) is None else event.merchant
                work.tally(metrics.DECISIONS, merchant, event.outcome, event.decided_by.partition(":")[0])
            case Instructed():
                work.tally(metrics.REFUNDS, "instructed", event.currency)
                work.tally(metrics.REFUNDS_MINOR_UNITS, event.currency, n=minor(event.amount, event.currency))
            case SettlementTold():
                work.tally(metrics.REFUNDS, event.status, took.order.the_ledger().currency)
