"""A person's decision on a claim: of one that waits, an override of one that was paid, an appeal of one that was not.

A staff amount is the claim's total. Return postage that the policy has already decided is part of that total; postage
that is owed and not decided yet stands beside it as its own item (POLICIES, *Staff amounts*, *Postage*). What a claim
was given is never taken back: an amount below it is refused, the same amount changes nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from msgspec import Raw
from msgspec.structs import replace

from services.refund_calculation.assessed import owed_postage, replacement_of, ship_payer
from services.refund_calculation.deciding import Step, Verdict, conflicts, decide, fits
from services.refund_calculation.problem import Unacceptable
from services.refund_calculation.reading import Kept, Line, Reviewed, kept
from services.refund_calculation.state import NOTHING, Claim, Order, add, goods_total, postage_of
from services.refund_calculation.writing import DecidedLine, Reason, ReviewRefusal, ReviewRefused
from shared import money
from shared.events.parts import Outcome
from shared.policy.book import PolicyBook
from shared.policy.model import Policy
from shared.policy.rules import Situation
from shared.pricing import Item, Items, total


@dataclass(frozen=True, slots=True)
class _Stand:
    """Where the claim stands when it is reviewed, in minor units. `given`: without refunds that failed. `by_policy`:
    return postage decided by policy, failed or not. `beside`: postage that stands beside a staff amount, decided or
    owed; `beside_given` what of it was given."""

    given: Items
    by_policy: int
    beside: int
    beside_given: int
    clause: str | None

    @property
    def counted(self) -> int:
        """What was given, as a staff amount counts it."""
        return total(self.given) - self.beside_given


def take_review(order: Order, claim: Claim, event: Reviewed, book: PolicyBook, now: datetime) -> Step:
    """The claim after a review: the next decision, or `review.refused.v1` with every error that holds."""
    if event.review_id in claim.reviews:
        return Step(order, note=f"review {event.review_id} came again")
    claim = replace(claim, reviews=(*claim.reviews, event.review_id))
    order = order.with_claim(claim)
    assessment = kept(claim.assessment)
    stand = _stand(order, claim, assessment)
    target = _target(order, event, stand)
    errors = _errors(order, claim, event, stand, target)
    if errors:
        refused = ReviewRefused(
            review_id=event.review_id,
            claim_id=claim.claim_id,
            merchant=order.merchant,
            order_id=order.order_id,
            errors=errors,
        )
        return Step(order, (refused,), f"review refused: {errors[0].code}")
    if _same(claim, event, stand, target):
        return Step(order, note=f"review {event.review_id} changes nothing")
    verdict = _verdict(order, claim, event, assessment, stand, target, book)
    return decide(order, claim, verdict, now)


def _stand(order: Order, claim: Claim, assessment: Kept | None) -> _Stand:
    committed = claim.committed()
    decided = sum(decision.beside for decision in claim.decisions if decision.status != "void")
    owed: Items = NOTHING
    if assessment is not None:
        owed = owed_postage(assessment.postage, order.the_ledger().currency)
    undecided = max(0, postage_of(owed) - postage_of(committed))
    item = owed.get("return_postage") or committed.get("return_postage")
    return _Stand(
        claim.given(),
        postage_of(committed) - decided,
        decided + undecided,
        sum(decision.beside for decision in claim.decisions if decision.given),
        item.clause if item is not None else None,
    )


def _target(order: Order, event: Reviewed, stand: _Stand) -> Items:
    """What the claim comes to by this review, by item."""
    if event.verdict != "refund":
        return _items(0, stand.by_policy + stand.beside, stand.clause)
    currency = order.the_ledger().currency
    if event.amount is None or event.amount.currency != currency:
        raise Unacceptable("$.amount.currency", f"the order is in {currency}")
    amount = money.minor(event.amount.amount, currency)
    within = min(stand.by_policy, amount)
    return _items(amount - within, within + stand.beside, stand.clause)


def _items(compensation: int, postage: int, clause: str | None) -> Items:
    return add(
        [
            {"return_postage": Item(postage, "merchant", clause)},
            {"compensation": Item(compensation, "merchant", None)},
        ]
    )


def _errors(order: Order, claim: Claim, event: Reviewed, stand: _Stand, target: Items) -> list[ReviewRefusal]:
    currency = order.the_ledger().currency
    errors: list[ReviewRefusal] = []

    def refuse(code: str, path: str, message: str) -> None:
        errors.append(ReviewRefusal(code=code, path=path, message=message))

    if event.verdict == "refund":
        if event.amount is not None and money.minor(event.amount.amount, currency) < stand.counted:
            got = money.text(stand.counted, currency)
            refuse("lower_than_given", "$.amount.amount", f"the claim already got {got} {currency}")
        elif not fits(order, claim, target):
            left = money.text(order.left(), currency)
            refuse("above_what_is_left", "$.amount.amount", f"{left} {currency} is left of the order's payments")
    elif claim.outcome == "replacement" and (event.verdict == "reject" or not claim.in_review):
        refuse("already_replaced", "$.verdict", "the claim is already replaced: it can be refunded, nothing less")
    elif (claim.outcome == "refund" and not claim.in_review) or goods_total(stand.given) > 0:
        refuse("already_refunded", "$.verdict", "the claim is already refunded: it can be refunded more, nothing else")
    if event.verdict != "reject" and claim.outcome != "refund":
        freed = claim.last is not None
        taken = conflicts(order, claim, list(claim.units), with_open=freed)
        if taken:
            named = "; ".join(f"line {line_id}: {len(numbers)}" for line_id, numbers in taken.items())
            refuse("units_held", "$.claim_id", f"another claim now holds units of this one ({named})")
    return errors


def _same(claim: Claim, event: Reviewed, stand: _Stand, target: Items) -> bool:
    """Whether the review leaves the claim as it is. A claim whose refund failed is in review: it needs a decision."""
    if claim.last is None or claim.in_review or total(target) != total(stand.given):
        return False
    return claim.outcome == _OUTCOMES[event.verdict]


_OUTCOMES: dict[str, Outcome] = {"refund": "refund", "replacement": "replacement", "reject": "rejected"}


def _verdict(
    order: Order,
    claim: Claim,
    event: Reviewed,
    assessment: Kept | None,
    stand: _Stand,
    target: Items,
    book: PolicyBook,
) -> Verdict:
    lines = _lines(claim, event, assessment)
    eligible = [line.line_id for line in lines if line.verdict == "eligible"]
    answer = assessment.answer if assessment is not None else None
    outcome = _OUTCOMES[event.verdict]
    replacement = None
    if outcome == "replacement" and claim.outcome != "replacement":  # what is on its way is not sent twice
        situation = Situation(
            answer=answer.answer if answer is not None else None,
            carrier=order.carrier,
            wants="replacement",
        )
        replacement = replacement_of(claim, eligible, ship_payer(_policy(book, assessment), claim.reason, situation))
    return Verdict(
        outcome,
        lines,
        f"staff:{event.actor}",
        target=target,
        replacement=replacement,
        policy=assessment.policy if assessment is not None else None,
        readings=assessment.readings if assessment is not None else (),
        held=tuple(eligible) if outcome == "refund" else (),
        beside=stand.beside - stand.beside_given,
        answer=answer.answer_id if answer is not None else None,
    )


def _lines(claim: Claim, event: Reviewed, assessment: Kept | None) -> list[DecidedLine]:
    """Every line with the reasons that it had and the reviewer's. What was rejected by itself (a gift) stays so, unless
    that was all there is of the claim."""
    assessed: dict[str, Line] = {line.line_id: line for line in assessment.lines} if assessment else {}
    rejected = {line_id for line_id, line in assessed.items() if line.verdict == "rejected"}
    if event.verdict == "reject" or rejected.issuperset(claim.units):
        rejected = set(claim.units) if event.verdict == "reject" else set()
    return [
        DecidedLine(
            line_id=line_id,
            quantity=len(numbers),
            verdict="rejected" if line_id in rejected else "eligible",
            reasons=[*_reasons(assessed, line_id), _reason(event, denied=line_id in rejected)],
        )
        for line_id, numbers in claim.units.items()
    ]


def _reasons(assessed: dict[str, Line], line_id: str) -> Sequence[Raw]:
    return assessed[line_id].reasons if line_id in assessed else ()


def _reason(event: Reviewed, *, denied: bool) -> Reason:
    return Reason(rule="review", clause=None, effect="deny" if denied else "allow", text=event.reason)


def _policy(book: PolicyBook, assessment: Kept | None) -> Policy | None:
    if assessment is None or assessment.policy is None:
        return None
    return book.version(assessment.policy.id, assessment.policy.version)
