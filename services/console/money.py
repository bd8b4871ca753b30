"""The money of a claim as a waterfall, and the order's ledger with what is left of its payments. Pure."""

from collections.abc import Sequence

from pydantic import BaseModel

from shared.events import ClaimAdmitted, ClaimDecided, ClaimSettled, Event, Order, RefundInstructed
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, minor

_ITEMS = ("goods", "shipping", "transaction_fee", "return_postage", "withdrawal_fee", "compensation")


class Step(BaseModel):
    """One bar: `amount` (minor units) is added at `start`; it ends at `end`."""

    item: str
    clauses: list[str]
    payers: list[str]
    amount: int
    start: int
    end: int


class Waterfall(BaseModel):
    """From nothing to what the customer gets, over all decisions of the claim; minor units."""

    currency: str
    steps: list[Step]
    total: int
    low: int
    high: int


class Held(BaseModel):
    """The units of a line (from 1) that a claim holds."""

    claim_id: str
    units: list[int]


class LedgerLineShown(BaseModel):
    """An order line in minor units; `held` says which claim holds which units."""

    line_id: str
    title: str
    quantity: int
    unit_price: int
    discount: int
    code: int
    paid: int
    shipping: int
    fee: int
    held: list[Held]


class PaymentShown(BaseModel):
    """A payment of the order and what of it went back; minor units."""

    payment_id: str
    provider: str
    amount: int
    refunded: int
    left: int


class LedgerShown(BaseModel):
    """The order's ledger in minor units. `left_minor`: what is left of its payments."""

    currency: str
    lines: list[LedgerLineShown]
    shipping: int
    fee: int
    deposit: int
    payments: list[PaymentShown]
    left_minor: int


def waterfall(decisions: Sequence[ClaimDecided]) -> Waterfall | None:
    """Sum the breakdowns item by item; None where no decision gives money."""
    refunds = [decided.refund for decided in decisions if decided.refund is not None]
    items = [item for refund in refunds for item in refund.breakdown]
    if not items:
        return None
    currency = refunds[0].currency
    steps: list[Step] = []
    level = 0
    for name in _ITEMS:
        mine = [item for item in items if item.item == name]
        if not mine:
            continue
        amount = sum(minor(item.amount, currency) for item in mine)
        clauses = sorted({item.clause for item in mine if item.clause})
        payers = sorted({item.payer for item in mine})
        steps.append(Step(item=name, clauses=clauses, payers=payers, amount=amount, start=level, end=level + amount))
        level += amount
    ends = [0, *(step.end for step in steps)]
    return Waterfall(currency=currency, steps=steps, total=level, low=min(ends), high=max(ends))


def ledger_shown(order: Order, events: Sequence[Event]) -> LedgerShown | None:
    """The order's ledger with what the order's events say of its units and payments."""
    try:
        ledger = open_ledger(order)
    except (LedgerError, MoneyError):
        return None
    titles = {line.line_id: line.title for line in order.lines}
    holders = _holders(events)
    back = _paid_back(events, order.currency)
    payments = []
    for payment in order.payments:
        amount, refunded = minor(payment.amount, order.currency), back.get(payment.payment_id, 0)
        payments.append(
            PaymentShown(
                payment_id=payment.payment_id,
                provider=payment.provider,
                amount=amount,
                refunded=refunded,
                left=amount - refunded,
            )
        )
    lines = [
        LedgerLineShown(
            line_id=line.line_id,
            title=titles[line.line_id],
            quantity=line.quantity,
            unit_price=line.unit_price,
            discount=line.discount,
            code=line.code,
            paid=line.paid,
            shipping=line.shipping,
            fee=line.fee,
            held=holders.get(line.line_id, []),
        )
        for line in ledger.lines.values()
    ]
    return LedgerShown(
        currency=order.currency,
        lines=lines,
        shipping=ledger.shipping,
        fee=ledger.fee,
        deposit=ledger.deposit,
        payments=payments,
        left_minor=sum(payment.left for payment in payments),
    )


def _holders(events: Sequence[Event]) -> dict[str, list[Held]]:
    """By line: the units of each claim that was admitted."""
    held: dict[str, list[Held]] = {}
    for event in events:
        if isinstance(event, ClaimAdmitted):
            for line_id, units in event.units.items():
                held.setdefault(line_id, []).append(Held(claim_id=event.claim_id, units=units))
    return held


def _paid_back(events: Sequence[Event], currency: str) -> dict[str, int]:
    """By payment, what was instructed to go back to it; refunds that failed do not count."""
    failed: dict[str, bool] = {}
    instructed: dict[str, RefundInstructed] = {}
    for event in events:
        if isinstance(event, RefundInstructed):
            instructed.setdefault(event.refund_id, event)
        elif isinstance(event, ClaimSettled):
            failed[event.refund_id] = event.status == "failed"
    back: dict[str, int] = {}
    for refund_id, refund in instructed.items():
        for payment in refund.payments:
            if payment.payment_id is not None and not failed.get(refund_id, False):
                back[payment.payment_id] = back.get(payment.payment_id, 0) + minor(payment.amount, currency)
    return back
