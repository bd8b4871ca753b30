"""A claim judged under every reading of the open points that matter to it.

Where the register says `review`, all readings are evaluated, in all combinations: a line on which they agree is decided
so; one on which they differ goes to a person, at once where no inspection can change the point, otherwise after it.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product

from shared.policy.case import ClaimCase, LineCase
from shared.policy.judge import REVIEW, WAITING, Finding, Judgement, Step, judge, speaks
from shared.policy.model import Policy
from shared.policy.rules import Wants

Combination = Mapping[str, str]
Amount = Callable[[tuple[str, ...]], str | None]
"""Line ids → the refund that these lines would give, a decimal string, or None where nobody can say."""


@dataclass(frozen=True, slots=True)
class JudgedLine:
    """A line with what it comes to over all readings; `differs` names the entries whose readings part it."""

    line: LineCase
    step: Step
    remedy: Wants | None
    findings: tuple[Finding, ...]
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """An open point that the claim met. `alternatives`: (reading, what the claim comes to, the refund it would give);
    empty for one that the register decides."""

    entry: str
    chosen: str | None
    alternatives: tuple[tuple[str, str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedClaim:
    """The claim: its lines, what it comes to as a whole (the strongest of its lines, a rejected line standing back for
    the others), the remedy, and the open points it met."""

    lines: tuple[JudgedLine, ...]
    step: Step
    remedy: Wants | None
    shown: tuple[Shown, ...]


def judge_claim(policy: Policy, case: ClaimCase, amount: Amount) -> JudgedClaim:
    """Judges every line of a claim, whatever its reason."""
    met = _met(policy, case)
    entries = tuple(entry for entry in policy.review_entries(case.reason, "eligibility") if entry in met)
    combinations: list[Combination] = [
        dict(zip(entries, readings, strict=True))
        for readings in product(*(tuple(policy.register_[entry].readings) for entry in entries))
    ]
    table = [[judge(policy, case, line, readings) for readings in combinations] for line in case.lines]
    lines = tuple(_merge(policy, line, combinations, row) for line, row in zip(case.lines, table, strict=True))
    step = whole(line.step for line in lines)
    if step in WAITING:
        shown: tuple[Shown, ...] = ()
    else:
        shown = tuple(
            _show(policy, entry, case, combinations, table, amount)
            if entry in entries
            else Shown(entry, policy.register_[entry].chosen)
            for entry in met
        )
    remedies = (line.remedy for line in lines if line.step is not Step.REJECT)
    return JudgedClaim(lines, step, next((remedy for remedy in remedies if remedy), None), shown)


def whole(steps: Iterable[Step]) -> Step:
    """What a claim comes to: while any line waits or is in review, all of it does; rejected only when all lines are."""
    return min((step for step in steps if step is not Step.REJECT), default=Step.REJECT)


def _met(policy: Policy, case: ClaimCase) -> tuple[str, ...]:
    """The open points on which a rule that speaks about a line of this claim depends, in register order."""
    used = {
        entry
        for rule in policy.eligibility_rules(case.reason)
        if rule.under
        for entry in rule.under
        if any(speaks(rule, case, line) for line in case.lines)
    }
    return tuple(entry for entry in policy.register_ if entry in used)


def _merge(policy: Policy, line: LineCase, combinations: list[Combination], row: list[Judgement]) -> JudgedLine:
    ends = {(one.step, one.remedy) for one in row}
    findings = tuple(dict.fromkeys(finding for one in row for finding in one.findings))
    common = tuple(finding for finding in findings if all(finding in one.findings for one in row))
    if len(ends) == 1:
        return JudgedLine(line, row[0].step, row[0].remedy, _agreed(findings, common))
    differs = tuple(entry for entry in combinations[0] if _parts(entry, combinations, row))
    if any(policy.register_[entry].when == "at_once" for entry in differs):
        step = Step.REVIEW_NOW
    else:
        step = min((one.step for one in row if one.step in WAITING), default=Step.REVIEW_AFTER)
    refers = tuple(
        Finding(
            entry,
            policy.register_[entry].clause,
            "refer" if step in REVIEW else "info",
            step,
            "The source can be read in several ways, and they differ here: "
            + "; ".join(policy.register_[entry].readings.values()),
        )
        for entry in differs
    )
    remedy = next((one.remedy for one in row if one.remedy), None)
    return JudgedLine(line, step, remedy, (*common, *refers), differs)


def _agreed(findings: tuple[Finding, ...], common: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The reasons for an end on which all readings agree. What only some readings hold against the line is no reason
    where something else is held against it under all of them."""
    if not any(finding.effect == "deny" for finding in common):
        return findings
    return tuple(finding for finding in findings if finding in common or finding.effect != "deny")


def _parts(entry: str, combinations: list[Combination], row: list[Judgement]) -> bool:
    """Whether the readings of this entry alone, all others read the same, lead this line to different ends."""
    ends: dict[tuple[str, ...], tuple[Step, Wants | None]] = {}
    for readings, one in zip(combinations, row, strict=True):
        others = tuple(reading for name, reading in readings.items() if name != entry)
        if ends.setdefault(others, (one.step, one.remedy)) != (one.step, one.remedy):
            return True
    return False


def _show(
    policy: Policy,
    entry: str,
    case: ClaimCase,
    combinations: list[Combination],
    table: list[list[Judgement]],
    amount: Amount,
) -> Shown:
    alternatives = []
    for reading in policy.register_[entry].readings:
        results = {
            _result(case, [row[index] for row in table])
            for index, readings in enumerate(combinations)
            if readings[entry] == reading
        }
        result, lines = results.pop() if len(results) == 1 else ("review", ())
        alternatives.append((reading, result, amount(lines) if result == "refund" else None))
    return Shown(entry, policy.register_[entry].chosen, tuple(alternatives))


def _result(case: ClaimCase, column: list[Judgement]) -> tuple[str, tuple[str, ...]]:
    """What the claim comes to under one combination of readings, and the lines that get it. Where it would still wait,
    what it leads to when nothing comes up against it."""
    step = whole(one.step for one in column)
    if step is Step.REJECT:
        return "rejected", ()
    remedy = next((one.remedy for one in column if one.step is not Step.REJECT and one.remedy), None)
    if step in REVIEW or remedy is None:
        return "review", ()
    left = (line.line_id for line, one in zip(case.lines, column, strict=True) if one.step is not Step.REJECT)
    return remedy, tuple(left)
