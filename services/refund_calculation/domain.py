"""`calculate`: what an event does to an order's money. Pure: the clock, the log, the database and Kafka are outside."""

from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from services.refund_calculation.assessed import take_assessment
from services.refund_calculation.deciding import Step, Verdict, decide
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reading import (
    TYPES,
    About,
    Admitted,
    Assessed,
    Cancelled,
    Returned,
    Reviewed,
    Settled,
    Taken,
    kept,
    read,
)
from services.refund_calculation.reviews import take_review
from services.refund_calculation.settlements import take_settlement
from services.refund_calculation.state import Claim, Early, Order, Payment
from services.refund_calculation.writing import DecidedLine, Reason, Said, write
from shared.events import Event, dump, parse_data
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, minor
from shared.policy.book import PolicyBook

MOST_EARLY: Final = 200
"""How many events are kept about a claim whose admission has not been read. It is read soon, or never."""


class Calculated(Struct, frozen=True, gc=False):
    """What came of an event of the contract. `notes`: claim id and a line for its history, for each claim touched."""

    order: Order
    events: tuple[Event, ...]
    notes: tuple[tuple[str, str], ...]


class Took(Struct, frozen=True, gc=False):
    """What came of an event, as `Calculated`, with the events as they are written."""

    order: Order
    events: tuple[Said, ...] = ()
    notes: tuple[tuple[str, str], ...] = ()


def calculate(order: Order, event: Event, book: PolicyBook, now: datetime) -> Calculated:
    """`take` for whoever has events of the contract: what was said is read by the contract's own models again.

    Raises `Unacceptable` for an event that is a dead letter; the order is then as it was.
    """
    if event.type not in TYPES:
        raise Unacceptable("$", f"refund-calculation has no use for {event.type}")
    data = dump(event)
    took = take(order, read(event.type, data), data, book, now)
    return Calculated(took.order, tuple(parse_data(said.type, write(said)) for said in took.events), took.notes)


def take(order: Order, event: Taken, data: bytes, book: PolicyBook, now: datetime) -> Took:
    """The order after `event` and what is to be published: decisions, instructions, referrals, refusals, settlements.

    `data` is the event as it came, which is kept where its claim is not known yet.

    Raises `Unacceptable` for an event that is a dead letter; the order is then as it was.
    """
    if isinstance(event, Admitted):
        return _admit(order, event, book, now)
    if isinstance(event, Settled):
        return _took(event.claim_id, take_settlement(order, event))
    claim = order.claims.get(event.claim_id)
    if claim is None:
        return _keep(order, event, data)
    return _took(event.claim_id, _about(order, claim, event, book, now))


def _took(claim_id: str, step: Step) -> Took:
    return Took(step.order, step.events, ((claim_id, step.note),) if step.note else ())


def _about(order: Order, claim: Claim, event: About, book: PolicyBook, now: datetime) -> Step:
    if isinstance(event, Assessed):
        return take_assessment(order, claim, event, book, now)
    if isinstance(event, Reviewed):
        return take_review(order, claim, event, book, now)
    if isinstance(event, Cancelled):
        return _cancel(order, claim, event, now)
    return _note_return(order, claim, event)


def _admit(order: Order, event: Admitted, book: PolicyBook, now: datetime) -> Took:
    if event.claim_id in order.claims:
        return Took(order, notes=((event.claim_id, "admitted again"),))
    if order.ledger is None:
        order = _opened(order, event)
    claim = _claim(order, event)
    order = order.with_claim(claim)
    early = order.early.get(claim.claim_id)
    if early is None:
        return Took(order)
    order = replace(order, early={key: events for key, events in order.early.items() if key != claim.claim_id})
    events: list[Said] = []
    notes: list[tuple[str, str]] = []
    for one in early:
        about = read(one.type, one.data)
        assert isinstance(about, About)
        try:
            step = _about(order, order.claims[claim.claim_id], about, book, now)
        except Unacceptable as problem:
            # The record that it came in was taken long ago: the claim's history is where it can still be seen.
            notes.append((claim.claim_id, f"{one.type} refused: {problem}"))
            continue
        order = step.order
        events.extend(step.events)
        notes += [(claim.claim_id, step.note)] if step.note else []
    return Took(order, tuple(events), tuple(notes))


def _opened(order: Order, event: Admitted) -> Order:
    placed = event.order
    try:
        ledger = open_ledger(placed)
        payments = tuple(
            [
                Payment(payment.payment_id, payment.provider, minor(payment.amount, placed.currency))
                for payment in placed.payments
            ]
        )
    except (LedgerError, MoneyError) as error:
        raise Unacceptable("$.order", str(error)) from None
    exchange = placed.exchange
    return replace(
        order,
        ledger=ledger,
        carrier=placed.shipping.carrier.strip().lower(),
        rate=(exchange.currency, exchange.rate) if exchange is not None else None,
        payments=payments,
    )


def _claim(order: Order, event: Admitted) -> Claim:
    ledger = order.the_ledger()
    units: dict[str, tuple[int, ...]] = {}
    for line in event.claim.lines:
        placed = ledger.lines.get(line.line_id)
        numbers = tuple(sorted(set(event.units.get(line.line_id, ()))))
        if placed is None or len(numbers) != line.quantity or not 1 <= numbers[0] <= numbers[-1] <= placed.quantity:
            raise Unacceptable(
                "$.units", f"line {line.line_id} has {line.quantity} claimed units, and they are not there"
            )
        units[line.line_id] = numbers
    parts = {line.line_id: line.part for line in event.claim.lines if line.part}
    return Claim(event.claim_id, event.claim.reason, units, parts)


def _keep(order: Order, event: About, data: bytes) -> Took:
    """Keep an event until the claim's admission is read: the two topics are read without an order between them."""
    before = order.early.get(event.claim_id, ())
    if len(before) >= MOST_EARLY:
        raise Unacceptable("$.claim_id", "the claim was never admitted, and too many events about it are kept already")
    early = {**order.early, event.claim_id: (*before, Early(event.type, data))}
    note = f"{event.type} kept until the claim is admitted"
    return Took(replace(order, early=early), notes=((event.claim_id, note),))


def _cancel(order: Order, claim: Claim, event: Cancelled, now: datetime) -> Step:
    if claim.last is not None:
        return Step(order, note="cancelled after it was closed: without effect")
    assessment = kept(claim.assessment)
    reasons = {line.line_id: line.reasons for line in assessment.lines} if assessment is not None else {}
    cancelled = Reason(rule="cancelled", clause=None, effect="info", text=f"Cancelled by {event.by}.")
    lines = [
        DecidedLine(
            line_id=line_id,
            quantity=len(numbers),
            verdict="undecided",
            reasons=[*reasons.get(line_id, ()), cancelled],
        )
        for line_id, numbers in claim.units.items()
    ]
    policy = assessment.policy if assessment is not None else None
    readings = assessment.readings if assessment is not None else ()
    return decide(order, claim, Verdict("cancelled", lines, "policy", policy=policy, readings=readings), now)


def _note_return(order: Order, claim: Claim, event: Returned) -> Step:
    """Remember a return that may leave postage to be paid, as long as no person has decided without it."""
    laid_out = event.postage is not None and event.postage.paid_by == "customer"
    if claim.by_staff or not laid_out or event.return_id in claim.returns:
        return Step(order)
    return Step(order.with_claim(replace(claim, returns=(*claim.returns, event.return_id))))
