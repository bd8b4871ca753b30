"""From the facts of a claim to the case that a policy judges, and to what refund-calculation needs to know."""

from collections.abc import Callable, Sequence

from services.eligibility.facts import AnswerFact, ClaimState, ReturnFact, Submitted
from services.eligibility.standing import effective_answers
from shared.events import Order, OrderLine
from shared.events.basis import BasisPostage
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, minor, text
from shared.policy.answers import answer_that_counts
from shared.policy.case import ClaimCase, LineCase
from shared.policy.model import Policy
from shared.policy.rules import Cost, Situation, Value
from shared.pricing import Claimed, Named, PricingError, price


def units_back(state: ClaimState, claim: Submitted) -> tuple[dict[str, int], dict[str, list[ReturnFact]]]:
    """By line, how many claimed units are back, and the returns that brought them, in the order in which the goods
    were received. Units beyond those claimed, and lines that are not claimed, are recorded only."""
    back = {line.line_id: 0 for line in claim.lines}
    brought: dict[str, list[ReturnFact]] = {line.line_id: [] for line in claim.lines}
    for returned in _in_order(state):
        for line in claim.lines:
            units = min(returned.lines.get(line.line_id, 0), line.quantity - back[line.line_id])
            if units > 0:
                back[line.line_id] += units
                brought[line.line_id].append(returned)
    return back, brought


def is_gift(line: OrderLine, currency: str) -> bool:
    """Flagged gift and invoiced at 0; a line at 0 through a discount is no gift."""
    return line.gift and minor(line.unit_price, currency) == 0


def carrier_of(order: Order) -> str:
    """The carrier as rules compare it: without regard to case."""
    return order.shipping.carrier.strip().lower()


def make_case(state: ClaimState, claim: Submitted) -> tuple[ClaimCase, AnswerFact | None]:
    """The claim as a policy sees it, and the seller's answer that counts now (None while one is awaited)."""
    order = claim.order
    ordered = {line.line_id: line for line in order.lines}
    back, brought = units_back(state, claim)
    lines = []
    for line in claim.lines:
        placed = ordered[line.line_id]
        lines.append(
            LineCase(
                line_id=line.line_id,
                quantity=line.quantity,
                stated=line.stated,
                found=_findings(brought[line.line_id]),
                back=back[line.line_id],
                gift=is_gift(placed, order.currency),
                category=None if placed.category is None else placed.category.strip().lower(),
                sealed=placed.sealed,
            )
        )
    answers = effective_answers(state)
    # A gift takes nothing with it: nobody waits for it to come back.
    all_back = all(line.returned for line in lines if not line.gift)
    counts = answer_that_counts([answer.answer for answer in answers], returned=all_back)
    answer = None if counts is None else answers[counts]
    case = ClaimCase(
        reason=claim.reason,
        wants=claim.wants,
        reported_at=claim.reported_at,
        received_at=state.received_at,
        carrier=carrier_of(order),
        lines=tuple(lines),
        answer=None if answer is None else answer.answer,
    )
    return case, None if answer is None or answer.answer == "require_return" else answer


def return_required(policy: Policy, state: ClaimState, claim: Submitted) -> bool:
    """Whether the goods have to come back: the policy says so for every case, or the seller has asked for them."""
    plan = policy.plan(claim.reason)
    if not plan.waits_for_seller:
        return bool(plan.waits_for_return)
    return any(
        rule.when.answer is None or answer.answer in rule.when.answer
        for answer in effective_answers(state)
        for rule in plan.waits_for_return
    )


def postage_owed(policy: Policy, state: ClaimState, claim: Submitted) -> tuple[BasisPostage, ...]:
    """Return postage that the customer laid out and the merchant owes: the return was required, and a cost rule of the
    policy says so for its fault (HW.3, HP.4)."""
    if not return_required(policy, state, claim):
        return ()
    _, brought = units_back(state, claim)
    counted = {returned.return_id for returns in brought.values() for returned in returns}
    owed = []
    for returned in _in_order(state):
        postage = returned.postage
        if returned.return_id not in counted or postage is None or postage.paid_by != "customer":
            continue
        situation = Situation(fault=returned.fault, carrier=carrier_of(claim.order))
        rule = _postage_rule(policy, claim.reason, situation)
        if rule is not None and rule.payer == "merchant" and minor(postage.amount, claim.order.currency) > 0:
            amount = text(minor(postage.amount, claim.order.currency), claim.order.currency)
            owed.append(
                BasisPostage(
                    return_id=returned.return_id, amount=amount, payer=rule.payer, rule=rule.id, clause=rule.clause
                )
            )
    return tuple(owed)


def refund_of(policy: Policy, claim: Submitted, answer: AnswerFact | None) -> Callable[[Sequence[str]], str | None]:
    """What lines of the claim would give as a refund, from the order's ledger alone; None where nobody can say."""

    def amount(line_ids: Sequence[str]) -> str | None:
        order = claim.order
        units = {line.line_id: line.units for line in claim.lines if line.line_id in line_ids}
        named = None
        if answer is not None and answer.amount is not None:
            rate = order.exchange.rate if order.exchange is not None else None
            named = Named(answer.amount.amount, answer.amount.currency, rate)
        claimed = Claimed(
            reason=claim.reason,
            units=units,
            situation=Situation(
                answer=answer.answer if answer else None,
                carrier=carrier_of(order),
                wants=claim.wants,
            ),
            named=named,
        )
        try:
            return text(price(policy, open_ledger(order), claimed).total, order.currency)
        except (LedgerError, MoneyError, PricingError):
            return None

    return amount


def _in_order(state: ClaimState) -> list[ReturnFact]:
    return sorted(state.returns, key=lambda returned: (returned.received_at, returned.return_id))


def _findings(returns: Sequence[ReturnFact]) -> dict[str, tuple[Value, ...]]:
    found: dict[str, tuple[Value, ...]] = {}
    for returned in returns:
        for fact, value in returned.inspection:
            if value is not None and value not in found.get(fact, ()):
                found[fact] = (*found.get(fact, ()), value)
    return found


def _postage_rule(policy: Policy, reason: str, situation: Situation) -> Cost | None:
    for rule in policy.money_rules(reason, situation):
        if isinstance(rule, Cost) and rule.item == "return_postage":
            return rule
    return None
