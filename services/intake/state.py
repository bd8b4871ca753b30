"""What intake knows of an order, and what it wants done: the values that `domain.admit` takes and returns.

They are structs of msgspec: made, replaced, stored and read again in a fraction of what dataclasses and models take.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import ClassVar, Final

from msgspec import Raw, Struct, field
from msgspec.json import Decoder, Encoder

from services.intake.units import Spans
from shared.events import (
    ClaimAdmitted,
    ClaimCancelled,
    ClaimDecided,
    ClaimParked,
    ClaimRefused,
    ClaimReviewed,
    ClaimSubmitted,
    Customer,
    CustomerContact,
    Event,
    OrderCancelled,
    OrderCustomer,
    OrderDelivered,
    OrderPlaced,
    RefundSettled,
    ReturnReceived,
    ReturnShipped,
    SellerAnswered,
    dump,
    parse,
)
from shared.events.parts import Outcome, Verdict
from shared.events.reading import decode

AboutClaim = ClaimCancelled | SellerAnswered | ReturnShipped | ReturnReceived | ClaimReviewed
"""What follows a claim: kept until the claim is admitted when it comes before it."""


class DecidedLine(Struct, frozen=True):
    """Of a decided line, what intake looks at."""

    line_id: str
    verdict: Verdict


class Decided(Struct, frozen=True):
    """Of `claim.decided.v1`, what intake looks at: read from our own topic, so not judged as strictly as an input."""

    type: ClassVar[str] = ClaimDecided.type

    merchant: str
    order_id: str
    claim_id: str
    decision_no: int
    outcome: Outcome
    lines: list[DecidedLine]


Input = OrderPlaced | OrderDelivered | OrderCancelled | ClaimSubmitted | AboutClaim | RefundSettled | Decided


class Admission(Struct, frozen=True):
    """A `claim.admitted.v1` with its claim and its order as JSON: what is stored goes out as it lies."""

    type: ClassVar[str] = ClaimAdmitted.type

    claim_id: str
    merchant: str
    order_id: str
    claim: Raw
    order: Raw
    admitted_at: datetime
    units: dict[str, list[int]]


Output = (
    Admission
    | ClaimRefused
    | ClaimParked
    | CustomerContact
    | OrderDelivered
    | OrderCancelled
    | AboutClaim
    | RefundSettled
)


class PlacedLine(Struct, frozen=True):
    """Of an order's line, what intake looks at."""

    line_id: str
    quantity: int


class PlacedExchange(Struct, frozen=True):
    """The currency that the customer also knows the order's amounts in."""

    currency: str


class PlacedOrder(Struct, frozen=True):
    """Of an order, what intake looks at."""

    order_id: str
    currency: str
    lines: list[PlacedLine]
    exchange: PlacedExchange | None = None


class Holding(Struct, frozen=True, omit_defaults=True):
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


_NOT_PLACED: Final = Raw()


class OrderState(Struct, frozen=True, omit_defaults=True):
    """One order, perhaps not placed yet: `placed` is the order as JSON, without contact data and without the instant of
    receipt (empty: not placed yet). `digest` tells the same order placed again from another one under its id.

    `holdings` are the admitted claims by id, `parked` is how many claims wait for the order to be placed, `refused`
    names the last events that were refused: again when the inbox has forgotten them, they are refused no second time.
    """

    placed: Raw = _NOT_PLACED
    digest: str = ""
    received_at: datetime | None = None
    cancelled_at: datetime | None = None
    holdings: dict[str, Holding] = field(default_factory=dict)
    parked: int = 0
    refused: tuple[str, ...] = ()

    @property
    def order(self) -> PlacedOrder | None:
        """What is looked at of the order; null: not placed yet."""
        return _PLACED.decode(self.placed) if self.placed else None


class Arrival(Struct, frozen=True):
    """An event that came; `ref` numbers its record, in the order of arrival. `until` is set for a parked claim. `name`
    stands for source and id of the event that submits a claim."""

    event: Input
    ref: int
    until: datetime | None = None
    name: str = ""


class State(Struct, frozen=True):
    """All that bears on one event: its order, which order the claims it touches were admitted for, and what waits for
    the order or one of those claims, in the order of arrival."""

    order: OrderState
    owners: Mapping[str, str]
    waiting: tuple[Arrival, ...] = ()


class Terms(Struct, frozen=True):
    """How long a claim waits for its order; the currency of the merchant's policy (null for one without)."""

    parking: timedelta
    currency: str | None


class Emit(Struct, frozen=True):
    """Publish an event; `ref` is the record that it comes from (it may have waited)."""

    event: Output
    ref: int


class Bury(Struct, frozen=True):
    """Dead-letter a record; `bug` is what the judgement of it raised, where that is why."""

    ref: int
    reason: str
    path: str = "$"
    bug: Exception | None = None


class Note(Struct, frozen=True):
    """Write a line into a claim's history."""

    merchant: str
    claim_id: str
    what: str


class Count(Struct, frozen=True):
    """The event has no effect but this count."""

    outcome: str


Effect = Emit | Bury | Note | Count

_CONTACT_DATA: Final = Customer.model_fields.keys() - OrderCustomer.model_fields.keys()
_JSON: Final = Encoder()
_STATE: Final = Decoder(OrderState)
_PLACED: Final = Decoder(PlacedOrder)
_DECIDED: Final = Decoder(Decided)


def write(state: OrderState) -> str:
    """An order's state as it is stored."""
    return _JSON.encode(state).decode()


def read(stored: str) -> OrderState:
    """The inverse of `write`."""
    return _STATE.decode(stored)


def as_placed(placed: OrderPlaced) -> Raw:
    """An order that came, as an order state keeps it."""
    return Raw(placed.__pydantic_serializer__.to_json(placed, exclude={"customer": _CONTACT_DATA}))


def as_received(state: OrderState) -> Raw:
    """A placed order as `claim.admitted.v1` carries it: with the instant of receipt, null where it is not known."""
    assert state.placed
    return Raw(b'{"received_at":%b,%b' % (_JSON.encode(state.received_at), bytes(state.placed)[1:]))


def read_decided(value: bytes) -> Decided:
    """A decision. Raises `BadEvent`."""
    return decode(_DECIDED, ClaimDecided.type, value)


def data_of(output: Output) -> bytes:
    """An output as JSON."""
    return _JSON.encode(output) if isinstance(output, Admission) else dump(output)


def as_event(output: Output) -> Event:
    """An output as the contract's model."""
    return parse(ClaimAdmitted, data_of(output)) if isinstance(output, Admission) else output
