"""Folding events into what is known of a claim, and telling from that where it stands. Pure.

Every slot keeps the first or the last event of its kind by a rank that the events carry themselves, so that any
interleaving of the topics, and a second reading, ends in the same facts.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from services.console import facts as known
from services.console.facts import ClaimFacts, Rank, Stage, State
from shared.events import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimDecided,
    ClaimParked,
    ClaimReferred,
    ClaimRefused,
    ClaimSettled,
    ClaimSubmitted,
    Event,
    NotificationFailed,
    NotificationSent,
    PolicyRef,
    Reason,
    RefundInstructed,
    ReviewRefused,
)
from shared.events.topics import ADMISSIONS, ASSESSMENTS, CLAIMS, DECISIONS, NOTIFICATIONS, REFUNDS
from shared.money import minor

ClaimEvent = (
    ClaimSubmitted
    | ClaimAdmitted
    | ClaimParked
    | ClaimRefused
    | ClaimAssessed
    | ClaimDecided
    | ClaimReferred
    | ReviewRefused
    | ClaimSettled
    | RefundInstructed
    | NotificationSent
    | NotificationFailed
)
"""The events that say where a claim stands. All else is shown in its history and changes nothing here."""

_HOME = {
    ClaimSubmitted: CLAIMS,
    ClaimAdmitted: ADMISSIONS,
    ClaimParked: ADMISSIONS,
    ClaimRefused: ADMISSIONS,
    ClaimAssessed: ASSESSMENTS,
    ClaimDecided: DECISIONS,
    ClaimReferred: DECISIONS,
    ReviewRefused: DECISIONS,
    ClaimSettled: DECISIONS,
    RefundInstructed: REFUNDS,
    NotificationSent: NOTIFICATIONS,
    NotificationFailed: NOTIFICATIONS,
}

_REOPENING = frozenset({"later-answer", "settlement-failed"})
"""Rules under which eligibility speaks again of a claim that a person has decided."""
_CLOSING_TEMPLATES = frozenset({"decided", "refused"})


@dataclass(frozen=True, slots=True)
class Seen:
    """An event and where it stands: topic and rank."""

    topic: str
    at: Rank
    event: ClaimEvent


def seen(topic: str, at: Rank, event: Event) -> Seen | None:
    """The event if it says where a claim stands, and comes on its own topic."""
    if isinstance(event, ClaimEvent) and _HOME[type(event)] == topic:
        return Seen(topic, at, event)
    return None


def fold(view: ClaimFacts | None, what: Seen) -> ClaimFacts:
    """What is known after one more event. `view` is None for a claim not heard of before."""
    at, event = what.at, what.event
    rank = (_order_weight(event), what.topic, *at)
    if view is None:
        view = ClaimFacts(order_id=event.order_id, order_rank=rank, first_ms=at[0])
    changed: dict[str, object] = {"first_ms": min(view.first_ms, at[0])}
    if rank < view.order_rank:
        changed |= {"order_id": event.order_id, "order_rank": rank}
    changed |= _slots(view, at, event)
    return view.model_copy(update=changed)


def _order_weight(event: ClaimEvent) -> int:
    return 0 if isinstance(event, ClaimAdmitted) else 1 if isinstance(event, ClaimSubmitted) else 2


def _slots(view: ClaimFacts, at: Rank, event: ClaimEvent) -> dict[str, object]:  # noqa: PLR0911 - an arm for each type
    match event:
        case ClaimSubmitted():
            said = known.Submission(at=at, order_id=event.order_id, reason=event.reason, wants=event.wants)
            return {"submission": _earlier(view.submission, said)}
        case ClaimAdmitted():
            return {"admission": _earlier(view.admission, _admission(at, event))}
        case ClaimParked():
            return {"parking": _later(view.parking, known.Parking(at=at, until_ms=_ms(event.until)))}
        case ClaimRefused():
            codes = sorted({error.code for error in event.errors})
            return {"refusal": _later(view.refusal, known.Refusal(at=at, order_id=event.order_id, codes=codes))}
        case ClaimAssessed():
            first = at[0] if view.assessed_ms is None else min(view.assessed_ms, at[0])
            return {"assessed_ms": first, "assessment": _newer(view.assessment, _assessment(at, event))}
        case ClaimDecided():
            decision = _earlier(view.decisions.get(event.decision_no), _decision(at, event))
            return {"decisions": _with(view.decisions, event.decision_no, decision)}
        case ClaimReferred():
            referral = known.Referral(at=at, entry=event.entry, revision=event.revision, readings=event.readings)
            return {"referral": _later(view.referral, referral)}
        case ReviewRefused():
            first_told = min(view.refused_reviews.get(event.review_id, at), at)
            return {"refused_reviews": _with(view.refused_reviews, event.review_id, first_told)}
        case ClaimSettled() | RefundInstructed():
            return {"refunds": _with(view.refunds, event.refund_id, _refunding(view, at, event))}
        case NotificationSent() | NotificationFailed():
            sent = isinstance(event, NotificationSent)
            notice = known.Notice(at=at, sent=sent, closing=event.template in _CLOSING_TEMPLATES)
            kept = _later(view.notices.get(event.notification_id), notice)
            return {"notices": _with(view.notices, event.notification_id, kept)}


Dated = TypeVar(
    "Dated",
    known.Submission,
    known.Parking,
    known.Refusal,
    known.Admission,
    known.Decision,
    known.Referral,
    known.Settlement,
    known.Notice,
)
Key = TypeVar("Key", int, str)
Value = TypeVar("Value")


def _with(mapping: dict[Key, Value], key: Key, value: Value) -> dict[Key, Value]:
    """The mapping with one more entry, in the order of the keys: the stored text must not tell who came first."""
    return dict(sorted({**mapping, key: value}.items()))


def _earlier(one: Dated | None, other: Dated) -> Dated:
    return other if one is None or other.at < one.at else one


def _later(one: Dated | None, other: Dated) -> Dated:
    return other if one is None or other.at > one.at else one


def _newer(one: known.Assessment | None, other: known.Assessment) -> known.Assessment:
    return other if one is None or (other.revision, other.at) > (one.revision, one.at) else one


def _admission(at: Rank, event: ClaimAdmitted) -> known.Admission:
    return known.Admission(
        at=at,
        order_id=event.order_id,
        reason=event.claim.reason,
        wants=event.claim.wants,
        customer_id=event.order.customer.customer_id,
        currency=event.order.currency,
    )


def _assessment(at: Rank, event: ClaimAssessed) -> known.Assessment:
    return known.Assessment(
        at=at,
        revision=event.basis.revision if event.basis is not None else 0,
        order_id=event.order_id,
        status=event.status,
        awaiting=event.awaiting,
        since_ms=_ms(event.since),
        due_ms=None if event.due is None else _ms(event.due),
        overdue=event.overdue,
        reopened=any(reason.rule in _REOPENING for line in event.lines for reason in line.reasons),
        authorization=event.authorization,
        clauses=_clauses(reason for line in event.lines for reason in line.reasons),
        policy=_policy(event.policy),
        readings=event.readings if event.awaiting == "review" else [],
    )


def _decision(at: Rank, event: ClaimDecided) -> known.Decision:
    refund = event.refund
    cited = {item.clause for item in refund.breakdown if item.clause} if refund is not None else set()
    return known.Decision(
        at=at,
        order_id=event.order_id,
        outcome=event.outcome,
        amount=0 if refund is None else minor(refund.amount, refund.currency),
        currency=None if refund is None else refund.currency,
        refund_id=None if refund is None else refund.refund_id,
        by=event.decided_by,
        decided_ms=_ms(event.decided_at),
        revision=event.revision,
        clauses=sorted(cited.union(_clauses(reason for line in event.lines for reason in line.reasons))),
        policy=_policy(event.policy),
    )


def _refunding(view: ClaimFacts, at: Rank, event: ClaimSettled | RefundInstructed) -> known.Refunding:
    refund = view.refunds.get(event.refund_id, known.Refunding())
    if isinstance(event, RefundInstructed):
        first = at if refund.instructed is None else min(refund.instructed, at)
        return refund.model_copy(update={"instructed": first})
    said = known.Settlement(at=at, succeeded=event.status == "succeeded")
    return refund.model_copy(update={"settled": _later(refund.settled, said)})


def _clauses(reasons: Iterable[Reason]) -> list[str]:
    return sorted({reason.clause for reason in reasons if reason.clause})


def _policy(policy: PolicyRef | None) -> str | None:
    return None if policy is None else f"{policy.id}@{policy.version}"


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a claim stands. `since_ms`: since when. `stuck_ms`: since when the pipeline itself owes the next step (a
    parked claim: from the end of its parking). `due_ms`: until when somebody outside is waited for."""

    state: State
    since_ms: int
    stuck_ms: int | None = None
    due_ms: int | None = None


