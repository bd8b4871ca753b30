"""The events that refund-calculation reads, with the members that it reads: decoded straight from their JSON.

They were checked when they came in, or are written by the pipeline itself, so that nothing is normalised here. What is
only passed on stays as it came (`Raw`). An event that does not fit is read again by the contract's own models, which
say what is wrong with it. Amounts are decimal strings; a unit test holds the members against `shared.events`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder, Encoder

from shared.events.parts import Payer, SellerAnswer, Verdict, Wants
from shared.events.reading import decode

Positive = Annotated[int, Meta(ge=1)]


class OrderLine(Struct, frozen=True, gc=False):
    """A line of an order, as its ledger needs it."""

    line_id: str
    quantity: Positive
    unit_price: str
    discount: str = "0"


class Shipping(Struct, frozen=True, gc=False):
    """What shipping costs; with `collect` it is no part of the payments."""

    amount: str
    carrier: str
    collect: bool


class Payment(Struct, frozen=True, gc=False):
    """A payment of an order."""

    payment_id: str
    provider: str
    amount: str


class Exchange(Struct, frozen=True, gc=False):
    """How much of the order's currency was paid for 1 unit of `currency`."""

    currency: str
    rate: str


class PlacedOrder(Struct, frozen=True, gc=False):
    """The order of an admitted claim."""

    currency: str
    lines: tuple[OrderLine, ...]
    shipping: Shipping
    payments: tuple[Payment, ...]
    discount: str = "0"
    transaction_fee: str = "0"
    exchange: Exchange | None = None


class ClaimedLine(Struct, frozen=True, gc=False):
    """So many units of a line; `part` where only a part is missing."""

    line_id: str
    quantity: Positive
    part: str | None = None


class Submitted(Struct, frozen=True, gc=False):
    """The claim as it came in."""

    reason: str
    lines: tuple[ClaimedLine, ...]


class Admitted(Struct, frozen=True, gc=False):
    """`claim.admitted.v1`."""

    type: ClassVar[str] = "claim.admitted.v1"

    claim_id: str
    merchant: str
    order_id: str
    claim: Submitted
    order: PlacedOrder
    units: dict[str, tuple[int, ...]] = {}


class Amount(Struct, frozen=True, gc=False):
    """An amount with its currency."""

    amount: str
    currency: str


class Line(Struct, frozen=True, gc=False):
    """An assessed line; its reasons are passed on as they came."""

    line_id: str
    quantity: int
    verdict: Verdict
    reasons: tuple[Raw, ...]


class PolicyRef(Struct, frozen=True, gc=False):
    """The policy version that governs."""

    id: str
    version: int
    digest: str


class Answer(Struct, frozen=True, gc=False):
    """The seller's answer in force."""

    answer_id: str
    answer: SellerAnswer
    amount: Amount | None = None


class Owed(Struct, frozen=True, gc=False):
    """Return postage that the merchant owes."""

    return_id: str
    amount: str
    payer: Payer
    clause: str | None


class Basis(Struct, frozen=True, gc=False):
    """What the money is calculated from."""

    revision: Positive
    wants: Wants
    answer: Answer | None = None
    postage: tuple[Owed, ...] = ()


class Assessed(Struct, frozen=True, gc=False):
    """`claim.assessed.v1`; its readings are passed on as they came."""

    type: ClassVar[str] = "claim.assessed.v1"

    claim_id: str
    merchant: str
    order_id: str
    status: Literal["awaiting", "eligible", "rejected"]
    lines: tuple[Line, ...]
    remedy: Wants | None
    readings: tuple[Raw, ...]
    policy: PolicyRef | None
    basis: Basis | None = None


class Kept(Struct, frozen=True, array_like=True, gc=False):
    """What is kept of an assessment, for a person's decision or a cancellation after it."""

    lines: tuple[Line, ...]
    readings: tuple[Raw, ...]
    policy: PolicyRef | None
    answer: Answer | None
    postage: tuple[Owed, ...]


class Cancelled(Struct, frozen=True, gc=False):
    """`claim.cancelled.v1`."""

    type: ClassVar[str] = "claim.cancelled.v1"

    claim_id: str
    merchant: str
    order_id: str
    by: str


class Reviewed(Struct, frozen=True, gc=False):
    """`claim.reviewed.v1`."""

    type: ClassVar[str] = "claim.reviewed.v1"

    review_id: str
    claim_id: str
    merchant: str
    order_id: str
    actor: str
    reason: str
    verdict: Literal["refund", "replacement", "reject"]
    amount: Amount | None = None


class Settled(Struct, frozen=True, gc=False):
    """`refund.settled.v1`."""

    type: ClassVar[str] = "refund.settled.v1"

    refund_id: str
    merchant: str
    order_id: str
    claim_id: str
    status: Literal["succeeded", "failed"]
    settled_at: datetime
    provider_reference: str | None = None
    failure_reason: str | None = None


class Postage(Struct, frozen=True, gc=False):
    """Who laid out a return's postage."""

    paid_by: Payer


class Returned(Struct, frozen=True, gc=False):
    """`return.received.v1`."""

    type: ClassVar[str] = "return.received.v1"

    return_id: str
    claim_id: str
    merchant: str
    order_id: str
    postage: Postage | None = None


About = Assessed | Cancelled | Reviewed | Returned
"""Events about one claim, which may come before its admission is read."""
Taken = Admitted | Settled | About
"""Every event that is read."""

_DECODERS: Final[Mapping[str, Decoder[Taken]]] = {
    model.type: Decoder(model) for model in (Admitted, Assessed, Cancelled, Reviewed, Settled, Returned)
}
TYPES: Final = frozenset(_DECODERS)
"""The CloudEvents types that are read."""

_kept: Final = Decoder(Kept)
_encoder: Final = Encoder()


def read(type: str, value: bytes) -> Taken:
    """An event of one of `TYPES`. Raises `BadEvent` with the path of what is wrong."""
    return decode(_DECODERS[type], type, value)


def keep(event: Assessed, basis: Basis) -> bytes:
    """What is kept of an assessment with this basis."""
    return _encoder.encode(Kept(event.lines, event.readings, event.policy, basis.answer, basis.postage))


def kept(assessment: bytes) -> Kept | None:
    """What was kept; None where there is none."""
    return _kept.decode(assessment) if assessment else None
