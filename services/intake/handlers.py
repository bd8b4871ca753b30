"""Intake's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.intake import store
from services.intake.desk import ClaimKey, Desk, Letter, OrderKey, claim_key, order_key
from services.intake.mail import Mail
from services.intake.state import Input, OrderState, read, write
from services.intake.store import Waiting
from shared import metrics
from shared.bus import Work
from shared.bus.sweep import Sweep
from shared.db import Conn
from shared.events import ClaimSubmitted, OrderPlaced
from shared.events.topics import INPUT_TOPICS, READERS
from shared.readout import MOST

DUE_A_TICK: Final = 200
"""Parked claims looked at in one tick; what is left comes with the next."""
KEEP_SEEN: Final = timedelta(days=45)


class Intake:
    """The service. `currency_of` gives the currency of a merchant's policy, null for a merchant without one."""

    name = "intake"
    topics = READERS["intake"]
    foreign = frozenset(INPUT_TOPICS)

    def __init__(
        self, currency_of: Callable[[str], str | None], parking: timedelta, keep_seen: timedelta = KEEP_SEEN
    ) -> None:
        self._currency_of = currency_of
        self._parking = parking
        self._keep_seen = keep_seen

    def sweeps(self) -> tuple[Sweep, ...]:
        """The inbox forgets in time."""
        return (Sweep("seen", "seen_at", self._keep_seen),)

    async def consume(self, work: Work) -> None:
        """Judge a batch of records."""
        mail = Mail(work)
        letters = mail.open_new()
        if not letters:
            return
        desk = Desk(work.now, self._parking, self._currency_of)
        files = _Files(work, desk, mail)
        await files.fetch(letters)
        for letter in letters:
            record = mail.records[letter.arrival.ref]
            mail.carry_out(desk.judge(letter), record, record.partition)
        await files.save()

    async def tick(self, work: Work) -> None:
        """Refuse the parked claims whose order has not come in time."""
        overdue = await store.orders_overdue(work.conn, work.lanes, work.now, DUE_A_TICK)
        if not overdue:
            return
        mail = Mail(work)
        desk = Desk(work.now, self._parking, self._currency_of)
        files = _Files(work, desk, mail)
        await files.fetch_overdue(overdue)
        for key, lane in overdue.items():
            mail.carry_out(desk.refuse_overdue(key), None, lane)
        await files.save()

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """Set the gauge of parked claims; returns how many seconds the one due longest is overdue."""
        metrics.CLAIMS_PARKED.set(await store.parked(conn, lanes, MOST))
        until = await store.first_until(conn, lanes)
        return 0.0 if until is None else max(0.0, (now - until).total_seconds())


