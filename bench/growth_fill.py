"""Databases with very many claims: the seeds' rows, copied under other ids inside Postgres, indexes and all.

Each table is emptied and filled in one transaction, by a server of its own settings (`LOADING`): so nothing goes
through the write-ahead log, and the rows are frozen from the start, as rows that lie for weeks are. What the kit keeps
(lanes, positions, inboxes, outbox) stays as it is, so that the services go on where they stood.
"""

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg

from bench.growth_seeds import SEED, SEEDS, TABLES
from cli.stack.folders import DataFolder
from cli.stack.plan import SERVICES
from cli.stack.ports import Ports
from cli.stack.postgres import SETTINGS, Postgres, create_databases

Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Say: TypeAlias = Callable[[str], None]

LOADING: Final = {
    **SETTINGS,
    "wal_level": "minimal",  # what is filled in the transaction that emptied it needs no log
    "max_wal_senders": "0",
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "2GB",  # indexes whose keys are hashes (refund ids) are written all over
    "max_wal_size": "16GB",
    "checkpoint_timeout": "1h",
}
SPREAD_DAYS: Final = 30
"""The copies lie so far back in time, evenly."""
AWAITED_HOURS: Final = 48
"""Refunds that are not reported on were instructed within so many hours: none of them is late."""
SPARE_BYTES: Final = 6 << 30
"""Disk that stays free."""
CHUNKS: Final = 32
LIMIT: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Column:
    """A column as Postgres' catalog has it."""

    name: str
    type: str
    identity: bool


class NoRoom(Exception):  # noqa: N818 - read as a sentence
    """The disk does not hold so many claims."""


def copy_word(expression: str) -> str:
    """SQL of what stands in a copy's ids in place of SEED; as long as SEED, because states are packed with lengths."""
    return f"'k' || lpad(({expression})::text, {len(SEED) - 1}, '0')"


def copied(column: Column, times: int) -> str:
    """SQL of a column's value in copy number `i` of `times`."""
    name, word = column.name, copy_word("i")
    hexed = f"encode(convert_to({word}, 'UTF8'), 'hex')"
    of_name = {
        "refund_id": f"md5({name} || i)::uuid::text",
        "due": f"{name} + i * interval '1 second'",
        "instructed_at": f"{name} - i * interval '{AWAITED_HOURS} hours' / {times}",
    }
    of_type = {
        "text": f"replace({name}, '{SEED}', {word})",
        "bytea": f"decode(replace(encode({name}, 'hex'), '{SEED.encode().hex()}', {hexed}), 'hex')",
        "timestamp with time zone": f"{name} - i * interval '{SPREAD_DAYS} days' / {times}",
    }
    return of_name.get(name) or of_type.get(column.type) or name


def query(table: str, columns: Sequence[Column], times: int) -> str:
    """SQL that gives all copies of a table's seeds, copy after copy."""
    taken = [column for column in columns if not column.identity]
    listed = ", ".join(f"{copied(column, times)} AS {column.name}" for column in taken)
    # Tables and columns are those of Postgres' own catalog. OFFSET 0 keeps the copies in the order of their numbers.
    return (
        f"SELECT s.* FROM generate_series(1, {times}) AS i, "  # noqa: S608
        f"LATERAL (SELECT {listed} FROM seed_{table} OFFSET 0) AS s"
    )


def copies_for(number: int) -> int:
    """How many copies of the seeds make so many claims."""
    return number // SEEDS


async def filled(data: Path, number: int, say: Say) -> None:
    """Bring the databases of a stack that is not running to so many copied claims (0: none); nothing where they have
    them. Raises NoRoom."""
    folder = DataFolder.at(data)
    times = copies_for(number)
    server = Postgres(
        folder=folder.postgres,
        logs=folder.logs,
        password=folder.secret(),
        port=Ports(folder.ports).take("postgres"),
        settings=LOADING,
    )
    await server.start(lambda _: None)
    try:
        dsns = await create_databases(server.dsn, [spec.database for spec in SERVICES], folder.secret())
        pairs = {spec.name: dsns[spec.database] for spec in SERVICES}
        if await _loaded(pairs["intake"]) == times:
            return
        _check_room(data, number)
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for service, dsn in pairs.items():
                group.create_task(_fill(service, dsn, times, say))
        await _note_loaded(pairs["intake"], times)
    finally:
        await server.stop()
    await asyncio.to_thread(os.sync)  # what is still in memory would be written while something is measured
    say(f"{times * SEEDS:,} claims in {time.monotonic() - started:,.0f} s")


BYTES_A_CLAIM: Final = 9_800
"""What a claim takes in all databases together, about (docs/scale.md); for asking the disk beforehand."""


def _check_room(data: Path, number: int) -> None:
    free = shutil.disk_usage(data).free
    if number * BYTES_A_CLAIM + SPARE_BYTES > free:
        most = max(0, free - SPARE_BYTES) // BYTES_A_CLAIM
        raise NoRoom(
            f"{number:,} claims take some {number * BYTES_A_CLAIM >> 30} GB, the disk has {free >> 30} free, of which "
            f"{SPARE_BYTES >> 30} stay free: at most {most:,} claims"
        )


async def _loaded(dsn: str) -> int:
    async with _connected(dsn) as conn:
        await conn.execute("CREATE TABLE IF NOT EXISTS seed_copies AS SELECT 0 AS times")
        found: int = await conn.fetchval("SELECT times FROM seed_copies")
        return found


async def _note_loaded(dsn: str, times: int) -> None:
    async with _connected(dsn) as conn:
        await conn.execute("UPDATE seed_copies SET times = $1", times)


async def _fill(service: str, dsn: str, times: int, say: Say) -> None:
    for table in TABLES[service]:
        started = time.monotonic()
        async with _connected(dsn) as reading, _connected(dsn) as writing:
            columns = await _columns(reading, table)
            async with writing.transaction():
                await writing.execute(f"TRUNCATE {table}")
                if times:
                    await _copy(reading, writing, table, columns, times)
            await writing.execute(f"VACUUM (ANALYZE) {table}")
            size = await writing.fetchval("SELECT pg_total_relation_size($1::regclass)", table)
        say(f"  {service} {table}: {size / 2**20:,.0f} MB, {time.monotonic() - started:,.0f} s")


async def _copy(reading: Conn, writing: Conn, table: str, columns: Sequence[Column], times: int) -> None:
    chunks: asyncio.Queue[bytes] = asyncio.Queue(CHUNKS)

    async def read() -> None:
        await reading.copy_from_query(query(table, columns, times), output=chunks.put, format="binary", timeout=LIMIT)
        await chunks.put(b"")

    async def each() -> AsyncIterator[bytes]:
        while chunk := await chunks.get():
            yield chunk

    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        await writing.copy_to_table(
            table,
            source=each(),
            columns=[column.name for column in columns if not column.identity],
            format="binary",
            freeze=True,
            timeout=LIMIT,
        )


async def _columns(conn: Conn, table: str) -> list[Column]:
    rows = await conn.fetch(
        "SELECT column_name, data_type, is_identity = 'YES' AS identity FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position",
        table,
    )
    return [Column(row["column_name"], row["data_type"], row["identity"]) for row in rows]


@asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Conn]:
    conn = await asyncpg.connect(dsn)
    try:
        yield conn
    finally:
        await conn.close()


__all__ = ["NoRoom", "filled"]
