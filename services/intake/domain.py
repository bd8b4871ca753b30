"""What is admitted: the judgement of one event about one order, as a pure function.

`admit` takes what is known about the order and about the claims that the event touches, and returns what is known
afterwards and what has to be done. No clock, no log, no database: `now` is an argument, and an event that is put aside
is named by the number of its record. What is refused and what is a dead letter follows the event contract.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from msgspec import Raw
from msgspec.structs import replace

from services.intake import units
from services.intake.state import (
    AboutClaim,
    Admission,
    Arrival,
    Bury,
    Count,
    Decided,
    Effect,
    Emit,
    Holding,
    Note,
    OrderState,
    Output,
    PlacedOrder,
    State,
    Terms,
    as_placed,
    as_received,
)
from services.intake.units import Spans
from shared.events import (
    ClaimParked,
    ClaimRefusal,
    ClaimRefused,
    ClaimReviewed,
    ClaimSubmitted,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    RefundSettled,
    ReturnReceived,
    SellerAnswered,
    dump,
)
from shared.events.parts import too_precise

MOST_UNITS: Final = 50_000
"""Units in one claim: `claim.admitted.v1` lists each, and has to stay below a broker's usual 1 MiB."""
MOST_PARKED: Final = 10_000
"""Claims that wait for one order."""
MOST_KEPT: Final = 256
"""Events that wait for one claim."""
MOST_CLAIMS: Final = 10_000
"""Claims admitted for one order."""
MOST_REFUSED: Final = 64
"""Refused events that an order remembers."""


def admit(state: State, arrival: Arrival, now: datetime, terms: Terms) -> tuple[State, tuple[Effect, ...]]:
    """Judge one event. When its own record is buried, the state is the one that came in."""
    turn = _Turn(state.order, dict(state.owners), {a.ref: a for a in state.waiting}, arrival, now, terms, [])
    _JUDGEMENTS.get(type(arrival.event), _follow)(turn, arrival.event)
    return State(turn.order, turn.owners, tuple(turn.waiting.values())), tuple(turn.effects)


def expire(state: State, now: datetime) -> tuple[State, tuple[Effect, ...]]:
    """Refuse the parked claims whose time is up: their order never came."""
    effects: list[Effect] = []
    waiting: list[Arrival] = []
    order = state.order
    for arrival in state.waiting:
        claim = arrival.event
        if not isinstance(claim, ClaimSubmitted) or arrival.until is None or arrival.until > now:
            waiting.append(arrival)
            continue
        waited = f"order {claim.order_id} had not been placed by {arrival.until.isoformat(timespec='seconds')}"
        errors = [ClaimRefusal(code="unknown_order", path="$.order_id", message=waited)]
        errors += _taken_id(state.owners.get(claim.claim_id), claim)
        effects += _refusal(claim, errors, arrival.ref)
        order = _remembering(order, arrival)
    gone = len(state.waiting) - len(waiting)
    order = replace(order, parked=order.parked - gone) if gone else order
    return State(order, state.owners, tuple(waiting)), tuple(effects)


@dataclass(slots=True)
class _Turn:
    """The judgement of one event while it is being made."""

    order: OrderState
    owners: dict[str, str]
    waiting: dict[int, Arrival]
    arrival: Arrival
    now: datetime
    terms: Terms
    effects: list[Effect]

    def emit(self, event: Output, ref: int | None = None) -> None:
        self.effects.append(Emit(event, self.arrival.ref if ref is None else ref))

    def bury(self, reason: str, path: str = "$", ref: int | None = None) -> None:
        self.effects.append(Bury(self.arrival.ref if ref is None else ref, reason, path))

    def count(self, outcome: str) -> None:
        self.effects.append(Count(outcome))

    def refuse(self, claim: ClaimSubmitted, errors: list[ClaimRefusal], arrival: Arrival) -> None:
        self.effects += _refusal(claim, errors, arrival.ref)
        self.order = _remembering(self.order, arrival)

    def kept_for(self, claim_id: str) -> list[Arrival]:
        """What waits for a claim, in the order of arrival."""
        return [a for a in self.waiting.values() if isinstance(a.event, AboutClaim) and a.event.claim_id == claim_id]


