"""From "this is what the claim comes to" to a decision, and to the instruction that pays the difference."""

from collections.abc import Sequence
from datetime import datetime
from hashlib import sha1
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from services.refund_calculation.reading import PolicyRef
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
from services.refund_calculation.writing import (
    BreakdownItem,
    Decided,
    Instructed,
    Lines,
    Readings,
    Refund,
    RefundPayment,
    Replacement,
    Said,
)
from shared import money
from shared.events.parts import Outcome
from shared.pricing import Items, total

REFUNDS: Final = UUID("5d0c1f0e-3a4b-5c57-9d4e-6b1f2a7c8e90")
"""The namespace of refund ids. It must never change: payment systems know refunds by ids made with it."""


class Verdict(Struct, frozen=True, gc=False):
    """What a claim is to come to. `target` is its total by item, over all its decisions; `beside` the return postage
    in it that this decision adds beside a staff amount. `answer`: the seller's answer it rests on."""

    outcome: Outcome
    lines: Lines
    decided_by: str
    target: Items = NOTHING
    replacement: Replacement | None = None
    policy: PolicyRef | None = None
    readings: Readings = ()
    held: tuple[str, ...] = ()
    beside: int = 0
    answer: str | None = None

    @property
    def by_staff(self) -> bool:
        return self.decided_by != "policy"


class Step(Struct, frozen=True, gc=False):
    """The order after an event, what is to be published, and a line for the claim's history."""

    order: Order
    events: tuple[Said, ...] = ()
    note: str = ""


def refund_id(merchant: str, claim_id: str, decision_no: int) -> str:
    """The payment system's idempotency key, a UUID of version 5: the same for the same decision, whatever is run again.

    Made by hand, as RFC 9562 has it: `uuid5` makes an object of it first, which takes twice as long."""
    name = f"{merchant}\0{claim_id}\0{decision_no}".encode()
    digits = sha1(REFUNDS.bytes + name, usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def decide(order: Order, claim: Claim, verdict: Verdict, now: datetime) -> Step:
    """The next decision of `claim`, and the instruction where it gives money.

    The caller has checked that `verdict.target` is not below what was given and that the difference, postage aside, is
    left of the order's payments.
    """
    number = len(claim.decisions) + 1
    changes = difference(verdict.target, claim.given())
    amount = total(changes)
    paid_as = refund_id(order.merchant, claim.claim_id, number) if amount else None
    decision = Decision(
        number,
        verdict.outcome,
        verdict.decided_by,
        changes,
        verdict.beside,
        paid_as,
        draw(order.room(), amount) if amount else (),
        "instructed" if amount else "none",
    )
    earlier = tuple(
        [replace(one, status="void") if one.status == "failed" and verdict.by_staff else one for one in claim.decisions]
    )
    decided = replace(claim, decisions=(*earlier, decision), held=verdict.held, answer=verdict.answer)
    note = f"{verdict.outcome} decided by {verdict.decided_by}"
    if paid_as is None:
        event = _decided(order, claim, verdict, decision, _nothing(order, verdict, changes), now)
        return Step(order.with_claim(decided), (event,), note)
    currency = order.the_ledger().currency
    refund = Refund(paid_as, money.text(amount, currency), currency, _breakdown(changes, currency))
    events = (
        _decided(order, claim, verdict, decision, refund, now),
        _instructed(order, claim, verdict, decision, refund, now),
    )
    return Step(order.with_claim(decided), events, f"{note}: {refund.amount} {currency}")


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
    if not order.has_others(claim):
        return found
    for other in order.others(claim):
        theirs = dict(other.units) if with_open and other.open else other.covered()
        for line_id in line_ids:
            both = set(claim.units[line_id]).intersection(theirs.get(line_id, ()))
            if both:
                found.setdefault(line_id, set()).update(both)
    return found


def _decided(
    order: Order, claim: Claim, verdict: Verdict, decision: Decision, refund: Refund | None, now: datetime
) -> Decided:
    return Decided(
        claim_id=claim.claim_id,
        merchant=order.merchant,
        order_id=order.order_id,
        decision_no=decision.number,
        follows=decision.number - 1 or None,
        outcome=verdict.outcome,
        lines=verdict.lines,
        refund=refund,
        replacement=verdict.replacement,
        policy=verdict.policy,
        readings=verdict.readings,
        decided_by=verdict.decided_by,
        decided_at=now,
        revision=None if verdict.by_staff else claim.revision or None,
    )


def _nothing(order: Order, verdict: Verdict, changes: Items) -> Refund | None:
    """A refund decided that comes to nothing at all; None where another decision gives no (more) money."""
    if verdict.outcome != "refund" or total(verdict.target) != 0:
        return None
    currency = order.the_ledger().currency
    return Refund(None, money.text(0, currency), currency, _breakdown(changes, currency))


def _breakdown(items: Items, currency: str) -> list[BreakdownItem]:
    return [
        BreakdownItem(name, money.text(item.amount, currency), item.payer, item.clause) for name, item in items.items()
    ]


def _instructed(
    order: Order, claim: Claim, verdict: Verdict, decision: Decision, refund: Refund, now: datetime
) -> Instructed:
    assert refund.refund_id is not None
    return Instructed(
        refund_id=refund.refund_id,
        claim_id=claim.claim_id,
        merchant=order.merchant,
        order_id=order.order_id,
        decision_no=decision.number,
        amount=refund.amount,
        currency=refund.currency,
        payments=[_back_to(order.payments, draw, refund.currency) for draw in decision.draws],
        breakdown=refund.breakdown,
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
