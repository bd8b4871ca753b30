"""Eligibility's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, cast

import structlog

from services.eligibility import store
from services.eligibility.domain import assess
from services.eligibility.facts import ClaimState, Told, look_again, tell
from services.eligibility.store import ClaimKey, OrderKey, PolicyKey, StateRow
from shared.bus import Record, Work, order_key
from shared.db import Conn
from shared.events import (
    BadEvent,
    ClaimAssessed,
    ClaimCancelled,
    ClaimReviewed,
    OrderDelivered,
    ReturnReceived,
    SellerAnswered,
    dump,
    parse_data,
)
from shared.events.topics import ASSESSMENTS, READERS
from shared.policy.book import PolicyBook
from shared.policy.problem import PolicyError
from shared.policy.shelf import keep_promises

log = structlog.get_logger(__name__)

DUE_A_TICK: Final = 200
"""Claims looked at in one tick; what is left comes with the next."""

LEFT_FOR: Final = timedelta(hours=1)
"""How long a claim is left alone whose look because of time failed."""

_TOLD: Final = frozenset(
    {
        "claim.admitted.v1",
        "claim.cancelled.v1",
        "order.delivered.v1",
        "seller.answered.v1",
        "return.received.v1",
        "claim.reviewed.v1",
        "claim.decided.v1",
        "claim.referred.v1",
        "claim.settled.v1",
        "review.refused.v1",
    }
)
"""Types that tell something about a claim; others are passed over unread."""


class PoliciesDiffer(OSError):  # noqa: N818 - what it is, for the log; the kit tries the batch again, then gives up
    """Another process over the same database judges by another text of a policy version."""


class Eligibility:
    """The service. `policies` gives the book to judge by; it is asked once a batch, so that a reload takes effect."""

    name = "eligibility"
    topics = READERS["eligibility"]
    foreign: frozenset[str] = frozenset()

    def __init__(self, policies: Callable[[], PolicyBook]) -> None:
        self._policies = policies
        self._noted: set[PolicyKey] = set()
        """Versions that are known to be in the database; only what was read from there, so that a batch that is rolled
        back leaves nothing here."""

    async def begin(self, conn: Conn) -> None:
        """Before the first batch: raises `PolicyError` where a version that governs claims here has changed or gone."""
        keep_promises(await store.policies_used(conn), self._policies())

    async def consume(self, work: Work) -> None:
        """Take in a batch of facts, and say of each claim where it stands now."""
        letters = _open(work)
        if not letters:
            return
        states = await store.states_of_orders(work.conn, {_order_of(event) for _, event in letters})
        desk = _Desk(work, self._policies(), {key: ClaimState.model_validate_json(one) for key, one in states.items()})
        for record, event in letters:
            desk.take(record, event)
        await desk.save()
        await self._note(work, desk)

    async def tick(self, work: Work) -> None:
        """Look again at the claims whose due time has passed."""
        due = await store.states_due(work.conn, work.lanes, work.now, DUE_A_TICK)
        if not due:
            return
        states = {key: ClaimState.model_validate_json(state) for key, (_, state) in due.items()}
        desk = _Desk(work, self._policies(), states)
        for key, (lane, _) in due.items():
            desk.look(key, lane)
        await desk.save()

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """How many seconds ago the claim should have been looked at again that is due longest."""
        due = await store.first_due(conn, lanes)
        return 0.0 if due is None else max(0.0, (now - due).total_seconds())

    async def _note(self, work: Work, desk: "_Desk") -> None:
        """Keep which policies govern the claims of a batch."""
        used = desk.policies()
        if not used.keys() <= self._noted:
            kept = await store.policies_used(work.conn)
            try:
                keep_promises({key: digest for key, digest in kept.items() if key in used}, desk.book)
            except PolicyError as error:
                raise PoliciesDiffer(str(error)) from error
            self._noted |= kept.keys()
            if new := {key: digest for key, digest in used.items() if key not in kept}:
                await store.note_policies(work.conn, new, work.now)


def _open(work: Work) -> list[tuple[Record, Told]]:
    letters: list[tuple[Record, Told]] = []
    for record in work.records:
        if record.type not in _TOLD:
            work.count("passed_over")
            continue
        try:
            letters.append((record, cast(Told, parse_data(record.type, record.value or b""))))
        except BadEvent as bad:
            work.dead(record, bad.message, bad.path)
    return letters


def _order_of(event: Told) -> OrderKey:
    return event.merchant, event.order_id


@dataclass(slots=True)
class _Desk:
    """The claims of one unit of work: told and assessed in memory, written at the end."""

    work: Work
    book: PolicyBook
    states: dict[ClaimKey, ClaimState]
    lanes: dict[ClaimKey, int] = field(default_factory=dict)
    left: dict[ClaimKey, datetime] = field(default_factory=dict)

    def take(self, record: Record, event: Told) -> None:
        """Adds an event to the claims that it is about. A record on which the pure part fails is dead-lettered, and
        the claims stay as they were."""
        try:
            told = [self._told(key, event) for key in self._claims(event)]
        except Exception as error:
            log.exception("claim_not_assessed", topic=record.topic, offset=record.offset)
            self.work.dead(record, f"handler: {error!r}")
            return
        if not told:
            self.work.count("no_claim")
        for state, assessed in told:
            key = (state.merchant, state.order_id, state.claim_id)
            if state is not self.states.get(key):
                self.states[key] = state
                self.lanes[key] = record.partition
            if note := _noted(event):
                closed = assessed is None and bool(state.decisions or state.cancelled)
                self.work.count("closed" if closed else "told")
                what = f"{note}; the claim is closed: no effect" if closed else note
                self.work.history(state.merchant, state.claim_id, what, cause=record)
            if assessed is not None:
                self._emit(assessed, cause=record)

    def look(self, key: ClaimKey, lane: int) -> None:
        """Assesses a claim again because time has passed. One on which the pure part fails is left for a while."""
        self.lanes[key] = lane
        try:
            self.states[key], assessed = assess(self.states[key], self.book, self.work.now)
        except Exception:
            log.exception("claim_not_assessed", claim=key)
            self.left[key] = self.work.now + LEFT_FOR
            return
        if assessed is not None:
            self._emit(assessed, lane=lane)

    async def save(self) -> None:
        """Writes the claims that have changed."""
        rows = [
            StateRow(key, lane, self.states[key].revision, self._due(key), self.states[key].model_dump_json())
            for key, lane in sorted(self.lanes.items())
        ]
        if rows:
            await store.save_states(self.work.conn, rows)

    def policies(self) -> dict[PolicyKey, str]:
        """The versions that govern the claims that have changed, with their digests."""
        used: dict[PolicyKey, str] = {}
        for key in self.lanes:
            pinned = self.states[key].policy
            if pinned is None or pinned.version is None or (key[0], pinned.version) in used:
                continue
            policy = self.book.version(key[0], pinned.version)
            if policy is not None:
                used[key[0], pinned.version] = policy.digest
        return used

    def _due(self, key: ClaimKey) -> datetime | None:
        """When to look at the claim again; never for a due time that has passed and meant nothing (a closed claim)."""
        if key in self.left:
            return self.left[key]
        due = look_again(self.states[key])
        return due if due is not None and due >= self.work.now else None

    def _claims(self, event: Told) -> Iterable[ClaimKey]:
        """The claims that an event is about: all known ones of the order for a delivery, else the one it names."""
        if isinstance(event, OrderDelivered):
            order = _order_of(event)
            return [key for key in self.states if key[:2] == order]
        return [(event.merchant, event.order_id, event.claim_id)]

    def _told(self, key: ClaimKey, event: Told) -> tuple[ClaimState, ClaimAssessed | None]:
        state = self.states.get(key) or ClaimState(merchant=key[0], order_id=key[1], claim_id=key[2])
        told = tell(state, event)
        if told is state:
            return state, None
        return assess(told, self.book, self.work.now)

    def _emit(self, assessed: ClaimAssessed, *, cause: Record | None = None, lane: int | None = None) -> None:
        self.work.emit(
            ASSESSMENTS,
            ClaimAssessed.type,
            dump(assessed),
            key=order_key(assessed.merchant, assessed.order_id),
            subject=assessed.claim_id,
            cause=cause,
            lane=lane,
        )
        waits = f" {assessed.awaiting}" if assessed.awaiting else ""
        late = ", overdue" if assessed.overdue else ""
        what = f"assessed: {assessed.status}{waits}{late}"
        self.work.history(assessed.merchant, assessed.claim_id, what, cause=cause, lane=lane)
        self.work.count(f"assessed_{assessed.awaiting or assessed.status}")


def _noted(event: Told) -> str:
    """What goes into a claim's history of a fact that came from outside; what the services say notes itself."""
    match event:
        case SellerAnswered():
            return f"seller answered {event.answer} ({event.answer_id})"
        case ReturnReceived():
            return f"return received ({event.return_id})"
        case ClaimReviewed():
            return f"reviewed: {event.verdict} ({event.review_id})"
        case ClaimCancelled():
            return f"cancelled by {event.by}"
        case OrderDelivered():
            return f"delivered at {event.received_at.isoformat()}"
        case _:
            return ""
