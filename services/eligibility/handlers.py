"""Eligibility's batches: open, load, decide, save, emit."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from services.eligibility import store
from services.eligibility.domain import Said, say
from services.eligibility.facts import ClaimState, add, look_again, restored, written
from services.eligibility.reading import (
    DECODERS,
    Answered,
    Cancelled,
    Delivered,
    Heard,
    Returned,
    Reviewed,
    read,
)
from services.eligibility.store import ClaimKey, OrderKey, PolicyKey, StateRow
from services.eligibility.verdicts import Verdicts
from shared.bus import Record, Work, order_key
from shared.db import Conn
from shared.events import BadEvent, ClaimAssessed
from shared.events.topics import ASSESSMENTS, READERS
from shared.policy.book import PolicyBook
from shared.policy.problem import PolicyError
from shared.policy.shelf import keep_promises

log = structlog.get_logger(__name__)

DUE_A_TICK: Final = 200
"""Claims looked at in one tick; what is left comes with the next."""

LEFT_FOR: Final = timedelta(hours=1)
"""How long a claim is left alone whose look because of time failed."""


class PoliciesDiffer(OSError):  # noqa: N818 - what it is, for the log; the kit tries the batch again, then gives up
    """Another process over the same database judges by another text of a policy version."""


class Eligibility:
    """The service. `policies` gives the book to judge by; it is asked once a batch, so that a reload takes effect."""

    name = "eligibility"
    topics = READERS["eligibility"]
    foreign: frozenset[str] = frozenset()

    def __init__(self, policies: Callable[[], PolicyBook]) -> None:
        self._policies = policies
        self._verdicts = Verdicts()
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
        kept = await store.states_of_orders(work.conn, {(heard.merchant, heard.order_id) for _, heard in letters})
        states = {key: restored(state) for key, state in kept.items()}
        desk = _Desk(work, self._policies(), self._verdicts, states)
        for record, heard in letters:
            desk.take(record, heard)
        await desk.save()
        await self._note(work, desk)

    async def tick(self, work: Work) -> None:
        """Look again at the claims whose due time has passed."""
        due = await store.states_due(work.conn, work.lanes, work.now, DUE_A_TICK)
        if not due:
            return
        states = {key: restored(state) for key, (_, state) in due.items()}
        desk = _Desk(work, self._policies(), self._verdicts, states)
        for key, (lane, _) in due.items():
            desk.look(key, lane)
        await desk.save()

    async def read_out(self, conn: Conn, lanes: Sequence[int], now: datetime) -> float:
        """How many seconds ago the claim should have been looked at again that is due longest."""
        due = await store.first_due(conn, lanes)
        return 0.0 if due is None else max(0.0, (now - due).total_seconds())

    async def _note(self, work: Work, desk: "_Desk") -> None:
        """Keep which policies govern the claims of a batch."""
        used = desk.pinned
        if not used.keys() <= self._noted:
            kept = await store.policies_used(work.conn)
            try:
                keep_promises({key: digest for key, digest in kept.items() if key in used}, desk.book)
            except PolicyError as error:
                raise PoliciesDiffer(str(error)) from error
            self._noted |= kept.keys()
            if new := {key: digest for key, digest in used.items() if key not in kept}:
                await store.note_policies(work.conn, new, work.now)


def _open(work: Work) -> list[tuple[Record, Heard]]:
    letters: list[tuple[Record, Heard]] = []
    for record in work.records:
        if record.type not in DECODERS:
            work.count("passed_over")
            continue
        try:
            letters.append((record, read(record.type, record.value or b"")))
        except BadEvent as bad:
            work.dead(record, bad.message, bad.path)
    return letters


@dataclass(slots=True)
class _Desk:
    """The claims of one unit of work: told and assessed in memory, written at the end. `kept`: those with a row."""

    work: Work
    book: PolicyBook
    verdicts: Verdicts
    states: dict[ClaimKey, ClaimState]
    kept: frozenset[ClaimKey] = frozenset()
    lanes: dict[ClaimKey, int] = field(default_factory=dict)
    left: dict[ClaimKey, datetime] = field(default_factory=dict)
    pinned: dict[PolicyKey, str] = field(default_factory=dict)
    """The versions that have come to govern claims, with their digests."""
    _of_orders: dict[OrderKey, list[ClaimKey]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.kept = frozenset(self.states)
        for key in self.states:
            self._of_orders.setdefault(key[:2], []).append(key)

    def take(self, record: Record, heard: Heard) -> None:
        """Adds an event to the claims that it is about. A record on which the pure part fails is dead-lettered, and
        the claims stay as they were."""
        try:
            told = [(key, *self._told(key, heard)) for key in self._claims(heard)]
        except Exception as error:
            log.exception("claim_not_assessed", topic=record.topic, offset=record.offset)
            self.work.dead(record, f"handler: {error!r}")
            return
        if not told:
            self.work.count("no_claim")
            return
        note = _noted(heard)
        for key, state, said in told:
            before = self.states.get(key)
            if state is not before:
                self._put(key, before, state)
                self.lanes[key] = record.partition
            if note:
                closed = said is None and bool(state.decisions or state.cancelled)
                self.work.count("closed" if closed else "told")
                what = f"{note}; the claim is closed: no effect" if closed else note
                self.work.history(state.merchant, state.claim_id, what, cause=record)
            if said is not None:
                self._emit(said, cause=record)

    def look(self, key: ClaimKey, lane: int) -> None:
        """Assesses a claim again because time has passed. One on which the pure part fails is left for a while."""
        self.lanes[key] = lane
        try:
            self.states[key], said = say(self.states[key], self.book, self.work.now, self.verdicts)
        except Exception:
            log.exception("claim_not_assessed", claim=key)
            self.left[key] = self.work.now + LEFT_FOR
            return
        if said is not None:
            self._emit(said, lane=lane)

    async def save(self) -> None:
        """Writes the claims that have changed."""
        new: list[StateRow] = []
        changed: list[StateRow] = []
        for key, lane in self.lanes.items():
            state = self.states[key]
            row = (*key, lane, state.revision, self._due(key, state), written(state))
            (changed if key in self.kept else new).append(row)
        if new:
            await store.add_states(self.work.conn, new)
        if changed:
            await store.change_states(self.work.conn, changed)

    def _due(self, key: ClaimKey, state: ClaimState) -> datetime | None:
        """When to look at the claim again; never for a due time that has passed and meant nothing (a closed claim)."""
        if key in self.left:
            return self.left[key]
        due = look_again(state)
        return due if due is not None and due >= self.work.now else None

    def _claims(self, heard: Heard) -> Sequence[ClaimKey]:
        """The claims that an event is about: all known ones of the order for a delivery, else the one it names."""
        if isinstance(heard, Delivered):
            return self._of_orders.get((heard.merchant, heard.order_id), ())
        return ((heard.merchant, heard.order_id, heard.claim_id),)

    def _told(self, key: ClaimKey, heard: Heard) -> tuple[ClaimState, Said | None]:
        state = self.states.get(key) or ClaimState(*key)
        told = add(state, heard)
        if told is state:
            return state, None
        return say(told, self.book, self.work.now, self.verdicts)

    def _put(self, key: ClaimKey, before: ClaimState | None, state: ClaimState) -> None:
        self.states[key] = state
        if before is None:
            self._of_orders.setdefault(key[:2], []).append(key)
        if state.policy is None or state.policy.version is None or (before is not None and before.policy is not None):
            return
        version = key[0], state.policy.version
        if version not in self.pinned and (policy := self.book.version(*version)) is not None:
            self.pinned[version] = policy.digest

    def _emit(self, said: Said, *, cause: Record | None = None, lane: int | None = None) -> None:
        assessed = said.assessed
        self.work.emit(
            ASSESSMENTS,
            ClaimAssessed.type,
            said.text,
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


def _noted(heard: Heard) -> str:
    """What goes into a claim's history of a fact that came from outside; what the services say notes itself."""
    match heard:
        case Answered():
            return f"seller answered {heard.answer} ({heard.answer_id})"
        case Returned():
            return f"return received ({heard.return_id})"
        case Reviewed():
            return f"reviewed: {heard.verdict} ({heard.review_id})"
        case Cancelled():
            return f"cancelled by {heard.by}"
        case Delivered():
            return f"delivered at {heard.received_at.isoformat()}"
        case _:
            return ""
