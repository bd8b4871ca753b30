"""`assess`: what a claim is under its policy, from all that is known of it. Pure: no clock, log, database, network.

The assessment is made afresh from the whole set of facts each time; what comes out is emitted only where it differs
from what was said last. So the end does not depend on the order in which independent facts arrived.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Literal

from services.eligibility.casework import make_case, postage_owed, refund_of, return_required, units_back
from services.eligibility.facts import AnswerFact, ClaimState, Emitted, Pinned, Submitted
from services.eligibility.standing import Standing, effective_answers, standing
from shared.events import Alternative, AssessedLine, Basis, ClaimAssessed, PolicyRef, ReadingShown, Reason, dump
from shared.events.basis import BasisAnswer
from shared.events.parts import Awaiting, Verdict, Wants
from shared.policy.book import PolicyBook
from shared.policy.judge import Effect, Finding, Step
from shared.policy.model import Policy
from shared.policy.readings import JudgedClaim, JudgedLine, judge_claim

Status = Literal["awaiting", "eligible", "rejected"]

_AWAITED: dict[Step, Awaiting] = {
    Step.DELIVERY: "delivery",
    Step.RETURN: "return",
    Step.SELLER: "seller",
    Step.REVIEW_NOW: "review",
    Step.REVIEW_AFTER: "review",
}


@dataclass(frozen=True, slots=True)
class _View:
    """Where a claim stands, before it is told: without clocks and counters."""

    status: Status
    awaiting: Awaiting | None
    lines: list[AssessedLine]
    remedy: Wants | None
    readings: list[ReadingShown]
    answer: AnswerFact | None


def assess(state: ClaimState, book: PolicyBook, now: datetime) -> tuple[ClaimState, ClaimAssessed | None]:
    """The state after assessing it at `now`, and the assessment where it differs from the last one; None for a claim
    that is not admitted, is closed, or about which there is nothing new to say."""
    claim = state.claim
    if claim is None:
        return state, None
    state, policy = _pin(state, claim, book)
    heeds = policy is not None and policy.waits_for_seller(claim.reason)
    where = standing(state, heeds_answers=heeds)
    if where.what == "closed":
        return state, None
    return _tell(state, claim, policy, _view(state, claim, policy, where, now), now)


def _pin(state: ClaimState, claim: Submitted, book: PolicyBook) -> tuple[ClaimState, Policy | None]:
    """The version in force when the order was placed governs its claims to the end: it is chosen once."""
    if state.policy is None:
        policy = book.in_force(state.merchant, claim.order.placed_at)
        return state.model_copy(update={"policy": Pinned(version=policy.version if policy else None)}), policy
    if state.policy.version is None:
        return state, None
    return state, book.version(state.merchant, state.policy.version)


def _view(state: ClaimState, claim: Submitted, policy: Policy | None, where: Standing, now: datetime) -> _View:
    if policy is None:
        return _ungoverned(claim, where)
    case, answer = make_case(state, claim)
    judged = judge_claim(policy, case, refund_of(policy, claim, answer))
    if where.what == "review":
        answers = effective_answers(state) if policy.waits_for_seller(claim.reason) else ()
        return _back_with_a_person(judged, policy, where, answers[-1] if answers else None)
    judged_lines, step = judged.lines, judged.step
    if step is Step.RETURN and _partly_back_too_long(state, policy, judged, now):
        step = Step.REVIEW_AFTER
        judged_lines = tuple(_missing_units(line) for line in judged.lines)
    lines = [_line(line) for line in judged_lines]
    status: Status = "eligible" if step is Step.GO else "rejected" if step is Step.REJECT else "awaiting"
    if not policy.waits_for_seller(claim.reason):
        answer = None
    remedy = judged.remedy if step is Step.GO else None
    return _View(status, _AWAITED.get(step), lines, remedy, _readings(judged), answer)


def _ungoverned(claim: Submitted, where: Standing) -> _View:
    """A claim of an unknown merchant, or of an order older than the first policy: a person decides, at once."""
    text = "No policy was in force when the order was placed."
    reasons = [Reason(rule="no-policy", clause=None, effect="refer", text=text)]
    if where.what == "review":
        reasons.append(Reason(rule=where.rule, clause=None, effect="refer", text=where.text))
    lines = [
        AssessedLine(line_id=line.line_id, quantity=line.quantity, verdict="undecided", reasons=reasons)
        for line in claim.lines
    ]
    return _View("awaiting", "review", lines, None, [], None)


def _back_with_a_person(judged: JudgedClaim, policy: Policy, where: Standing, answer: AnswerFact | None) -> _View:
    """A claim that the policy had spoken about and a person must look at again, or for the first time."""
    clause = policy.register_[where.rule].clause if where.rule in policy.register_ else None
    why = Reason(rule=where.rule, clause=clause, effect="refer", text=where.text)
    lines = []
    for line in judged.lines:
        verdict: Verdict = "rejected" if line.step is Step.REJECT else "undecided"
        reasons = [_reason(finding) for finding in line.findings]
        if verdict == "undecided":
            reasons.append(why)
        lines.append(
            AssessedLine(line_id=line.line.line_id, quantity=line.line.quantity, verdict=verdict, reasons=reasons)
        )
    readings = list(where.referral.readings) if where.referral is not None else []
    return _View("awaiting", "review", lines, None, readings, answer)


def _partly_back_too_long(state: ClaimState, policy: Policy, judged: JudgedClaim, now: datetime) -> bool:
    """A return of fewer units than claimed waits for the rest until due, then a person decides."""
    if state.return_since is None:
        return False
    if not any(line.line.back for line in judged.lines if line.step is not Step.REJECT):
        return False
    return now > state.return_since + timedelta(days=policy.deadlines.return_days)


def _missing_units(line: JudgedLine) -> JudgedLine:
    if line.step is not Step.RETURN:
        return line
    text = f"{line.line.back} of {line.line.quantity} came back, and the time for the rest has passed."
    finding = Finding("return-incomplete", None, "refer", Step.REVIEW_AFTER, text)
    return JudgedLine(line.line, Step.REVIEW_AFTER, line.remedy, (*line.findings, finding), line.differs)


def _line(line: JudgedLine) -> AssessedLine:
    verdict: Verdict = "undecided"
    if line.step is Step.REJECT:
        verdict = "rejected"
    elif line.step is Step.GO:
        verdict = "eligible"
    reasons = [_reason(finding) for finding in line.findings]
    return AssessedLine(line_id=line.line.line_id, quantity=line.line.quantity, verdict=verdict, reasons=reasons)


def _reason(finding: Finding) -> Reason:
    return _worded(finding.rule, finding.clause, finding.effect, finding.text)


@lru_cache(maxsize=4096)
def _worded(rule: str, clause: str | None, effect: Effect, text: str) -> Reason:
    """The same reasons are given again and again: each is made and checked once."""
    return Reason(rule=rule, clause=clause, effect=effect, text=text)


@lru_cache(maxsize=64)
def _ref(merchant: str, version: int, digest: str) -> PolicyRef:
    return PolicyRef(id=merchant, version=version, digest=digest)


def _readings(judged: JudgedClaim) -> list[ReadingShown]:
    return [
        ReadingShown(
            entry=shown.entry,
            chosen=shown.chosen,
            alternatives=[
                Alternative(reading=reading, result=result, amount=amount)
                for reading, result, amount in shown.alternatives
            ],
        )
        for shown in judged.shown
    ]


def _tell(
    state: ClaimState, claim: Submitted, policy: Policy | None, view: _View, now: datetime
) -> tuple[ClaimState, ClaimAssessed | None]:
    """Adds clocks and counters to a view; nothing is told where it is what was said last."""
    last = state.last
    since = now
    if last is not None and (last.status, last.awaiting) == (view.status, view.awaiting):
        since = last.since
    return_since = state.return_since
    if view.awaiting == "return":
        since = return_since = return_since or since
    due = _due(policy, view.awaiting, since)
    overdue = due is not None and now > due
    assessed = ClaimAssessed(
        claim_id=state.claim_id,
        merchant=state.merchant,
        order_id=state.order_id,
        status=view.status,
        awaiting=view.awaiting,
        since=since,
        due=due,
        overdue=overdue,
        authorization=_authorized(state, claim, policy, view),
        lines=view.lines,
        remedy=view.remedy,
        readings=view.readings,
        policy=None if policy is None else _ref(policy.merchant, policy.version, policy.digest),
        basis=_basis(state, claim, policy, view),
    )
    digest = hashlib.blake2b(dump(_without_records(assessed)), digest_size=16).hexdigest()
    if last is not None and last.digest == digest:
        return state, None
    revision = state.revision + 1
    answer_id = view.answer.answer_id if view.answer is not None else None
    emitted = Emitted(
        revision=revision,
        status=view.status,
        awaiting=view.awaiting,
        since=since,
        due=due,
        overdue=overdue,
        answer_id=answer_id,
        digest=digest,
    )
    finals = state.finals if view.status == "awaiting" else {**state.finals, revision: answer_id}
    told = state.model_copy(
        update={"revision": revision, "last": emitted, "finals": finals, "return_since": return_since}
    )
    return told, assessed


def _without_records(assessed: ClaimAssessed) -> ClaimAssessed:
    """An assessment as far as it says something: what is in it for the record alone is no news."""
    assert assessed.basis is not None
    basis = assessed.basis.model_copy(update={"revision": 1, "returned": {}, "fault": None})
    return assessed.model_copy(update={"basis": basis})


def _due(policy: Policy | None, awaiting: Awaiting | None, since: datetime) -> datetime | None:
    if policy is None:
        return None
    if awaiting == "seller":
        return since + timedelta(days=policy.deadlines.seller_days)
    if awaiting == "return":
        return since + timedelta(days=policy.deadlines.return_days)
    return None


def _basis(state: ClaimState, claim: Submitted, policy: Policy | None, view: _View) -> Basis:
    back, brought = units_back(state, claim)
    faults = [returned.fault for returns in brought.values() for returned in returns if returned.fault is not None]
    return Basis(
        revision=state.revision + 1,
        reason=claim.reason,
        wants=claim.wants,
        reported_at=claim.reported_at,
        remedy=view.remedy,
        answer=None
        if view.answer is None
        else BasisAnswer(
            answer_id=view.answer.answer_id,
            answered_at=view.answer.answered_at,
            answer=view.answer.answer,
            amount=view.answer.amount,
        ),
        postage=() if policy is None else postage_owed(policy, state, claim),
        return_required=policy is not None and return_required(policy, state, claim),
        fault=faults[-1] if faults else None,
        returned={line_id: units for line_id, units in back.items() if units},
    )


def _authorized(state: ClaimState, claim: Submitted, policy: Policy | None, view: _View) -> str | None:
    """The authorization of a claim whose goods have to come back, from when they are awaited or are there."""
    if policy is None or not return_required(policy, state, claim):
        return None
    asked = view.awaiting == "return" or any(units_back(state, claim)[0].values())
    return authorization(state.merchant, state.claim_id) if asked else None


def authorization(merchant: str, claim_id: str) -> str:
    """The return authorization of a claim: the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{merchant}\0{claim_id}".encode(), digest_size=5).hexdigest()
    return f"RA-{digest.upper()}"
