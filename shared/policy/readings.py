"""A claim judged under every reading of the open points that matter to it.

Where the register says `review`, all readings are evaluated, in all combinations: a line on which they agree is decided
so; one on which they differ goes to a person, at once where no inspection can change the point, otherwise after it.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

from shared.events.parts import Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.judge import REVIEW, WAITING, Finding, Judgement, Step, conclude, hear
from shared.policy.model import Policy
from shared.policy.plan import Combination

Amount = Callable[[tuple[str, ...]], str | None]
"""Line ids → the refund that these lines would give, a decimal string, or None where nobody can say."""
End: TypeAlias = tuple[Step, Wants | None]
"""What a line comes to under one combination of readings."""
Result: TypeAlias = tuple[str, tuple[str, ...]]
"""What a claim comes to (`refund`, `replacement`, `rejected`, `review`), and the lines that get it."""


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
    plan = policy.plan(case.reason)
    heard = [hear(policy, case, line) for line in case.lines]
    used = {entry for one in heard for rule, _ in one.voices for entry in rule.under}
    entries = tuple(entry for entry in plan.review_judged if entry in used)
    combinations = plan.combinations(entries)
    readings = [one for one, _ in combinations]
    table = [[conclude(one, case, holding) for _, holding in combinations] for one in heard]
    lines = tuple(_merge(policy, line, readings, row) for line, row in zip(case.lines, table, strict=True))
    step = whole(line.step for line in lines)
    shown: tuple[Shown, ...] = ()
    if used and step not in WAITING:
        once = _once(amount)
        results = _results(case, table)
        shown = tuple(
            _show(policy, entry, readings, results, once) if entry in entries else Shown(entry, point.chosen)
            for entry, point in policy.register_.items()
            if entry in used
        )
    remedies = (line.remedy for line in lines if line.step is not Step.REJECT)
    return JudgedClaim(lines, step, next((remedy for remedy in remedies if remedy), None), shown)


def _once(amount: Amount) -> Amount:
    """The same, asked once for the same lines."""
    known: dict[tuple[str, ...], str | None] = {}

    def asked(lines: tuple[str, ...]) -> str | None:
        if lines not in known:
            known[lines] = amount(lines)
        return known[lines]

    return asked


def whole(steps: Iterable[Step]) -> Step:
    """What a claim comes to: while any line waits or is in review, all of it does; rejected only when all lines are."""
    return min((step for step in steps if step is not Step.REJECT), default=Step.REJECT)


def _merge(policy: Policy, line: LineCase, combinations: list[Combination], row: list[Judgement]) -> JudgedLine:
    if len(row) == 1:
        return JudgedLine(line, row[0].step, row[0].remedy, row[0].findings)
    times = Counter(chain.from_iterable(one.findings for one in row))
    findings = tuple(times)
    common = tuple(finding for finding, rows in times.items() if rows == len(row))
    if len({(one.step, one.remedy) for one in row}) == 1:
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
    ends: dict[tuple[str, ...], End] = {}
    for readings, one in zip(combinations, row, strict=True):
        others = tuple(reading for name, reading in readings.items() if name != entry)
        if ends.setdefault(others, (one.step, one.remedy)) != (one.step, one.remedy):
            return True
    return False


def _results(case: ClaimCase, table: list[list[Judgement]]) -> list[Result]:
    """What the claim comes to under each combination; worked out once for those that end every line alike."""
    known: dict[tuple[End, ...], Result] = {}
    results = []
    for column in zip(*table, strict=True):
        ends = tuple([(one.step, one.remedy) for one in column])
        if ends not in known:
            known[ends] = _result(case, ends)
        results.append(known[ends])
    return results


def _show(policy: Policy, entry: str, combinations: list[Combination], results: list[Result], amount: Amount) -> Shown:
    alternatives = []
    point = policy.register_[entry]
    for reading in point.readings:
        under = {one for readings, one in zip(combinations, results, strict=True) if readings[entry] == reading}
        result, lines = under.pop() if len(under) == 1 else ("review", ())
        alternatives.append((reading, result, amount(lines) if result == "refund" else None))
    return Shown(entry, point.chosen, tuple(alternatives))


def _result(case: ClaimCase, ends: tuple[End, ...]) -> Result:
    """What the claim comes to when its lines end so, and the lines that get it. Where it would still wait, what it
    leads to when nothing comes up against it."""
    step = whole(step for step, _ in ends)
    if step is Step.REJECT:
        return "rejected", ()
    remedy = next((remedy for step, remedy in ends if step is not Step.REJECT and remedy), None)
    if step in REVIEW or remedy is None:
        return "review", ()
    left = (line.line_id for line, (step, _) in zip(case.lines, ends, strict=True) if step is not Step.REJECT)
    return remedy, tuple(left)
