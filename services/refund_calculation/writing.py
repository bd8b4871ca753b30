"""The events that refund-calculation writes, as they are encoded: member for member those of `shared.events`, which a
unit test holds them against. Amounts are decimal strings, instants aware; nothing is checked again on the way out.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final, Literal

from msgspec import Raw, Struct
from msgspec.json import Encoder

from services.refund_calculation.reading import Line, PolicyRef
from shared.events.parts import BreakdownKind, Effect, Outcome, Payer, Verdict
from shared.pricing import ReadingShown


class Reason(Struct, frozen=True, gc=False):
    """Why a line is judged as it is."""

    rule: str
    clause: str | None
    effect: Effect
    text: str


class DecidedLine(Struct, frozen=True, gc=False):
    """A line with its verdict and every reason for it, those of the assessment first."""

    line_id: str
    quantity: int
    verdict: Verdict
    reasons: Sequence[Raw | Reason]


Lines = Sequence[Line | DecidedLine]
Readings = Sequence[Raw | ReadingShown]


class BreakdownItem(Struct, frozen=True, gc=False):
    """A part of a refund; negative where it is kept back."""

    item: BreakdownKind
    amount: str
    payer: Payer
    clause: str | None


class Refund(Struct, frozen=True, gc=False):
    """Money back; the breakdown adds up to `amount`. `refund_id` is null for 0 alone."""

    refund_id: str | None
    amount: str
    currency: str
    breakdown: Sequence[BreakdownItem]


class ReplacementLine(Struct, frozen=True, gc=False):
    """Units to be sent (again); `part` where only a part is."""

    line_id: str
    quantity: int
    part: str | None


class ShipCost(Struct, frozen=True, gc=False):
    """Who pays for sending."""

    payer: Payer


class Replacement(Struct, frozen=True, gc=False):
    """What is sent in place of the claimed goods."""

    lines: Sequence[ReplacementLine]
    ship_cost: ShipCost


class RefundPayment(Struct, frozen=True, gc=False):
    """The share of a refund that goes back to one payment; null for postage beyond the payments."""

    payment_id: str | None
    provider: str | None
    amount: str


class ReviewRefusal(Struct, frozen=True, gc=False):
    """Why a review cannot be taken."""

    code: str
    path: str
    message: str


class Decided(Struct, frozen=True, gc=False):
    """`claim.decided.v1`."""

    type: ClassVar[str] = "claim.decided.v1"

    claim_id: str
    merchant: str
    order_id: str
    decision_no: int
    follows: int | None
    outcome: Outcome
    lines: Lines
    refund: Refund | None
    replacement: Replacement | None
    policy: PolicyRef | None
    readings: Readings
    decided_by: str
    decided_at: datetime
    revision: int | None


class Referred(Struct, frozen=True, gc=False):
    """`claim.referred.v1`."""

    type: ClassVar[str] = "claim.referred.v1"

    claim_id: str
    merchant: str
    order_id: str
    entry: str
    readings: Readings
    revision: int | None


class ReviewRefused(Struct, frozen=True, gc=False):
    """`review.refused.v1`."""

    type: ClassVar[str] = "review.refused.v1"

    review_id: str
    claim_id: str
    merchant: str
    order_id: str
    errors: Sequence[ReviewRefusal]


class Instructed(Struct, frozen=True, gc=False):
    """`refund.instructed.v1`."""

    type: ClassVar[str] = "refund.instructed.v1"

    refund_id: str
    claim_id: str
    merchant: str
    order_id: str
    decision_no: int
    amount: str
    currency: str
    payments: Sequence[RefundPayment]
    breakdown: Sequence[BreakdownItem]
    reason: str
    policy: PolicyRef | None
    instructed_at: datetime


class SettlementTold(Struct, frozen=True, gc=False):
    """`claim.settled.v1`."""

    type: ClassVar[str] = "claim.settled.v1"

    refund_id: str
    merchant: str
    order_id: str
    claim_id: str
    status: Literal["succeeded", "failed"]
    provider_reference: str | None
    settled_at: datetime
    failure_reason: str | None


Said = Decided | Referred | ReviewRefused | Instructed | SettlementTold
"""Every event that is written."""

_encoder: Final = Encoder()


def write(event: Said) -> bytes:
    """The event's data as JSON."""
    return _encoder.encode(event)
