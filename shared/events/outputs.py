"""What the pipeline itself says."""

from typing import ClassVar, Literal

from pydantic import Field

from shared.events.basis import Basis
from shared.events.fields import Currency, Id, Instant, PaidAmount, Text
from shared.events.inputs import ClaimSubmitted
from shared.events.model import Event
from shared.events.orders import Order
from shared.events.parts import (
    AssessedLine,
    Awaiting,
    BreakdownItem,
    ClaimRefusal,
    Outcome,
    PolicyRef,
    ReadingShown,
    Refund,
    RefundPayment,
    Replacement,
    ReviewRefusal,
    Wants,
)


class ClaimAdmitted(Event):
    """intake took the claim in. `units`: by line the unit numbers, from 1, that the claim now holds."""

    type: ClassVar[str] = "claim.admitted.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    claim: ClaimSubmitted
    order: Order
    admitted_at: Instant
    units: dict[str, list[int]] = Field(default_factory=dict)


class ClaimParked(Event):
    """The claim came before its order and is kept until then."""

    type: ClassVar[str] = "claim.parked.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    waiting_for: Literal["order"]
    until: Instant


class ClaimRefused(Event):
    """The claim is well-formed and yet not one that can be taken; `errors` holds every reason."""

    type: ClassVar[str] = "claim.refused.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    errors: list[ClaimRefusal] = Field(min_length=1)


class ClaimAssessed(Event):
    """Where the claim stands under the policy. `awaiting` is null unless `status` is `awaiting`; `policy` is null where
    none was in force; `basis` is what the money is calculated from and is no part of the public promise."""

    type: ClassVar[str] = "claim.assessed.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    status: Literal["awaiting", "eligible", "rejected"]
    awaiting: Awaiting | None
    since: Instant
    due: Instant | None
    overdue: bool
    authorization: Id | None
    lines: list[AssessedLine]
    remedy: Wants | None
    readings: list[ReadingShown]
    policy: PolicyRef | None
    basis: Basis | None = None


class ClaimDecided(Event):
    """The claim is decided. A later decision has the next `decision_no`, differences for money, and says in `follows`
    which one it comes after. `revision` is that of the assessment it was made from; null when by staff."""

    type: ClassVar[str] = "claim.decided.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    decision_no: int = Field(ge=1)
    follows: int | None = Field(ge=1)
    outcome: Outcome
    lines: list[AssessedLine]
    refund: Refund | None
    replacement: Replacement | None
    policy: PolicyRef | None
    readings: list[ReadingShown]
    decided_by: str = Field(pattern=r"^(policy|staff:.*\S.*)$", description="`policy`, or `staff:<actor>`.")
    decided_at: Instant
    revision: int | None = None


class ClaimReferred(Event):
    """The calculation shows that a person must decide: two readings of an open point give different money."""

    type: ClassVar[str] = "claim.referred.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    entry: Id
    readings: list[ReadingShown]
    revision: int | None = None


class ReviewRefused(Event):
    """A review that cannot be carried out; the claim stays as it is."""

    type: ClassVar[str] = "review.refused.v1"

    review_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    errors: list[ReviewRefusal] = Field(min_length=1)


class RefundInstructed(Event):
    """Pay this, once per `refund_id`. The payments' amounts add up to `amount`, and so does the breakdown."""

    type: ClassVar[str] = "refund.instructed.v1"

    refund_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    decision_no: int = Field(ge=1)
    amount: PaidAmount
    currency: Currency
    payments: list[RefundPayment]
    breakdown: list[BreakdownItem]
    reason: Text
    policy: PolicyRef | None
    instructed_at: Instant


class ClaimSettled(Event):
    """A refund's settlement, its fields as they came."""

    type: ClassVar[str] = "claim.settled.v1"

    refund_id: Id
    merchant: Id
    order_id: Id
    claim_id: Id
    status: Literal["succeeded", "failed"]
    provider_reference: Text | None
    settled_at: Instant
    failure_reason: Text | None


class NotificationSent(Event):
    """The customer was told; `recipient_hash` stands for the address."""

    type: ClassVar[str] = "notification.sent.v1"

    notification_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    template: Id
    locale: Id
    channel: Id
    recipient_hash: Id


class NotificationFailed(Event):
    """The customer could not be told; `recipient_hash` is null where there was no address."""

    type: ClassVar[str] = "notification.failed.v1"

    notification_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    template: Id
    locale: Id
    channel: Id
    recipient_hash: Id | None
    reason: Text
