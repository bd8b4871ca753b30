"""Claims tried under a policy that they were not decided by: where each would have ended. Pure.

Two ways lead to the same end, and a test holds them together. `play` puts an order's events through the services' pure
functions one by one, as it was. `Trial` passes each claim's facts once: it asks `judge_claim` for each kind of case
once and prices refunds by the same rules, without writing assessments and decisions down; orders whose course it cannot
tell from their facts alone it leaves to `play`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from cli.outcomes import ClaimKey, End, ends
from cli.recalling import Cancelled, Case, Facts, Recalled, Reviewed, case_of, named
from cli.rehearsal import Rehearsal
from services.eligibility.casework import postage_owed
from services.eligibility.domain import assess
from services.eligibility.facts import look_again
from services.refund_calculation.assessed import asks_for_whole, is_whole, past_of
from services.refund_calculation.deciding import conflicts, fits
from services.refund_calculation.state import Claim, Decision, Order
from shared.events.parts import Outcome, Wants
from shared.money import minor
from shared.policy.book import PolicyBook
from shared.policy.judge import Step
from shared.policy.model import Policy
from shared.policy.readings import judge_claim
from shared.policy.rules import Situation, Window
from shared.pricing import Claimed, Items, Past, PricingError, settle, total

ALWAYS: Final = datetime(1, 1, 1, tzinfo=UTC)
"""Before any order."""

NO_PAST: Final = Past()

_AWAITS: Final = {
    Step.DELIVERY: End("awaiting delivery"),
    Step.RETURN: End("awaiting return"),
    Step.SELLER: End("awaiting seller"),
    Step.REVIEW_NOW: End("awaiting review"),
    Step.REVIEW_AFTER: End("awaiting review"),
}
_REVIEW: Final = End("awaiting review")
_CANCELLED: Final = End("cancelled")
_REJECTED: Final = End("rejected")
_NOWHERE: Final = End("undecided")


def as_if_always(policy: Policy) -> Policy:
    """The same policy, in force whenever an order was placed."""
    return policy.model_copy(update={"in_force_from": ALWAYS, "in_force_until": None})


def play(recalled: Recalled, policy: Policy, until: datetime) -> dict[ClaimKey, End]:
    """An order's claims event by event, each at the time it came, and the clocks up to `until`."""
    rehearsal = Rehearsal(PolicyBook((as_if_always(policy),)), until)
    for at, event in recalled.events:
        rehearsal.now = at
        _look(rehearsal)
        rehearsal.hear(event)
    rehearsal.now = until
    _look(rehearsal)
    found = ends(rehearsal.said)
    return {
        (one.merchant, one.order_id, one.claim_id): found.get((one.merchant, one.order_id, one.claim_id), _NOWHERE)
        for one in recalled.claims
    }


def _look(rehearsal: Rehearsal) -> None:
    """The claims whose due time has passed, looked at again."""
    for key, state in list(rehearsal.claims.items()):
        due = look_again(state)
        if due is not None and due < rehearsal.now:
            rehearsal.claims[key], assessed = assess(state, rehearsal.book, rehearsal.now)
            if assessed is not None:
                rehearsal.hear(assessed)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What a case comes to. `left`: the places of the lines that are not rejected."""

    step: Step
    remedy: Wants | None
    left: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Reason:
    """What of a policy matters to claims of one reason, besides the verdicts."""

    windows: tuple[timedelta, ...]
    heeds_answers: bool
    asks_for_whole: bool


@dataclass(slots=True)
class _Open:
    """A claim on its way through its facts. `end` is final once `closed`; `referred`: a person has to decide it;
    `return_since`: from when the goods were awaited; `partly_back`: some of them are there, and the others not."""

    end: End = _NOWHERE
    closed: bool = False
    referred: bool = False
    return_since: datetime | None = None
    partly_back: bool = False


class _TooMuchToTell(Exception):  # noqa: N818 - not an error: the order goes the long way
    """The facts alone do not tell where this order's claims end."""


