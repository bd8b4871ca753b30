"""What intake knows of an order, and what it wants done: the values that `domain.admit` takes and returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from pydantic import TypeAdapter

from services.intake.units import Spans
from shared.events import (
    ClaimAdmitted,
    ClaimCancelled,
    ClaimDecided,
    ClaimParked,
    ClaimRefused,
    ClaimReviewed,
    ClaimSubmitted,
    CustomerContact,
    Order,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    RefundSettled,
    ReturnReceived,
    ReturnShipped,
    SellerAnswered,
)
from shared.events.parts import Outcome

AboutClaim = ClaimCancelled | SellerAnswered | ReturnShipped | ReturnReceived | ClaimReviewed
"""What follows a claim: kept until the claim is admitted when it comes before it."""

Input = OrderPlaced | OrderDelivered | OrderCancelled | ClaimSubmitted | AboutClaim | RefundSettled | ClaimDecided

Output = (
    ClaimAdmitted
    | ClaimRefused
    | ClaimParked
    | CustomerContact
    | OrderDelivered
    | OrderCancelled
    | AboutClaim
    | RefundSettled
)


@dataclass(frozen=True, slots=True)
class Holding:
    """The units that an admitted claim reserved, by line, and what its last decision left it of them.

    `kept` is null until a decision: an open claim holds all that it reserved. `by` names the event that it was
    submitted by: the same one again is told from another under its claim id when the inbox has long forgotten it.
    """

    reserved: dict[str, Spans]
    kept: dict[str, Spans] | None = None
    outcome: Outcome | None = None
    decision_no: int = 0
    by: str = ""

    @property
    def held(self) -> dict[str, Spans]:
        """The units that count as taken."""
        return self.reserved if self.kept is None else self.kept


@dataclass(frozen=True, slots=True)
class OrderState:
    """One order, perhaps not placed yet. `digest` tells the same order placed again from another one under its id.

    `holdings` are the admitted claims by id, `parked` is how many claims wait for the order to be placed, `refused`
    names the last events that were refused: again when the inbox has forgotten them, they are refused no second time.
    """

    order: Order | None = None
    digest: str = ""
    received_at: datetime | None = None
    cancelled_at: datetime | None = None
    holdings: dict[str, Holding] = field(default_factory=dict)
    parked: int = 0
    refused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event that came; `ref` numbers its record, in the order of arrival. `until` is set for a parked claim. `name`
    stands for source and id of the event that submits a claim."""

    event: Input
    ref: int
    until: datetime | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class State:
    """All that bears on one event: its order, which order the claims it touches were admitted for, and what waits for
    the order or one of those claims, in the order of arrival."""

    order: OrderState
    owners: Mapping[str, str]
    waiting: tuple[Arrival, ...] = ()


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a claim waits for its order; the currency of the merchant's policy (null for one without)."""

    parking: timedelta
    currency: str | None


@dataclass(frozen=True, slots=True)
class Emit:
    """Publish an event; `ref` is the record that it comes from (it may have waited)."""

    event: Output
    ref: int


@dataclass(frozen=True, slots=True)
class Bury:
    """Dead-letter a record; `bug` is what the judgement of it raised, where that is why."""

    ref: int
    reason: str
    path: str = "$"
    bug: Exception | None = None


@dataclass(frozen=True, slots=True)
class Note:
    """Write a line into a claim's history."""

    merchant: str
    claim_id: str
    what: str


@dataclass(frozen=True, slots=True)
class Count:
    """The event has no effect but this count."""

    outcome: str


Effect = Emit | Bury | Note | Count

_ORDER_STATE: Final = TypeAdapter(OrderState)


def write(state: OrderState) -> str:
    """An order's state as it is stored."""
    return _ORDER_STATE.dump_json(state, exclude_defaults=True).decode()


def read(stored: str) -> OrderState:
    """The inverse of `write`."""
    return _ORDER_STATE.validate_json(stored)
