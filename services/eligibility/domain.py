"""`assess`: what a claim is under its policy, from all that is known of it. Pure: no clock, log, database, network.

The assessment is made afresh from the whole set of facts each time; what comes out is emitted only where it differs
from what was said last. So the end does not depend on the order in which independent facts arrived.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from msgspec.structs import replace

from services.eligibility import said
from services.eligibility.casework import Goods, goods_of, make_case, postage_owed, refund_of, return_required
from services.eligibility.facts import AnswerFact, ClaimState, Emitted, Pinned, Submitted
from services.eligibility.reading import ReadingShown
from services.eligibility.said import Assessed, Basis, BasisAnswer, Status
from services.eligibility.standing import Standing, effective_answers, standing
from services.eligibility.verdicts import Judged, Verdicts, in_between
from shared.events import ClaimAssessed, parse
from shared.events.parts import Awaiting, Verdict, Wants
from shared.policy.book import PolicyBook
from shared.policy.judge import Finding, Step
from shared.policy.model import Policy
from shared.policy.readings import JudgedLine

AFRESH: Final = Verdicts(most=0)


class Said(NamedTuple):
    """An assessment, and the data of its event."""

    assessed: Assessed
    text: bytes


class _View(NamedTuple):
    """Where a claim stands, before it is told: without clocks and counters. `lines`: JSON but for the ids; `span`: the
    time between receipt and report in words."""

    status: Status
    awaiting: Awaiting | None
    lines: Sequence[str]
    span: str
    remedy: Wants | None
    readings: tuple[ReadingShown, ...]
    answer: AnswerFact | None


def assess(state: ClaimState, book: PolicyBook, now: datetime) -> tuple[ClaimState, ClaimAssessed | None]:
    """The state after assessing it at `now`, and the assessment where it differs from the last one; None for a claim
    that is not admitted, is closed, or about which there is nothing new to say."""
    told, assessed = say(state, book, now)
    return told, None if assessed is None else parse(ClaimAssessed, assessed.text)


def say(
    state: ClaimState, book: PolicyBook, now: datetime, verdicts: Verdicts = AFRESH
) -> tuple[ClaimState, Said | None]:
    """As `assess`, in the form in which it is emitted; `verdicts` are those that are known."""
    claim = state.claim
    if claim is None:
        return state, None
    state, policy = _pin(state, claim, book)
    heeds = policy is not None and policy.plan(claim.reason).waits_for_seller
    where = standing(state, heeds_answers=heeds)
    if where.what == "closed":
        return state, None
    goods = goods_of(state, claim)
    view = _ungoverned(claim, where) if policy is None else _view(state, claim, goods, policy, where, now, verdicts)
    return _tell(state, claim, goods, policy, view, now)


def _pin(state: ClaimState, claim: Submitted, book: PolicyBook) -> tuple[ClaimState, Policy | None]:
    """The version in force when the order was placed governs its claims to the end: it is chosen once."""
    if state.policy is None:
        policy = book.in_force(state.merchant, claim.placed_at)
        return replace(state, policy=Pinned(policy.version if policy else None)), policy
    if state.policy.version is None:
        return state, None
    return state, book.version(state.merchant, state.policy.version)


def _view(
    state: ClaimState,
    claim: Submitted,
    goods: Goods,
    policy: Policy,
    where: Standing,
    now: datetime,
    verdicts: Verdicts,
) -> _View:
    case, answer = make_case(state, claim, goods)
    judged = verdicts.of(policy, case)
    span = in_between(case) if judged.timed else ""
    heeds = policy.plan(claim.reason).waits_for_seller
    if where.what == "review":
        answers = effective_answers(state) if heeds else ()
        return _back_with_a_person(judged, policy, where, span, answers[-1] if answers else None)
    awaiting, lines = judged.awaiting, judged.lines
    if judged.claim.step is Step.RETURN and _partly_back_too_long(state, policy, judged, now):
        awaiting, lines = "review", tuple(_missing_units(line) for line in judged.claim.lines)
    readings = judged.readings
    if judged.priced:
        readings = judged.with_amounts([line.line_id for line in claim.lines], refund_of(policy, claim, answer))
    return _View(judged.status, awaiting, lines, span, judged.remedy, readings, answer if heeds else None)


def _ungoverned(claim: Submitted, where: Standing) -> _View:
    """A claim of an unknown merchant, or of an order older than the first policy: a person decides, at once."""
    reasons = said.reason("no-policy", None, "refer", "No policy was in force when the order was placed.")
    if where.what == "review":
        reasons = f"{reasons},{_why(where, None)}"
    lines = [said.line(line.quantity, "undecided", reasons) for line in claim.lines]
    return _View("awaiting", "review", lines, "", None, (), None)


def _back_with_a_person(judged: Judged, policy: Policy, where: Standing, span: str, answer: AnswerFact | None) -> _View:
    """A claim that the policy had spoken about and a person must look at again, or for the first time."""
    why = _why(where, policy)
    lines = []
    for line in judged.claim.lines:
        verdict: Verdict = "rejected" if line.step is Step.REJECT else "undecided"
        reasons = said.reasons(line.findings)
        if verdict == "undecided":
            reasons = f"{reasons},{why}" if reasons else why
        lines.append(said.line(line.line.quantity, verdict, reasons))
    readings = where.referral.readings if where.referral is not None else ()
    return _View("awaiting", "review", lines, span, None, readings, answer)


def _why(where: Standing, policy: Policy | None) -> str:
    clause = policy.register_[where.rule].clause if policy is not None and where.rule in policy.register_ else None
    return said.reason(where.rule, clause, "refer", where.text)


def _partly_back_too_long(state: ClaimState, policy: Policy, judged: Judged, now: datetime) -> bool:
    """A return of fewer units than claimed waits for the rest until due, then a person decides."""
    if state.return_since is None:
        return False
    if not any(line.line.back for line in judged.claim.lines if line.step is not Step.REJECT):
        return False
    return now > state.return_since + timedelta(days=policy.deadlines.return_days)


def _missing_units(line: JudgedLine) -> str:
    if line.step is Step.REJECT:
        return said.line(line.line.quantity, "rejected", said.reasons(line.findings))
    findings = line.findings
    if line.step is Step.RETURN:
        text = f"{line.line.back} of {line.line.quantity} came back, and the time for the rest has passed."
        findings = (*findings, Finding("return-incomplete", None, "refer", Step.REVIEW_AFTER, text))
    verdict: Verdict = "eligible" if line.step is Step.GO else "undecided"
    return said.line(line.line.quantity, verdict, said.reasons(findings))


def _tell(
    state: ClaimState, claim: Submitted, goods: Goods, policy: Policy | None, view: _View, now: datetime
) -> tuple[ClaimState, Said | None]:
    """Adds clocks and counters to a view; nothing is told where it is what was said last."""
    last = state.last
    since = now
    if last is not None and last.status == view.status and last.awaiting == view.awaiting:
        since = last.since
    return_since = state.return_since
    if view.awaiting == "return":
        since = return_since = return_since or since
    due = _due(policy, view.awaiting, since)
    overdue = due is not None and now > due
    required = policy is not None and return_required(policy, state, claim)
    asked = required and (view.awaiting == "return" or bool(goods.back))
    assessed = Assessed(
        claim_id=state.claim_id,
        merchant=state.merchant,
        order_id=state.order_id,
        status=view.status,
        awaiting=view.awaiting,
        since=since,
        due=due,
        overdue=overdue,
        authorization=authorization(state.merchant, state.claim_id) if asked else None,
        lines=said.lines([line.line_id for line in claim.lines], view.lines, view.span),
        remedy=view.remedy,
        readings=view.readings,
        policy=said.NO_POLICY if policy is None else said.policy(policy.merchant, policy.version, policy.digest),
        basis=_basis(state, claim, goods, policy, view, required),
    )
    text = said.as_json(assessed)
    digest = _digest(text)
    if last is not None and last.digest == digest:
        return state, None
    revision = state.revision + 1
    if revision > 1 or goods.back:
        basis = assessed.basis
        basis.revision, basis.fault, basis.returned = revision, goods.fault, goods.back
        text = said.as_json(assessed)
    answer_id = view.answer.answer_id if view.answer is not None else None
    told = replace(
        state,
        revision=revision,
        last=Emitted(revision, view.status, since, digest, view.awaiting, due, overdue, answer_id),
        finals=state.finals if view.status == "awaiting" else {**state.finals, revision: answer_id},
        return_since=return_since,
    )
    return told, Said(assessed, text)


def _digest(text: bytes) -> str:
    """Of an assessment as far as it says something: what is in it for the record alone is left out, it is no news."""
    return hashlib.blake2b(text, digest_size=16).hexdigest()


def _due(policy: Policy | None, awaiting: Awaiting | None, since: datetime) -> datetime | None:
    if policy is None:
        return None
    if awaiting == "seller":
        return since + timedelta(days=policy.deadlines.seller_days)
    if awaiting == "return":
        return since + timedelta(days=policy.deadlines.return_days)
    return None


def _basis(
    state: ClaimState, claim: Submitted, goods: Goods, policy: Policy | None, view: _View, required: bool
) -> Basis:
    """The basis but for what is in it for the record: revision, fault, and what is back."""
    answer = view.answer
    return Basis(
        revision=1,
        reason=claim.reason,
        wants=claim.wants,
        reported_at=claim.reported_at,
        remedy=view.remedy,
        answer=None
        if answer is None
        else BasisAnswer(answer.answer_id, answer.answered_at, answer.answer, answer.amount),
        postage=postage_owed(policy, state, claim, goods) if policy is not None and required else (),
        return_required=required,
        fault=None,
        returned={},
    )


def authorization(merchant: str, claim_id: str) -> str:
    """The return authorization of a claim: the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{merchant}\0{claim_id}".encode(), digest_size=5).hexdigest()
    return f"RA-{digest.upper()}"
