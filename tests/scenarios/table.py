"""The scenarios as they stand in the YAML files, checked for typing errors. What each key means: README.md."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Final, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

FOLDER: Final = Path(__file__).parent
RECEIPT: Final = datetime(2026, 10, 5, 10, 0, tzinfo=UTC)
"""The instant that `delivered` means when it names none, and that `"+48:00:00"` counts from."""
DAY: Final = 86_400

Amount = Annotated[str, BeforeValidator(lambda given: given if isinstance(given, str) else str(given))]
Name = Annotated[str, BeforeValidator(lambda given: given if isinstance(given, str) else str(given))]
Free = dict[str, object]
Quantities = dict[Name, int] | list[tuple[Name, int]]


def duration(text: str) -> timedelta:
    """`14d`, `24h`, `6d23:59:50` or `47:59:59`."""
    days, _, rest = text.rpartition("d") if "d" in text else ("0", "", text)
    if rest.endswith("h"):
        rest = f"{rest[:-1]}:00:00"
    hours, minutes, seconds = rest.split(":") if rest else ("0", "0", "0")
    return timedelta(days=int(days), hours=int(hours), minutes=int(minutes), seconds=int(seconds))


class Row(BaseModel):
    """Of any row: a key that nobody knows is a typing error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LineRow(Row):
    price: Amount
    id: Name | None = None
    qty: int = 1
    discount: Amount = "0"
    gift: bool = False
    category: str | None = None
    sealed: bool | None = None
    seller: dict[str, str] | None = None


class OrderRow(Row):
    merchant: str | None = None
    placed: str = "2026-10-01T09:00:00Z"
    lines: list[LineRow] = Field(default_factory=list)
    code: Amount = "0"
    shipping: Amount | None = None
    carrier: str | None = None
    collect: bool = False
    fee: Amount | None = None
    payments: list[int] | None = None
    exchange: dict[str, str] | None = None


class StepRow(Row):
    """What every step may say: `claim` and `order` are labels, `at` is an instant or counted from the receipt."""

    claim: str = "a"
    order: str | None = None
    at: str | None = None


class PlacedRow(StepRow):
    kind: Literal["order"] = "order"


class DeliveredRow(StepRow):
    kind: Literal["delivered"] = "delivered"


class OrderCancelledRow(StepRow):
    kind: Literal["order_cancelled"] = "order_cancelled"


class ClaimRow(StepRow):
    kind: Literal["claim"] = "claim"
    id: str = "a"
    claim_id: str | None = None
    reason: str
    wants: str | None = None
    channel: str = "web"
    lines: Quantities | None = None
    facts: Free = Field(default_factory=dict)
    line_facts: dict[Name, Free] = Field(default_factory=dict)
    parts: dict[Name, str] = Field(default_factory=dict)
    note: str | None = None


class CancelRow(StepRow):
    kind: Literal["cancel"] = "cancel"


class AnswerRow(StepRow):
    kind: Literal["answer"] = "answer"
    answer: str
    answer_id: str | None = None
    amount: Amount | None = None
    currency: str | None = None


class ShippedRow(StepRow):
    kind: Literal["shipped"] = "shipped"


class ReturnRow(StepRow):
    kind: Literal["return"] = "return"
    return_id: str | None = None
    lines: Quantities | None = None
    inspection: Free | Literal["none"] = Field(default_factory=dict)
    fault: str | None = None
    postage: dict[str, Amount] | None = None


class ReviewRow(StepRow):
    kind: Literal["review"] = "review"
    review_id: str | None = None
    verdict: str
    amount: Amount | None = None
    currency: str | None = None
    actor: str = "sara"
    reason: str = "looked at by a person"


class SettledRow(StepRow):
    kind: Literal["settled"] = "settled"
    status: str
    decision: int | None = None
    refund_id: str | None = None
    failure_reason: str | None = None


class ClockRow(StepRow):
    """`until`: what has to have come of it before the next step, `overdue` or an end."""

    kind: Literal["clock"] = "clock"
    by: str
    until: str | None = None


AnyRow = (
    PlacedRow
    | DeliveredRow
    | OrderCancelledRow
    | ClaimRow
    | CancelRow
    | AnswerRow
    | ShippedRow
    | ReturnRow
    | ReviewRow
    | SettledRow
    | ClockRow
)
ROWS: Final[dict[str, type[AnyRow]]] = {
    "order": PlacedRow,
    "delivered": DeliveredRow,
    "order_cancelled": OrderCancelledRow,
    "claim": ClaimRow,
    "cancel": CancelRow,
    "answer": AnswerRow,
    "shipped": ShippedRow,
    "return": ReturnRow,
    "review": ReviewRow,
    "settled": SettledRow,
    "clock": ClockRow,
}


