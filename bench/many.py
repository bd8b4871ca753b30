"""A read model of the console with very many claims: some real ones, folded from the pipeline's own events, and copies
of them under other ids, made inside Postgres."""

from typing import Final

import asyncpg

from bench.workload import Claim, claims

SEED: Final = "seed"
WAITING: Final = 50
"""Of so many claims one is left without the answer or the return that would follow it: it waits."""
_APART_MS: Final = 3_600_000
"""The copies of a claim are an hour apart, back into the past."""

Conn = asyncpg.Connection


def seeds(number: int) -> list[Claim]:
    """The real ones."""
    return list(claims(SEED, number))


async def copies(conn: "Conn[asyncpg.Record]") -> int:
    """How many times each claim is there."""
    n: int = await conn.fetchval("SELECT count(*) FROM claim WHERE claim_id LIKE 'c-' || $1 || '-%'", SEED)
    total: int = await conn.fetchval("SELECT count(*) FROM claim")
    return total // max(1, n)


async def multiply(conn: "Conn[asyncpg.Record]", times: int) -> None:
    """Add `times - 1` copies of every claim with its events; indexes are made again afterwards, and all is analysed.

    The copies' events name the copies' ids, so that pages are put together from them as from any other.
    """
    indexes = await conn.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename IN ('entry', 'claim') "
        "AND indexname <> 'claim_pkey'"
    )
    await conn.execute("SET maintenance_work_mem = '512MB'")
    async with conn.transaction():
        for index in indexes:
            await conn.execute(f'DROP INDEX "{index["indexname"]}"')
    for table in ("claim", "entry"):
        await _copy(conn, table, times)
    await conn.execute("UPDATE counter SET n = n * $1 WHERE name NOT LIKE 'letters:%'", times)
    for index in indexes:
        await conn.execute(index["indexdef"])
    for table in ("claim", "entry", "counter"):
        await conn.execute(f"VACUUM (ANALYZE) {table}")


async def _copy(conn: "Conn[asyncpg.Record]", table: str, times: int) -> None:
    columns = await conn.fetch(
        "SELECT column_name AS name, data_type AS type FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name = $1 ORDER BY ordinal_position",
        table,
    )
    chosen = []
    for column in columns:
        name = column["name"]
        if column["type"] == "text":
            chosen.append(f"replace({name}, '{SEED}-', 'k' || i || '-')")
        elif column["type"] == "bytea":
            chosen.append(f"convert_to(replace(convert_from({name}, 'UTF8'), '{SEED}-', 'k' || i || '-'), 'UTF8')")
        elif name.endswith("_ms"):
            chosen.append(f"{name} - i * {_APART_MS}::bigint")
        else:
            chosen.append(name)
    key = "claim_id" if table == "claim" else "order_id"
    # Names and types come from Postgres' own catalog. Copies of a claim lie together, as its events did.
    await conn.execute(
        f"INSERT INTO {table} SELECT {', '.join(chosen)} FROM generate_series(1, $1::int) AS i, {table} "  # noqa: S608
        f"WHERE {key} LIKE '__{SEED}-%'",
        times - 1,
        timeout=3600,
    )
