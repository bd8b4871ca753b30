"""A claim judged under every reading of the open points that matter to it.

Where the register says `review`, all readings are evaluated, in all combinations: a line on which they agree is decided
so; one on which they differ goes to a person, at once where no inspection can change the point, otherwise after it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from shared.events.parts import Wants
from shared.policy.case import ClaimCase, LineCase
from shared.policy.judge import REVIEW, WAITING, Finding, Judgement, Step, conclude, hear
from shared.policy.model import Policy
from shared.policy.plan import Combination

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
    plan = policy.plan(case.reason)
    heard = [hear(policy, case, line) for line in case.lines]
    used = {entry for one in heard for rule, _ in one.voices for entry in rule.under}
    entries = tuple(entry for entry in plan.review_judged if entry in used)
    combinations = plan.combinations(entries)
    table = [[conclude(one, case, holding) for _, holding in combinations] for one in heard]
    readings = [one for one, _ in combinations]
    lines = tuple(_merge(policy, line, readings, row) for line, row in zip(case.lines, table, strict=True))
    step = whole(line.step for line in lines)
    shown: tuple[Shown, ...] = ()
    if step not in WAITING:
        once = _once(amount)
        shown = tuple(
            _show(policy, entry, case, readings, table, once) if entry in entries else Shown(entry, point.chosen)
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