class Tampering(Row):
    """What may stand beside a step: how its event differs from a well-behaved one."""

    repeat: int = 0
    event: str | None = None
    set: Free = Field(default_factory=dict)
    drop: list[str] = Field(default_factory=list)
    type: str | None = None
    topic: str | None = None


class DeadExpected(Row):
    topic: str | None = None
    service: str | None = None
    path: str | None = None
    says: list[str] = Field(default_factory=list)


class DecisionExpected(Row):
    outcome: Literal["refund", "replacement", "rejected", "cancelled"]
    amount: int | None = None
    breakdown: dict[str, int] | None = None
    cites: list[str] = Field(default_factory=list)
    payments: dict[str, int] | None = None
    ship_cost: str | None = None
    lines: dict[Name, str] = Field(default_factory=dict)
    by: str = "policy"


class ClaimExpected(Row):
    """The end of one claim. `outcome` and its neighbours are the short form of `decided` with one entry."""

    end: str
    outcome: Literal["refund", "replacement", "rejected", "cancelled"] | None = None
    amount: int | None = None
    breakdown: dict[str, int] | None = None
    cites: list[str] = Field(default_factory=list)
    payments: dict[str, int] | None = None
    ship_cost: str | None = None
    lines: dict[Name, str] = Field(default_factory=dict)
    by: str = "policy"
    decided: list[DecisionExpected] = Field(default_factory=list)
    readings: list[str] = Field(default_factory=list)
    alternatives: int | None = None
    amounts: list[int] = Field(default_factory=list)
    contradiction: bool = False
    capped: bool = False
    overdue: bool = False
    parked: bool = False
    refused: list[str] = Field(default_factory=list)
    review_refused: int = 0
    referred: int | None = None
    settled: list[str] = Field(default_factory=list)

    def decisions(self) -> list[DecisionExpected]:
        """The decisions in their order."""
        if self.outcome is None:
            return self.decided
        return [
            DecisionExpected(
                outcome=self.outcome,
                amount=self.amount,
                breakdown=self.breakdown,
                cites=self.cites,
                ship_cost=self.ship_cost,
                lines=self.lines,
                by=self.by,
            )
        ]


class Expected(Row):
    claims: dict[str, ClaimExpected]
    dead: list[DeadExpected] = Field(default_factory=list)


class ScenarioRow(Row):
    id: str
    says: str
    clauses: list[str] = Field(min_length=1)
    merchant: str | None = None
    order: OrderRow | Literal["none"] = OrderRow()
    orders: dict[str, OrderRow] | None = None
    events: list[str | Free] = Field(min_length=1)
    expect: Free


class FileRow(Row):
    about: str
    merchant: str
    scenarios: list[ScenarioRow]


def steps(row: ScenarioRow) -> Iterator[tuple[AnyRow, Tampering]]:
    """The steps of a scenario, typed."""
    for given in row.events:
        spelled: Free = {given: {}} if isinstance(given, str) else dict(given)
        kind = next((name for name in spelled if name in ROWS), None)
        if kind is None:
            raise ValueError(f"{row.id}: {given!r} is no kind of step")
        inside = spelled.pop(kind)
        if kind == "clock":
            inside = {"by": inside, "until": spelled.pop("until", None)}
        elif isinstance(inside, str):
            inside = {"at": inside}
        yield ROWS[kind].model_validate(inside), Tampering.model_validate(spelled)


def expected(row: ScenarioRow) -> Expected:
    """What is expected, claim by claim; without `claims` it is said of claim `a`."""
    said = dict(row.expect)
    dead = said.pop("dead", [])
    claims = said.pop("claims", None)
    if claims is None:
        claims, said = {"a": said}, {}
    return Expected.model_validate({"claims": claims, "dead": dead, **said})


@cache
def rows() -> tuple[ScenarioRow, ...]:
    """All scenarios of all files, each with its merchant."""
    found: list[ScenarioRow] = []
    for path in sorted(FOLDER.glob("*.yaml")):
        file = FileRow.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        found += [row.model_copy(update={"merchant": row.merchant or file.merchant}) for row in file.scenarios]
    return tuple(found)
