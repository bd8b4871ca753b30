"""`calculate`: what an event does to an order's money. Pure: the clock, the log, the database and Kafka are outside."""

from datetime import datetime
from typing import Final, NamedTuple

from services.refund_calculation.assessed import take_assessment
from services.refund_calculation.deciding import Step, Verdict, decide
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reviews import take_review
from services.refund_calculation.settlements import take_settlement
from services.refund_calculation.state import Claim, Early, Order, Payment
from shared.events import (
    AssessedLine,
    ClaimAdmitted,
    ClaimAssessed,
    ClaimCancelled,
    ClaimReviewed,
    Event,
    Reason,
    RefundSettled,
    ReturnReceived,
    dump,
    parse,
    parse_data,
)
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, minor
from shared.policy.book import PolicyBook

MOST_EARLY: Final = 200
"""How many events are kept about a claim whose admission has not been read. It is read soon, or never."""


class Calculated(NamedTuple):
    """What came of an event. `notes`: claim id and a line for its history, for each claim that it touched."""

    order: Order
    events: tuple[Event, ...]
    notes: tuple[tuple[str, str], ...]


About = ClaimAssessed | ClaimCancelled | ClaimReviewed | ReturnReceived
"""Events about one claim, which may come before its admission is read."""


def calculate(order: Order, event: Event, book: PolicyBook, now: datetime, text: str | None = None) -> Calculated:
    """The order after `event` and what is to be published: decisions, instructions, referrals, refusals, settlements.

    `text` is the event's data as it came (left out: written anew), for what the state keeps of it.

    Raises `Unacceptable` for an event that is a dead letter; the order is then as it was.
    """
    if isinstance(event, ClaimAdmitted):
        return _admit(order, event, book, now)
    if isinstance(event, RefundSettled):
        return _calculated(event.claim_id, take_settlement(order, event))
    if isinstance(event, About):
        claim = order.claims.get(event.claim_id)
        if claim is None:
            return _keep(order, event, text)
        return _calculated(event.claim_id, _about(order, claim, event, text, book, now))
    raise Unacceptable("$", f"refund-calculation has no use for {event.type}")


def _calculated(claim_id: str, step: Step) -> Calculated:
    return Calculated(step.order, step.events, ((claim_id, step.note),) if step.note else ())


def _about(order: Order, claim: Claim, event: About, text: str | None, book: PolicyBook, now: datetime) -> Step:
    if isinstance(event, ClaimAssessed):
        return take_assessment(order, claim, event, text or dump(event).decode(), book, now)
    if isinstance(event, ClaimReviewed):
        return take_review(order, claim, event, book, now)
    if isinstance(event, ClaimCancelled):
        return _cancel(order, claim, event, now)
    return _note_return(order, claim, event)


def _admit(order: Order, event: ClaimAdmitted, book: PolicyBook, now: datetime) -> Calculated:
    if event.claim_id in order.claims:
        return Calculated(order, (), ((event.claim_id, "admitted again"),))
    if order.ledger is None:
        order = _opened(order, event)
    claim = _claim(order, event)
    early = order.early.get(claim.claim_id, ())
    order = order.with_claim(claim)._replace(
        early={key: kept for key, kept in order.early.items() if key != claim.claim_id}
    )
    events: list[Event] = []
    notes: list[tuple[str, str]] = []
    for kept in early:
        about = parse_data(kept.type, kept.data.encode())
        assert isinstance(about, About)
        try:
            step = _about(order, order.claims[claim.claim_id], about, kept.data, book, now)
        except Unacceptable as problem:
            # The record that it came in was taken long ago: the claim's history is where it can still be seen.
            notes.append((claim.claim_id, f"{kept.type} refused: {problem}"))
            continue
        order = step.order
        events.extend(step.events)
        notes += [(claim.claim_id, step.note)] if step.note else []
    return Calculated(order, tuple(events), tuple(notes))


def _opened(order: Order, event: ClaimAdmitted) -> Order:
    placed = event.order
    try:
        ledger = open_ledger(placed)
        payments = tuple(
            Payment(payment.payment_id, payment.provider, minor(payment.amount, placed.currency))
            for payment in placed.payments
        )
    except (LedgerError, MoneyError) as error:
        raise Unacceptable("$.order", str(error)) from None
    exchange = placed.exchange
    return order._replace(
        ledger=ledger,
        carrier=placed.shipping.carrier.strip().lower(),
        rate=(exchange.currency, exchange.rate) if exchange is not None else None,
        payments=payments,
    )


def _claim(order: Order, event: ClaimAdmitted) -> Claim:
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


def _keep(order: Order, event: About, text: str | None) -> Calculated:
    """Keep an event until the claim's admission is read: the two topics are read without an order between them."""
    kept = order.early.get(event.claim_id, ())
    if len(kept) >= MOST_EARLY:
        raise Unacceptable("$.claim_id", "the claim was never admitted, and too many events about it are kept already")
    early = {**order.early, event.claim_id: (*kept, Early(event.type, text or dump(event).decode()))}
    return Calculated(
        order._replace(early=early), (), ((event.claim_id, f"{event.type} kept until the claim is admitted"),)
    )


def _cancel(order: Order, claim: Claim, event: ClaimCancelled, now: datetime) -> Step:
    if claim.last is not None:
        return Step(order, note="cancelled after it was closed: without effect")
    assessment = parse(ClaimAssessed, claim.assessment.encode()) if claim.assessment else None
    reasons = {line.line_id: line.reasons for line in assessment.lines} if assessment is not None else {}
    cancelled = Reason(rule="cancelled", clause=None, effect="info", text=f"Cancelled by {event.by}.")
    lines = [
        AssessedLine(
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


def _note_return(order: Order, claim: Claim, event: ReturnReceived) -> Step:
    """Remember a return that may leave postage to be paid, as long as no person has decided without it."""
    laid_out = event.postage is not None and event.postage.paid_by == "customer"
    if claim.by_staff or not laid_out or event.return_id in claim.returns:
        return Step(order)
    return Step(order.with_claim(claim._replace(returns=(*claim.returns, event.return_id))))
