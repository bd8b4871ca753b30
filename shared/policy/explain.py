"""Why a policy judges a claim as it does: every rule with what it saw, and what would have made the claim eligible."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product
from typing import Final, assert_never

from msgspec.structs import replace

from shared.events.parts import Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.check import FACTS
from shared.policy.judge import REVIEW, Finding, Judgement, Step, judge, speaks
from shared.policy.model import Policy
from shared.policy.rules import (
    Condition,
    EligibilityRule,
    Exclusion,
    Remedy,
    Situation,
    Value,
    Wait,
    Window,
    eligibility_rule,
)

NOT_HELD: Final = "does not hold"
SAYS: Final[Mapping[str, str]] = {"allow": "allows", "deny": "denies", "refer": "refers", "info": "notes"}
_BAD: Final = REVIEW | {Step.REJECT}
_PHRASES: Final[Mapping[str, str]] = {
    "carton": "with the carton {}",
    "seal": "with the seal {}",
    "packaging_opened": "with the packaging opened: {}",
    "misuse": "with misuse: {}",
    "regional_variant": "with a regional difference: {}",
    "fault_confirmed": "with the fault confirmed by the inspection: {}",
    "carrier": "with {} as the carrier",
}
_PLAIN: Final[Mapping[tuple[str, Value], str]] = {
    ("packaging_opened", False): "with the packaging unopened",
    ("misuse", False): "without misuse",
    ("regional_variant", False): "with more than a regional difference",
    ("fault_confirmed", True): "with the fault confirmed by the inspection",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What one rule says about a line. `verdict`: allows, denies, refers, notes, or why it does not apply; `reading`:
    the reading under which it was asked, where the readings of an open point are not all alike."""

    rule: str
    kind: str
    clause: str | None
    verdict: str
    text: str
    reading: str = ""


@dataclass(frozen=True, slots=True)
class Remedied:
    """One thing that would have had to be otherwise: `until 14:05`, `with the carton intact`."""

    rule: str
    clause: str
    text: str


@dataclass(frozen=True, slots=True)
class Explained:
    """A line explained. `otherwise`: what, all together, would have made it come to `then`; empty where nothing that a
    claimant could have done differently changes it, or nothing has to."""

    line_id: str
    step: Step
    said: tuple[Said, ...]
    otherwise: tuple[Remedied, ...]
    then: Step | None


def explain(policy: Policy, case: ClaimCase) -> tuple[Explained, ...]:
    """Every line of a claim, with every rule of its reason that eligibility judges by."""
    return tuple(_explain_line(policy, case, line) for line in case.lines)


def _explain_line(policy: Policy, case: ClaimCase, line: LineCase) -> Explained:
    combinations = tuple(_combinations(policy, case))
    judged = [judge(policy, case, line, readings) for readings in combinations]
    said: dict[Said, None] = {}
    for rule in policy.plan(case.reason).judged:
        rows = {
            _said(policy, rule, case, line, readings, _finding(one, rule.id)): None
            for readings, one in zip(combinations, judged, strict=True)
        }
        holding = {row: None for row in rows if row.verdict != NOT_HELD}
        said |= holding or rows
    for one in judged:
        for finding in one.findings:
            if finding.rule not in policy.rules:
                said[Said(finding.rule, "", finding.clause, SAYS[finding.effect], finding.text)] = None
    otherwise, then = _otherwise(policy, case, line)
    return Explained(line.line_id, min(one.step for one in judged), tuple(said), otherwise, then)


def _finding(judged: Judgement, rule: str) -> Finding | None:
    return next((finding for finding in judged.findings if finding.rule == rule), None)


def _said(
    policy: Policy,
    rule: EligibilityRule,
    case: ClaimCase,
    line: LineCase,
    readings: Mapping[str, str],
    finding: Finding | None,
) -> Said:
    open_ = {entry: reading for entry, reading in rule.under.items() if entry in readings}
    reading = ", ".join(f"{entry}: {reading}" for entry, reading in open_.items())
    if finding is not None:
        return Said(rule.id, rule.kind, rule.clause, SAYS[finding.effect], finding.text, reading)
    if not policy.holds(rule, readings):
        others = ", ".join(f"{entry} read otherwise than {one}" for entry, one in rule.under.items())
        return Said(rule.id, rule.kind, rule.clause, NOT_HELD, others, "")
    if not speaks(rule, case, line):
        return Said(rule.id, rule.kind, rule.clause, "does not apply", _why_silent(rule, case.situation(line)), reading)
    return Said(rule.id, rule.kind, rule.clause, "not reached", "an earlier remedy counts", reading)