def _place(turn: _Turn, placed: OrderPlaced) -> None:
    digest = hashlib.blake2b(dump(placed), digest_size=16).hexdigest()
    if turn.order.placed:
        if turn.order.digest == digest:
            turn.count("duplicate")
        else:
            turn.bury(f"order {placed.order_id} was placed before with other data; the first stands")
        return
    if turn.terms.currency not in (None, placed.currency):
        turn.bury(
            f"the order is in {placed.currency}, and {placed.merchant}'s policy is in {turn.terms.currency}",
            "$.currency",
        )
        return
    turn.order = replace(turn.order, placed=as_placed(placed), digest=digest, parked=0)
    turn.emit(placed.contact())
    if turn.order.received_at is not None:
        turn.emit(
            OrderDelivered(merchant=placed.merchant, order_id=placed.order_id, received_at=turn.order.received_at)
        )
    if turn.order.cancelled_at is not None:
        turn.emit(
            OrderCancelled(merchant=placed.merchant, order_id=placed.order_id, cancelled_at=turn.order.cancelled_at)
        )
    order = turn.order.order
    assert order is not None
    _take_up(turn, order)


def _take_up(turn: _Turn, order: PlacedOrder) -> None:
    """The order has come: weed out what was kept for its claims and does not fit it, then take the parked claims."""
    for arrival in list(turn.waiting.values()):
        event = arrival.event
        if isinstance(event, AboutClaim) and event.order_id == order.order_id and (flaw := _misfit(event, order)):
            del turn.waiting[arrival.ref]
            turn.bury(flaw[0], flaw[1], arrival.ref)
    for arrival in list(turn.waiting.values()):
        claim = arrival.event
        if isinstance(claim, ClaimSubmitted) and claim.order_id == order.order_id:
            del turn.waiting[arrival.ref]
            _consider(turn, claim, order, arrival)


def _deliver(turn: _Turn, delivered: OrderDelivered) -> None:
    known = turn.order.received_at
    if known == delivered.received_at:
        turn.count("duplicate")
    elif known is not None:
        turn.bury(
            f"order {delivered.order_id} was received at {known.isoformat()}, as told before; the first stands",
            "$.received_at",
        )
    else:
        turn.order = replace(turn.order, received_at=delivered.received_at)
        if turn.order.placed:
            turn.emit(delivered)


def _cancel_order(turn: _Turn, cancelled: OrderCancelled) -> None:
    if turn.order.cancelled_at == cancelled.cancelled_at:
        turn.count("duplicate")
        return
    turn.order = replace(turn.order, cancelled_at=cancelled.cancelled_at)
    if turn.order.placed:
        turn.emit(cancelled)


def _submit(turn: _Turn, claim: ClaimSubmitted) -> None:
    if sum(line.quantity for line in claim.lines) > MOST_UNITS:
        turn.bury(f"a claim can take {MOST_UNITS} units at most, over all its lines", "$.lines")
        return
    order = turn.order.order
    if order is not None:
        _consider(turn, claim, order, turn.arrival)
        return
    if turn.arrival.name and turn.arrival.name in (*turn.order.refused, *(a.name for a in turn.waiting.values())):
        turn.count("duplicate")
        return
    if errors := _taken_id(turn.owners.get(claim.claim_id), claim):
        turn.refuse(claim, errors, turn.arrival)
        return
    if turn.order.parked >= MOST_PARKED:
        turn.bury(f"{MOST_PARKED} claims already wait for order {claim.order_id}", "$.order_id")
        return
    until = turn.now + turn.terms.parking
    turn.order = replace(turn.order, parked=turn.order.parked + 1)
    turn.waiting[turn.arrival.ref] = replace(turn.arrival, until=until)
    turn.emit(
        ClaimParked(
            claim_id=claim.claim_id,
            merchant=claim.merchant,
            order_id=claim.order_id,
            waiting_for="order",
            until=until,
        )
    )
    turn.effects.append(Note(claim.merchant, claim.claim_id, f"parked: order {claim.order_id} is not known yet"))


