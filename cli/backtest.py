"""`claims policy backtest`."""

from __future__ import annotations

import gc
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cli.place import Kafka, kafka_of
from cli.stack.errors import StackError
from cli.terminal import DATA, Data, refusals
from cli.words import amount, clean

if TYPE_CHECKING:
    from cli.backtesting import Compared, Sum
    from cli.outcomes import End
    from shared.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a backtest found, and how long its parts took. `pure_seconds` is processor time of the pure part: judging
    and pricing all claims; `laid_out_seconds` that of parsing the records and laying out their facts."""

    policy: Policy
    since: datetime | None
    currency: str
    compared: list[Compared]
    one_pass: int
    long_way: int
    read_seconds: float
    laid_out_seconds: float
    pure_seconds: float

    @property
    def speed(self) -> int:
        """Claims a second of processor time on one core, in the pure part."""
        return round((self.one_pass + self.long_way) / max(self.pure_seconds, 1e-9))


def backtest(
    policy: Annotated[Path, typer.Argument(metavar="V2", help="The policy file to try.")],
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            help="Only claims reported then or later (UTC); left out: all.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"],
        ),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from", metavar="FILE", help="Files that `claims listen --json --from-start` wrote; left out: the topics."
        ),
    ] = None,
    kafka: Kafka = None,
    data: Data = DATA,
    show: Annotated[int, typer.Option("--show", min=0, help="So many changed claims are listed in the tables.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables, with all changed claims.")] = (
        False
    ),
) -> None:
    """Say what a version would have done to all recorded claims of its merchant; nothing is published.

    Each claim's recorded facts are judged and priced as if the version had been in force when the order was placed,
    and compared with what was really decided.
    """
    with refusals():
        found = run(policy, since.replace(tzinfo=UTC) if since else None, kafka, data, files or [])
    if as_json:
        typer.echo(json.dumps(as_object(found), ensure_ascii=False, indent=2))
    else:
        _show(found, show)


def run(path: Path, since: datetime | None, kafka: str | None, data: Path, files: list[Path]) -> Backtest:
    """Read, lay out, try and compare. Raises StackError."""
    from cli.backtesting import compare
    from cli.outcomes import ends
    from cli.recalling import recall
    from cli.recording import readable, record
    from cli.trying import Trial
    from shared.events.topics import ADMISSIONS, ASSESSMENTS, DECISIONS

    policy = _load(path)
    begun = time.monotonic()
    address = None if files else kafka_of(kafka, data)
    records = record(address, files, (ADMISSIONS, ASSESSMENTS, DECISIONS))
    read = time.monotonic()
    laying = time.process_time()
    orders = list(recall(records, policy.merchant))
    if not orders:
        raise StackError(f"no claim of {policy.merchant} is recorded there")
    real = ends(event for one, event in readable(records) if one.topic != ADMISSIONS)
    laid_out = time.process_time()
    trial = Trial(policy, max(one.at for one in records))
    gc.collect()
    gc.freeze()  # what is laid out stays: there is no use in looking for garbage in it
    pure = time.process_time()
    compared = compare(orders, trial, real, since)
    done = time.process_time()
    gc.unfreeze()
    return Backtest(
        policy=policy,
        since=since,
        currency=orders[0].currency,
        compared=compared,
        one_pass=trial.one_pass,
        long_way=trial.long_way,
        read_seconds=read - begun,
        laid_out_seconds=laid_out - laying,
        pure_seconds=done - pure,
    )


def _load(path: Path) -> Policy:
    from shared.policy.load import load_files
    from shared.policy.problem import PolicyError

    try:
        (policy,) = load_files([path])
    except PolicyError as error:
        raise StackError(f"the policy does not load:\n{error}") from None
    return policy


def as_object(found: Backtest) -> dict[str, Any]:
    """For `--json`."""
    from cli.backtesting import add, by_change, by_reason

    policy, currency = found.policy, found.currency
    return {
        "policy": {"id": policy.merchant, "version": policy.version, "digest": policy.digest},
        "since": None if found.since is None else found.since.isoformat(),
        "currency": currency,
        "total": _sum(add(found.compared), currency),
        "changes": [
            {"from": before, "to": after} | _sum(one, currency)
            for (before, after), one in by_change(found.compared).items()
        ],
        "by_reason": [{"reason": reason} | _sum(one, currency) for reason, one in by_reason(found.compared).items()],
        "changed": [
            {
                "claim_id": one.claim_id,
                "order_id": one.order_id,
                "reason": one.reason,
                "from": _end(one.before, currency),
                "to": _end(one.after, currency),
                "difference": _text(one.difference, currency),
            }
            for one in found.compared
            if one.changed
        ],
        "speed": {
            "claims_a_second": found.speed,
            "pure_seconds": round(found.pure_seconds, 4),
            "one_pass": found.one_pass,
            "event_by_event": found.long_way,
            "laying_out_seconds": round(found.laid_out_seconds, 3),
            "reading_seconds": round(found.read_seconds, 3),
        },
    }


def _end(end: End, currency: str) -> dict[str, object]:
    return {
        "outcome": end.what,
        "amount": _text(end.total, currency),
        "by": None if not end.decided else "staff" if end.by_staff else "policy",
    }


def _sum(one: Sum, currency: str) -> dict[str, object]:
    return {
        "claims": one.claims,
        "changed": one.changed,
        "before": _text(one.before, currency),
        "after": _text(one.after, currency),
        "difference": _text(one.difference, currency),
    }


def _text(minor: int, currency: str) -> str:
    from shared.money import text

    return text(minor, currency)


def _show(found: Backtest, most: int) -> None:
    from cli.backtesting import add, by_change, by_reason

    console = Console()
    policy, currency = found.policy, found.currency
    whole = add(found.compared)
    since = f" reported since {found.since.isoformat()}" if found.since else ""
    console.print(
        f"[bold]{policy.merchant} version {policy.version}[/] on {whole.claims} recorded claims{since}: "
        f"[bold]{whole.changed}[/] would have ended otherwise, [bold]{_signed(whole.difference, currency)}[/] in all.",
        highlight=False,
    )
    if whole.changed:
        changes = _table("What changes", "from", "to", "#claims", "#money")
        for (before, after), one in by_change(found.compared).items():
            changes.add_row(before, after, f"{one.claims:,}", _signed(one.difference, currency))
        console.print(changes)
    reasons = _table("By reason", "reason", "#claims", "#changed", "#refunded", "#would have been", "#difference")
    for reason, one in (*by_reason(found.compared).items(), ("all", whole)):
        money = (_signed(one.before, currency), _signed(one.after, currency), _signed(one.difference, currency))
        reasons.add_row(reason, f"{one.claims:,}", f"{one.changed:,}", *(each.removeprefix("+") for each in money[:2]),
                        money[2])  # fmt: skip
    console.print(reasons)
    changed = sorted((one for one in found.compared if one.changed), key=lambda one: -abs(one.difference))[:most]
    if changed:
        claims = _table(f"The {len(changed)} that move most", "claim", "reason", "from", "to", "#difference")
        for each in changed:
            before, after = (_stands(end, currency) for end in (each.before, each.after))
            money_moved = _signed(each.difference, currency)
            claims.add_row(escape(clean(each.claim_id)), each.reason, before, after, money_moved)
        console.print(claims)
    console.print(
        f"Pure part: {found.one_pass + found.long_way:,} claims in {found.pure_seconds:.3f} s of processor time, "
        f"{found.speed:,} claims/s on one core ({found.long_way:,} of them event by event). Laying out the facts took "
        f"{found.laid_out_seconds:.2f} s, reading {found.read_seconds:.2f} s. Nothing was published.",
        highlight=False,
    )


def _table(title: str, *columns: str) -> Table:
    """Columns of figures are named with a #. A narrow terminal folds cells and cuts none of them."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        name = column.removeprefix("#")
        table.add_column(name, justify="left" if name == column else "right", overflow="fold")
    return table


def _signed(minor: int, currency: str) -> str:
    text = amount(_text(minor, currency), currency)
    return f"+{text}" if minor > 0 else text


def _stands(end: End, currency: str) -> str:
    money = f" {amount(_text(end.total, currency), currency)}" if end.total or end.what == "refund" else ""
    return f"{end.what}{money}{' by staff' if end.by_staff else ''}"