def standing(view: ClaimFacts) -> Standing:  # noqa: PLR0911 - a way out for each place to stand
    """Tell where a claim stands from all that is known of it."""
    last = view.decisions[max(view.decisions)] if view.decisions else None
    waiting = _waiting(view, last)
    if waiting is not None:
        return waiting
    if last is not None:
        return _after_decision(view, last)
    if view.assessment is not None:
        return _machine("calculating", view.assessment.at[0])
    if view.admission is not None:
        return _machine("admitted", view.admission.at[0])
    if view.refusal is not None and (view.parking is None or view.refusal.at > view.parking.at):
        return Standing("refused", view.refusal.at[0])
    if view.parking is not None:
        return Standing("parked", view.parking.at[0], view.parking.until_ms, view.parking.until_ms)
    return _machine("received", view.first_ms)


_AWAITED: dict[str, State] = {
    "delivery": "awaiting_delivery",
    "seller": "awaiting_seller",
    "return": "awaiting_return",
    "review": "review",
}


def _waiting(view: ClaimFacts, last: known.Decision | None) -> Standing | None:
    """What the latest assessment or referral waits for, unless a decision came after it."""
    assessed, referral = view.assessment, view.referral
    if assessed is not None and assessed.awaiting is not None and _after(assessed, last):
        return Standing(_AWAITED[assessed.awaiting], assessed.at[0], due_ms=assessed.due_ms)
    if referral is None or (assessed is not None and (referral.revision or 0) < assessed.revision):
        return None
    if last is not None and last.at > referral.at:
        return None
    return Standing("review", referral.at[0])


