"""Worked examples, run: each claim in a few words goes through the same judgement and pricing as a real one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.ledger import Ledger, LedgerError, open_ledger
from shared.money import MoneyError, minor, text
from shared.policy.answers import answer_that_counts
from shared.policy.case import ClaimCase, LineCase
from shared.policy.example import Example, ExampleOrder
from shared.policy.judge import Step
from shared.policy.model import Policy
from shared.policy.readings import JudgedClaim, judge_claim
from shared.policy.rules import Cost, Situation, Value
from shared.pricing import Claimed, Named, PricingError, Weighed, weigh

_RECEIVED: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
_SECONDS: Final[Mapping[str, int]] = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_AWAITING: Final = {
    Step.DELIVERY: "delivery",
    Step.RETURN: "return",
    Step.SELLER: "seller",
    Step.REVIEW_NOW: "review",
    Step.REVIEW_AFTER: "review",
}


@dataclass(frozen=True, slots=True)
class _Line:
    line_id: str
    quantity: int
    unit_price: str
    discount: str
    gift: bool


@dataclass(frozen=True, slots=True)
class _Shipping:
    amount: str
    collect: bool


@dataclass(frozen=True, slots=True)
class _Payment:
    amount: str


@dataclass(frozen=True, slots=True)
class _Order:
    currency: str
    lines: tuple[_Line, ...]
    shipping: _Shipping
    transaction_fee: str
    payments: tuple[_Payment, ...]
    discount: str = "0"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an example comes to, in the words of `Expected`."""

    status: str
    awaiting: str | None
    remedy: str | None
    clauses: frozenset[str]
    entries: frozenset[str]
    breakdown: Mapping[str, str] | None
    refers: str | None
    ship_payer: str | None


