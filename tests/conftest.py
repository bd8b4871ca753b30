"""Servers, databases and stacks for all tests; see tests/stack.py for what they can do."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from hypothesis import settings

from tests.stack import Servers, Stack

_templates: dict[tuple[str, ...], str] = {}
_numbers = itertools.count(1)

# How many examples a property is tried with that does not say so itself. The machine may be busy: no deadlines.
settings.register_profile("short", max_examples=200, deadline=None)
settings.register_profile("full", max_examples=2000, deadline=None)
settings.register_profile("few", max_examples=40, deadline=None, derandomize=True, database=None)  # make mutants
settings.load_profile(os.environ.get("MAKEGOOD_HYPOTHESIS", "short"))

MakeDatabase = Callable[[Sequence[str]], Awaitable[str]]
MakeStack = Callable[..., Stack]


NEEDS = {
    "test_console_browser.py": ("chromium", "chromedriver"),
    "test_alerts.py": ("promtool",),
    "test_dashboards.py": ("prometheus",),
}
"""Tests that need programs of the machine (Debian: chromium chromium-driver prometheus)."""


def _lacking(file: str) -> list[str]:
    """What a test needs and is not here. Where CI is set that is an error of the machine: the tests run, and fail."""
    return [] if os.environ.get("CI") else [program for program in NEEDS.get(file, ()) if not shutil.which(program)]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    return True if _lacking(collection_path.name) else None


def pytest_report_header() -> list[str]:
    return [f"left out: {file}; it needs {' and '.join(_lacking(file))}" for file in NEEDS if _lacking(file)]


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One Kafka and one Postgres for the whole run, without services; use topic names, or keys, of your own."""
    servers = Servers(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.close()


@pytest.fixture
async def make_database(servers: Servers) -> AsyncIterator[MakeDatabase]:
    """Makes databases with packages' migrations in them (`["shared.bus", "services.intake"]`).

    Migrated once a run, then cloned.
    """
    made: list[str] = []

    async def make(packages: Sequence[str] = ()) -> str:
        name = await _clone(servers.postgres, tuple(packages))
        made.append(name)
        return _named(servers.postgres, name)

    yield make
    await _drop(servers.postgres, made)


@pytest.fixture
async def database(make_database: MakeDatabase) -> str:
    """The DSN of an empty database of this test's own."""
    return await make_database(())


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One running pipeline for all end-to-end tests: use order and claim ids of your own (`unique`), kill nothing."""
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Starts pipelines of this test's own, to be killed and held at will: `make_stack(replicas=2, env={…})`."""
    made: list[Stack] = []

    def make(*, replicas: int = 1, env: Mapping[str, str] | None = None) -> Stack:
        made.append(Stack(tmp_path / f"stack-{len(made)}", replicas=replicas, env=env))
        return made[-1]

    yield make
    for stack in made:
        stack.close()


@pytest.fixture
def unique() -> str:
    """A prefix for ids that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}"


async def _clone(admin: str, packages: tuple[str, ...]) -> str:
    connection = await asyncpg.connect(admin, timeout=15)
    try:
        if packages not in _templates:
            template = f"template_{next(_numbers)}_{uuid.uuid4().hex[:8]}"
            await connection.execute(f'CREATE DATABASE "{template}"')
            await _migrate(_named(admin, template), packages)
            _templates[packages] = template
        name = f"test_{next(_numbers)}_{uuid.uuid4().hex[:8]}"
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_templates[packages]}" STRATEGY file_copy')
    finally:
        await connection.close()
    return name


async def _migrate(dsn: str, packages: Sequence[str]) -> None:
    from shared.db import connect, migrate

    pool = await connect(dsn, 1, application="template")
    try:
        await migrate(pool, packages)
    finally:
        await asyncio.wait_for(pool.close(), 30)


async def _drop(admin: str, names: Sequence[str]) -> None:
    connection = await asyncpg.connect(admin, timeout=15)
    try:
        for name in names:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()


def _named(dsn: str, database: str) -> str:
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))
