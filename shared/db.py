"""The connection pool and the migrations of a service's database."""

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from types import MappingProxyType
from typing import Final, TypeAlias

import asyncpg
import structlog
from asyncpg.pool import PoolConnectionProxy

log = structlog.get_logger(__name__)

Pool: TypeAlias = "asyncpg.Pool[asyncpg.Record]"
Conn: TypeAlias = "asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]"
"""A connection, or one lent by the pool."""

_LOCK = 0x6D616B65  # any number that all processes of the project agree on


class MigrationChanged(Exception):  # noqa: N818 - read as a sentence: the migration changed
    """A migration that has run is no longer the same text."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered SQL file of a package."""

    name: str
    sql: str

    @property
    def digest(self) -> str:
        """Tells an edited migration from the one that ran."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


BY_KEY: Final = {"enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off"}
"""Settings of a session whose statements find each row by a key. The plan of a prepared statement is made while tables
are small or unknown, and kept: it would go on reading whole tables when they have grown (docs/speed.md)."""


async def connect(
    dsn: str,
    connections: int,
    *,
    application: str,
    limit: float = 60.0,
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Pool:
    """Open a pool; waits up to `limit` seconds for a server that is still starting. `settings` are for each session."""
    started, delay = time.monotonic(), 0.1
    while True:
        try:
            return await asyncpg.create_pool(
                dsn,
                min_size=1,
                max_size=connections,
                timeout=10,
                command_timeout=30,
                reset=_nothing_to_reset,
                server_settings={
                    "application_name": application,
                    # A process that is paused in the middle of a transaction must not keep its lanes locked.
                    "idle_in_transaction_session_timeout": "10s",
                    "lock_timeout": "20s",
                    "jit": "off",
                    **settings,
                },
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if time.monotonic() - started > limit:
                raise
            log.info("database_not_there_yet", error=repr(error))
            await asyncio.sleep(delay)
            delay = min(delay * 2, 2.0)


async def _nothing_to_reset(_: Conn) -> None:
    """In place of four statements after each use: nothing here leaves anything in a session, and a transaction that was
    left open is rolled back before."""


def migrations_of(package: str) -> list[Migration]:
    """The SQL files under `<package>/migrations`, in order of their numbers."""
    folder: Traversable = files(package) / "migrations"
    found = [
        Migration(f"{package}/{f.name}", f.read_text("utf-8")) for f in folder.iterdir() if f.name.endswith(".sql")
    ]
    return sorted(found, key=lambda m: m.name)


async def migrate(pool: Pool, packages: Sequence[str]) -> list[str]:
    """Run what has not run yet, each migration in a transaction, one process at a time; returns what was run.

    Raises:
        MigrationChanged: a file that has run was edited afterwards.
    """
    done: list[str] = []
    async with pool.acquire(timeout=30) as conn, conn.transaction():
        await conn.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await conn.execute(
            "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, digest text NOT NULL, "
            "at timestamptz NOT NULL DEFAULT now())"
        )
        ran = {r["name"]: r["digest"] for r in await conn.fetch("SELECT name, digest FROM migration")}
        for migration in [m for package in packages for m in migrations_of(package)]:
            if migration.name in ran:
                if ran[migration.name] != migration.digest:
                    raise MigrationChanged(f"{migration.name} has run and was edited since: add a new one instead")
                continue
            await conn.execute(migration.sql)
            await conn.execute("INSERT INTO migration (name, digest) VALUES ($1, $2)", migration.name, migration.digest)
            done.append(migration.name)
    return done