def try_examples(policy: Policy) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Runs every worked example; gives (way to the example, what came out otherwise)."""
    for name, rule in policy.rules.items():
        for index, example in enumerate(rule.examples):
            where = ("rules", name, "examples", index)
            try:
                outcome = run(policy, example)
            except (LedgerError, MoneyError, PricingError) as error:
                yield where, f"the example {example.name!r} cannot be worked out: {error}. Correct its amounts."
                continue
            for member, expected, came in differences(example, outcome):
                yield (
                    (*where, "expect", member),
                    f"the example {example.name!r} expects {member} {expected}, and it comes out as {came}. "
                    f"Correct the rule or the example.",
                )


def run(policy: Policy, example: Example) -> Outcome:
    """Judges and prices one example. Raises `LedgerError`, `MoneyError`, `PricingError` for amounts that do not fit."""
    case = example_case(example)
    quantity = example.quantity or example.order.quantity
    ledger = open_ledger(_order(policy, example.order))
    units = {"1": range(1, quantity + 1)}
    judged = judge_claim(policy, case, lambda _: text(ledger.value(units), ledger.currency))
    clauses = {one.clause for line in judged.lines for one in line.findings if one.clause}
    entries = {one.entry for one in judged.shown}
    weighed = _weigh(policy, ledger, example, case, judged)
    breakdown: dict[str, str] | None = None
    if judged.step is Step.GO:
        breakdown = _postage(policy, example, case, clauses)
    if weighed is not None:
        entries |= {one.entry for one in weighed.shown}
        clauses |= {one.clause for one in weighed.priced.applied}
        priced = {str(item): text(one.amount, ledger.currency) for item, one in weighed.priced.items.items()}
        breakdown = {**priced, **(breakdown or {})}
    return Outcome(
        status="eligible" if judged.step is Step.GO else "rejected" if judged.step is Step.REJECT else "awaiting",
        awaiting=_AWAITING.get(judged.step),
        remedy=judged.remedy if judged.step is Step.GO else None,
        clauses=frozenset(clauses),
        entries=frozenset(entries),
        breakdown=breakdown,
        refers=weighed.refers if weighed is not None else None,
        ship_payer=_ship_payer(policy, case) if judged.remedy == "replacement" else None,
    )


def differences(example: Example, outcome: Outcome) -> Iterator[tuple[str, str, str]]:
    """(member, expected, what came) for every member of `expect` that is given and not met."""
    expect = example.expect
    compared: list[tuple[str, object, object]] = [
        ("status", expect.status, outcome.status),
        ("awaiting", expect.awaiting, outcome.awaiting),
        ("remedy", expect.remedy, outcome.remedy),
        ("ship_payer", expect.ship_payer, outcome.ship_payer),
        ("refers", expect.refers, outcome.refers),
        ("breakdown", expect.breakdown, outcome.breakdown),
    ]
    for member, expected, came in compared:
        given = expected is not None or (member == "refers" and expect.breakdown is not None)
        if given and expected != came:
            yield member, str(expected), str(came)
    if expect.clause is not None and expect.clause not in outcome.clauses:
        yield "clause", expect.clause, ", ".join(sorted(outcome.clauses)) or "no clause"
    if expect.entry is not None and expect.entry not in outcome.entries:
        yield "entry", expect.entry, ", ".join(sorted(outcome.entries)) or "no entry"


def example_case(example: Example) -> ClaimCase:
    """The example as a claim: received at a fixed instant, or never."""
    order, returned = example.order, example.returned
    quantity = example.quantity or order.quantity
    back = 0 if returned is None else min(returned.quantity or quantity, quantity)
    found: dict[str, tuple[Value, ...]] = {}
    if returned is not None:
        found = {fact: (value,) for fact, value in returned.inspection if value is not None}
    stated = {fact: value for fact, value in example.facts if value is not None}
    line = LineCase(
        line_id="1",
        quantity=quantity,
        stated=stated,
        found=found,
        back=back,
        gift=order.gift and not int(order.unit_price.replace(".", "")),
        category=order.category,
        sealed=order.sealed,
    )
    counts = answer_that_counts([one.answer for one in example.answers], returned=back >= quantity)
    return ClaimCase(
        reason=example.reason,
        wants=example.wants or "refund",
        reported_at=_RECEIVED + _span(example.reported or "0s"),
        received_at=None if example.reported is None else _RECEIVED,
        carrier=order.carrier.lower(),
        lines=(line,),
        answer=None if counts is None else example.answers[counts].answer,
    )


def _order(policy: Policy, order: ExampleOrder) -> _Order:
    currency = policy.currency
    goods = order.quantity * minor(order.unit_price, currency) - minor(order.discount, currency)
    shipping = 0 if order.collect else minor(order.shipping, currency)
    paid = goods + shipping + minor(order.transaction_fee, currency)
    return _Order(
        currency=currency,
        lines=(_Line("1", order.quantity, order.unit_price, order.discount, order.gift),),
        shipping=_Shipping(order.shipping, order.collect),
        transaction_fee=order.transaction_fee,
        payments=(_Payment(text(paid, currency)),),
    )


def _weigh(policy: Policy, ledger: Ledger, example: Example, case: ClaimCase, judged: JudgedClaim) -> Weighed | None:
    if judged.step is not Step.GO or judged.remedy != "refund":
        return None
    quantity = example.quantity or example.order.quantity
    amount = next((one.amount for one in reversed(example.answers) if one.amount is not None), None)
    claimed = Claimed(
        reason=case.reason,
        units={"1": range(1, quantity + 1)},
        situation=Situation(answer=case.answer, carrier=case.carrier, wants=case.wants),
        named=None if amount is None else Named(amount, policy.currency),
        whole=quantity == example.order.quantity,
    )
    return weigh(policy, ledger, claimed)


def _postage(policy: Policy, example: Example, case: ClaimCase, clauses: set[str]) -> dict[str, str] | None:
    returned = example.returned
    if (
        returned is None
        or returned.postage is None
        or not any(one.answer == "require_return" for one in example.answers)
    ):
        return None
    for rule in policy.money_rules(case.reason, Situation(answer=case.answer, fault=returned.fault)):
        if isinstance(rule, Cost) and rule.item == "return_postage":
            clauses.add(rule.clause)
            return {"return_postage": returned.postage} if rule.payer == "merchant" else None
    return None


def _ship_payer(policy: Policy, case: ClaimCase) -> str | None:
    situation = Situation(answer=case.answer, carrier=case.carrier, wants=case.wants)
    for rule in policy.money_rules(case.reason, situation):
        if isinstance(rule, Cost) and rule.item == "replacement_shipping":
            return rule.payer
    return None


def _span(written: str) -> timedelta:
    sign = -1 if written.startswith("-") else 1
    parts = written.lstrip("-").split()
    return sign * timedelta(seconds=sum(int(part[:-1]) * _SECONDS[part[-1]] for part in parts))
