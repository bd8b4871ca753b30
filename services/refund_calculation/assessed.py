"""What an assessment comes to: the policy's refund, replacement or rejection, its difference to an earlier one, or a
referral where the money shows that a person must decide."""

from collections.abc import Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

from msgspec.structs import replace

from services.refund_calculation.deciding import Step, Verdict, conflicts, decide, fits
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reading import Assessed, Basis, Line, Owed, keep
from services.refund_calculation.state import NOTHING, Claim, Order, add, goods_total
from services.refund_calculation.writing import (
    DecidedLine,
    Lines,
    Readings,
    Reason,
    Referred,
    Replacement,
    ReplacementLine,
    ShipCost,
)
from shared import money
from shared.events.parts import BreakdownKind, Outcome, Payer, SellerAnswer, Wants
from shared.ledger import Units
from shared.policy.book import PolicyBook
from shared.policy.model import Policy
from shared.policy.rules import Cost, Fee, Situation
from shared.pricing import (
    Alternative,
    Claimed,
    Item,
    Items,
    Named,
    Past,
    PricingError,
    ReadingShown,
    Weighed,
    percentage,
    total,
    weigh,
)

NO_PAST: Final = Past()


def take_assessment(order: Order, claim: Claim, event: Assessed, book: PolicyBook, now: datetime) -> Step:
    """The claim after an assessment, of which it keeps what a person's decision may need.

    Raises `Unacceptable` for one that cannot be calculated from.
    """
    basis = event.basis
    if basis is None:
        raise Unacceptable("$.basis", "is missing: there is nothing to calculate from")
    if basis.revision <= claim.revision:
        return Step(order, note=f"assessment {basis.revision} came again")
    for line in event.lines:
        if line.line_id not in claim.units:
            raise Unacceptable("$.lines", f"the claim has no line {line.line_id}")
    claim = replace(claim, revision=basis.revision, assessment=keep(event, basis))
    order = order.with_claim(claim)
    if event.status == "awaiting" or claim.by_staff:
        return _late_postage(order, claim, event, basis, now)
    if claim.last is None:
        return _first(order, claim, event, basis, book, now)
    return _later(order, claim, event, basis, book, now)


def ship_payer(policy: Policy | None, reason: str, situation: Situation) -> Payer:
    """Who ships a replacement: as the reason's cost rules say, else as a rule says that holds for a carrier whatever
    the reason (GN5), else the merchant."""
    if policy is None:
        return "merchant"
    for rule in policy.money_rules(reason, situation):
        if isinstance(rule, Cost) and rule.item == "replacement_shipping":
            return rule.payer
    for other in policy.rules.values():
        if (
            isinstance(other, Cost)
            and other.item == "replacement_shipping"
            and other.when.carrier is not None
            and other.when.holds(situation)
        ):
            return other.payer
    return "merchant"


def replacement_of(claim: Claim, line_ids: Sequence[str], payer: Payer) -> Replacement:
    """All units of these lines, sent again."""
    lines = [
        ReplacementLine(line_id=line_id, quantity=len(claim.units[line_id]), part=claim.parts.get(line_id))
        for line_id in line_ids
    ]
    return Replacement(lines=lines, ship_cost=ShipCost(payer=payer))


def owed_postage(postage: Sequence[Owed], currency: str, returns: Sequence[str] | None = None) -> Items:
    """The return postage that the merchant owes, as an item; of these returns alone, where given."""
    if not postage:
        return NOTHING
    due = [one for one in postage if returns is None or one.return_id in returns]
    amount = sum(money.minor(one.amount, currency) for one in due)
    return {"return_postage": Item(amount, due[0].payer, due[0].clause)} if amount else {}


def _new_answer(claim: Claim, basis: Basis) -> bool:
    return basis.answer is not None and basis.answer.answer_id != claim.answer


def _answer_id(basis: Basis) -> str | None:
    return basis.answer.answer_id if basis.answer is not None else None


def _first(order: Order, claim: Claim, event: Assessed, basis: Basis, book: PolicyBook, now: datetime) -> Step:
    if event.status == "rejected":
        return decide(order, claim, _verdict("rejected", event, basis, event.lines), now)
    policy = _policy(book, event)
    if event.remedy == "replacement":
        return decide(order, claim, _replacement(order, claim, event, basis, policy), now)
    if event.remedy is None:
        raise Unacceptable("$.remedy", "an eligible claim needs one")
    return _refund(order, claim, event, basis, policy, now)


def _verdict(outcome: Outcome, event: Assessed, basis: Basis, lines: Lines) -> Verdict:
    return Verdict(
        outcome,
        lines,
        "policy",
        policy=event.policy,
        readings=event.readings,
        answer=_answer_id(basis),
    )


