"""`python -m bench fillfactor`: what room in the pages does for the tables whose rows are written anew.

A recorded run is replayed into each service, without Kafka, once for each fillfactor (docs/scale.md).
"""

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from bench.handlers import Recording, Replay, postgres_in, recording_in
from cli.stack.plan import SERVICES
from cli.stack.postgres import create_databases

TABLES: Final[Mapping[str, Sequence[str]]] = {
    "intake": ("order_state", "claim"),
    "eligibility": ("claim_state",),
    "refund-calculation": ("order_money",),
    "notification": ("claim",),
}
"""The tables whose rows are written more than once."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A table at a fillfactor: updates a claim and the share within the page, bytes on the disk a claim with indexes;
    CPU µs and write-ahead log a claim are those of the whole service."""

    service: str
    table: str
    fillfactor: int
    updates: float
    in_page: float
    bytes: float
    postgres_us: float
    wal_bytes: float


def command(
    recording: Annotated[Path, typer.Option(help="Topics to replay; made where none.")] = Path("recording.pickle"),
    claims: Annotated[int, typer.Option(min=100, help="Claims of a recording that is made.")] = 4_000,
    factors: Annotated[str, typer.Option(help="Fillfactors, by commas.")] = "100,85,70,50",
    json_file: Annotated[Path, typer.Option("--json", help="Where the figures go.")] = Path("bench-fillfactor.json"),
) -> None:
    """Replay a recorded run into tables of several fillfactors."""
    found = asyncio.run(_measured(recording_in(recording, claims), [int(one) for one in factors.split(",")]))
    json_file.write_text(json.dumps([asdict(one) for one in found], indent=1) + "\n", encoding="utf-8")
    table = Table(
        "table", "fillfactor", "updates a claim", "within the page", "bytes a claim", "Postgres µs", "WAL bytes"
    )
    for one in found:
        table.add_row(
            f"{one.service}.{one.table}",
            str(one.fillfactor),
            f"{one.updates:.2f}",
            f"{one.in_page:.0%}",
            f"{one.bytes:,.0f}",
            f"{one.postgres_us:.0f}",
            f"{one.wal_bytes:,.0f}",
        )
    Console().print(table)


async def _measured(recording: Recording, factors: Sequence[int]) -> list[Filled]:
    found: list[Filled] = []
    with tempfile.TemporaryDirectory(prefix="makegood-", ignore_cleanup_errors=True) as folder:
        async with postgres_in(Path(folder)) as (server, secret):
            for spec in SERVICES:
                for factor in factors:
                    dsns = await create_databases(server.dsn, [spec.database], secret, f"f{factor}_")
                    found += await _replayed(recording, spec.name, dsns[spec.database], factor)
    return found


async def _replayed(recording: Recording, name: str, dsn: str, factor: int) -> list[Filled]:
    service = import_module(f"services.{name.replace('-', '_')}.app").build()
    async with Replay.into(service, dsn) as replay:
        for table in TABLES[name]:
            await replay.pool.execute(f"ALTER TABLE {table} SET (fillfactor = {factor})")
        await replay.feed(recording.before)
        wal, cpu = await _wal(replay), await replay.postgres_seconds()
        await replay.feed(recording.after)
        cpu, wal = await replay.postgres_seconds() - cpu, await _wal(replay) - wal
        await replay.pool.execute("SELECT pg_stat_force_next_flush()")
        rows = await replay.pool.fetch(
            "SELECT relname, n_tup_upd, n_tup_hot_upd, pg_total_relation_size(relid) AS bytes FROM pg_stat_user_tables "
            "WHERE relname = ANY($1::text[]) ORDER BY relname",
            TABLES[name],
        )
    number = recording.claims
    return [
        Filled(
            name,
            row["relname"],
            factor,
            round(row["n_tup_upd"] / number, 3),
            round(row["n_tup_hot_upd"] / max(1, row["n_tup_upd"]), 3),
            round(row["bytes"] / number, 1),
            round(cpu / number * 1e6, 1),
            round(wal / number, 1),
        )
        for row in rows
    ]


async def _wal(replay: Replay) -> int:
    written: int = await replay.pool.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint")
    return written
