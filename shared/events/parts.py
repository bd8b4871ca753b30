"""What events are made of."""

from typing import Literal, Self

from pydantic import Field, model_validator

from shared.events.fields import (
    Amount,
    Currency,
    Id,
    PaidAmount,
    Phone,
    Quantity,
    Rate,
    SignedAmount,
    Text,
)
from shared.events.model import Part, flaw
from shared.money import DECIMALS

Channel = Literal["phone", "email", "whatsapp", "web", "app"]
Wants = Literal["refund", "replacement"]
Carton = Literal["intact", "marked", "torn", "missing"]
Seal = Literal["unopened", "opened", "none"]
ClaimReason = Literal[
    "wrong_item",
    "missing_quantity",
    "missing_part",
    "technical_fault",
    "not_as_described",
    "physical_damage",
    "refused_damaged",
    "withdrawal",
    "out_of_stock",
    "undelivered_wrong_address",
    "undelivered_absent",
    "late",
    "other",
]
SellerAnswer = Literal["refund_full", "refund_partial", "resend", "require_return", "refuse"]
Fault = Literal["transport", "seller", "customer", "none"]
Payer = Literal["merchant", "customer"]
Verdict = Literal["eligible", "rejected", "undecided"]
Effect = Literal["allow", "deny", "refer", "info"]
Awaiting = Literal["delivery", "seller", "return", "review"]
Outcome = Literal["refund", "replacement", "rejected", "cancelled"]
BreakdownKind = Literal["goods", "shipping", "transaction_fee", "return_postage", "withdrawal_fee", "compensation"]
RefusalCode = Literal[
    "unknown_order", "unknown_line", "quantity_exceeds_purchase", "units_already_claimed", "duplicate_claim_id"
]


def too_precise(amount: str, currency: str) -> str | None:
    """The complaint about an amount with more decimals than its currency has, or None."""
    _, _, fraction = amount.partition(".")
    most = DECIMALS[currency]
    if len(fraction) <= most:
        return None
    return f"{amount} has {len(fraction)} decimals, and {currency} has {most or 'none'}"


class Money(Part):
    """An amount of 0 or above with its currency."""

    amount: Amount
    currency: Currency

    @model_validator(mode="after")
    def _check_decimals(self) -> Self:
        if "." in self.amount and (complaint := too_precise(self.amount, self.currency)):
            raise flaw("amount", complaint)
        return self


class Seller(Part):
    """Who sold a line where the merchant bought it for the customer."""

    marketplace: Id
    seller_id: Id


class OrderLine(Part):
    """A line of an order. `unit_price` is for one unit, `discount` for the whole line, both in the order's currency.
    `category` says what rules hold for the goods (`digital`); left out: not digital. `gift`: added by
    the shop."""

    line_id: Id
    sku: Id
    title: Text
    quantity: Quantity
    unit_price: Amount
    discount: Amount = "0"
    gift: bool = False
    category: Id | None = None
    sealed: bool = False
    seller: Seller | None = None


class Shipping(Part):
    """What shipping costs; with `collect` it is paid to the carrier and is no part of the payments."""

    amount: Amount
    carrier: Id
    collect: bool


class Payment(Part):
    """A payment of the order, by the provider's own id."""

    payment_id: Id
    provider: Id
    amount: Amount


class Exchange(Part):
    """`rate`: how much of the order's currency was paid for 1 unit of `currency`."""

    currency: Currency
    rate: Rate


class Customer(Part):
    """The customer as an order names them."""

    customer_id: Id
    name: Text | None = None
    email: Text | None = None
    phone: Phone | None = None
    locale: Text | None = None


class OrderCustomer(Part):
    """The customer inside the pipeline: no personal data."""

    customer_id: Id
    locale: Text | None = None


class Facts(Part):
    """What is known of the goods; null or left out: unknown."""

    carton: Carton | None = None
    packaging_opened: bool | None = None
    seal: Seal | None = None
    misuse: bool | None = None
    regional_variant: bool | None = None


class Inspection(Part):
    """What the inspection of a return found; null or left out: not looked at."""

    carton: Carton | None = None
    packaging_opened: bool | None = None
    seal: Seal | None = None
    misuse: bool | None = None
    fault_confirmed: bool | None = None
    regional_variant: bool | None = None


class ClaimLine(Part):
    """Units of an order line that are claimed; `part` names what is missing, `facts` win over the claim's."""

    line_id: Id
    quantity: Quantity
    part: Text | None = None
    facts: Facts | None = None


class Evidence(Part):
    """A piece of evidence, by reference."""

    kind: Id
    uri: Text
    sha256: Text | None = None


class LineQuantity(Part):
    """So many units of a line."""

    line_id: Id
    quantity: Quantity


class ReplacementLine(LineQuantity):
    """Units to be sent (again); `part` where only a part is."""

    part: Text | None = None


class Postage(Part):
    """What a return cost to send, in the order's currency, and who laid it out."""

    amount: Amount
    paid_by: Payer


class Reason(Part):
    """Why a line is judged as it is: the rule, the clause of the policy it stands on, and the clause in words."""

    rule: Id
    clause: Id | None
    effect: Effect
    text: Text


class AssessedLine(Part):
    """A line of a claim with its verdict and every reason for it."""

    line_id: Id
    quantity: Quantity
    verdict: Verdict
    reasons: list[Reason]


class Alternative(Part):
    """What one reading of an open point would lead to; `amount` is the refund it would give, if any is known."""

    reading: Id
    result: Text
    amount: SignedAmount | None


class ReadingShown(Part):
    """An open point of the policy that was met: the reading taken (null: a person must choose) and all readings."""

    entry: Id
    chosen: Id | None
    alternatives: list[Alternative]


class PolicyRef(Part):
    """The policy version that governs."""

    id: Id
    version: int = Field(ge=1)
    digest: Id


class BreakdownItem(Part):
    """A part of a refund; negative where it is kept back."""

    item: BreakdownKind
    amount: SignedAmount
    payer: Payer
    clause: Id | None


class Refund(Part):
    """Money back; the breakdown adds up to `amount`. `refund_id` is null for 0 alone."""

    refund_id: Id | None
    amount: PaidAmount
    currency: Currency
    breakdown: list[BreakdownItem]


class ShipCost(Part):
    """Who pays for sending."""

    payer: Payer


class Replacement(Part):
    """What is sent in place of the claimed goods."""

    lines: list[ReplacementLine]
    ship_cost: ShipCost


class RefundPayment(Part):
    """The share of a refund that goes back to one payment; `payment_id` is null for postage beyond the payments."""

    payment_id: Id | None
    provider: Id | None
    amount: PaidAmount


class ClaimRefusal(Part):
    """Why a well-formed claim cannot be taken; `path` is a JSONPath within the claim's data."""

    code: RefusalCode
    path: Text
    message: Text


class ReviewRefusal(Part):
    """Why a review cannot be taken; `path` is a JSONPath within the review's data."""

    code: Id
    path: Text
    message: Text
