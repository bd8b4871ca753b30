"""A claim as the page shows it and the JSON API gives it: the models that `case.py` fills."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from services.console.mails import TextMissing
from services.console.money import LedgerShown, Waterfall
from services.console.said import Said
from shared.events import ReadingShown
from shared.events.parts import AssessedLine, BreakdownItem, Evidence, Facts, Replacement
from shared.events.personal import mask


class Moment(BaseModel):
    """One event of the timeline. `service` wrote it; `repeat`: the same event had come before."""

    at: datetime
    type: str
    service: str
    topic: str
    partition: int
    offset: int
    event_id: str
    trace_id: str | None
    repeat: bool
    mine: bool
    after_ms: int
    says: list[Said]

    def without_free_text(self) -> "Moment":
        """The same, with what somebody wrote in their own words masked."""
        said = [
            one.model_copy(update={"value": mask(one.value)}) if one.label == "why" and one.kind == "text" else one
            for one in self.says
        ]
        return self.model_copy(update={"says": said})


class Customer(BaseModel):
    """The customer; contact data is masked unless it was unmasked for this reading."""

    customer_id: str
    locale: str | None
    name: str | None
    email: str | None
    phone: str | None
    masked: bool


class ClaimedLine(BaseModel):
    """A claimed line with what the order says of it."""

    line_id: str
    quantity: int
    part: str | None
    sku: str | None
    title: str | None
    units: list[int]
    facts: Facts | None


class DecisionShown(BaseModel):
    """One decision; `amount` and `breakdown` are the differences to the one before."""

    decision_no: int
    follows: int | None
    outcome: str
    decided_by: str
    decided_at: datetime
    amount: str | None
    currency: str | None
    refund_id: str | None
    breakdown: list[BreakdownItem]
    replacement: Replacement | None
    policy: str | None


class InstructionShown(BaseModel):
    """One refund that was instructed, and what the payment system said."""

    refund_id: str
    decision_no: int
    amount: str
    currency: str
    instructed_at: datetime
    status: Literal["open", "succeeded", "failed"]
    payments: list[str]


class NoticeShown(BaseModel):
    """One message to the customer. `text_missing`: why the text of one that was sent is not there, where it was asked
    for."""

    notification_id: str
    at: datetime
    template: str
    locale: str
    channel: str
    sent: bool
    reason: str | None
    subject: str | None = None
    body: str | None = None
    text_missing: TextMissing | None = None


class Case(BaseModel):
    """A claim with all that is known of it."""

    merchant: str
    claim_id: str
    order_id: str
    state: str
    since: datetime
    due: datetime | None
    reported_at: datetime | None
    received_at: datetime | None
    reason: str | None
    wants: str | None
    channel: str | None
    note: str | None
    facts: Facts | None
    evidence: list[Evidence]
    customer: Customer | None
    claimed: list[ClaimedLine]
    policy: str | None
    authorization: str | None
    verdicts: list[AssessedLine]
    readings: list[ReadingShown]
    decisions: list[DecisionShown]
    waterfall: Waterfall | None
    ledger: LedgerShown | None
    instructions: list[InstructionShown]
    notices: list[NoticeShown]
    timeline: list[Moment]
    other_claims: list[str]
    currency: str | None
    refunded: int
    left: int | None
    basis: str
    trace_ids: list[str]
    """Its traces: that of the claim, then those of what came later by itself (an answer, a deadline)."""

    def without_free_text(self) -> "Case":
        """The same, with what somebody wrote in their own words masked."""
        told = [moment.without_free_text() for moment in self.timeline]
        notices = [notice.model_copy(update={"reason": mask(notice.reason)}) for notice in self.notices]
        return self.model_copy(update={"timeline": told, "notices": notices})
