"""What `claims policy explain` says: each claim of a case file, line by line, rule by rule."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cli.casefile import read_case
from cli.rehearsal import Rehearsal
from cli.stack.errors import StackError
from cli.words import clean
from services.eligibility.casework import make_case
from services.eligibility.facts import ClaimState
from shared import clock
from shared.events import ClaimAssessed, ClaimRefused
from shared.policy.book import PolicyBook
from shared.policy.explain import Explained, explain
from shared.policy.judge import Step
from shared.policy.load import POLICIES, load_book
from shared.policy.model import Policy
from shared.policy.problem import PolicyError

WORDS = {
    Step.REJECT: "rejected",
    Step.REVIEW_NOW: "a person decides, at once",
    Step.DELIVERY: "awaits the delivery",
    Step.RETURN: "awaits the return",
    Step.SELLER: "awaits the seller",
    Step.REVIEW_AFTER: "a person decides, after the inspection",
    Step.GO: "eligible",
}
COLOURS = {"allows": "green", "denies": "red", "refers": "yellow"}


@dataclass(frozen=True, slots=True)
class Explanation:
    """A claim explained. `policy` is null where none was in force."""

    claim_id: str
    reason: str
    ends: str
    policy: Policy | None
    lines: tuple[Explained, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        policy = self.policy
        return {
            "claim_id": self.claim_id,
            "reason": self.reason,
            "ends": self.ends,
            "policy": policy and {"id": policy.merchant, "version": policy.version, "digest": policy.digest},
            "lines": [
                {
                    "line_id": line.line_id,
                    "ends": WORDS[line.step],
                    "rules": [asdict(one) for one in line.said],
                    "eligible_if": [asdict(one) for one in line.otherwise],
                    "then": None if line.then is None else WORDS[line.then],
                }
                for line in self.lines
            ],
        }


def book_of(policies: Path | None) -> PolicyBook:
    """The policies of a folder, or of the package. Raises StackError."""
    try:
        return load_book(policies or POLICIES)
    except PolicyError as error:
        raise StackError(f"the policies do not load:\n{error}") from None


def rehearse(case: Path, policies: Path | None, now: datetime | None) -> Rehearsal:
    """A case file through the pipeline's pure functions. Raises StackError, also for a claim that would be refused."""
    instant = clock.now() if now is None else now.replace(tzinfo=UTC)
    rehearsal = Rehearsal(book_of(policies), instant)
    rehearsal.play(read_case(case))
    wrong = [
        f"{error.code} at {error.path}: {error.message}"
        for refused in rehearsal.all(ClaimRefused)
        for error in refused.errors
    ] + rehearsal.refusals
    if wrong:
        raise StackError(f"{case}: " + "; ".join(wrong))
    if not any(state.claim for state in rehearsal.claims.values()):
        raise StackError(f"{case}: there is no claim with its order in it")
    return rehearsal


def explain_case(case: Path, policies: Path | None, now: datetime | None) -> list[Explanation]:
    """Every claim of a case file explained."""
    rehearsal = rehearse(case, policies, now)
    return [_explanation(rehearsal, state) for state in rehearsal.claims.values() if state.claim is not None]


def policy_of(rehearsal: Rehearsal, state: ClaimState) -> Policy | None:
    """The version that governs a claim."""
    if state.policy is None or state.policy.version is None:
        return None
    return rehearsal.book.version(state.merchant, state.policy.version)


def _explanation(rehearsal: Rehearsal, state: ClaimState) -> Explanation:
    assert state.claim is not None
    policy = policy_of(rehearsal, state)
    assessed = next((one for one in reversed(rehearsal.all(ClaimAssessed)) if one.claim_id == state.claim_id), None)
    ends = "nothing was said"
    if assessed is not None:
        ends = f"awaiting {assessed.awaiting}" if assessed.awaiting else assessed.status
    lines = () if policy is None else explain(policy, make_case(state, state.claim)[0])
    return Explanation(state.claim_id, state.claim.reason, ends, policy, lines)


def show_explanations(found: list[Explanation]) -> None:
    """Print them as tables."""
    console = Console()
    for one in found:
        under = f"{one.policy.merchant} version {one.policy.version}" if one.policy else "no policy in force"
        console.print(f"[bold]{clean(one.claim_id)}[/] · {one.reason} · {under} · [bold]{one.ends}[/]", highlight=False)
        for line in one.lines:
            _show_line(console, line)
    if not any(one.lines for one in found):
        console.print("No policy was in force when the order was placed: a person decides.")


def _show_line(console: Console, line: Explained) -> None:
    table = Table(title=f"line {clean(line.line_id)}: {WORDS[line.step]}", title_justify="left")
    for column in ("rule", "clause", "verdict", "what it saw"):
        table.add_column(column, overflow="fold")
    for said in line.said:
        seen = f"{said.text} [{said.reading}]" if said.reading else said.text
        colour = COLOURS.get(said.verdict)
        verdict = f"[{colour}]{said.verdict}[/]" if colour else said.verdict
        table.add_row(said.rule, said.clause or "", verdict, clean(seen).replace("[", r"\["))
    console.print(table)
    if line.otherwise and line.then is not None:
        console.print(f"It would have gone on ([bold]{WORDS[line.then]}[/]):")
        for one in line.otherwise:
            console.print(f"  · {one.text} ({one.clause})", highlight=False)
    elif line.step is Step.REJECT:
        console.print("Nothing that could have been otherwise changes that.")
