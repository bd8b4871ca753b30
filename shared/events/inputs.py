"""What comes in about claims: from order systems, sellers' desks, warehouses, the console, payment systems."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Self, TypeVar

from pydantic import BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from shared.events.fields import QUANTITY_MOST, TEXT_LENGTH, Id, Instant, Text, Words
from shared.events.model import Event, flaw
from shared.events.parts import (
    Channel,
    ClaimLine,
    ClaimReason,
    Evidence,
    Facts,
    Fault,
    Inspection,
    LineQuantity,
    Money,
    Postage,
    SellerAnswer,
    Wants,
)

AnyLine = TypeVar("AnyLine", bound=LineQuantity | ClaimLine)


def _summed(lines: Sequence[AnyLine], index: int, earlier: AnyLine) -> int:
    """The quantity of a line that is named again, with that of the line before it."""
    quantity = earlier.quantity + lines[index].quantity
    if quantity > QUANTITY_MOST:
        raise flaw(
            f"lines[{index}].quantity", f"line {earlier.line_id} adds up to {quantity}, and the most is {QUANTITY_MOST}"
        )
    return quantity


def _inspected(value: object) -> object:
    return Inspection() if value is None else value


def _amount_goes_with(member: str, value: str) -> JsonDict:
    """For the JSON Schema: `member` with that value needs an `amount`."""
    return {
        "if": {"properties": {member: {"const": value}}, "required": [member]},
        "then": {"required": ["amount"], "properties": {"amount": {"type": "object"}}},
    }


class ClaimSubmitted(Event):
    """A claim about an order. A line named twice is summed; facts hold for all lines, a line's own facts win."""

    type: ClassVar[str] = "claim.submitted.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    reported_at: Instant
    channel: Channel
    reason: ClaimReason
    wants: Wants | None = None
    lines: list[ClaimLine] = Field(min_length=1)
    facts: Facts | None = None
    evidence: list[Evidence] | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _sum_lines(self) -> Self:
        if len({line.line_id for line in self.lines}) < len(self.lines):
            self.__dict__["lines"] = self._lines_once()  # frozen for everybody but its own validation
        return self

    def _lines_once(self) -> list[ClaimLine]:
        """Each line once, where it was named first."""
        once: dict[str, ClaimLine] = {}
        parts: dict[str, dict[str, None]] = {}
        for index, line in enumerate(self.lines):
            named = parts.setdefault(line.line_id, {})
            if line.part:
                named[line.part] = None
            earlier = once.get(line.line_id)
            if earlier is None:
                once[line.line_id] = line
                continue
            quantity = _summed(self.lines, index, earlier)
            part = "; ".join(named) or None
            if part and len(part) > TEXT_LENGTH:
                raise flaw(
                    f"lines[{index}].part", f"line {line.line_id}'s parts have more than {TEXT_LENGTH} characters"
                )
            facts = self._facts_of_both(earlier, line, index)
            once[line.line_id] = ClaimLine(line_id=line.line_id, quantity=quantity, part=part, facts=facts)
        return list(once.values())

    def _facts_of_both(self, earlier: ClaimLine, line: ClaimLine, index: int) -> Facts | None:
        """The facts of a line that is named again. One set of facts can hold for a line, so that two that contradict
        each other cannot be summed: such units have to be claimed apart."""
        merged: dict[str, object] = {}
        for name in Facts.model_fields:
            ours, theirs = (getattr(each.facts, name, None) for each in (earlier, line))
            general = getattr(self.facts, name, None)
            before, now = (general if known is None else known for known in (ours, theirs))
            if before is not None and now is not None and before != now:
                raise flaw(
                    f"lines[{index}].facts.{name}",
                    f"line {line.line_id} is named twice, once with {before!s} and once with {now!s}: "
                    "units with other facts are another claim",
                )
            merged[name] = theirs if ours is None else ours
        return Facts.model_validate(merged) if any(value is not None for value in merged.values()) else None


class ClaimCancelled(Event):
    """The customer, or whoever `by` names, takes the claim back."""

    type: ClassVar[str] = "claim.cancelled.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    cancelled_at: Instant
    by: Id


class SellerAnswered(Event):
    """A seller's answer to a claim; `amount`, above 0, with `refund_partial`."""

    model_config = ConfigDict(json_schema_extra=_amount_goes_with("answer", "refund_partial"))

    type: ClassVar[str] = "seller.answered.v1"

    answer_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    answered_at: Instant
    answer: SellerAnswer
    amount: Money | None = None
    note: Text | None = None

    @model_validator(mode="after")
    def _check_amount(self) -> Self:
        if self.answer == "refund_partial":
            _check_above_zero(self.amount, "refund_partial")
        return self


class ReturnShipped(Event):
    """The customer sent the goods back. Stops no clock."""

    type: ClassVar[str] = "return.shipped.v1"

    claim_id: Id
    merchant: Id
    order_id: Id
    shipped_at: Instant
    tracking: Text | None = None


class ReturnReceived(Event):
    """Goods came back and were inspected. A line named twice is summed; `postage` is in the order's currency."""

    type: ClassVar[str] = "return.received.v1"

    return_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    received_at: Instant
    lines: list[LineQuantity] = Field(min_length=1)
    inspection: Annotated[Inspection, BeforeValidator(_inspected, json_schema_input_type=Inspection | None)] = (
        Inspection()
    )
    fault: Fault | None = None
    postage: Postage | None = None

    @model_validator(mode="after")
    def _sum_lines(self) -> Self:
        once: dict[str, LineQuantity] = {}
        for index, line in enumerate(self.lines):
            earlier = once.get(line.line_id)
            once[line.line_id] = (
                line
                if earlier is None
                else LineQuantity(line_id=line.line_id, quantity=_summed(self.lines, index, earlier))
            )
        if len(once) < len(self.lines):
            self.__dict__["lines"] = list(once.values())  # frozen for everybody but its own validation
        return self


class ClaimReviewed(Event):
    """A person's decision on a claim; `amount`, above 0 and in the order's currency, with `refund`."""

    model_config = ConfigDict(json_schema_extra=_amount_goes_with("verdict", "refund"))

    type: ClassVar[str] = "claim.reviewed.v1"

    review_id: Id
    claim_id: Id
    merchant: Id
    order_id: Id
    reviewed_at: Instant
    actor: Id
    reason: Words
    verdict: Literal["refund", "replacement", "reject"]
    amount: Money | None = None

    @model_validator(mode="after")
    def _check_amount(self) -> Self:
        if self.verdict == "refund":
            _check_above_zero(self.amount, "refund")
        return self


class RefundSettled(Event):
    """A payment system's word on an instructed refund."""

    type: ClassVar[str] = "refund.settled.v1"

    refund_id: Id
    merchant: Id
    order_id: Id
    claim_id: Id
    status: Literal["succeeded", "failed"]
    provider_reference: Text | None = None
    settled_at: Instant
    failure_reason: Text | None = None


def _check_above_zero(amount: Money | None, asked_by: str) -> None:
    if amount is None:
        raise flaw("amount", f"is missing: {asked_by} needs an amount")
    if not amount.amount.strip("0."):
        raise flaw("amount.amount", f"{asked_by} needs an amount above 0")
