"""One line of a claim judged by the rules of its reason, under one reading of every open point.

Every rule speaks, so that a verdict carries all its reasons. What the line comes to is the strongest of what they say:
a known failing fact rejects before anything else; what a person must settle at once comes before waiting; waiting for
the goods comes before what only a person can settle after the inspection.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Literal, assert_never

from shared.events.parts import Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.model import Policy
from shared.policy.rules import Condition, EligibilityRule, Exclusion, Fact, Remedy, Situation, Value, Wait, Window

Effect = Literal["allow", "deny", "refer", "info"]


class Step(IntEnum):
    """What a rule, and in the end a line, comes to; of several the lowest counts."""

    REJECT = 0
    REVIEW_NOW = 1
    DELIVERY = 2
    RETURN = 3
    SELLER = 4
    REVIEW_AFTER = 5
    GO = 6


WAITING = frozenset({Step.DELIVERY, Step.RETURN, Step.SELLER})
REVIEW = frozenset({Step.REVIEW_NOW, Step.REVIEW_AFTER})
_TRAITS = ("gift", "carrier")
_UNSETTLED = WAITING | {Step.REJECT}


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What one rule says about a line; one object however many readings the rule holds under, and compared as that."""

    rule: str
    clause: str | None
    effect: Effect
    step: Step
    text: str


_NO_REMEDY = Finding("no-remedy", None, "refer", Step.REVIEW_NOW, "No rule says what this leads to.")


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a line comes to. `remedy` is what it leads to if nothing stands against it, also while it waits; None where
    nobody knows yet or a person must say."""

    step: Step
    remedy: Wants | None
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """All that rules have to say about a line, whatever readings they hold under: (rule, what it says). `always` is
    said under every reading, `aside` decides nothing."""

    voices: tuple[tuple[EligibilityRule, Finding], ...]
    always: tuple[Finding, ...]
    aside: tuple[Finding, ...]


def judge(policy: Policy, case: ClaimCase, line: LineCase, readings: Mapping[str, str] | None = None) -> Judgement:
    """Judges one line by all rules of the claim's reason that hold under `readings` (entry → reading; an entry that is
    not named is read as the register has chosen)."""
    return conclude(hear(policy, case, line), case, policy.plan(case.reason).holding(readings))


def hear(policy: Policy, case: ClaimCase, line: LineCase) -> Heard:
    """What every rule of the claim's reason says about a line: readings only choose among the rules."""
    situation = case.situation(line)
    plan = policy.plan(case.reason)
    voices = tuple(
        (rule, _apply(policy, rule, case, line)) for rule in plan.judged if speaks(rule, case, line, situation)
    )
    always: tuple[Finding, ...] = ()
    if not policy.has_clause_for(case.reason):
        clause = policy.other_reasons.clause
        text = policy.wording(clause) or f"No clause covers the reason {case.reason}."
        always = (Finding("no-clause", clause, "refer", Step.REVIEW_NOW, text),)
    return Heard(voices, always, _contradictions(plan.asks, line))


def conclude(heard: Heard, case: ClaimCase, holding: Container[str]) -> Judgement:
    """What a line comes to by the rules named in `holding`. Of several remedies the first counts."""
    findings: list[Finding] = []
    step, remedy, settled = Step.GO, None, False
    for rule, finding in heard.voices:
        if rule.id not in holding:
            continue
        if isinstance(rule, Remedy):
            if settled:
                continue
            settled, remedy = True, _remedy(rule, case)
        findings.append(finding)
        step = min(step, finding.step)
    for finding in heard.always:
        findings.append(finding)
        step = min(step, finding.step)
    if not (settled or heard.always or any(finding.step in _UNSETTLED for finding in findings)):
        findings.append(_NO_REMEDY)
        step = Step.REVIEW_NOW
    return Judgement(step, remedy, (*findings, *heard.aside))


def speaks(rule: EligibilityRule, case: ClaimCase, line: LineCase, situation: Situation | None = None) -> bool:
    """Whether a rule has something to say about a line: its `when` holds, and an exclusion of what the order itself
    says (a gift) is silent about all lines that it does not exclude."""
    if not rule.when.holds(situation or case.situation(line)):
        return False
    if isinstance(rule, Exclusion) and rule.fact in _TRAITS:
        return any(value in rule.is_ for value in _known(rule.fact, case, line)[0])
    return True


def _apply(policy: Policy, rule: EligibilityRule, case: ClaimCase, line: LineCase) -> Finding:
    effect: Effect
    match rule:
        case Window():
            effect, step, seen = _window(rule, case)
        case Condition():
            effect, step, seen = _condition(rule, case, line)
        case Exclusion():
            effect, step, seen = _exclusion(rule, case, line)
        case Wait():
            effect, step, seen = _wait(rule, case, line)
        case Remedy():
            remedy = _remedy(rule, case)
            effect, step, seen = "allow", Step.GO, f"leads to a {remedy}"
            if remedy is None:
                effect, step, seen = "refer", Step.REVIEW_NOW, "a person decides what this leads to"
        case _:
            assert_never(rule)
    return Finding(rule.id, rule.clause, effect, step, f"{policy.wording(rule.clause)} ({seen})")


