"""The sample day with ids of its own for a run, and what came of it."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from cli.reading import Seen
from cli.sample.day import FILES
from cli.sending import Outgoing, binary
from cli.story import clauses, is_stale, telling, told
from cli.words import amount, clean
from shared.events.topics import INPUT_TOPIC_OF

WIDE: Final = 80
"""Columns from which on decisions are shown as a table."""
IDS: Final = ("order_id", "claim_id", "answer_id", "return_id", "review_id")
Data = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Day:
    """The day's rounds, from 1, with their names. `expected`: claim id → its line; `dead`: event id → path to name."""

    run: str
    names: list[str]
    rounds: dict[int, list[Outgoing]]
    expected: dict[str, Data]
    dead: dict[str, str]


def day_of(run: str | None = None) -> Day:
    """The committed day; every id gets `run` behind it, so that no run meets another's orders."""
    run = run or f"{int(time.time()):x}{os.getpid() % 4096:03x}"
    names, rounds = [], {}
    for file in sorted(FILES.glob("[1-9]-*.jsonl")):
        number, _, name = file.stem.partition("-")
        names.append(name.replace("-", " "))
        rounds[int(number)] = [_record(line, run) for line in _lines(file.name)]
    dead = {}
    for line in _lines("bad.jsonl"):
        record = binary(
            line["topic"], line["type"], line["raw"].encode(), id_=f"{line['id']}-{run}", source=line["source"], key=run
        )
        rounds[line["round"]].append(record)
        dead[record.id] = line["path"]
    expected = {line["claim_id"]: line for line in _lines("expected.jsonl")}
    return Day(run, names, rounds, expected, dead)


def _lines(name: str) -> list[Data]:
    return [json.loads(line) for line in (FILES / name).read_text(encoding="utf-8").splitlines()]


def _record(line: Data, run: str) -> Outgoing:
    data = {member: f"{value}-{run}" if member in IDS else value for member, value in line["data"].items()}
    return binary(
        INPUT_TOPIC_OF[line["type"]],
        line["type"],
        json.dumps(data, ensure_ascii=False).encode(),
        id_=f"{line['id']}-{run}",
        source=line["source"],
        key=f"{data['merchant']}/{data['order_id']}",
        time=line["time"],
    )


@dataclass(slots=True)
class Standing:
    """What is known of one claim."""

    admitted: bool = False
    parked: bool = False
    refused: list[str] = field(default_factory=list)
    awaiting: str | None = None
    decisions: list[Data] = field(default_factory=list)
    instructed: int = 0

    @property
    def total(self) -> int:
        """The sum of its refunds."""
        return sum(int(decision["refund"]["amount"]) for decision in self.decisions if decision.get("refund"))