@dataclass(slots=True)
class _Files:
    """What the database holds of what lies on the desk: fetched under locks before, brought up to date after."""

    work: Work
    desk: Desk
    mail: Mail
    orders: dict[OrderKey, OrderState] = field(default_factory=dict)
    claims: dict[ClaimKey, str | None] = field(default_factory=dict)
    seen: dict[bytes, bytes] = field(default_factory=dict)
    waiting: set[int] = field(default_factory=set)

    async def fetch(self, letters: list[Letter]) -> None:
        """Fetch and lock all that the letters may touch."""
        events = [letter.arrival.event for letter in letters]
        await self._fetch_seen(letters)
        fresh = await self._fetch_orders({order_key(event) for event in events})
        placed = {order_key(event) for event in events if isinstance(event, OrderPlaced)} - fresh
        await self._fetch_waiting(orders=[key for key in placed if self.orders[key].order is None])
        await self._fetch_claims(events)

    async def fetch_overdue(self, orders: Collection[OrderKey]) -> None:
        """Fetch and lock orders that did not come, with what waits for them."""
        await self._fetch_orders(orders)
        await self._fetch_waiting(orders=orders)
        await self._fetch_claims([])

    async def save(self) -> None:
        """Write what has changed."""
        conn, now = self.work.conn, self.work.now
        orders = {key: state for key, state in self.desk.orders.items() if state is not self.orders[key]}
        if orders:
            await store.save_orders(conn, {key: write(state) for key, state in orders.items()})
        claims = {key: owner for key in self.claims if (owner := self.desk.owners.get(key)) != self.claims[key]}
        if claims:
            await store.save_claims(conn, claims)
        gone = self.seen.keys() - self.desk.seen.keys()
        if gone:
            await store.unmark_seen(conn, gone)
        changed = {key: digest for key, digest in self.desk.seen.items() if self.seen.get(key) != digest}
        if changed:
            await store.remark_seen(conn, changed, now)
        await self._save_waiting()

    async def _save_waiting(self) -> None:
        conn, waiting = self.work.conn, self.desk.waiting
        gone = self.waiting - waiting.keys()
        if gone:
            await store.delete_waiting(conn, sorted(gone))
        new = [_as_row(waiting[ref], self.mail) for ref in sorted(waiting.keys() - self.waiting)]
        if new:
            await store.save_waiting(conn, new, self.work.now)

    async def _fetch_seen(self, letters: Iterable[Letter]) -> None:
        first: dict[bytes, bytes] = {}
        for letter in letters:
            for mark in letter.marks:
                first.setdefault(mark.key, mark.digest)
        known = await store.mark_seen(self.work.conn, first, self.work.now) if first else {}
        self.desk.seen.update(known)
        self.seen.update(first | known)

    async def _fetch_orders(self, orders: Collection[OrderKey]) -> set[OrderKey]:
        states, fresh = await store.lock_orders(self.work.conn, orders)
        self.orders = {key: read(state) for key, state in states.items()} | {key: OrderState() for key in fresh}
        self.desk.orders.update(self.orders)
        return fresh

    async def _fetch_claims(self, events: Iterable[Input]) -> None:
        """Lock the claims of the events and those parked; fetch what waits for the ones that are not admitted.

        A claim named for the first time is entered with the order it will most likely be admitted for: saves an update.
        """
        parked = [letter.arrival.event for letter in self.desk.waiting.values()]
        expected: dict[ClaimKey, str | None] = {}
        for event in (*events, *parked):
            if key := claim_key(event):
                order = event.order_id if isinstance(event, ClaimSubmitted) else None
                expected[key] = expected.get(key) or order
        if not expected:
            return
        known, fresh = await store.lock_claims(self.work.conn, expected)
        self.claims = known | {key: expected[key] for key in fresh}
        self.desk.owners.update({key: order for key, order in known.items() if order is not None})
        await self._fetch_waiting(claims=[key for key, order in known.items() if order is None])

    async def _fetch_waiting(self, *, orders: Collection[OrderKey] = (), claims: Collection[ClaimKey] = ()) -> None:
        rows: list[Waiting] = []
        if orders:
            rows += await store.waiting_for_orders(self.work.conn, orders)
        if claims:
            rows += await store.waiting_for_claims(self.work.conn, claims)
        for row in rows:
            if row.ref in self.waiting:
                continue
            self.waiting.add(row.ref)
            if letter := self._opened(row):
                self._put_back(letter, row)

    def _opened(self, row: Waiting) -> Letter | None:
        """The letter that waits. Its digests are needed only where one of this batch may be the same."""
        lane = row.lane if row.lane in self.work.lanes else self.work.lanes[0]
        letter = self.mail.open_kept(row.ref, row.record, lane=lane)
        if letter and any(mark.key in self.seen for mark in letter.marks):
            return self.mail.open(row.ref, row.record, lane=lane)
        return letter

    def _put_back(self, letter: Letter, row: Waiting) -> None:
        self.desk.put(letter.waits_until(row.until))
        for mark in letter.marks:
            self.desk.seen[mark.key] = self.seen[mark.key] = mark.digest


def _as_row(letter: Letter, mail: Mail) -> store.WaitingRow:
    arrival = letter.arrival
    key = claim_key(arrival.event)
    assert key is not None, "only claims and what is about them wait"
    record = mail.records[arrival.ref]
    return (order_key(arrival.event), key[1], record.partition, arrival.until, record)
