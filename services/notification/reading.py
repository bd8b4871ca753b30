"""What this service reads of the pipeline's own events: narrow views of the models in `shared.events`.

Only the members that decide whether a customer is told, and what a letter says; the others are passed over unread. What
a view refuses is read again by the strict model, which says where it is wrong. The models stay the contract; a test
holds the views against them.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

from shared.events.parts import (
    Awaiting,
    BreakdownKind,
    Effect,
    Outcome,
    Payer,
    RefusalCode,
    Verdict,
)
from shared.events.reading import decode


class View(msgspec.Struct, frozen=True, gc=False):
    """A part of an event, as far as it is read."""


class ClaimEvent(View, frozen=True):
    """What every event about a claim has."""

    claim_id: str
    merchant: str
    order_id: str


class CustomerContact(View, frozen=True):
    """How to reach the customer of an order."""

    merchant: str
    order_id: str
    customer_id: str
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    locale: str | None = None


class ClaimedLine(View, frozen=True):
    """A line of the claim; `part` names what is missing."""

    line_id: str
    part: str | None = None


class Claim(View, frozen=True):
    """The claim as it was submitted."""

    reason: str
    reported_at: datetime
    lines: list[ClaimedLine]


class OrderLine(View, frozen=True):
    """A line of the order."""

    line_id: str
    title: str


class OrderCustomer(View, frozen=True):
    """The customer inside the pipeline."""

    locale: str | None = None


class Order(View, frozen=True):
    """The order that is claimed about."""

    customer: OrderCustomer
    lines: list[OrderLine]


class ClaimAdmitted(ClaimEvent, frozen=True):
    """Intake took the claim in."""

    claim: Claim
    order: Order


class Refusal(View, frozen=True):
    """Why a claim cannot be taken."""

    code: RefusalCode


class ClaimRefused(ClaimEvent, frozen=True):
    """The claim could not be taken, for every reason that is listed."""

    errors: list[Refusal]


class Reason(View, frozen=True):
    """Why a line is judged as it is."""

    clause: str | None
    effect: Effect
    text: str


class AssessedLine(View, frozen=True):
    """A line of a claim with its verdict and every reason for it."""

    line_id: str
    quantity: int
    verdict: Verdict
    reasons: list[Reason]


class PolicyRef(View, frozen=True):
    """The policy version that governs."""

    version: int


class Basis(View, frozen=True):
    """What an assessment was made from, as far as a letter says it."""

    reason: str
    reported_at: datetime


class ClaimAssessed(ClaimEvent, frozen=True):
    """Where the claim stands: what it waits for, until when, or how it is judged."""

    status: Literal["awaiting", "eligible", "rejected"]
    awaiting: Awaiting | None
    due: datetime | None
    authorization: str | None
    lines: list[AssessedLine]
    policy: PolicyRef | None
    basis: Basis | None = None


class BreakdownItem(View, frozen=True):
    """A part of a refund; negative where it is kept back."""

    item: BreakdownKind
    amount: str
    clause: str | None


class Refund(View, frozen=True):
    """Money back; `refund_id` is None for 0 alone."""

    refund_id: str | None
    amount: str
    currency: str
    breakdown: list[BreakdownItem]


class ReplacementLine(View, frozen=True):
    """Units that are sent; `part` where only a part is."""

    line_id: str
    quantity: int
    part: str | None = None


class ShipCost(View, frozen=True):
    """Who pays for sending."""

    payer: Payer


class Replacement(View, frozen=True):
    """What is sent in place of the claimed goods."""

    lines: list[ReplacementLine]
    ship_cost: ShipCost


class ClaimDecided(ClaimEvent, frozen=True):
    """The decision."""

    decision_no: int
    follows: int | None
    outcome: Outcome
    lines: list[AssessedLine]
    refund: Refund | None
    replacement: Replacement | None
    policy: PolicyRef | None
    decided_by: str


class ClaimSettled(ClaimEvent, frozen=True):
    """How the payment of a refund ended."""

    refund_id: str
    status: Literal["succeeded", "failed"]


Occasion = ClaimRefused | ClaimAssessed | ClaimDecided | ClaimSettled
"""Events at which a customer may be told something."""

VIEWS: Final[Mapping[str, type[View]]] = {
    "customer.contact.v1": CustomerContact,
    "claim.admitted.v1": ClaimAdmitted,
    "claim.refused.v1": ClaimRefused,
    "claim.assessed.v1": ClaimAssessed,
    "claim.decided.v1": ClaimDecided,
    "claim.settled.v1": ClaimSettled,
}
"""The types that mean something here; the other types of these topics are passed over unread."""

_DECODERS: Final = {type_: msgspec.json.Decoder(view) for type_, view in VIEWS.items()}


def read(type_: str, value: bytes) -> View:
    """The view of an event of one of the types in `VIEWS`.

    Raises:
        BadEvent: a member that is read here is missing or wrong.
    """
    return decode(_DECODERS[type_], type_, value)


__all__ = [
    "VIEWS",
    "AssessedLine",
    "BreakdownItem",
    "ClaimAdmitted",
    "ClaimAssessed",
    "ClaimDecided",
    "ClaimRefused",
    "ClaimSettled",
    "CustomerContact",
    "Occasion",
    "Reason",
    "Refund",
    "ReplacementLine",
    "View",
    "read",
]
