"""All recorded inputs of eligibility and refund-calculation through their pure functions again, claim by claim and
order by order, compared with what they said then. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, TypeVar

from cli.recording import Recorded
from cli.replaying import NOTHING, Difference, Found, Said, Search, sha
from services.eligibility.domain import assess
from services.eligibility.facts import ClaimState, Told, look_again, tell, written
from services.refund_calculation.codec import encode
from services.refund_calculation.domain import calculate
from services.refund_calculation.handlers import TAKEN
from services.refund_calculation.state import Order
from shared.events import BadEvent, ClaimAssessed, ClaimDecided, Event, OrderDelivered, RefundInstructed, dump
from shared.events.topics import ADMISSIONS, ASSESSMENTS, DECISIONS, REFUNDS
from shared.policy.book import PolicyBook

REPLAYED: Final = (ADMISSIONS, ASSESSMENTS, DECISIONS, REFUNDS)
"""The topics that a replay needs; without `refunds.v1` the instructions are not compared."""

ELIGIBILITY: Final = "eligibility"
CALCULATION: Final = "refund-calculation"

OrderKey = tuple[str, str]
ClaimKey = tuple[str, str, str]
AnyKey = TypeVar("AnyKey", bound=Hashable)

_UNDER_A_MILLISECOND: Final = timedelta(microseconds=999)


@dataclass(frozen=True, slots=True)
class Unanswered:
    """An input whose answer is not in the recording, and which is the last of its service and lane: whoever recorded
    was there before the answer."""

    service: str
    about: str
    place: str
    type: str


@dataclass(slots=True)
class Verified:
    """What a replay came to. `claims` and `orders` were replayed; `outputs` by topic are those reproduced, `digests`
    by topic over them in the order of lane and offset; `reordered` needed another order than that of the times."""

    claims: int = 0
    orders: int = 0
    inputs: int = 0
    reordered: int = 0
    outputs: dict[str, int] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    unanswered: list[Unanswered] = field(default_factory=list)


def verify(records: Iterable[Recorded], book: PolicyBook, *, complete: bool = False) -> Verified:
    """Replays all records. With `complete`, an input without its answer is a difference, the last of a lane too."""
    heard = _sort(records)
    done = Verified(
        claims=len(heard.claims), orders=len(heard.orders), inputs=heard.inputs, differences=heard.unreadable
    )
    reproduced: list[Recorded] = []
    open_: list[tuple[str, str, Recorded, Said]] = []
    answered: dict[tuple[str, str, int], int] = {}
    for service, about, outputs, found in _searches(heard, book):
        done.reordered += not found.by_time
        if found.difference is not None:
            done.differences.append(found.difference)
        reproduced += outputs[: found.reproduced]
        for one in found.caused_by:
            lane = (service, one.topic, one.lane)
            answered[lane] = max(answered.get(lane, -1), one.offset)
        open_ += [(service, about, one, said) for one, said in found.unanswered]
    waiting: dict[Unanswered, None] = {}
    for service, about, one, said in open_:
        if complete or one.offset < answered.get((service, one.topic, one.lane), -1):
            what = f"{said.type} {sha(said.value)[:12]}"
            done.differences.append(Difference(service, about, one.place, one.at, "$", NOTHING, what))
        else:
            waiting[Unanswered(service, about, one.place, one.type)] = None
    done.unanswered = list(waiting)
    done.differences.sort(key=lambda one: (one.at, one.place))
    for topic in (ASSESSMENTS, DECISIONS, REFUNDS):
        found_there = sorted((one for one in reproduced if one.topic == topic), key=lambda one: (one.lane, one.offset))
        done.outputs[topic] = len(found_there)
        done.digests[topic] = digest_of(found_there)
    return done


def digest_of(outputs: Iterable[Recorded]) -> str:
    """One digest (sha256, hex) over the digests of outputs, in their order."""
    whole = hashlib.sha256()
    for one in outputs:
        whole.update(f"{one.type} {sha(one.value)}\n".encode())
    return whole.hexdigest()


_SPEAKER: Final = {ASSESSMENTS: ELIGIBILITY, DECISIONS: CALCULATION, REFUNDS: CALCULATION}
_PLACES: Final = {ADMISSIONS: 0, DECISIONS: 1, ASSESSMENTS: 2}


@dataclass(slots=True)
class _Heard:
    """The records by what they are about. Of a claim: inputs from admissions and from decisions, and assessments; of an
    order: inputs from admissions and from assessments, and decisions with instructions."""

    claims: dict[ClaimKey, tuple[list[Recorded], list[Recorded], list[Recorded]]] = field(default_factory=dict)
    orders: dict[OrderKey, tuple[list[Recorded], list[Recorded], list[Recorded]]] = field(default_factory=dict)
    events: dict[tuple[str, int, int], Event] = field(default_factory=dict)
    unreadable: list[Difference] = field(default_factory=list)
    refunds: bool = False
    inputs: int = 0

    def event(self, one: Recorded) -> Event:
        return self.events[one.topic, one.lane, one.offset]


def _sort(records: Iterable[Recorded]) -> _Heard:
    heard = _Heard()
    delivered: dict[OrderKey, list[Recorded]] = {}
    for one in records:
        heard.refunds = heard.refunds or one.topic == REFUNDS
        try:
            event = one.event()
        except BadEvent as bad:
            if one.topic in _SPEAKER:  # on admissions it was a dead letter of its readers
                what = f"{one.type} that cannot be read: {bad.message}"
                unread = Difference(_SPEAKER[one.topic], "a record", one.place, one.at, bad.path, what, NOTHING)
                heard.unreadable.append(unread)
            continue
        heard.events[one.topic, one.lane, one.offset] = event
        order = (getattr(event, "merchant", ""), getattr(event, "order_id", ""))
        if isinstance(event, OrderDelivered):
            delivered.setdefault(order, []).append(one)
            continue
        heard.inputs += one.topic != REFUNDS
        _of_claim(heard, one, event, order)
        _of_order(heard, one, event, order)
    for key, (admissions, _, _) in heard.claims.items():
        admissions.extend(delivered.get(key[:2], ()))
        admissions.sort(key=lambda one: (one.lane, one.offset))
    heard.inputs += sum(len(found) for found in delivered.values())
    for _, _, said in heard.orders.values():
        said.sort(key=lambda one: one.number or 0)  # decisions and instructions are numbered together
    return heard


def _of_claim(heard: _Heard, one: Recorded, event: Event, order: OrderKey) -> None:
    if one.topic == REFUNDS or one.redriven_for not in ("", ELIGIBILITY):
        return
    if one.topic == ASSESSMENTS or isinstance(event, Told):
        lists = heard.claims.setdefault((*order, getattr(event, "claim_id", "")), ([], [], []))
        lists[_PLACES[one.topic]].append(one)


def _of_order(heard: _Heard, one: Recorded, event: Event, order: OrderKey) -> None:
    if one.redriven_for not in ("", CALCULATION):
        return
    says = one.topic in (DECISIONS, REFUNDS)
    if says or one.type in TAKEN[one.topic]:
        lists = heard.orders.setdefault(order, ([], [], []))
        lists[2 if says else 0 if one.topic == ADMISSIONS else 1].append(one)


def _searches(heard: _Heard, book: PolicyBook) -> Iterator[tuple[str, str, Sequence[Recorded], Found]]:
    for key, (admissions, decisions, assessments) in heard.claims.items():
        about = f"claim {key[2]} of {key[0]}/{key[1]}"
        machine = _Eligibility(key, book, heard.event)
        yield ELIGIBILITY, about, assessments, Search(machine, about, (admissions, decisions), assessments).run()
    for order, (admissions, assessments, said) in heard.orders.items():
        about = f"order {order[0]}/{order[1]}"
        calculation = _Calculation(order, book, heard.event, refunds=heard.refunds)
        yield CALCULATION, about, said, Search(calculation, about, (admissions, assessments), said).run()


@dataclass(frozen=True, slots=True)
class _Eligibility:
    """Eligibility about one claim. The state is None while nothing was told: a delivery tells only known claims."""

    key: ClaimKey
    book: PolicyBook
    event: Callable[[Recorded], Event]
    service: str = ELIGIBILITY

    def start(self) -> ClaimState | None:
        return None

    def hear(self, state: ClaimState | None, one: Recorded, now: datetime) -> tuple[ClaimState | None, Sequence[Said]]:
        event = self.event(one)
        assert isinstance(event, Told)
        if state is None:
            if isinstance(event, OrderDelivered):
                return None, ()
            state = ClaimState(merchant=self.key[0], order_id=self.key[1], claim_id=self.key[2])
        told = tell(state, event)
        return (state, ()) if told is state else self._assessed(state, told, now)

    def due(self, state: ClaimState | None) -> datetime | None:
        return None if state is None else look_again(state)

    def look(self, state: ClaimState | None, now: datetime) -> tuple[ClaimState | None, Sequence[Said]]:
        return (None, ()) if state is None else self._assessed(state, state, now)

    def instant(self, outputs: Sequence[Recorded]) -> datetime:
        event, at = self.event(outputs[0]), outputs[0].at
        assert isinstance(event, ClaimAssessed)
        # `since` is the transaction's own instant where the claim came to stand so by this very assessment.
        exact = at <= event.since <= at + _UNDER_A_MILLISECOND
        return event.since if exact else at + _UNDER_A_MILLISECOND

    def mark(self, state: ClaimState | None) -> str:
        return "" if state is None else written(state)

    def _assessed(self, before: ClaimState, told: ClaimState, now: datetime) -> tuple[ClaimState, Sequence[Said]]:
        try:
            state, assessed = assess(told, self.book, now)
        except Exception:  # the service makes a dead letter of any record that the pure part fails on
            return before, ()
        return state, () if assessed is None else (Said(assessed.type, dump(assessed)),)


@dataclass(frozen=True, slots=True)
class _Calculation:
    """Refund-calculation about one order."""

    key: OrderKey
    book: PolicyBook
    event: Callable[[Recorded], Event]
    refunds: bool
    service: str = CALCULATION

    def start(self) -> Order:
        return Order(*self.key)

    def hear(self, state: Order, one: Recorded, now: datetime) -> tuple[Order, Sequence[Said]]:
        try:
            calculated = calculate(state, self.event(one), self.book, now)
        except Exception:  # `Unacceptable` or any other: the service makes a dead letter of the record
            return state, ()
        said = [
            Said(event.type, dump(event))
            for event in calculated.events
            if self.refunds or not isinstance(event, RefundInstructed)
        ]
        return calculated.order, said

    def due(self, state: Order) -> datetime | None:
        return None

    def look(self, state: Order, now: datetime) -> tuple[Order, Sequence[Said]]:
        return state, ()

    def instant(self, outputs: Sequence[Recorded]) -> datetime:
        """A transaction's instant is in its decisions and instructions, of which a referral may come first."""
        for one in outputs:
            event = self.event(one)
            if one.at != outputs[0].at:
                break
            if isinstance(event, ClaimDecided):
                return event.decided_at
            if isinstance(event, RefundInstructed):
                return event.instructed_at
        return outputs[0].at

    def mark(self, state: Order) -> str:
        return encode(state).hex()