def _consider(turn: _Turn, claim: ClaimSubmitted, order: PlacedOrder, arrival: Arrival) -> None:
    """Admit a claim whose order is known, or refuse it with every error that holds."""
    ref = arrival.ref
    if _dealt_with(turn.order, claim, arrival):
        turn.count("duplicate")
        return
    errors = _taken_id(turn.owners.get(claim.claim_id), claim)
    reserved, line_errors = _reserve(turn.order, claim, order)
    errors += line_errors
    if errors:
        turn.refuse(claim, errors, arrival)
        return
    if len(turn.order.holdings) >= MOST_CLAIMS:
        turn.bury(f"order {claim.order_id} has {MOST_CLAIMS} claims already", "$.order_id", ref)
        return
    turn.order = replace(
        turn.order, holdings=turn.order.holdings | {claim.claim_id: Holding(reserved, by=arrival.name)}
    )
    turn.owners[claim.claim_id] = claim.order_id
    turn.emit(
        Admission(
            claim_id=claim.claim_id,
            merchant=claim.merchant,
            order_id=claim.order_id,
            claim=Raw(dump(claim)),
            order=as_received(turn.order),
            admitted_at=turn.now,
            units={line_id: list(units.numbers(spans)) for line_id, spans in reserved.items()},
        ),
        ref,
    )
    for kept in turn.kept_for(claim.claim_id):
        assert isinstance(kept.event, AboutClaim)
        del turn.waiting[kept.ref]
        _pass_on(turn, kept.event, order, kept.ref)


def _dealt_with(state: OrderState, claim: ClaimSubmitted, arrival: Arrival) -> bool:
    """Whether this very event was admitted or refused so long ago that the inbox has forgotten it."""
    holding = state.holdings.get(claim.claim_id)
    return arrival.name in state.refused or (holding is not None and holding.by == arrival.name != "")


def _remembering(state: OrderState, arrival: Arrival) -> OrderState:
    """The order with a refused event in its memory."""
    return replace(state, refused=(*state.refused, arrival.name)[-MOST_REFUSED:]) if arrival.name else state


def _reserve(
    state: OrderState, claim: ClaimSubmitted, order: PlacedOrder
) -> tuple[dict[str, Spans], list[ClaimRefusal]]:
    """The lowest free units of each line claimed, and what stands against that."""
    bought = {line.line_id: line.quantity for line in order.lines}
    errors: list[ClaimRefusal] = []
    reserved: dict[str, Spans] = {}
    for index, line in enumerate(claim.lines):
        size = bought.get(line.line_id)
        if size is None:
            message = f"order {order.order_id} has no line {line.line_id}"
            errors.append(ClaimRefusal(code="unknown_line", path=f"$.lines[{index}].line_id", message=message))
            continue
        path = f"$.lines[{index}].quantity"
        if line.quantity > size:
            message = f"{line.quantity} claimed of line {line.line_id}, {size} bought"
            errors.append(ClaimRefusal(code="quantity_exceeds_purchase", path=path, message=message))
        taken = _taken(state, claim.claim_id, line.line_id)
        free = size - units.count(taken)
        if min(line.quantity, size) > free:
            message = (
                f"{line.quantity} claimed of line {line.line_id}, and {free} of {size} are not claimed or refunded yet"
            )
            errors.append(ClaimRefusal(code="units_already_claimed", path=path, message=message))
        reserved[line.line_id] = units.lowest_free(taken, size, line.quantity)
    return reserved, errors


def _taken(state: OrderState, claim_id: str, line_id: str) -> Spans:
    """Units of a line that another open claim has, or that any claim was refunded."""
    if not state.holdings:
        return ()
    return units.union(
        holding.held[line_id]
        for other, holding in state.holdings.items()
        if line_id in holding.held and (other != claim_id or holding.outcome == "refund")
    )


def _taken_id(owner: str | None, claim: ClaimSubmitted) -> list[ClaimRefusal]:
    if owner is None:
        return []
    message = f"{claim.merchant} has a claim {claim.claim_id} already, about order {owner}"
    return [ClaimRefusal(code="duplicate_claim_id", path="$.claim_id", message=message)]


def _refusal(claim: ClaimSubmitted, errors: list[ClaimRefusal], ref: int) -> list[Effect]:
    refused = ClaimRefused(claim_id=claim.claim_id, merchant=claim.merchant, order_id=claim.order_id, errors=errors)
    codes = ", ".join(dict.fromkeys(error.code for error in errors))
    return [Emit(refused, ref), Note(claim.merchant, claim.claim_id, f"refused: {codes}")]


