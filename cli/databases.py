"""Which databases a command reads: the running stack's, or those named."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated

import asyncpg
import typer

from cli.stack import state as stacks
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder

Databases = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="SERVICE=DSN", help="A service's database; left out: the running stack's."),
]


def databases_of(named: Sequence[str] | None, data: Path) -> dict[str, str]:
    """DSN by service. Raises StackError where none are known."""
    if named:
        pairs = [one.partition("=") for one in named]
        if any(not (service and dsn) for service, _, dsn in pairs):
            raise StackError("--database takes SERVICE=DSN")
        return {service: dsn for service, _, dsn in pairs}
    folder = DataFolder.at(data)
    told = stacks.read(folder.state) if folder.is_held() else None
    if told is None:
        raise StackError(f"no stack is running in {folder.root}; name the databases with --database SERVICE=DSN")
    return {service.name: service.database for service in told.services}


def database_of(service: str, named: Sequence[str] | None, data: Path) -> str:
    """The DSN of one service's database. Raises StackError where it is not known."""
    known = databases_of(named, data)
    if service not in known:
        raise StackError(f"no database of {service} is known: {', '.join(sorted(known)) or 'none'}")
    return known[service]


@contextlib.asynccontextmanager
async def connected(service: str, dsn: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection. Raises StackError where the database does not answer."""
    try:
        conn = await asyncpg.connect(dsn, timeout=10)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StackError(f"cannot read {service}'s database: {error}") from error
    try:
        yield conn
    finally:
        await conn.close()