def _replacement(order: Order, claim: Claim, event: Assessed, basis: Basis, policy: Policy) -> Verdict:
    payer = ship_payer(policy, claim.reason, _situation(order, basis))
    return replace(
        _verdict("replacement", event, basis, event.lines),
        replacement=replacement_of(claim, _eligible(event), payer),
        target=owed_postage(basis.postage, order.the_ledger().currency),
    )


def _refund(order: Order, claim: Claim, event: Assessed, basis: Basis, policy: Policy, now: datetime) -> Step:
    """The policy's refund: the first one, or, after a later answer to a claim that it has refunded, the difference of
    the totals, never a negative one."""
    eligible = _eligible(event)
    weighed = _weigh(order, claim, basis, policy, eligible)
    owed = owed_postage(basis.postage, order.the_ledger().currency)
    target = add([weighed.priced.items, owed]) if owed else weighed.priced.items
    before = claim.given()
    taken = conflicts(order, claim, eligible, with_open=False)
    if taken:
        free = {line: tuple(n for n in claim.units[line] if n not in taken.get(line, ())) for line in eligible}
        without = _weigh(order, claim, basis, policy, eligible, free).priced.total
        amounts = {"as-assessed": weighed.priced.total, "without-those-units": without}
        return _refer(order, claim, event, "units-already-refunded", amounts)
    if before and (goods_total(target) < goods_total(before) or total(target) < total(before)):
        amounts = {"earlier-answer": total(before), "later-answer": total(target)}
        return _refer(order, claim, event, "superseded-lower", amounts)
    if weighed.refers is not None:
        return _referred(order, claim, weighed.refers, (*event.readings, *weighed.shown))
    if claim.last is not None and total(target) == total(before):
        return Step(order.with_claim(replace(claim, answer=_answer_id(basis))), note="a later answer of the same total")
    if not fits(order, claim, target):
        amounts = {"as-calculated": goods_total(target), "what-is-left": order.left() + goods_total(before)}
        return _refer(order, claim, event, "above-what-is-left", amounts)
    return decide(order, claim, _refund_verdict(event, basis, policy, weighed, target), now)


def _later(order: Order, claim: Claim, event: Assessed, basis: Basis, book: PolicyBook, now: datetime) -> Step:
    """An assessment of a claim that the policy has decided: only another seller's answer is of any effect."""
    if claim.outcome == "cancelled" or claim.in_review or not _new_answer(claim, basis):
        return Step(order, note=f"assessment {basis.revision} without effect")
    if claim.outcome == "refund" and event.status == "eligible" and event.remedy == "refund":
        return _refund(order, claim, event, basis, _policy(book, event), now)
    return _refer(order, claim, event, "answer-after-decision", {"as-decided": total(claim.given())})


def _refund_verdict(event: Assessed, basis: Basis, policy: Policy, weighed: Weighed, target: Items) -> Verdict:
    lines = _with_money_reasons(event.lines, policy, weighed)
    return replace(
        _verdict("refund", event, basis, lines),
        target=target,
        held=tuple(_eligible(event)),
        readings=(*event.readings, *weighed.shown),
    )


def _late_postage(order: Order, claim: Claim, event: Assessed, basis: Basis, now: datetime) -> Step:
    """Return postage that a staff decision should have added, had the assessment that owes it been read before it.

    Only returns that came in before that decision count: `claim.returns` keeps them. The order in which the two
    topics are read must not decide about money.
    """
    last = claim.last
    if last is None or not claim.by_staff or claim.in_review:
        return Step(order)
    note = f"assessment {basis.revision} without effect: a person has decided"
    before = claim.given()
    owed = owed_postage(basis.postage, order.the_ledger().currency, claim.returns)
    given = before.get("return_postage")
    if not owed or (given is not None and given.amount >= owed["return_postage"].amount):
        return Step(order, note=note)
    target = {**before, **owed}
    extra = owed["return_postage"].amount - (given.amount if given else 0)
    lines = [replace(line, verdict="eligible") if line.line_id in claim.held else line for line in event.lines]
    verdict = Verdict(
        last.outcome,
        lines,
        "policy",
        target=target,
        policy=event.policy,
        readings=event.readings,
        held=claim.held,
        beside=extra,
        answer=claim.answer,
    )
    return decide(order, claim, verdict, now)


def _refer(order: Order, claim: Claim, event: Assessed, entry: str, amounts: dict[str, int]) -> Step:
    """A referral under a point that no register names, with what each way would give."""
    currency = order.the_ledger().currency
    shown = ReadingShown(
        entry=entry,
        chosen=None,
        alternatives=tuple(
            Alternative(reading, "refund", money.text(amount, currency)) for reading, amount in amounts.items()
        ),
    )
    return _referred(order, claim, entry, (*event.readings, shown))


def _referred(order: Order, claim: Claim, entry: str, readings: Readings) -> Step:
    event = Referred(
        claim_id=claim.claim_id,
        merchant=order.merchant,
        order_id=order.order_id,
        entry=entry,
        readings=readings,
        revision=claim.revision,
    )
    return Step(order, (event,), f"referred under {entry}")