def _why_silent(rule: EligibilityRule, situation: Situation) -> str:
    wanted = rule.when.model_dump(exclude_none=True)
    parts = [
        f"{name} is {getattr(situation, name) if getattr(situation, name) is not None else 'not known'}"
        for name in wanted
        if not type(rule.when)(**{name: wanted[name]}).holds(situation)
    ]
    return ", ".join(parts) or "nothing of what it excludes"


def _combinations(policy: Policy, case: ClaimCase) -> Iterator[Mapping[str, str]]:
    entries = policy.review_entries(case.reason, "eligibility")
    for readings in product(*(tuple(policy.register_[entry].readings) for entry in entries)):
        yield dict(zip(entries, readings, strict=True))


def _otherwise(policy: Policy, case: ClaimCase, line: LineCase) -> tuple[tuple[Remedied, ...], Step | None]:
    """What would have had to be otherwise, all of it together, and what the line would have come to then."""
    if _worst(policy, case, line) not in _BAD:
        return (), None
    changes: dict[str, Remedied] = {}
    better_case, better_line = case, line
    for _ in range(len(policy.rules_of(case.reason))):
        change = _next_change(policy, better_case, better_line)
        if change is None:
            break
        remedied, better_case, better_line = change
        changes[remedied.rule] = remedied
    then = _worst(policy, better_case, better_line)
    return ((), None) if not changes or then in _BAD else (tuple(changes.values()), then)


def _worst(policy: Policy, case: ClaimCase, line: LineCase) -> Step:
    return min(judge(policy, case, line, readings).step for readings in _combinations(policy, case))


def _next_change(policy: Policy, case: ClaimCase, line: LineCase) -> tuple[Remedied, ClaimCase, LineCase] | None:
    """The first rule that stands against the line under some reading, with the claim as it would satisfy it."""
    for readings in _combinations(policy, case):
        for finding in judge(policy, case, line, readings).findings:
            rule = policy.rules.get(finding.rule)
            found = eligibility_rule(rule) if rule is not None else None
            if found is not None and finding.effect in ("deny", "refer"):
                change = _change(found, case, line)
                if change is not None:
                    return change
    return None


def _change(rule: EligibilityRule, case: ClaimCase, line: LineCase) -> tuple[Remedied, ClaimCase, LineCase] | None:
    match rule:
        case Window():
            return _in_time(rule, case, line)
        case Condition():
            return _with_fact(rule, rule.is_[0], case, line)
        case Exclusion():
            allowed = [value for value in _ordered(FACTS[rule.fact] or frozenset()) if value not in rule.is_]
            return _with_fact(rule, allowed[0], case, line) if allowed and rule.fact != "gift" else None
        case Remedy():
            return _wanting(rule, case, line)
        case Wait():
            return None
        case _:
            assert_never(rule)


def _in_time(rule: Window, case: ClaimCase, line: LineCase) -> tuple[Remedied, ClaimCase, LineCase] | None:
    if case.received_at is None:
        return None
    latest = case.received_at + timedelta(hours=rule.hours)
    at = min(max(case.reported_at, case.received_at), latest)
    shown = _instant(latest, case.reported_at)
    text = f"reported until {shown}" if at == latest else f"reported from {_instant(case.received_at, at)} on"
    return Remedied(rule.id, rule.clause, text), replace(case, reported_at=at), line


def _with_fact(
    rule: Condition | Exclusion, value: Value, case: ClaimCase, line: LineCase
) -> tuple[Remedied, ClaimCase, LineCase]:
    word = value if isinstance(value, str) else str(value).lower()
    text = _PLAIN.get((rule.fact, value)) or _PHRASES[rule.fact].format(word)
    remedied = Remedied(rule.id, rule.clause, text)
    if rule.fact == "carrier":
        return remedied, replace(case, carrier=str(value)), line
    stated = {name: one for name, one in line.stated.items() if name != rule.fact}
    if rule.fact != "fault_confirmed":
        stated[rule.fact] = value
    found = {name: one for name, one in line.found.items() if name != rule.fact}
    if line.returned:
        found[rule.fact] = (value,)
    return remedied, case, replace(line, stated=stated, found=found)


def _wanting(rule: Remedy, case: ClaimCase, line: LineCase) -> tuple[Remedied, ClaimCase, LineCase] | None:
    if rule.gives != "review" or not rule.when.wants:
        return None
    other: Wants = "replacement" if case.wants == "refund" else "refund"
    return Remedied(rule.id, rule.clause, f"wanting a {other}"), replace(case, wants=other), line


def _ordered(values: frozenset[Value]) -> list[Value]:
    """The best first: what a claimant would want to be the case."""
    best: tuple[Value, ...] = ("intact", "unopened", False)
    return sorted(values, key=lambda value: (value not in best, str(value)))


def _instant(at: datetime, like: datetime) -> str:
    """An instant in the offset in which the claim was told."""
    return at.astimezone(like.tzinfo).isoformat(sep=" ", timespec="seconds")
