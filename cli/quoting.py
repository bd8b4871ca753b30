"""What `claims policy quote` says: where a claim would stand now, and what it would give."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from rich.console import Console
from rich.table import Table

from cli.explaining import policy_of, rehearse
from cli.rehearsal import Rehearsal, decided
from cli.words import clean
from services.eligibility.casework import make_case
from services.eligibility.facts import ClaimState, Submitted
from shared.events import ClaimAssessed, ClaimDecided, ClaimReferred, dump
from shared.ledger import LedgerError, open_ledger
from shared.money import MoneyError, text
from shared.policy.case import ClaimCase
from shared.policy.judge import Step
from shared.policy.model import Policy
from shared.policy.readings import judge_claim
from shared.policy.rules import Answer, Situation
from shared.pricing import Claimed, PricingError, Weighed, weigh

_ANSWERS: tuple[Answer, ...] = ("refund_full", "resend")


@dataclass(frozen=True, slots=True)
class Prospect:
    """What a claim that is not decided yet would give if nothing comes up against it. `amounts`: reading → refund."""

    on: str
    remedy: str
    items: dict[str, str]
    total: str | None
    refers: str | None
    amounts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quote:
    """A claim's end as things stand: the decisions it would get now, or what it waits for and may give."""

    claim_id: str
    stands: str
    currency: str
    decisions: tuple[ClaimDecided, ...]
    referred: tuple[ClaimReferred, ...]
    prospects: tuple[Prospect, ...]

    def as_json(self) -> dict[str, Any]:
        """For `--json`."""
        import json

        return {
            "claim_id": self.claim_id,
            "stands": self.stands,
            "decisions": [json.loads(dump(one)) for one in self.decisions],
            "referred": [json.loads(dump(one)) for one in self.referred],
            "would_give": [
                {
                    "on": one.on,
                    "remedy": one.remedy,
                    "amount": one.total,
                    "currency": self.currency,
                    "breakdown": one.items,
                    "refers": one.refers,
                    "readings": one.amounts,
                }
                for one in self.prospects
            ],
        }


def quote_case(case: Path, policies: Path | None, now: datetime | None) -> list[Quote]:
    """Every claim of a case file quoted. Raises StackError."""
    rehearsal = rehearse(case, policies, now)
    return [_quote(rehearsal, state, state.claim) for state in rehearsal.claims.values() if state.claim is not None]


def _quote(rehearsal: Rehearsal, state: ClaimState, claim: Submitted) -> Quote:
    assessed = [one for one in rehearsal.all(ClaimAssessed) if one.claim_id == state.claim_id]
    stands = "not assessed"
    if assessed:
        last = assessed[-1]
        stands = f"awaiting {last.awaiting}" + (", overdue" if last.overdue else "") if last.awaiting else last.status
    decisions = decided(rehearsal, state.claim_id)
    waits = bool(assessed) and assessed[-1].status == "awaiting"
    policy = policy_of(rehearsal, state)
    prospects = tuple(_prospects(policy, state, claim)) if policy is not None and waits else ()
    return Quote(
        claim_id=state.claim_id,
        stands=stands if waits or not decisions else f"decided: {decisions[-1].outcome}",
        currency=claim.order.currency,
        decisions=tuple(decisions),
        referred=tuple(one for one in rehearsal.all(ClaimReferred) if one.claim_id == state.claim_id),
        prospects=prospects,
    )


def _prospects(policy: Policy, state: ClaimState, claim: Submitted) -> Iterator[Prospect]:
    case, _ = make_case(state, claim)
    asks = policy.waits_for_seller(claim.reason)
    for answer in _ANSWERS if asks else (None,):
        on = f"the seller answers {answer}" if answer else "nothing comes up against it"
        found = _prospect(policy, claim, case, answer, on)
        if found is not None:
            yield found


def _prospect(policy: Policy, claim: Submitted, case: ClaimCase, answer: Answer | None, on: str) -> Prospect | None:
    asked = case if answer is None else replace(case, answer=answer)
    judged = judge_claim(policy, asked, lambda _: None)
    left = [line.line.line_id for line in judged.lines if line.step is not Step.REJECT]
    if judged.remedy is None or not left:
        return None
    if judged.remedy == "replacement":
        return Prospect(on, "replacement", {}, None, None)
    units = {line.line_id: line.units for line in claim.lines if line.line_id in left}
    situation = Situation(answer=answer, carrier=case.carrier, wants=case.wants)
    try:
        weighed = weigh(
            policy, open_ledger(claim.order), Claimed(claim.reason, units, situation, whole=_whole(claim, units))
        )
    except (LedgerError, MoneyError, PricingError):
        return None
    return _priced(weighed, on, claim.order.currency)


def _whole(claim: Submitted, units: dict[str, tuple[int, ...]]) -> bool:
    return all(
        len(units.get(line.line_id, ())) == line.quantity for line in claim.order.lines if line.unit_price.strip("0.")
    )


def _priced(weighed: Weighed, on: str, currency: str) -> Prospect:
    items = {str(name): text(item.amount, currency) for name, item in weighed.priced.items.items()}
    amounts = {
        f"{shown.entry}: {one.reading}": one.amount or "none"
        for shown in weighed.shown
        if shown.entry == weighed.refers
        for one in shown.alternatives
    }
    return Prospect(on, "refund", items, text(weighed.priced.total, currency), weighed.refers, amounts)


def show_quotes(found: list[Quote]) -> None:
    """Print them."""
    console = Console()
    for one in found:
        console.print(f"[bold]{clean(one.claim_id)}[/] · [bold]{one.stands}[/]", highlight=False)
        for decision in one.decisions:
            _show_decision(console, decision)
        for referred in one.referred:
            console.print(f"  a person decides: {referred.entry}", highlight=False)
            for shown in referred.readings:
                for alternative in shown.alternatives:
                    console.print(f"    {shown.entry}: {alternative.reading} → {alternative.amount}", highlight=False)
        for prospect in one.prospects:
            _show_prospect(console, prospect, one.currency)


def _show_decision(console: Console, decision: ClaimDecided) -> None:
    if decision.refund is None:
        payer = f", shipping paid by the {decision.replacement.ship_cost.payer}" if decision.replacement else ""
        console.print(f"  {decision.outcome}{payer}", highlight=False)
        return
    table = Table(
        title=f"{decision.outcome}: {decision.refund.amount} {decision.refund.currency}", title_justify="left"
    )
    for column in ("item", "amount", "payer", "clause"):
        table.add_column(column, justify="right" if column == "amount" else "left", overflow="fold")
    for item in decision.refund.breakdown:
        table.add_row(item.item, item.amount, item.payer, item.clause or "")
    console.print(table)


def _show_prospect(console: Console, prospect: Prospect, currency: str) -> None:
    if prospect.total is None:
        console.print(f"  if {prospect.on}: a {prospect.remedy}", highlight=False)
        return
    items = ", ".join(f"{name} {amount}" for name, amount in prospect.items.items())
    console.print(f"  if {prospect.on}: a refund of {prospect.total} {currency} ({items})", highlight=False)
    for reading, amount in prospect.amounts.items():
        console.print(f"    a person decides: {reading} → {amount} {currency}", highlight=False)