def _weigh(
    order: Order, claim: Claim, basis: Basis, policy: Policy, line_ids: Sequence[str], units: Units | None = None
) -> Weighed:
    claimed = Claimed(
        claim.reason,
        units if units is not None else claim.of_lines(line_ids),
        _situation(order, basis),
        _named(order, basis),
        asks_for_whole(policy, claim) and is_whole(order, claim, line_ids),
    )
    try:
        return weigh(policy, order.the_ledger(), claimed, past_of(order, claim, policy))
    except PricingError as error:
        raise Unacceptable("$.basis.answer.amount", str(error)) from None


def _situation(order: Order, basis: Basis) -> Situation:
    return _situation_of(basis.answer.answer if basis.answer is not None else None, order.carrier, basis.wants)


@lru_cache(maxsize=1_000)
def _situation_of(answer: SellerAnswer | None, carrier: str, wants: Wants) -> Situation:
    return Situation(answer=answer, carrier=carrier, wants=wants)


def _named(order: Order, basis: Basis) -> Named | None:
    if basis.answer is None or basis.answer.amount is None:
        return None
    amount = basis.answer.amount
    rate = order.rate[1] if order.rate is not None and order.rate[0] == amount.currency else None
    return Named(amount.amount, amount.currency, rate)


def asks_for_whole(policy: Policy, claim: Claim) -> bool:
    """Whether money rules of the claim's reason ask if the whole order is claimed for it."""
    return policy.plan(claim.reason).asks_for_whole


def is_whole(order: Order, claim: Claim, line_ids: Sequence[str]) -> bool:
    """Whether with these lines every unit of the order that cost anything is claimed for the claim's reason: by it, or
    by claims that were refunded. In an order in which nothing cost anything, every unit counts."""
    ledger = order.the_ledger()
    claimed: dict[str, set[int]] = {line_id: set(claim.units[line_id]) for line_id in line_ids}
    for other in order.others(claim):
        if other.reason == claim.reason:
            for line_id, numbers in other.covered().items():
                claimed.setdefault(line_id, set()).update(numbers)
    rest = [
        (line, number)
        for line_id, line in ledger.lines.items()
        for number in range(1, line.quantity + 1)
        if number not in claimed.get(line_id, ())
    ]
    free = not any(line.paid for line in ledger.lines.values())
    return not any(free or line.value((number,)) for line, number in rest)


def past_of(order: Order, claim: Claim, policy: Policy) -> Past:
    """What the order's other claims have left for this one."""
    if not order.has_others(claim):
        return NO_PAST
    given = add(other.committed() for other in order.others(claim))
    amounts: dict[BreakdownKind, int] = {name: item.amount for name, item in given.items()}
    return Past(sum(_fee_borne(order, other, policy) for other in order.others(claim)), amounts)


def _fee_borne(order: Order, claim: Claim, policy: Policy) -> int:
    """What a claim has borne of the order's withdrawal fee: its fee item; after a staff decision, the value of its
    units less the staff amount, between 0 and the fee (POLICIES, *withdrawal-fee-base*)."""
    last = claim.last
    fee = next((rule for rule in policy.rules_of(claim.reason) if isinstance(rule, Fee)), None)
    if last is None or fee is None or last.outcome != "refund":
        return 0
    items = claim.committed()
    if not claim.by_staff:
        return -items[fee.item].amount if fee.item in items else 0
    ledger = order.the_ledger()
    kept = ledger.value(claim.covered()) - goods_total(items)
    return min(max(kept, 0), percentage(fee.ratio, ledger.deposit))


def _policy(book: PolicyBook, event: Assessed) -> Policy:
    ref = event.policy
    if ref is None:
        raise Unacceptable("$.policy", "an eligible claim needs one")
    policy = book.version(ref.id, ref.version)
    if policy is None or policy.digest != ref.digest:
        raise Unacceptable("$.policy", f"{ref.id} version {ref.version} with digest {ref.digest} is not loaded here")
    return policy


def _eligible(event: Assessed) -> list[str]:
    return [line.line_id for line in event.lines if line.verdict == "eligible"]


def _with_money_reasons(lines: Sequence[Line], policy: Policy, weighed: Weighed) -> Lines:
    """The eligible lines with the money rules that took part, after what eligibility gave as reasons."""
    reasons = [
        Reason(
            rule=one.rule,
            clause=one.clause,
            effect="info",
            text=f"{policy.wording(one.clause)} ({one.note})" if one.note else policy.wording(one.clause),
        )
        for one in weighed.priced.applied
    ]
    return [
        DecidedLine(line.line_id, line.quantity, line.verdict, [*line.reasons, *reasons])
        if line.verdict == "eligible"
        else line
        for line in lines
    ]
