"""What a policy makes of a case, worked out once for all claims between which it sees no difference.

Most claims are alike: the same reason, the same facts, in time or late. What a policy says of them differs in the ids
of their lines, in how long after receipt they were reported, and in the amounts that an open point's readings would
give; these are filled in claim by claim.
"""

from bisect import bisect_left
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, NamedTuple, TypeAlias

from msgspec.structs import replace

from services.eligibility import said
from services.eligibility.reading import Alternative, ReadingShown
from services.eligibility.said import SPAN, Status
from shared.events.parts import Awaiting, Verdict, Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.judge import Step, in_words
from shared.policy.model import Policy
from shared.policy.readings import JudgedClaim, Shown, judge_claim
from shared.policy.rules import Condition, Exclusion, Window

MOST: Final = 2_000
"""Verdicts kept; some 6 kB each."""

_AWAITED: Final[dict[Step, Awaiting]] = {
    Step.DELIVERY: "delivery",
    Step.RETURN: "return",
    Step.SELLER: "seller",
    Step.REVIEW_NOW: "review",
    Step.REVIEW_AFTER: "review",
}
_VERDICTS: Final[dict[Step, Verdict]] = {Step.REJECT: "rejected", Step.GO: "eligible"}
_PLACES: Final = ","

Amount: TypeAlias = Callable[[Sequence[str]], str | None]


class Judged(NamedTuple):
    """What a case comes to. `lines`: the piece of JSON that each line is but for its id; in `claim` the texts have a
    mark for the time between receipt and report, and for an amount the places of the lines that it is asked of.
    `readings`: the open points that the claim met; where they are `priced`, `with_amounts` has them. `timed`: some text
    names the time."""

    claim: JudgedClaim
    status: Status
    awaiting: Awaiting | None
    remedy: Wants | None
    lines: tuple[str, ...]
    readings: tuple[ReadingShown, ...]
    priced: bool
    timed: bool

    def with_amounts(self, line_ids: Sequence[str], amount: Amount) -> tuple[ReadingShown, ...]:
        """The open points, with the refund that each reading would give (`amount`: line ids → refund)."""
        asked: dict[str, str | None] = {}
        return tuple([_shown(shown, line_ids, amount, asked) for shown in self.claim.shown])


@dataclass(frozen=True, slots=True)
class _Sight:
    """What the rules of a reason can tell apart besides facts: the windows, and whether they look at the order's
    carrier and at categories at all."""

    windows: tuple[timedelta, ...]
    carrier: bool
    category: bool


@dataclass(slots=True)
class Verdicts:
    """At most `most` verdicts are kept, the oldest go first; 0: each case is judged afresh."""

    most: int = MOST
    _known: dict[Hashable, Judged] = field(default_factory=dict)
    _sights: dict[tuple[str, str], _Sight] = field(default_factory=dict)

    def of(self, policy: Policy, case: ClaimCase) -> Judged:
        """What the policy makes of the case."""
        if not self.most:
            return _judged(policy, case)
        key = self._key(policy, case)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= self.most:
                del self._known[next(iter(self._known))]
            found = self._known[key] = _judged(policy, case)
        return found

    def __len__(self) -> int:
        return len(self._known)

    def _key(self, policy: Policy, case: ClaimCase) -> Hashable:
        sight = self._sights.get((policy.digest, case.reason))
        if sight is None:
            if len(self._sights) >= MOST:
                self._sights.clear()
            sight = self._sights[policy.digest, case.reason] = _sight(policy, case.reason)
        lines = case.lines
        return (
            policy.digest,
            case.reason,
            case.wants,
            case.answer,
            _between(case, sight.windows) if sight.windows else 0,
            case.carrier if sight.carrier else "",
            _seen(lines[0], sight) if len(lines) == 1 else tuple([_seen(line, sight) for line in lines]),
        )


def in_between(case: ClaimCase) -> str:
    """The time between receipt and report, in words; empty where no receipt is known."""
    return "" if case.received_at is None else in_words(case.reported_at - case.received_at)


def _sight(policy: Policy, reason: str) -> _Sight:
    rules = policy.plan(reason).judged
    return _Sight(
        windows=tuple(sorted({timedelta(hours=rule.hours) for rule in rules if isinstance(rule, Window)})),
        carrier=any(
            rule.when.carrier is not None or (isinstance(rule, Condition | Exclusion) and rule.fact == "carrier")
            for rule in rules
        ),
        category=any(rule.when.category is not None for rule in rules),
    )


def _between(case: ClaimCase, windows: Sequence[timedelta]) -> int:
    """Between which windows a report lies: -2 with no receipt, -1 before it, else how many windows it has missed."""
    if case.received_at is None:
        return -2
    after = case.reported_at - case.received_at
    return -1 if after < _NOTHING else bisect_left(windows, after)


def _seen(line: LineCase, sight: _Sight) -> Hashable:
    return (
        line.quantity,
        line.back,
        tuple(line.stated.items()),
        tuple(line.found.items()),
        line.gift,
        line.sealed,
        line.category if sight.category else None,
    )


def _judged(policy: Policy, case: ClaimCase) -> Judged:
    places = {line.line_id: str(place) for place, line in enumerate(case.lines)}
    claim = judge_claim(
        policy, replace(case, span=SPAN), lambda line_ids: _PLACES.join(places[one] for one in line_ids)
    )
    status: Status = "eligible" if claim.step is Step.GO else "rejected" if claim.step is Step.REJECT else "awaiting"
    return Judged(
        claim,
        status,
        _AWAITED.get(claim.step),
        claim.remedy if claim.step is Step.GO else None,
        tuple(
            said.line(line.line.quantity, _VERDICTS.get(line.step, "undecided"), said.reasons(line.findings))
            for line in claim.lines
        ),
        tuple(
            ReadingShown(one.entry, one.chosen, tuple(Alternative(*each) for each in one.alternatives))
            for one in claim.shown
        ),
        any(amount is not None for shown in claim.shown for _, _, amount in shown.alternatives),
        any(SPAN in finding.text for line in claim.lines for finding in line.findings),
    )


def _shown(
    shown: Shown,
    line_ids: Sequence[str],
    amount: Amount,
    asked: dict[str, str | None],
) -> ReadingShown:
    alternatives = []
    for reading, result, places in shown.alternatives:
        if places is not None and places not in asked:
            asked[places] = amount([line_ids[int(place)] for place in places.split(_PLACES) if place])
        alternatives.append(Alternative(reading, result, None if places is None else asked[places]))
    return ReadingShown(shown.entry, shown.chosen, tuple(alternatives))


_NOTHING: Final = timedelta(0)
