"""Whether a claim is still to be assessed, closed, or back with a person: from the facts alone.

A claim is closed by what refund-calculation decided, or by a person's review, which covers everything that arrived
before it. What opens it again is a later seller's answer (the supersession rule) or a refund that failed.
"""

from dataclasses import dataclass
from typing import Literal

from services.eligibility.facts import AnswerFact, ClaimState, DecisionFact, ReferralFact
from shared.policy.answers import in_force

_PAYABLE = ("refund_full", "refund_partial")


@dataclass(frozen=True, slots=True)
class Standing:
    """`open`: assess by the policy. `closed`: nothing to say. `review`: a person decides, `rule` and `text` say why;
    `referral` is what refund-calculation showed."""

    what: Literal["open", "closed", "review"]
    rule: str = ""
    text: str = ""
    referral: ReferralFact | None = None


OPEN = Standing("open")
CLOSED = Standing("closed")
_FAILED = Standing("review", "settlement-failed", "A refund was reported as failed; no second one is made by machine.")


def effective_answers(state: ClaimState) -> tuple[AnswerFact, ...]:
    """The answers that came to be in force, in the order of their arrival (POLICIES, *Order of answers*)."""
    if len(state.answers) < 2:
        return state.answers
    return tuple(state.answers[index] for index in in_force([answer.answered_at for answer in state.answers]))


def standing(state: ClaimState, *, heeds_answers: bool) -> Standing:
    """Where the claim stands. `heeds_answers`: the policy lets this claim's reason wait for a seller."""
    answers = effective_answers(state) if heeds_answers else ()
    answer = answers[-1] if answers else None
    if not (state.decisions or state.reviews):
        return CLOSED if state.cancelled else _referred(state, answer) or _final(state, answer)
    reviews = [review.seq for review in state.reviews if review.review_id not in state.refused]
    reviewed = max(reviews, default=0)
    decisions = _in_turn(state, len(reviews))
    if not decisions:
        closed = state.cancelled or reviewed > 0
        return CLOSED if closed else _referred(state, answer) or _final(state, answer)
    decision = decisions[-1]
    if decision.outcome == "cancelled":
        return CLOSED
    if state.failed_seq is not None and state.failed_seq > reviewed:
        return _FAILED
    if answer is None or answer.seq <= reviewed or answer.answer_id == _answer_of(state, decision):
        return CLOSED
    return _reopened(state, decision, answer)


def _in_turn(state: ClaimState, reviews: int) -> tuple[DecisionFact, ...]:
    """The decisions before the first one of a person whose review has not been told yet. What is told before that
    review came before it, and may leave postage to be paid: it counts, though the decision was read first."""
    for place, decision in enumerate(state.decisions):
        reviews -= decision.by_staff
        if reviews < 0:
            return state.decisions[:place]
    return state.decisions


def _reopened(state: ClaimState, decision: DecisionFact, answer: AnswerFact) -> Standing:
    """A closed claim and an answer that came later: only a refund that the policy decided is superseded by machine."""
    if decision.by_staff or decision.outcome != "refund" or answer.answer not in _PAYABLE:
        after = "a person's decision" if decision.by_staff else f"the outcome {decision.outcome}"
        return Standing("review", "later-answer", f"The seller answered {answer.answer} after {after}.")
    return _referred(state, answer) or OPEN


def _referred(state: ClaimState, answer: AnswerFact | None) -> Standing | None:
    """A referral holds as long as the answer in force is the one that it was made on."""
    referral = state.referral
    if referral is None:
        return None
    if state.finals.get(referral.revision) != (answer.answer_id if answer else None):
        return None
    return Standing("review", referral.entry, "The amounts show that a person must decide.", referral)


def _final(state: ClaimState, answer: AnswerFact | None) -> Standing:
    """Once the policy has spoken its last word, only another answer of the seller makes it speak again."""
    last = state.last
    if last is None or last.status == "awaiting":
        return OPEN
    return CLOSED if last.answer_id == (answer.answer_id if answer else None) else OPEN


def _answer_of(state: ClaimState, decision: DecisionFact) -> str | None:
    if decision.revision is not None:
        return state.finals.get(decision.revision)
    newest = max(state.finals, default=None)
    return None if newest is None else state.finals[newest]
