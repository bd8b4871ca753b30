"""What eligibility reads of each event: its own narrow shapes, so that nothing is read which it does not use.

All that comes in was written by this pipeline, which has checked and normalised it (`shared.events`). What does not fit
these shapes is told by the contract's own words.
"""

from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from shared.events.parts import Carton, ClaimReason, Fault, Outcome, Payer, Seal, SellerAnswer, Wants
from shared.events.reading import decode

Instant: TypeAlias = Annotated[datetime, Meta(tz=True)]


class Money(Struct, frozen=True, gc=False):
    amount: str
    currency: str


class Facts(Struct, frozen=True, gc=False, omit_defaults=True):
    carton: Carton | None = None
    packaging_opened: bool | None = None
    seal: Seal | None = None
    misuse: bool | None = None
    regional_variant: bool | None = None


class Inspection(Struct, frozen=True, gc=False, omit_defaults=True):
    carton: Carton | None = None
    packaging_opened: bool | None = None
    seal: Seal | None = None
    misuse: bool | None = None
    fault_confirmed: bool | None = None
    regional_variant: bool | None = None


class Postage(Struct, frozen=True, gc=False):
    amount: str
    paid_by: Payer


class ClaimLine(Struct, frozen=True, gc=False):
    line_id: str
    quantity: int
    facts: Facts | None = None


class Claim(Struct, frozen=True, gc=False):
    reported_at: Instant
    reason: ClaimReason
    lines: list[ClaimLine]
    wants: Wants | None = None
    facts: Facts | None = None


class OrderLine(Struct, frozen=True, gc=False):
    line_id: str
    quantity: int
    unit_price: str
    discount: str = "0"
    gift: bool = False
    category: str | None = None
    sealed: bool = False


class Shipping(Struct, frozen=True, gc=False):
    amount: str
    carrier: str
    collect: bool


class Payment(Struct, frozen=True, gc=False):
    amount: str


class Exchange(Struct, frozen=True, gc=False):
    currency: str
    rate: str


class Order(Struct, frozen=True, gc=False):
    """An order as far as it is judged by and its ledger is made of it, with its times."""

    placed_at: Instant
    received_at: Instant | None
    currency: str
    lines: list[OrderLine]
    shipping: Shipping
    payments: list[Payment]
    discount: str = "0"
    transaction_fee: str = "0"
    exchange: Exchange | None = None


class LineQuantity(Struct, frozen=True, gc=False):
    line_id: str
    quantity: int


class Alternative(Struct, frozen=True, gc=False):
    reading: str
    result: str
    amount: str | None


class ReadingShown(Struct, frozen=True, gc=False):
    entry: str
    chosen: str | None
    alternatives: tuple[Alternative, ...]


class _OfOrder(Struct, frozen=True, gc=False):
    merchant: str
    order_id: str


class _OfClaim(_OfOrder, frozen=True, gc=False):
    claim_id: str


class Admitted(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.admitted.v1"

    claim: Claim
    order: Order
    units: dict[str, list[int]] = {}


class Cancelled(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.cancelled.v1"

    by: str


class Delivered(_OfOrder, frozen=True, gc=False):
    type: ClassVar[str] = "order.delivered.v1"

    received_at: Instant


class Answered(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "seller.answered.v1"

    answer_id: str
    answered_at: Instant
    answer: SellerAnswer
    amount: Money | None = None


class Returned(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "return.received.v1"

    return_id: str
    received_at: Instant
    lines: list[LineQuantity]
    inspection: Inspection | None = None
    fault: Fault | None = None
    postage: Postage | None = None


class Reviewed(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.reviewed.v1"

    review_id: str
    verdict: Literal["refund", "replacement", "reject"]


class Decided(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.decided.v1"

    decision_no: int
    outcome: Outcome
    decided_by: str
    revision: int | None = None


class Referred(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.referred.v1"

    entry: str
    readings: tuple[ReadingShown, ...]
    revision: int | None = None


class Settled(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "claim.settled.v1"

    status: Literal["succeeded", "failed"]


class ReviewRefused(_OfClaim, frozen=True, gc=False):
    type: ClassVar[str] = "review.refused.v1"

    review_id: str


Heard: TypeAlias = (
    Admitted | Cancelled | Delivered | Answered | Returned | Reviewed | Decided | Referred | Settled | ReviewRefused
)
"""Every event that tells eligibility something about a claim, as it is read here."""

_SHAPES: Final[tuple[type[Heard], ...]] = (
    Admitted,
    Cancelled,
    Delivered,
    Answered,
    Returned,
    Reviewed,
    Decided,
    Referred,
    Settled,
    ReviewRefused,
)
DECODERS: Final = {shape.type: msgspec.json.Decoder(shape) for shape in _SHAPES}
"""CloudEvents type → its reader; other types tell eligibility nothing."""


def read(type: str, value: bytes) -> Heard:
    """The data of an event of one of the types above. Raises `BadEvent`."""
    return decode(DECODERS[type], type, value)
