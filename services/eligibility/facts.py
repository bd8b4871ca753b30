"""What eligibility has been told about one claim: an immutable set of facts, and how each event adds to it.

Independent facts (delivery, answers, returns, reviews, what refund-calculation says) may come in any order and before
the claim itself. `seq` numbers them as they arrive: of two answers at one instant the later arrival counts, and a
review covers the answers that arrived before it.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypeAlias, assert_never

from pydantic import Field

from shared.events import (
    ClaimAdmitted,
    ClaimCancelled,
    ClaimDecided,
    ClaimReferred,
    ClaimReviewed,
    ClaimSettled,
    Inspection,
    Money,
    Order,
    OrderDelivered,
    Part,
    Postage,
    ReadingShown,
    ReturnReceived,
    ReviewRefused,
    SellerAnswered,
)
from shared.events.fields import Instant
from shared.events.parts import Awaiting, ClaimReason, Fault, Outcome, SellerAnswer, Wants
from shared.policy.rules import Value

Told: TypeAlias = (
    ClaimAdmitted
    | ClaimCancelled
    | OrderDelivered
    | SellerAnswered
    | ReturnReceived
    | ClaimReviewed
    | ClaimDecided
    | ClaimReferred
    | ClaimSettled
    | ReviewRefused
)
"""Every event that tells eligibility something about a claim."""


class ClaimedLine(Part):
    """A claimed line: its units in the order's ledger, and what the customer says of it (the line's own facts before
    the claim's); a fact that nobody has stated is absent."""

    line_id: str
    quantity: int
    units: tuple[int, ...]
    stated: dict[str, Value]


class Submitted(Part):
    """The claim as admitted, as far as it is judged by."""

    reason: ClaimReason
    wants: Wants
    reported_at: Instant
    lines: tuple[ClaimedLine, ...]
    order: Order


class AnswerFact(Part):
    seq: int
    answer_id: str
    answered_at: Instant
    answer: SellerAnswer
    amount: Money | None


class ReturnFact(Part):
    return_id: str
    received_at: Instant
    lines: dict[str, int]
    inspection: Inspection
    fault: Fault | None
    postage: Postage | None


class ReviewFact(Part):
    seq: int
    review_id: str


class DecisionFact(Part):
    """A decision of refund-calculation. `revision` is that of the assessment it was made from; null by staff."""

    decision_no: int
    outcome: Outcome
    by_staff: bool
    revision: int | None


class ReferralFact(Part):
    """Refund-calculation could not decide on the assessment `revision`."""

    revision: int
    entry: str
    readings: tuple[ReadingShown, ...]


class Pinned(Part):
    """The policy version that governs the claim to its end; `version` null: none was in force."""

    version: int | None


class Emitted(Part):
    """The last assessment that was emitted and that no decision has answered yet."""

    revision: int
    status: Literal["awaiting", "eligible", "rejected"]
    awaiting: Awaiting | None
    since: Instant
    due: Instant | None
    overdue: bool
    answer_id: str | None
    digest: str


class ClaimState(Part):
    """All facts about one claim, and what was last said about it. `refused`: reviews that could not be carried out
    (which may be heard of before the review itself). `finals`: revision → the answer that an `eligible` or
    `rejected` assessment was made from. `return_since`: when a return was first awaited."""

    merchant: str
    order_id: str
    claim_id: str
    seq: int = 0
    claim: Submitted | None = None
    received_at: Instant | None = None
    cancelled: bool = False
    answers: tuple[AnswerFact, ...] = ()
    returns: tuple[ReturnFact, ...] = ()
    reviews: tuple[ReviewFact, ...] = ()
    refused: tuple[str, ...] = ()
    decisions: tuple[DecisionFact, ...] = ()
    referral: ReferralFact | None = None
    failed_seq: int | None = None
    policy: Pinned | None = None
    revision: int = 0
    last: Emitted | None = None
    finals: dict[int, str | None] = Field(default_factory=dict)
    return_since: Instant | None = None


def tell(state: ClaimState, event: Told) -> ClaimState:
    """The state with what `event` says added; the same object when it says nothing new."""
    seq = state.seq + 1
    added = _added(state, event, seq)
    return state.model_copy(update={**added, "seq": seq}) if added else state


