"""The recorded facts of orders and their claims, laid out once so that any policy can be tried on them. Pure.

Nothing here depends on a policy: what a claim is like after each of its facts is the same under all of them. Cases that
no rule can tell apart (the same reason, wish, answer and findings; times of report and carriers stand beside) share one
`Case`, so that a policy judges each kind of case once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from cli.recording import Recorded, readable
from services.eligibility.casework import make_case
from services.eligibility.facts import AnswerFact, ClaimState, Told, tell
from services.refund_calculation.domain import calculate
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Order
from shared.events import (
    ClaimAdmitted,
    ClaimCancelled,
    ClaimReviewed,
    Event,
    OrderDelivered,
    RefundSettled,
    ReturnReceived,
    SellerAnswered,
)
from shared.events.topics import ADMISSIONS
from shared.money import minor
from shared.policy.book import PolicyBook
from shared.policy.case import ClaimCase, LineCase
from shared.pricing import Named

NO_POLICIES: Final = PolicyBook(())

OrderKey = tuple[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A kind of case that no rule can tell apart further, but by its times and its carrier; one object per kind."""

    example: ClaimCase


@dataclass(frozen=True, slots=True)
class Facts:
    """A claim after one of its facts, told at `at`. `waited`: from receipt to report, None while the receipt is not
    known. `back`: how many units of each line are back. `answer`: the seller's answer that counts. `answered`: this
    fact was a seller's answer. `postage`: the customer has paid some for a return that is in."""

    claim_id: str
    at: datetime
    case: Case
    waited: timedelta | None
    back: tuple[int, ...]
    answer: AnswerFact | None
    answered: bool
    postage: bool
    state: ClaimState


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The claim was taken back."""

    claim_id: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A person decided. `amount` in minor units of the order's currency."""

    claim_id: str
    outcome: str
    amount: int


Step = Facts | Cancelled | Reviewed


@dataclass(frozen=True, slots=True)
class Recalled:
    """An order with all its claims admitted, and what became known of them, in order. `steps` is None where something
    happened that only the whole course of events can tell (a refund that failed)."""

    key: OrderKey
    currency: str
    order: Order
    carrier: str
    named_rate: tuple[str, str] | None
    steps: tuple[Step, ...] | None
    events: tuple[tuple[datetime, Event], ...]
    claims: tuple[ClaimAdmitted, ...]


@dataclass(slots=True)
class Kinds:
    """Gives equal cases one `Case`."""

    _known: dict[Hashable, Case] = field(default_factory=dict)

    def of(self, case: ClaimCase) -> Case:
        key = (case.reason, case.wants, case.answer, tuple(_line(line) for line in case.lines))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = Case(case)
        return found


def _line(line: LineCase) -> Hashable:
    stated, found = tuple(line.stated.items()), tuple(line.found.items())
    return stated, found, line.returned, line.gift, line.category, line.sealed


def recall(records: Iterable[Recorded], merchant: str) -> Iterator[Recalled]:
    """A merchant's orders with the facts that intake let in."""
    orders: dict[OrderKey, list[tuple[datetime, Event]]] = {}
    admissions = (one for one in records if one.topic == ADMISSIONS and not one.redriven_for)
    for one, event in readable(admissions):
        key = (getattr(event, "merchant", ""), getattr(event, "order_id", ""))
        if key[0] == merchant:
            orders.setdefault(key, []).append((one.at, event))
    kinds = Kinds()
    for key, events in orders.items():
        recalled = _recall(key, tuple(events), kinds)
        if recalled is not None:
            yield recalled


def _recall(key: OrderKey, events: tuple[tuple[datetime, Event], ...], kinds: Kinds) -> Recalled | None:
    claims = tuple(event for _, event in events if isinstance(event, ClaimAdmitted))
    if not claims:
        return None
    order = Order(*key)
    for admitted in claims:
        try:
            order = calculate(order, admitted, NO_POLICIES, admitted.admitted_at).order
        except Unacceptable:  # a dead letter then, and now
            continue
    placed = claims[0].order
    rate = (placed.exchange.currency, placed.exchange.rate) if placed.exchange is not None else None
    steps = None if order.ledger is None else _steps(key, events, kinds, placed.currency, single=len(claims) == 1)
    carrier = placed.shipping.carrier.strip().lower()
    return Recalled(key, placed.currency, order, carrier, rate, steps, events, claims)


def _steps(
    key: OrderKey, events: Iterable[tuple[datetime, Event]], kinds: Kinds, currency: str, *, single: bool
) -> tuple[Step, ...] | None:
    states: dict[str, ClaimState] = {}
    steps: list[Step] = []
    for at, event in events:
        if isinstance(event, RefundSettled) and event.status == "failed":
            return None
        if not isinstance(event, Told):
            continue
        if isinstance(event, ClaimAdmitted):
            states.setdefault(event.claim_id, ClaimState(merchant=key[0], order_id=key[1], claim_id=event.claim_id))
        for claim_id in list(states) if isinstance(event, OrderDelivered) else [event.claim_id]:
            if claim_id not in states:
                return None
            told = tell(states[claim_id], event)
            if told is not states[claim_id]:
                states[claim_id] = told
                step = _step(told, event, kinds, currency, at, single=single)
                if step is None:
                    return None
                steps.append(step)
    return tuple(steps)


def _step(state: ClaimState, event: Told, kinds: Kinds, currency: str, at: datetime, *, single: bool) -> Step | None:
    """What a fact is to its claim; None where facts alone do not tell where it leads."""
    if isinstance(event, ClaimCancelled):
        return Cancelled(state.claim_id)
    if isinstance(event, ClaimReviewed):
        # Which units a person's decision holds, and what of the postage it has in it, depends on what was said before.
        return _reviewed(event, currency) if single and not _postage(state) else None
    if isinstance(event, ClaimAdmitted | OrderDelivered | ReturnReceived | SellerAnswered):
        return _facts(state, kinds, at, answered=isinstance(event, SellerAnswered))
    return None


def _reviewed(event: ClaimReviewed, currency: str) -> Reviewed:
    outcomes = {"refund": "refund", "replacement": "replacement", "reject": "rejected"}
    amount = 0 if event.amount is None or event.verdict != "refund" else minor(event.amount.amount, currency)
    return Reviewed(event.claim_id, outcomes[event.verdict], amount)


def _facts(state: ClaimState, kinds: Kinds, at: datetime, *, answered: bool) -> Facts:
    assert state.claim is not None
    case, answer = make_case(state, state.claim)
    waited = None if case.received_at is None else case.reported_at - case.received_at
    back = tuple(line.back for line in case.lines)
    return Facts(state.claim_id, at, kinds.of(case), waited, back, answer, answered, _postage(state), state)


def _postage(state: ClaimState) -> bool:
    return any(one.postage is not None and one.postage.paid_by == "customer" for one in state.returns)


def named(facts: Facts, rate: tuple[str, str] | None) -> Named | None:
    """The amount that the seller named in the answer that counts."""
    if facts.answer is None or facts.answer.amount is None:
        return None
    amount = facts.answer.amount
    return Named(amount.amount, amount.currency, rate[1] if rate is not None and rate[0] == amount.currency else None)


def case_of(facts: Facts, carrier: str) -> ClaimCase:
    """The whole case: the kind's example with the times and the carrier of this claim."""
    example = facts.case.example
    received = None if facts.waited is None else example.reported_at - facts.waited
    return replace(example, received_at=received, carrier=carrier)
