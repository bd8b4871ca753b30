"""What the console knows of a claim: slots that events fill, each from one topic, merged so that the order in which
topics are read makes no difference. Pure."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.events import ReadingShown
from shared.events.parts import Awaiting, Outcome

Rank = tuple[int, int, int]
"""Where an event stands among those of its topic: the broker's time in ms, partition, offset."""

State = Literal[
    "received",
    "parked",
    "refused",
    "admitted",
    "awaiting_delivery",
    "awaiting_seller",
    "awaiting_return",
    "review",
    "calculating",
    "refunding",
    "instructed",
    "paid",
    "payment_failed",
    "replaced",
    "nothing_to_pay",
    "rejected",
    "cancelled",
]

Stage = Literal["received", "admitted", "assessed", "decided", "instructed", "paid", "notified"]
STAGES: tuple[Stage, ...] = ("received", "admitted", "assessed", "decided", "instructed", "paid", "notified")

OPEN: frozenset[State] = frozenset(
    {
        "received",
        "parked",
        "admitted",
        "awaiting_delivery",
        "awaiting_seller",
        "awaiting_return",
        "review",
        "calculating",
        "refunding",
        "instructed",
        "payment_failed",
    }
)
"""States in which something is still to come."""


class Slot(BaseModel):
    """A part of what is known; short names, for it is stored with every claim."""

    model_config = ConfigDict(extra="forbid")


class Submission(Slot):
    """The first `claim.submitted` that came."""

    at: Rank
    order_id: str
    reason: str
    wants: str | None = None


class Parking(Slot):
    at: Rank
    until_ms: int


class Refusal(Slot):
    at: Rank
    order_id: str
    codes: list[str]


class Admission(Slot):
    at: Rank
    order_id: str
    reason: str
    wants: str | None = None
    customer_id: str
    currency: str


class Assessment(Slot):
    """The latest assessment. `revision` is 0 where it was not said. `reopened`: it says why a decided claim is back
    with a person."""

    at: Rank
    revision: int
    order_id: str
    status: Literal["awaiting", "eligible", "rejected"]
    awaiting: Awaiting | None = None
    since_ms: int
    due_ms: int | None = None
    overdue: bool = False
    reopened: bool = False
    authorization: str | None = None
    clauses: list[str] = Field(default_factory=list)
    policy: str | None = None
    readings: list[ReadingShown] = Field(default_factory=list)


class Decision(Slot):
    """One decision; `amount` in minor units of `currency`, the difference to the one before."""

    at: Rank
    order_id: str
    outcome: Outcome
    amount: int
    currency: str | None = None
    refund_id: str | None = None
    by: str
    decided_ms: int
    revision: int | None = None
    clauses: list[str] = Field(default_factory=list)
    policy: str | None = None


class Referral(Slot):
    at: Rank
    entry: str
    revision: int | None = None
    readings: list[ReadingShown] = Field(default_factory=list)


class Settlement(Slot):
    at: Rank
    succeeded: bool


class Refunding(Slot):
    """An instructed refund and what the payment system said last."""

    instructed: Rank | None = None
    settled: Settlement | None = None


class Notice(Slot):
    at: Rank
    sent: bool
    closing: bool


class ClaimFacts(Slot):
    """All that is known of one claim. `order_rank` says whose word on the order counts: the admission's, then the first
    submission's, then anybody's."""

    order_id: str
    order_rank: tuple[int, str, int, int, int]
    first_ms: int
    submission: Submission | None = None
    parking: Parking | None = None
    refusal: Refusal | None = None
    admission: Admission | None = None
    assessed_ms: int | None = None
    assessment: Assessment | None = None
    referral: Referral | None = None
    decisions: dict[int, Decision] = Field(default_factory=dict)
    refunds: dict[str, Refunding] = Field(default_factory=dict)
    notices: dict[str, Notice] = Field(default_factory=dict)
    refused_reviews: dict[str, Rank] = Field(default_factory=dict)