def _after(assessed: known.Assessment, last: known.Decision | None) -> bool:
    """Whether an assessment tells of what was after a decision. Eligibility and refund-calculation write side by side:
    a cancellation or a person's decision may be read before an assessment that knew nothing of it."""
    if last is None:
        return True
    if last.outcome == "cancelled":
        return False
    if last.revision is not None and assessed.revision:
        return assessed.revision > last.revision
    return (assessed.reopened or last.by == "policy") and assessed.since_ms > last.decided_ms


def _after_decision(view: ClaimFacts, last: known.Decision) -> Standing:
    refunds = {
        d.refund_id: view.refunds.get(d.refund_id, known.Refunding()) for d in view.decisions.values() if d.refund_id
    }
    settled = {id: refund.settled for id, refund in refunds.items() if refund.settled is not None}
    failed = [s for s in settled.values() if not s.succeeded and s.at[0] >= last.at[0]]
    if failed:
        return _machine("payment_failed", failed[-1].at[0])
    if last.refund_id is not None:
        refund = refunds[last.refund_id]
        if refund.settled is not None:
            return Standing("paid", refund.settled.at[0])
        if refund.instructed is not None:
            return Standing("instructed", refund.instructed[0])
        return _machine("refunding", last.at[0])
    ends: dict[str, State] = {"replacement": "replaced", "rejected": "rejected", "cancelled": "cancelled"}
    return Standing(ends.get(last.outcome, "nothing_to_pay"), last.at[0])


def _machine(state: State, since_ms: int) -> Standing:
    return Standing(state, since_ms, since_ms)


def reached(view: ClaimFacts) -> dict[Stage, int]:
    """When the claim first reached each stage, in ms since 1970, by the broker's time."""
    instructed = [r.instructed[0] for r in view.refunds.values() if r.instructed is not None]
    paid = [r.settled.at[0] for r in view.refunds.values() if r.settled is not None and r.settled.succeeded]
    told = [n.at[0] for n in view.notices.values() if n.sent and n.closing]
    first: dict[Stage, int | None] = {
        "received": None if view.submission is None else view.submission.at[0],
        "admitted": None if view.admission is None else view.admission.at[0],
        "assessed": view.assessed_ms,
        "decided": min((d.at[0] for d in view.decisions.values()), default=None),
        "instructed": min(instructed, default=None),
        "paid": min(paid, default=None),
        "notified": min(told, default=None),
    }
    return {stage: ms for stage, ms in first.items() if ms is not None}


def refunded(view: ClaimFacts) -> int:
    """What the claim's decisions give in all, in minor units, without refunds that failed."""
    lost = {id for id, r in view.refunds.items() if r.settled is not None and not r.settled.succeeded}
    return sum(d.amount for d in view.decisions.values() if d.refund_id not in lost)


def basis_of_action(view: ClaimFacts) -> str:
    """Names what a person saw when acting; it changes with each assessment, decision and refused review."""
    revision = view.assessment.revision if view.assessment is not None else 0
    at = view.assessment.at[2] if view.assessment is not None else 0
    return f"{max(view.decisions, default=0)}.{revision or at}.{len(view.refused_reviews)}"
