"""Empties the read model, so that the next start folds it from the topics again. What people did stays."""

import asyncpg

from services.console.store import READ_MODEL


class Running(Exception):  # noqa: N818 - read as a sentence
    """A console works on the database: it would go on from where it stands, on an empty read model."""


async def rebuild(database: str) -> tuple[str, ...]:
    """Empty the read model's tables and the positions in the topics; returns the tables. Sessions, audit, resolutions
    and the numbers of emitted events stay.

    Raises:
        Running: a console is connected.
    """
    conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
        database, timeout=30, server_settings={"application_name": "rebuild"}
    )
    try:
        async with conn.transaction():
            n = await conn.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name LIKE 'console-%'"
            )
            if n:
                raise Running("a console is running on this database: stop it first")
            await conn.execute(f"TRUNCATE {', '.join(READ_MODEL)}")
            await conn.execute("DELETE FROM position")
            await conn.execute("DELETE FROM inbox_mark")
    finally:
        await conn.close()
    return READ_MODEL
