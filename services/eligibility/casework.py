"""From the facts of a claim to the case that a policy judges, and to what refund-calculation needs to know."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from services.eligibility.facts import AnswerFact, ClaimState, ReturnFact, Submitted
from services.eligibility.said import BasisPostage
from services.eligibility.standing import effective_answers
from shared.events.parts import Fault
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, minor, text
from shared.policy.answers import answer_that_counts
from shared.policy.case import ClaimCase, LineCase
from shared.policy.model import Policy
from shared.policy.rules import Cost, Situation, Value
from shared.pricing import Claimed, Named, PricingError, price


class Goods(NamedTuple):
    """By line, how many claimed units are back, and the returns that brought them, in the order in which the goods
    were received; a line of which nothing is back is absent."""

    back: dict[str, int]
    brought: Mapping[str, Sequence[ReturnFact]]

    @property
    def fault(self) -> Fault | None:
        """The fault that the last of these returns names that names one; by line, in the order of the lines."""
        faults = [returned.fault for returns in self.brought.values() for returned in returns if returned.fault]
        return faults[-1] if faults else None


NOTHING_BACK: Final = Goods({}, {})


def goods_of(state: ClaimState, claim: Submitted) -> Goods:
    """What is back of a claim. Units beyond those claimed, and lines that are not claimed, are recorded only."""
    if not state.returns:
        return NOTHING_BACK
    back: dict[str, int] = {}
    brought: dict[str, list[ReturnFact]] = {}
    for line in claim.lines:
        for returned in _in_order(state):
            units = min(returned.lines.get(line.line_id, 0), line.quantity - back.get(line.line_id, 0))
            if units > 0:
                back[line.line_id] = back.get(line.line_id, 0) + units
                brought.setdefault(line.line_id, []).append(returned)
    return Goods(back, brought)


def make_case(state: ClaimState, claim: Submitted, goods: Goods | None = None) -> tuple[ClaimCase, AnswerFact | None]:
    """The claim as a policy sees it, and the seller's answer that counts now (None while one is awaited)."""
    back, brought = goods_of(state, claim) if goods is None else goods
    lines = tuple(
        [
            LineCase(
                line_id=line.line_id,
                quantity=line.quantity,
                stated=line.stated,
                found=_findings(brought[line.line_id]) if line.line_id in brought else _NOT_INSPECTED,
                back=back.get(line.line_id, 0),
                gift=line.gift,
                category=line.category,
                sealed=line.sealed,
            )
            for line in claim.lines
        ]
    )
    answer = _answer(state, lines) if state.answers else None
    case = ClaimCase(
        reason=claim.reason,
        wants=claim.wants,
        reported_at=claim.reported_at,
        received_at=state.received_at,
        carrier=claim.carrier,
        lines=lines,
        answer=None if answer is None else answer.answer,
    )
    return case, None if answer is None or answer.answer == "require_return" else answer


def _answer(state: ClaimState, lines: Sequence[LineCase]) -> AnswerFact | None:
    answers = effective_answers(state)
    # A gift takes nothing with it: nobody waits for it to come back.
    all_back = all(line.returned for line in lines if not line.gift)
    counts = answer_that_counts([answer.answer for answer in answers], returned=all_back)
    return None if counts is None else answers[counts]


def return_required(policy: Policy, state: ClaimState, claim: Submitted) -> bool:
    """Whether the goods have to come back: the policy says so for every case, or the seller has asked for them."""
    plan = policy.plan(claim.reason)
    if not plan.waits_for_seller:
        return bool(plan.waits_for_return)
    return bool(state.answers) and any(
        rule.when.answer is None or answer.answer in rule.when.answer
        for answer in effective_answers(state)
        for rule in plan.waits_for_return
    )


def postage_owed(
    policy: Policy, state: ClaimState, claim: Submitted, goods: Goods | None = None
) -> tuple[BasisPostage, ...]:
    """Return postage that the customer laid out and the merchant owes: the return was required, and a cost rule of the
    policy says so for its fault (HW.3, HP.4)."""
    if not state.returns or not return_required(policy, state, claim):
        return ()
    brought = (goods_of(state, claim) if goods is None else goods).brought
    counted = {returned.return_id for returns in brought.values() for returned in returns}
    owed: list[BasisPostage] = []
    for returned in _in_order(state):
        postage = returned.postage
        if returned.return_id not in counted or postage is None or postage.paid_by != "customer":
            continue
        rule = _postage_rule(policy, claim.reason, Situation(fault=returned.fault, carrier=claim.carrier))
        if rule is None or rule.payer != "merchant":
            continue
        currency = claim.order.currency
        amount = minor(postage.amount, currency)
        if amount > 0:
            owed.append(BasisPostage(returned.return_id, text(amount, currency), rule.payer, rule.id, rule.clause))
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
                carrier=claim.carrier,
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


_NOT_INSPECTED: Final[Mapping[str, tuple[Value, ...]]] = {}


def _findings(returns: Sequence[ReturnFact]) -> dict[str, tuple[Value, ...]]:
    found: dict[str, tuple[Value, ...]] = {}
    for returned in returns:
        for fact, value in returned.inspection.items():
            if value not in found.get(fact, ()):
                found[fact] = (*found.get(fact, ()), value)
    return found


def _postage_rule(policy: Policy, reason: str, situation: Situation) -> Cost | None:
    for rule in policy.money_rules(reason, situation):
        if isinstance(rule, Cost) and rule.item == "return_postage":
            return rule
    return None