@dataclass(slots=True)
class Board:
    """Hears what the pipeline says of this run, and compares it with the day."""

    day: Day
    claims: dict[str, Standing] = field(default_factory=lambda: defaultdict(Standing))
    dead: dict[str, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    notified: int = 0

    @property
    def decided_claims(self) -> list[str]:
        return [name for name, claim in self.claims.items() if claim.decisions]

    def hear(self, one: Seen) -> Iterator[str]:
        """Take in a record; a line to show for a decision, a refusal, a dead letter of this run."""
        suffix = f"-{self.day.run}"
        if "dlq_reason" in one.headers:
            yield from self._bury(one, suffix)
            return
        data = one.data or {}
        claim_id = str(data.get("claim_id", ""))
        if not claim_id.endswith(suffix):
            return
        name = claim_id.removesuffix(suffix)
        claim = self.claims[name]
        match one.type:
            case "claim.admitted.v1":
                claim.admitted = True
            case "claim.parked.v1":
                claim.parked = True
            case "claim.refused.v1":
                codes = [error["code"] for error in data["errors"]]
                claim.refused += codes
                yield f"{clean(name):<7} {clean(data['merchant']):<10} refused: {clean(', '.join(codes))}"
            case "claim.assessed.v1":
                if not is_stale(data, claim.decisions[-1] if claim.decisions else None):
                    claim.awaiting = data["awaiting"]
            case "claim.decided.v1":
                claim.awaiting = None
                claim.decisions.append(data)
                yield self._line(name, data)
            case "refund.instructed.v1":
                claim.instructed += int(data["amount"])
            case "notification.sent.v1" | "notification.failed.v1":
                self.notified += 1
            case _:
                pass

    def _line(self, name: str, data: Data) -> str:
        reason = self.day.expected.get(name, {}).get("reason", "")
        refund = data.get("refund")
        money = amount(refund["amount"], refund["currency"]) if refund else ""
        cited = " ".join(telling(data)[:4])
        by = "" if data["decided_by"] == "policy" else f" ({clean(data['decided_by'])})"
        outcome = data["outcome"] if data["decision_no"] == 1 else f"{data['outcome']}, again"
        cells = [clean(name), clean(data["merchant"]), clean(reason), clean(outcome), money, f"{cited}{by}"]
        if shutil.get_terminal_size().columns < WIDE:
            return " ".join(cell for cell in cells if cell)
        return "{:<7} {:<10} {:<25} {:<13} {:>15} {}".format(*cells).rstrip()

    def _bury(self, one: Seen, suffix: str) -> Iterator[str]:
        ours = one.id.endswith(suffix) or suffix.encode() in (one.value or b"")
        if not ours:
            return
        if one.id in self.day.dead and one.header("dlq_service") == "intake":
            self.dead[one.id] = one.header("dlq_path")
            yield f"{clean(one.id.removesuffix(suffix)):<7} dead letter of {one.header('dlq_topic')}: {told(one)[:100]}"
        else:
            why = f"{one.header('dlq_service')}, {one.header('dlq_topic')}, {one.type}: {one.header('dlq_reason')}"
            self.strange.append(clean(f"unexpected dead letter of {why}"))

    # --- the comparison ---

    def differences(self) -> list[str]:
        """Every claim that did not end as the day says, and every dead letter too many or too few."""
        found: list[str] = []
        for name, end in self.day.expected.items():
            found += [
                f"{name} ({end['merchant']}, {end['reason']}): {text}" for text in _differs(end, self.claims[name])
            ]
        for event, path in self.day.dead.items():
            if event not in self.dead:
                found.append(f"{event}: is no dead letter, and should be one")
            elif self.dead[event] != path:
                found.append(f"{event}: the dead letter names {self.dead[event]}, and should name {path}")
        return found + self.strange


def _differs(end: Data, claim: Standing) -> Iterator[str]:
    if sorted(claim.refused) != sorted(end.get("refused", [])):
        yield f"refused with {claim.refused}, expected {end.get('refused', [])}"
    if end.get("parked", False) and (claim.admitted or not claim.parked):
        yield "is not parked"
    if claim.awaiting != end.get("awaiting"):
        yield f"awaits {claim.awaiting}, expected {end.get('awaiting')}"
    outcome = claim.decisions[-1]["outcome"] if claim.decisions else None
    if outcome != end.get("outcome"):
        yield f"ended {outcome}, expected {end.get('outcome')}"
        return
    if outcome is None:
        return
    if len(claim.decisions) != end.get("decisions", 1):
        yield f"{len(claim.decisions)} decisions, expected {end.get('decisions', 1)}"
    if claim.total != end.get("amount", 0):
        yield f"refunded {claim.total}, expected {end.get('amount', 0)}"
    if claim.instructed != claim.total:
        yield f"instructed {claim.instructed} of {claim.total}"
    cited = clauses(claim.decisions[-1])
    if end.get("clause") and not set(end["clause"].split("|")) & set(cited):
        yield f"cites {cited}, expected {end['clause']}"
    by = "policy" if claim.decisions[-1]["decided_by"] == "policy" else "staff"
    if outcome != "cancelled" and by != end.get("by", "policy"):
        yield f"decided by {by}, expected {end.get('by', 'policy')}"


def report(board: Board) -> Iterator[str]:
    """The summary: outcomes and amounts by merchant, what waits, what was turned away, and the differences."""
    day = board.day
    decided: Counter[tuple[str, str]] = Counter()
    waiting: Counter[str] = Counter()
    money: Counter[tuple[str, str]] = Counter()
    for name, claim in board.claims.items():
        merchant = str(day.expected.get(name, {}).get("merchant", "?"))
        if claim.decisions:
            decided[merchant, claim.decisions[-1]["outcome"]] += 1
        elif claim.awaiting:
            waiting[claim.awaiting] += 1
        for decision in claim.decisions:
            if decision.get("refund"):
                money[merchant, decision["refund"]["currency"]] += int(decision["refund"]["amount"])
    parked = [claim for claim in board.claims.values() if claim.parked and not claim.admitted and not claim.refused]
    yield ""
    for merchant in sorted({merchant for merchant, _ in decided}):
        outcomes = ", ".join(
            f"{count} {outcome}" for (whose, outcome), count in sorted(decided.items()) if whose == merchant
        )
        yield f"{clean(merchant):<11} {outcomes}"
        for (whose, currency), total in money.items():
            if whose == merchant:
                yield f"{'':<11} {amount(total, currency)} refunded"
    yield f"{'waiting':<11} {', '.join(f'{count} for {what}' for what, count in sorted(waiting.items())) or 'none'}"
    codes = Counter(code for claim in board.claims.values() for code in claim.refused)
    yield f"{'refused':<11} {', '.join(f'{count} {code}' for code, count in sorted(codes.items())) or 'none'}"
    yield f"{'parked':<11} {len(parked)}"
    yield f"{'dead':<11} {len(board.dead)} of {len(day.dead)} bad inputs"
    yield f"{'told':<11} {board.notified} notifications"
    found = board.differences()
    yield ""
    if not found:
        yield f"All {len(day.expected)} claims ended as the sample says."
        return
    yield f"{len(found)} differences from the sample:"
    for text in found:
        yield f"  ✗ {clean(text, 1000)}"