def _follow(turn: _Turn, event: AboutClaim) -> None:
    """An event about a claim: passed on when the claim is admitted, kept until it is."""
    order = turn.order.order
    if event.claim_id in turn.owners:
        _pass_on(turn, event, order, turn.arrival.ref)
        return
    if order is not None and (flaw := _misfit(event, order)):
        turn.bury(*flaw)
        return
    if len(turn.kept_for(event.claim_id)) >= MOST_KEPT:
        turn.bury(f"{MOST_KEPT} events already wait for claim {event.claim_id}", "$.claim_id")
        return
    turn.waiting[turn.arrival.ref] = turn.arrival
    turn.effects += [
        Count("kept"),
        Note(event.merchant, event.claim_id, f"{event.type} kept: the claim is not admitted yet"),
    ]


def _pass_on(turn: _Turn, event: AboutClaim, order: PlacedOrder | None, ref: int) -> None:
    """Pass on an event about an admitted claim, unless it does not fit the claim's order."""
    owner = turn.owners[event.claim_id]
    if owner != event.order_id:
        turn.bury(_other_order(event.claim_id, owner, event.order_id), "$.order_id", ref)
        return
    assert order is not None, "a claim is admitted only for an order that is known"
    if flaw := _misfit(event, order):
        turn.bury(flaw[0], flaw[1], ref)
        return
    turn.emit(event, ref)


def _other_order(claim_id: str, owner: str, named: str) -> str:
    return f"claim {claim_id} is about order {owner}, not about {named}"


def _misfit(event: AboutClaim, order: PlacedOrder) -> tuple[str, str] | None:
    """Why an event's amount does not fit the order's money, and the path of it; None when it does."""
    match event:
        case SellerAnswered(answer="refund_partial", amount=amount) if amount is not None:
            allowed = [order.currency, *([order.exchange.currency] if order.exchange else [])]
            if amount.currency not in allowed:
                return f"the amount is in {amount.currency}, the order in {' or '.join(allowed)}", "$.amount.currency"
        case ClaimReviewed(amount=amount) if amount is not None and amount.currency != order.currency:
            return f"the amount is in {amount.currency}, the order in {order.currency}", "$.amount.currency"
        case ReturnReceived(postage=postage) if postage is not None:
            if complaint := too_precise(postage.amount, order.currency):
                return complaint, "$.postage.amount"
    return None


def _settle(turn: _Turn, settled: RefundSettled) -> None:
    """Whether the refund is known is refund-calculation's to judge; only the claim's order is checked."""
    owner = turn.owners.get(settled.claim_id, settled.order_id)
    if owner != settled.order_id:
        turn.bury(_other_order(settled.claim_id, owner, settled.order_id), "$.order_id")
        return
    turn.emit(settled)


def _close(turn: _Turn, decided: Decided) -> None:
    """A decision frees the units of a claim rejected, cancelled or replaced; a refunded one's it takes (again)."""
    holding = turn.order.holdings.get(decided.claim_id)
    if holding is None:
        turn.bury(f"no claim {decided.claim_id} was admitted for order {decided.order_id}", "$.claim_id")
        return
    if decided.decision_no <= holding.decision_no:
        turn.count("duplicate")
        return
    kept = _refunded(holding, decided) if decided.outcome == "refund" else {}
    closed = replace(holding, kept=kept, outcome=decided.outcome, decision_no=decided.decision_no)
    turn.order = replace(turn.order, holdings=turn.order.holdings | {decided.claim_id: closed})


def _refunded(holding: Holding, decided: Decided) -> dict[str, Spans]:
    """The units that a refund covers: all lines of the claim but those that were rejected."""
    rejected = {line.line_id for line in decided.lines if line.verdict == "rejected"}
    return {line_id: spans for line_id, spans in holding.reserved.items() if line_id not in rejected}


_JUDGEMENTS: Final[dict[type, Callable[[_Turn, Any], None]]] = {
    OrderPlaced: _place,
    OrderDelivered: _deliver,
    OrderCancelled: _cancel_order,
    ClaimSubmitted: _submit,
    Decided: _close,
    RefundSettled: _settle,
}
"""What else comes is about a claim (`_follow`). By class: a ladder of `isinstance` costs models five times as much."""
