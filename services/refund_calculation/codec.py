"""An order's state as compact JSON and back. What is written here is read by nobody else."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from services.refund_calculation.state import Claim, Decision, Draw, Early, Order, Payment
from shared.ledger import Ledger, LedgerLine
from shared.pricing import Item

Json = Any
"""What `from_json` gives: only this module's own output is ever read back."""


def encode(order: Order) -> str:
    """The state without its merchant and order id, which are the row's key."""
    ledger = order.ledger
    form: dict[str, Json] = {
        "ledger": None
        if ledger is None
        else [
            ledger.currency,
            ledger.shipping,
            ledger.fee,
            ledger.deposit,
            [_line(line) for line in ledger.lines.values()],
        ],
        "carrier": order.carrier,
        "rate": order.rate,
        "payments": [[one.payment_id, one.provider, one.amount] for one in order.payments],
        "claims": [_claim(claim) for claim in order.claims.values()],
    }
    if order.early:
        form["early"] = {key: [[one.type, one.data] for one in events] for key, events in order.early.items()}
    return to_json(form).decode()


def decode(merchant: str, order_id: str, text: str) -> Order:
    """The state that `encode` wrote."""
    form: Json = from_json(text)
    ledger = form["ledger"]
    return Order(
        merchant,
        order_id,
        None if ledger is None else _read_ledger(*ledger),
        form["carrier"],
        None if form["rate"] is None else (form["rate"][0], form["rate"][1]),
        tuple(Payment(*payment) for payment in form["payments"]),
        {claim["id"]: _read_claim(claim) for claim in form["claims"]},
        {key: tuple(Early(*one) for one in events) for key, events in form.get("early", {}).items()},
    )


def _line(line: LedgerLine) -> Json:
    return [
        line.line_id,
        line.quantity,
        line.unit_price,
        line.discount,
        line.code,
        line.shipping,
        line.fee,
        line.shipping_by_units,
        line.fee_by_units,
    ]


def _read_ledger(currency: str, shipping: int, fee: int, deposit: int, lines: Json) -> Ledger:
    return Ledger(currency, {line[0]: LedgerLine(*line) for line in lines}, shipping, fee, deposit)


def _claim(claim: Claim) -> Json:
    form: dict[str, Json] = {
        "id": claim.claim_id,
        "reason": claim.reason,
        "units": {line_id: _spans(numbers) for line_id, numbers in claim.units.items()},
        "revision": claim.revision,
        "assessment": claim.assessment,
    }
    if claim.parts:
        form["parts"] = claim.parts
    if claim.answer is not None:
        form["answer"] = claim.answer
    if claim.held:
        form["held"] = claim.held
    if claim.decisions:
        form["decisions"] = [_decision(decision) for decision in claim.decisions]
    if claim.returns:
        form["returns"] = claim.returns
    if claim.reviews:
        form["reviews"] = claim.reviews
    return form


def _read_claim(form: Json) -> Claim:
    return Claim(
        form["id"],
        form["reason"],
        {line_id: _numbers(spans) for line_id, spans in form["units"].items()},
        form.get("parts", {}),
        form["revision"],
        form["assessment"],
        form.get("answer"),
        tuple(form.get("held", ())),
        tuple(_read_decision(*decision) for decision in form.get("decisions", ())),
        tuple(form.get("returns", ())),
        tuple(form.get("reviews", ())),
    )


def _decision(decision: Decision) -> Json:
    return [
        decision.number,
        decision.outcome,
        decision.by,
        {name: [item.amount, item.payer, item.clause] for name, item in decision.items.items()},
        decision.beside,
        decision.refund_id,
        [[draw.payment, draw.amount] for draw in decision.draws],
        decision.status,
        decision.settled_at,
    ]


def _read_decision(
    number: int,
    outcome: Json,
    by: str,
    items: Mapping[Json, Json],
    beside: int,
    refund_id: str | None,
    draws: Iterable[Json],
    status: Json,
    settled_at: str,
) -> Decision:
    return Decision(
        number,
        outcome,
        by,
        {name: Item(*item) for name, item in items.items()},
        beside,
        refund_id,
        tuple(Draw(*draw) for draw in draws),
        status,
        settled_at,
    )


def _spans(numbers: tuple[int, ...]) -> list[list[int]]:
    """Ascending unit numbers as first and last of each run: 10,000 units are one pair."""
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return spans


def _numbers(spans: Iterable[Json]) -> tuple[int, ...]:
    return tuple(number for first, last in spans for number in range(first, last + 1))
