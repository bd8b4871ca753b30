"""The pipeline without its servers: what the services would say to events, from their pure functions alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar, get_args

from services.eligibility.domain import assess
from services.eligibility.facts import ClaimState, Told, tell
from services.intake.desk import Desk, Letter, OrderKey, order_key
from services.intake.state import Arrival, Bury, Emit, Input, OrderState, as_event
from services.refund_calculation.domain import calculate
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.state import Order
from shared.events import (
    ClaimAdmitted,
    ClaimAssessed,
    ClaimCancelled,
    ClaimDecided,
    ClaimReviewed,
    Event,
    OrderDelivered,
    RefundSettled,
    ReturnReceived,
)
from shared.policy.book import PolicyBook

AnyEvent = TypeVar("AnyEvent", bound=Event)
ClaimKey = tuple[str, str, str]

_TOLD: tuple[type[Event], ...] = get_args(Told)
_CALCULATED = (ClaimAdmitted, ClaimAssessed, ClaimCancelled, ClaimReviewed, ReturnReceived, RefundSettled)
_MOST = 100_000


@dataclass(slots=True)
class Rehearsal:
    """Plays events through intake, eligibility and refund-calculation. `said` is all that came out, in order, and
    `refusals` what would have been a dead letter."""

    book: PolicyBook
    now: datetime
    said: list[Event] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    claims: dict[ClaimKey, ClaimState] = field(default_factory=dict)
    _orders: dict[OrderKey, Order] = field(default_factory=dict)
    _desk: Desk = field(init=False)
    _refs: int = 0

    def __post_init__(self) -> None:
        self._desk = Desk(self.now, timedelta(days=36_500), self.book.currency)

    def play(self, events: Iterable[Event]) -> None:
        """Events from outside, through intake's door."""
        for event in events:
            assert isinstance(event, Input)
            self._refs += 1
            self._desk.orders.setdefault(order_key(event), OrderState())
            for effect in self._desk.judge(Letter(Arrival(event, self._refs), ())):
                if isinstance(effect, Emit):
                    self.hear(as_event(effect.event))
                elif isinstance(effect, Bury):
                    self.refusals.append(f"{effect.path}: {effect.reason}")

    def hear(self, event: Event) -> None:
        """An event behind intake, and all that follows from it."""
        waiting = deque([event])
        for _ in range(_MOST):
            if not waiting:
                return
            one = waiting.popleft()
            self.said.append(one)
            if isinstance(one, _TOLD):
                waiting.extend(self._assess(one))
            if isinstance(one, _CALCULATED):
                waiting.extend(self._calculate(one))
        raise RuntimeError("the services do not come to an end")

    def last(self, type_: type[AnyEvent]) -> AnyEvent | None:
        """The last event of a type that was said."""
        return next((event for event in reversed(self.said) if isinstance(event, type_)), None)

    def all(self, type_: type[AnyEvent]) -> list[AnyEvent]:
        """All events of a type, in order."""
        return [event for event in self.said if isinstance(event, type_)]

    def _assess(self, event: Event) -> list[Event]:
        merchant, order_id = getattr(event, "merchant", ""), getattr(event, "order_id", "")
        if isinstance(event, OrderDelivered):
            keys = [key for key in self.claims if key[:2] == (merchant, order_id)]
        else:
            keys = [(merchant, order_id, getattr(event, "claim_id", ""))]
        found: list[Event] = []
        for key in keys:
            state = self.claims.get(key) or ClaimState(merchant=key[0], order_id=key[1], claim_id=key[2])
            self.claims[key], assessed = assess(tell(state, event), self.book, self.now)  # type: ignore[arg-type]
            if assessed is not None:
                found.append(assessed)
        return found

    def _calculate(self, event: Event) -> list[Event]:
        key = (getattr(event, "merchant", ""), getattr(event, "order_id", ""))
        try:
            calculated = calculate(self._orders.get(key) or Order(*key), event, self.book, self.now)
        except Unacceptable as problem:
            self.refusals.append(f"{problem.path}: {problem}")
            return []
        self._orders[key] = calculated.order
        return list(calculated.events)


def decided(rehearsal: Rehearsal, claim_id: str) -> list[ClaimDecided]:
    """The decisions on a claim, in order."""
    return [one for one in rehearsal.all(ClaimDecided) if one.claim_id == claim_id]
