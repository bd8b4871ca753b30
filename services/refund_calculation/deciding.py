"""From "this is what the claim comes to" to a decision, and to the instruction that pays the difference."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from services.refund_calculation.state import (
    NOTHING,
    Claim,
    Decision,
    Draw,
    Order,
    Payment,
    difference,
    goods_total,
)
from shared import money
from shared.events import (
    AssessedLine,
    BreakdownItem,
    ClaimDecided,
    Event,
    PolicyRef,
    ReadingShown,
    Refund,
    RefundInstructed,
    RefundPayment,
    Replacement,
)
from shared.events.parts import Outcome
from shared.pricing import Items, total

REFUNDS: Final = UUID("5d0c1f0e-3a4b-5c57-9d4e-6b1f2a7c8e90")
"""The namespace of refund ids. It must never change: payment systems know refunds by ids made with it."""


class Verdict(NamedTuple):
    """What a claim is to come to. `target` is its total by item, over all its decisions; `beside` the return postage
    in it that this decision adds beside a staff amount. `answer`: the seller's answer it rests on."""

    outcome: Outcome
    lines: Sequence[AssessedLine]
    decided_by: str
    target: Items = NOTHING
    replacement: Replacement | None = None
    policy: PolicyRef | None = None
    readings: Sequence[ReadingShown] = ()
    held: tuple[str, ...] = ()
    beside: int = 0
    answer: str | None = None

    @property
    def by_staff(self) -> bool:
        return self.decided_by != "policy"


class Step(NamedTuple):
    """The order after an event, what is to be published, and a line for the claim's history."""

    order: Order
    events: tuple[Event, ...] = ()
    note: str = ""


def refund_id(merchant: str, claim_id: str, decision_no: int) -> str:
    """The payment system's idempotency key: the same for the same decision, whatever is run again."""
    return str(uuid5(REFUNDS, f"{merchant}\0{claim_id}\0{decision_no}"))


def decide(order: Order, claim: Claim, verdict: Verdict, now: datetime) -> Step:
    """The next decision of `claim`, and the instruction where it gives money.

    The caller has checked that `verdict.target` is not below what was given and that the difference, postage aside, is
    left of the order's payments.
    """
    number = len(claim.decisions) + 1
    changes = difference(verdict.target, claim.given())
    amount = total(changes)
    paid_as = refund_id(order.merchant, claim.claim_id, number) if amount else None
    draws = draw(order.room(), amount)
    decision = Decision(
        number,
        verdict.outcome,
        verdict.decided_by,
        changes,
        verdict.beside,
        paid_as,
        draws,
        "instructed" if amount else "none",
    )
    earlier = tuple(
        one._replace(status="void") if one.status == "failed" and verdict.by_staff else one for one in claim.decisions
    )
    decided = claim._replace(decisions=(*earlier, decision), held=verdict.held, answer=verdict.answer)
    event = _decided(order, claim, verdict, decision, now)
    events: tuple[Event, ...] = (event,)
    if amount:
        events = (event, _instructed(order, claim, verdict, decision, now))
    note = f"{verdict.outcome} decided by {verdict.decided_by}"
    if amount:
        note = f"{note}: {money.text(amount, order.the_ledger().currency)} {order.the_ledger().currency}"
    return Step(order.with_claim(decided), events, note)


def draw(room: Sequence[int], amount: int) -> tuple[Draw, ...]:
    """`amount` spread over the payments in their order, none beyond its room; what is left goes beyond them.

    Only return postage can go beyond: all else together is never more than the payments took.
    """
    draws: list[Draw] = []
    for index, free in enumerate(room):
        part = min(free, amount)
        if part > 0:
            draws.append(Draw(index, part))
            amount -= part
    if amount > 0:
        draws.append(Draw(None, amount))
    return tuple(draws)


def fits(order: Order, claim: Claim, target: Items) -> bool:
    """Whether what `target` gives beyond what `claim` has got, postage aside, is left of the order's payments."""
    return goods_total(target) - goods_total(claim.given()) <= order.left()


def conflicts(order: Order, claim: Claim, line_ids: Sequence[str], *, with_open: bool) -> dict[str, set[int]]:
    """Units of these lines of `claim` that another claim was refunded for, or (`with_open`) that an open one holds."""
    found: dict[str, set[int]] = {}
    for other in order.others(claim):
        theirs = dict(other.units) if with_open and other.open else other.covered()
        for line_id in line_ids:
            both = set(claim.units[line_id]).intersection(theirs.get(line_id, ()))
            if both:
                found.setdefault(line_id, set()).update(both)
    return found


def _decided(order: Order, claim: Claim, verdict: Verdict, decision: Decision, now: datetime) -> ClaimDecided:
    return ClaimDecided(
        claim_id=claim.claim_id,
        merchant=order.merchant,
        order_id=order.order_id,
        decision_no=decision.number,
        follows=decision.number - 1 or None,
        outcome=verdict.outcome,
        lines=list(verdict.lines),
        refund=_refund(order, verdict, decision),
        replacement=verdict.replacement,
        policy=verdict.policy,
        readings=list(verdict.readings),
        decided_by=verdict.decided_by,
        decided_at=now,
        revision=None if verdict.by_staff else claim.revision or None,
    )


def _refund(order: Order, verdict: Verdict, decision: Decision) -> Refund | None:
    nothing_at_all = verdict.outcome == "refund" and total(verdict.target) == 0
    if decision.refund_id is None and not nothing_at_all:
        return None
    return Refund(
        refund_id=decision.refund_id,
        amount=money.text(total(decision.items), order.the_ledger().currency),
        currency=order.the_ledger().currency,
        breakdown=_breakdown(order, decision),
    )


def _breakdown(order: Order, decision: Decision) -> list[BreakdownItem]:
    currency = order.the_ledger().currency
    return [
        BreakdownItem(item=name, amount=money.text(item.amount, currency), payer=item.payer, clause=item.clause)
        for name, item in decision.items.items()
    ]


def _instructed(order: Order, claim: Claim, verdict: Verdict, decision: Decision, now: datetime) -> RefundInstructed:
    assert decision.refund_id is not None
    currency = order.the_ledger().currency
    return RefundInstructed(
        refund_id=decision.refund_id,
        claim_id=claim.claim_id,
        merchant=order.merchant,
        order_id=order.order_id,
        decision_no=decision.number,
        amount=money.text(total(decision.items), currency),
        currency=currency,
        payments=[_back_to(order.payments, draw, currency) for draw in decision.draws],
        breakdown=_breakdown(order, decision),
        reason=claim.reason,
        policy=verdict.policy,
        instructed_at=now,
    )


def _back_to(payments: Sequence[Payment], draw: Draw, currency: str) -> RefundPayment:
    amount = money.text(draw.amount, currency)
    if draw.payment is None:
        return RefundPayment(payment_id=None, provider=None, amount=amount)
    payment = payments[draw.payment]
    return RefundPayment(payment_id=payment.payment_id, provider=payment.provider, amount=amount)