@dataclass(slots=True)
class Trial:
    """Where claims end under `policy`, in force whenever their orders were placed. `until`: up to when clocks run.
    `one_pass` and `long_way` count the claims that went either way."""

    policy: Policy
    until: datetime
    long_way: int = 0
    one_pass: int = 0
    _verdicts: dict[tuple[Case, int, str], _Verdict] = field(default_factory=dict)
    _reasons: dict[str, _Reason] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.policy = as_if_always(self.policy)

    def of(self, recalled: Recalled) -> dict[ClaimKey, End]:
        """Each claim's end."""
        if recalled.steps is not None:
            try:
                found = self._pass(recalled)
            except _TooMuchToTell:
                pass
            else:
                self.one_pass += len(found)
                return found
        found = play(recalled, self.policy, self.until)
        self.long_way += len(found)
        return found

    def _pass(self, recalled: Recalled) -> dict[ClaimKey, End]:
        order = recalled.order
        claims = {claim_id: _Open() for claim_id in order.claims}
        for step in recalled.steps or ():
            one = claims.get(step.claim_id)
            if one is None:
                raise _TooMuchToTell
            match step:
                case Facts():
                    order = self._facts(recalled, order, one, step)
                case Cancelled():
                    if not one.closed:
                        one.end, one.closed = _CANCELLED, True
                        order = _closed(order, step.claim_id, "cancelled", {}, ())
                case Reviewed():
                    self._reviewed(order, one, step)
        merchant, order_id = recalled.key
        return {(merchant, order_id, claim_id): self._at_last(one) for claim_id, one in claims.items()}

    def _at_last(self, one: _Open) -> End:
        """Where a claim stands when the clocks have run: the rest of a return that does not come is a person's."""
        if one.closed or one.referred or not one.partly_back or one.return_since is None:
            return one.end
        late = self.until > one.return_since + timedelta(days=self.policy.deadlines.return_days)
        return _REVIEW if late else one.end

    def _facts(self, recalled: Recalled, order: Order, one: _Open, facts: Facts) -> Order:
        reason = self._reason(facts.case.example.reason)
        if one.closed or one.referred:
            if facts.answered and reason.heeds_answers and one.end.what != "cancelled":
                raise _TooMuchToTell  # a later answer may supersede
            return order
        verdict = self._verdict(facts, reason, recalled.carrier)
        if verdict.step is Step.GO:
            return self._decide(recalled, order, one, facts, reason, verdict)
        if verdict.step is Step.REJECT:
            one.end, one.closed = _REJECTED, True
            return _closed(order, facts.claim_id, "rejected", {}, ())
        one.end = _AWAITS[verdict.step]
        one.partly_back = verdict.step is Step.RETURN and any(facts.back[place] for place in verdict.left)
        if verdict.step is Step.RETURN and one.return_since is None:
            one.return_since = facts.at
        return order

    def _decide(
        self, recalled: Recalled, order: Order, one: _Open, facts: Facts, reason: _Reason, verdict: _Verdict
    ) -> Order:
        claim = order.claims[facts.claim_id]
        owed = self._postage(facts, recalled.currency) if facts.postage else 0
        lines = tuple(facts.case.example.lines)
        if verdict.remedy == "replacement":
            one.end, one.closed = End("replacement", owed), True
            return _closed(order, claim.claim_id, "replacement", {}, ())
        if verdict.remedy is None:
            raise _TooMuchToTell
        line_ids = [_line_ids(facts)[place] for place in verdict.left]
        alone = len(order.claims) == 1
        claimed = Claimed(
            claim.reason,
            claim.units if len(line_ids) == len(lines) else claim.of_lines(line_ids),
            Situation(
                answer=facts.answer.answer if facts.answer is not None and reason.heeds_answers else None,
                carrier=order.carrier.lower(),
                wants=facts.case.example.wants,
            ),
            named(facts, recalled.named_rate) if reason.heeds_answers else None,
            reason.asks_for_whole and is_whole(order, claim, line_ids),
        )
        past = NO_PAST if alone else past_of(order, claim, self.policy)
        try:
            priced, refers = settle(self.policy, order.the_ledger(), claimed, past)
        except PricingError:
            raise _TooMuchToTell from None
        taken = not alone and bool(conflicts(order, claim, line_ids, with_open=False))
        if taken or refers is not None or not fits(order, claim, priced.items):
            one.end, one.referred = _REVIEW, True
            return order
        one.end, one.closed = End("refund", total(priced.items) + owed), True
        return _closed(order, claim.claim_id, "refund", priced.items, tuple(line_ids))

    def _reviewed(self, order: Order, one: _Open, review: Reviewed) -> None:
        if one.closed:
            raise _TooMuchToTell  # an override or an appeal
        if review.amount > order.left():
            return  # refused
        one.end, one.closed = End(review.outcome, review.amount, by_staff=True), True

    def _postage(self, facts: Facts, currency: str) -> int:
        assert facts.state.claim is not None
        owed = postage_owed(self.policy, facts.state, facts.state.claim)
        return sum(minor(one.amount, currency) for one in owed)

    def _reason(self, reason: str) -> _Reason:
        found = self._reasons.get(reason)
        if found is None:
            hours = {rule.hours for rule in self.policy.rules_of(reason) if isinstance(rule, Window)}
            found = self._reasons[reason] = _Reason(
                tuple(timedelta(hours=one) for one in sorted(hours)),
                self.policy.waits_for_seller(reason),
                asks_for_whole(self.policy, Claim("", reason, {})),
            )
        return found

    def _verdict(self, facts: Facts, reason: _Reason, carrier: str) -> _Verdict:
        """The policy's verdict, asked once for all claims between which its rules see no difference."""
        key = (facts.case, _between(facts.waited, reason.windows), carrier)
        found = self._verdicts.get(key)
        if found is None:
            judged = judge_claim(self.policy, case_of(facts, carrier), lambda _: None)
            left = tuple(place for place, line in enumerate(judged.lines) if line.step is not Step.REJECT)
            found = self._verdicts[key] = _Verdict(judged.step, judged.remedy, left)
        return found


def _between(waited: timedelta | None, windows: Sequence[timedelta]) -> int:
    """Between which windows of the policy a report lies: -2 with no receipt, -1 before it, else how many it missed."""
    if not windows:
        return 0
    if waited is None:
        return -2
    if waited < timedelta(0):
        return -1
    return bisect_left(windows, waited)


def _line_ids(facts: Facts) -> list[str]:
    assert facts.state.claim is not None
    return [line.line_id for line in facts.state.claim.lines]


def _closed(order: Order, claim_id: str, outcome: Outcome, items: Items, held: tuple[str, ...]) -> Order:
    """The order with the claim decided so, as far as its other claims depend on it."""
    if len(order.claims) == 1:
        return order
    claim = order.claims[claim_id]
    decision = Decision(1, outcome, "policy", items, status="instructed" if total(items) else "none")
    return order.with_claim(Claim(claim_id, claim.reason, claim.units, claim.parts, held=held, decisions=(decision,)))