def _added(state: ClaimState, event: Told, seq: int) -> Mapping[str, object]:
    added: Mapping[str, object] = {}
    match event:
        case ClaimAdmitted():
            added = _admitted(state, event)
        case OrderDelivered() if state.received_at is None:
            added = {"received_at": event.received_at}
        case ClaimCancelled() if not state.cancelled:
            added = {"cancelled": True}
        case SellerAnswered():
            added = _answered(state, event, seq)
        case ReturnReceived():
            added = _returned(state, event)
        case ClaimReviewed() if not any(review.review_id == event.review_id for review in state.reviews):
            added = {"reviews": (*state.reviews, ReviewFact(seq=seq, review_id=event.review_id))}
        case ReviewRefused() if event.review_id not in state.refused:
            added = {"refused": (*state.refused, event.review_id)}
        case ClaimDecided():
            added = _decided(state, event)
        case ClaimReferred():
            revision = state.revision if event.revision is None else event.revision
            referral = ReferralFact(revision=revision, entry=event.entry, readings=tuple(event.readings))
            added = {"referral": referral}
        case ClaimSettled() if event.status == "failed":
            added = {"failed_seq": seq}
        case OrderDelivered() | ClaimCancelled() | ClaimReviewed() | ReviewRefused() | ClaimSettled():
            pass
        case _:
            assert_never(event)
    return added


def _admitted(state: ClaimState, event: ClaimAdmitted) -> Mapping[str, object]:
    if state.claim is not None:
        return {}
    claim = event.claim
    general = {} if claim.facts is None else {fact: value for fact, value in claim.facts if value is not None}
    lines = []
    for line in claim.lines:
        own = {} if line.facts is None else {fact: value for fact, value in line.facts if value is not None}
        units = event.units.get(line.line_id) or list(range(1, line.quantity + 1))
        stated = general | own
        lines.append(ClaimedLine(line_id=line.line_id, quantity=line.quantity, units=tuple(units), stated=stated))
    submitted = Submitted(
        reason=claim.reason,
        wants=claim.wants or "refund",
        reported_at=claim.reported_at,
        lines=tuple(lines),
        order=event.order,
    )
    return {"claim": submitted, "received_at": state.received_at or event.order.received_at}


def _answered(state: ClaimState, event: SellerAnswered, seq: int) -> Mapping[str, object]:
    if any(answer.answer_id == event.answer_id for answer in state.answers):
        return {}
    answer = AnswerFact(
        seq=seq,
        answer_id=event.answer_id,
        answered_at=event.answered_at,
        answer=event.answer,
        amount=event.amount if event.answer == "refund_partial" else None,
    )
    return {"answers": (*state.answers, answer)}


def _returned(state: ClaimState, event: ReturnReceived) -> Mapping[str, object]:
    if any(one.return_id == event.return_id for one in state.returns):
        return {}
    returned = ReturnFact(
        return_id=event.return_id,
        received_at=event.received_at,
        lines={line.line_id: line.quantity for line in event.lines},
        inspection=event.inspection,
        fault=event.fault,
        postage=event.postage,
    )
    return {"returns": (*state.returns, returned)}


def _decided(state: ClaimState, event: ClaimDecided) -> Mapping[str, object]:
    if any(decision.decision_no == event.decision_no for decision in state.decisions):
        return {}
    by_staff = event.decided_by != "policy"
    decision = DecisionFact(
        decision_no=event.decision_no, outcome=event.outcome, by_staff=by_staff, revision=event.revision
    )
    added: dict[str, object] = {"decisions": (*state.decisions, decision)}
    if by_staff:
        added["failed_seq"] = None
    # What is said next is said anew, even where it is word for word what was said before the decision; unless
    # something newer than what the decision answers has been said meanwhile.
    if by_staff or event.revision is None or state.last is None or event.revision >= state.last.revision:
        added["last"] = None
    return added


def look_again(state: ClaimState) -> datetime | None:
    """When the state has to be looked at again even if nothing comes: just after the due time of what it waits for."""
    if state.last is None or state.last.overdue:
        return None
    return state.last.due