def _window(rule: Window, case: ClaimCase) -> tuple[Effect, Step, str]:
    if case.received_at is None:
        return "info", Step.DELIVERY, "the receipt is not known yet"
    after = case.reported_at - case.received_at
    shown = in_words(after) if case.span is None else case.span
    if after < timedelta(0):
        return "refer", Step.REVIEW_NOW, f"reported {shown} before receipt"
    if after > timedelta(hours=rule.hours):
        return "deny", Step.REJECT, f"reported {shown} after receipt, {rule.hours} h are allowed"
    return "allow", Step.GO, f"reported {shown} after receipt, {rule.hours} h are allowed"


def _condition(rule: Condition, case: ClaimCase, line: LineCase) -> tuple[Effect, Step, str]:
    values, seen = _known(rule.fact, case, line)
    if not values:
        return _unknown(rule.fact, line)
    steps = {_condition_step(rule, value) for value in values}
    return _one_of(steps, seen)


def _condition_step(rule: Condition, value: Value) -> Step:
    if value in rule.is_:
        return Step.GO
    if value in rule.review or rule.otherwise == "review":
        # An inspection cannot change what the order says; it can change what the goods are like.
        return Step.REVIEW_NOW if rule.fact in _TRAITS else Step.REVIEW_AFTER
    return Step.REJECT


def _exclusion(rule: Exclusion, case: ClaimCase, line: LineCase) -> tuple[Effect, Step, str]:
    values, seen = _known(rule.fact, case, line)
    if not values:
        return _unknown(rule.fact, line)
    confirmed = True in line.found.get("fault_confirmed", ())
    hit = Step.REVIEW_AFTER if rule.if_confirmed == "review" and confirmed else Step.REJECT
    return _one_of({hit if value in rule.is_ else Step.GO for value in values}, seen)


def _wait(rule: Wait, case: ClaimCase, line: LineCase) -> tuple[Effect, Step, str]:
    if rule.for_ == "seller":
        if case.answer is None or case.answer == "require_return":
            return "info", Step.SELLER, "the seller has not answered yet"
        return "info", Step.GO, f"the seller answered {case.answer}"
    if line.returned:
        return "info", Step.GO, "the goods are back"
    return "info", Step.RETURN, f"{line.back} of {line.quantity} back"


def _remedy(rule: Remedy, case: ClaimCase) -> Wants | None:
    match rule.gives:
        case "refund" | "replacement":
            return rule.gives
        case "as_wanted":
            return case.wants
        case "review":
            return None
        case _:
            assert_never(rule.gives)


def _known(fact: Fact, case: ClaimCase, line: LineCase) -> tuple[tuple[Value, ...], str]:
    if fact == "gift":
        return (line.gift,), "a gift invoiced at 0" if line.gift else "no gift"
    if fact == "carrier":
        return (case.carrier,), f"carrier {case.carrier}"
    values = line.values(fact)
    how = "found" if line.found.get(fact) else "stated"
    return values, f"{fact} {how}: {', '.join(_word(value) for value in values)}"


def _unknown(fact: Fact, line: LineCase) -> tuple[Effect, Step, str]:
    if line.returned:
        return "refer", Step.REVIEW_AFTER, f"{fact} is not known, and the inspection did not tell"
    # The inspection will tell: the rule that waits for the goods holds the line meanwhile.
    return "info", Step.REVIEW_AFTER, f"{fact} is not known yet"


def _one_of(steps: set[Step], seen: str) -> tuple[Effect, Step, str]:
    if len(steps) > 1:
        return "refer", Step.REVIEW_AFTER, f"{seen}: the inspections contradict each other"
    (step,) = steps
    if step is Step.GO:
        return "allow", step, seen
    return ("deny" if step is Step.REJECT else "refer"), step, seen


def _contradictions(asks: Mapping[str, str], line: LineCase) -> tuple[Finding, ...]:
    """What the customer stated and the inspection found otherwise; named under the clause that asks for the fact."""
    found = []
    for fact, value in line.stated.items():
        others = [other for other in line.found.get(fact, ()) if other != value]
        if others:
            text = f"{fact}: stated {_word(value)}, the inspection found {', '.join(_word(other) for other in others)}"
            found.append(Finding("contradiction", asks.get(fact), "info", Step.GO, text))
    return tuple(found)


def _word(value: Value) -> str:
    return value if isinstance(value, str) else str(value).lower()


def in_words(span: timedelta) -> str:
    """A span of time, whichever way it goes."""
    span = abs(span)
    minutes, seconds = divmod(span.days * 86_400 + span.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {seconds:02} s"
