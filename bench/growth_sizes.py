"""What claims take on the disk, and what writing them costs Postgres: sizes, row versions, write-ahead log, commits."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

import asyncpg

from bench.growth_seeds import TABLES
from bench.machine import folder_bytes
from bench.stack import BenchStack
from cli.stack.plan import SERVICES

Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Sizes: TypeAlias = dict[str, dict[str, int]]
"""Service → table → bytes with indexes and what is stored apart; the indexes alone under `<table>, indexes`."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What Postgres has counted so far; updates by `service.table`: (all, those within the page)."""

    wal_bytes: int
    wal_page_images: int
    commits: Mapping[str, int]
    updates: Mapping[str, tuple[int, int]]
    dead: Mapping[str, int]


@asynccontextmanager
async def _as_admin(stack: BenchStack) -> AsyncIterator[Conn]:
    conn = await asyncpg.connect(stack.supervisor.state.postgres)
    try:
        yield conn
    finally:
        await conn.close()


async def counters(stack: BenchStack) -> Counters:
    """Read the counters, once idle connections have reported theirs."""
    await asyncio.sleep(1.5)
    updates: dict[str, tuple[int, int]] = {}
    dead: dict[str, int] = {}
    async with _as_admin(stack) as conn:
        await conn.execute("SELECT pg_stat_force_next_flush()")
        wal = await conn.fetchrow("SELECT wal_bytes::bigint AS bytes, wal_fpi AS images FROM pg_stat_wal")
        rows = await conn.fetch("SELECT datname, xact_commit FROM pg_stat_database WHERE datname IS NOT NULL")
    for spec in SERVICES:
        async with stack.connected(spec.name) as conn:
            tables = await conn.fetch(
                "SELECT relname, n_tup_upd, n_tup_hot_upd, n_dead_tup FROM pg_stat_user_tables "
                "WHERE relname NOT LIKE 'seed\\_%'"
            )
        for row in tables:
            name = f"{spec.name}.{row['relname']}"
            updates[name] = (row["n_tup_upd"], row["n_tup_hot_upd"])
            dead[name] = row["n_dead_tup"]
    assert wal is not None
    databases = {spec.database: spec.name for spec in SERVICES}
    commits = {databases[r["datname"]]: r["xact_commit"] for r in rows if r["datname"] in databases}
    return Counters(wal["bytes"], wal["images"], commits, updates, dead)


async def table_sizes(stack: BenchStack, *, vacuumed: bool = False) -> Sizes:
    """Bytes of each table that grows with the claims, after a VACUUM or as they are."""
    found: Sizes = {}
    for spec in SERVICES:
        async with stack.connected(spec.name) as conn:
            found[spec.name] = {}
            for table in TABLES[spec.name]:
                if vacuumed:
                    await conn.execute(f'VACUUM "{table}"', timeout=600)
                whole, indexes = await conn.fetchrow(
                    "SELECT pg_total_relation_size($1::text::regclass), pg_indexes_size($1::text::regclass)", table
                ) or (0, 0)
                found[spec.name][table] = whole
                found[spec.name][f"{table}, indexes"] = indexes
    return found


def topic_sizes(stack: BenchStack) -> dict[str, int]:
    """Bytes on the disk of each topic, over its partitions; Kafka's own topics are left out."""
    found: dict[str, int] = {}
    for folder in (stack.folder("kafka") / "data").iterdir():
        topic, _, lane = folder.name.rpartition("-")
        if folder.is_dir() and lane.isdigit() and not topic.startswith("__"):
            found[topic] = found.get(topic, 0) + folder_bytes(folder)
    return found
