"""What the pipeline said, read with models of our own that know CONTRACT.md alone."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pydantic import BaseModel, ConfigDict


class Said(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Reason(Said):
    rule: str
    clause: str | None
    effect: str
    text: str


class Line(Said):
    line_id: str
    quantity: int
    verdict: str
    reasons: list[Reason]


class Alternative(Said):
    reading: str
    result: str
    amount: str | None


class Reading(Said):
    entry: str
    chosen: str | None
    alternatives: list[Alternative]


class Item(Said):
    item: str
    amount: str
    payer: str
    clause: str | None


class Policy(Said):
    id: str
    version: int
    digest: str


class Refund(Said):
    refund_id: str | None
    amount: str
    currency: str
    breakdown: list[Item]


class ShipCost(Said):
    payer: str


class Replacement(Said):
    lines: list[dict[str, object]]
    ship_cost: ShipCost


class Assessed(Said):
    status: str
    awaiting: str | None
    since: datetime
    due: datetime | None
    overdue: bool
    authorization: str | None
    lines: list[Line]
    remedy: str | None
    readings: list[Reading]
    policy: Policy | None


class Decided(Said):
    decision_no: int
    follows: int | None
    outcome: str
    lines: list[Line]
    refund: Refund | None
    replacement: Replacement | None
    policy: Policy | None
    readings: list[Reading]
    decided_by: str


class Paid(Said):
    payment_id: str | None
    amount: str


class Instructed(Said):
    refund_id: str
    decision_no: int
    amount: str
    currency: str
    payments: list[Paid]
    breakdown: list[Item]


class Error(Said):
    code: str


class Admitted(Said):
    admitted_at: datetime


class Refused(Said):
    errors: list[Error]


class Settled(Said):
    refund_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter: of which topic and service, and why."""

    topic: str
    service: str
    reason: str
    path: str


@dataclass(slots=True)
class Claim:
    """All that was said of one claim; `story` is the assessments and decisions in their order."""

    admitted: int = 0
    admitted_at: datetime | None = None
    parked: int = 0
    refused: list[Refused] = field(default_factory=list)
    story: list[Assessed | Decided] = field(default_factory=list)
    referred: int = 0
    instructed: list[Instructed] = field(default_factory=list)
    review_refused: int = 0
    settled: list[Settled] = field(default_factory=list)
    first_at_door: str = "nothing"

    @property
    def decided(self) -> list[Decided]:
        return [said for said in self.story if isinstance(said, Decided)]

    @property
    def assessed(self) -> list[Assessed]:
        return [said for said in self.story if isinstance(said, Assessed)]

    @property
    def end(self) -> str:
        """Where the claim is: `decided`, `awaiting …`, `refused`, `parked`, `nothing`, or what it got stuck in."""
        if not self.admitted:
            return self.first_at_door
        if not self.story:
            return "admitted"
        last = self.story[-1]
        if isinstance(last, Assessed) and last.status == "awaiting":
            return f"awaiting {last.awaiting}"
        if isinstance(last, Decided) or self.decided:
            return "decided"
        return last.status

    @property
    def where(self) -> tuple[str, ...]:
        """Where the claim is, and `overdue` where that is so."""
        overdue = isinstance(last := self.story[-1] if self.story else None, Assessed) and last.overdue
        return (self.end, "overdue") if overdue else (self.end,)

    def hear(self, type_: str, data: bytes) -> None:
        """Take in one event of the pipeline; types that say nothing about where a claim is are passed over."""
        match type_:
            case "claim.admitted.v1":
                self.admitted += 1
                self.admitted_at = Admitted.model_validate_json(data).admitted_at
            case "claim.parked.v1":
                self.parked += 1
                self.first_at_door = "parked"
            case "claim.refused.v1":
                self.refused.append(Refused.model_validate_json(data))
                self.first_at_door = "refused"
            case "claim.assessed.v1":
                self.story.append(Assessed.model_validate_json(data))
            case "claim.decided.v1":
                self.story.append(Decided.model_validate_json(data))
            case "claim.referred.v1":
                self.referred += 1
            case "refund.instructed.v1":
                self.instructed.append(Instructed.model_validate_json(data))
            case "review.refused.v1":
                self.review_refused += 1
            case "claim.settled.v1":
                self.settled.append(Settled.model_validate_json(data))
            case _:
                pass


RANK: Final = {"admissions.v1": 0, "assessments.v1": 1, "decisions.v1": 2, "refunds.v1": 3}


def amounts(items: Iterable[Item]) -> dict[str, int]:
    return {item.item: int(item.amount) for item in items if int(item.amount)}
