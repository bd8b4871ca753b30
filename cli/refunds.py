"""`claims refunds`: refunds that were instructed and of which no payment system has reported."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.databases import Databases, connected, database_of
from cli.terminal import DATA, Data, refusals
from cli.words import amount, clean

MOST = 10_000


def refunds(
    every: Annotated[bool, typer.Option("--all", help="Also those that are not late yet.")] = False,
    database: Databases = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    data: Data = DATA,
) -> None:
    """List refunds that are stuck: instructed, and not reported on within MAKEGOOD_SETTLEMENT_HOURS.

    Ends with 1 where some are stuck, so that a watch can use it.
    """
    with refusals():
        found = asyncio.run(awaited(database_of("refund-calculation", database, data), every=every))
    stuck = sum(one["stuck_since"] is not None for one in found)
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=1))
    else:
        for one in found:
            late = f"stuck since {one['stuck_since']}" if one["stuck_since"] else "awaited"
            what = f"{amount(one['amount'], one['currency'])} for claim {one['claim_id']} of {one['merchant']}"
            typer.echo(clean(f"{one['refund_id']}  {what}, instructed {one['instructed_at']}: {late}"))
        typer.echo(f"{stuck} stuck" + (f", {len(found) - stuck} awaited" if every else ""))
    if stuck:
        raise typer.Exit(1)


async def awaited(dsn: str, *, every: bool) -> list[dict[str, Any]]:
    """The refunds, the oldest first. Raises StackError where the database cannot be read."""
    async with connected("refund-calculation", dsn) as conn:
        rows = await conn.fetch(
            "SELECT refund_id, merchant, order_id, claim_id, amount, currency, instructed_at, "
            "alerted_at AS stuck_since FROM awaited_settlement WHERE $1 OR alerted_at IS NOT NULL "
            "ORDER BY instructed_at, refund_id LIMIT $2",
            every,
            MOST,
        )
    return [{name: _text(value) for name, value in row.items()} for row in rows]


def _text(value: object) -> object:
    return value.astimezone(UTC).isoformat(timespec="seconds") if isinstance(value, datetime) else value
