"""The console as a process on real servers: it reads the topics, is rebuilt by its command, and has the same rows."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from services.console.store import READ_MODEL
from tests.console_samples import day
from tests.stack import Message, Servers, eventually


@asynccontextmanager
async def process(env: dict[str, str], log: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m services.console`, ended with SIGTERM; it has to end with 0."""
    with log.open("wb") as out:
        program = (sys.executable, "-m", "services.console", *words)
        running = await asyncio.create_subprocess_exec(*program, env=env, stdout=out, stderr=out)
        try:
            yield running
        finally:
            if running.returncode is None and not words:
                running.terminate()
            async with asyncio.timeout(40):
                code = await running.wait()
        assert code == 0, await asyncio.to_thread(log.read_text)


@pytest.mark.timeout(240)
async def test_rebuilt_by_its_command_it_has_the_same_rows(servers: Servers, database: str, tmp_path: Path) -> None:
    topics = day(14)
    await servers.publish(Message(r.topic, r.value, r.key, r.headers, r.partition) for r in topics.records)
    env = {
        **os.environ,
        "MAKEGOOD_KAFKA": servers.kafka,
        "MAKEGOOD_DATABASE": database,
        "MAKEGOOD_CONSOLE_PORT": "0",
        "MAKEGOOD_CONSOLE_DATA": str(tmp_path),
        "MAKEGOOD_CONSOLE_ADMIN_PASSWORD": "for this test only",
    }
    mine = {f"C-{n}" for n in range(1, 15)}
    conn = await asyncpg.connect(database)

    async def read() -> dict[str, list[str]]:
        return {
            table: sorted(row["row"] for row in await conn.fetch(f"SELECT t::text AS row FROM {table} t"))
            for table in READ_MODEL
        }

    async def settled() -> bool:
        try:
            rows = await conn.fetch("SELECT claim_id FROM claim WHERE state IN ('paid', 'review', 'refused')")
            letters = await conn.fetchval("SELECT count(*) FROM letter")
        except asyncpg.UndefinedTableError:
            return False
        before = await read()
        return len(mine & {row["claim_id"] for row in rows}) == 8 and letters >= 4 and before == await read()

    try:
        async with process(env, tmp_path / "1.log"):
            await eventually(settled, 60, every=0.5, why="everything is read")
        before = await read()
        async with process(env, tmp_path / "2.log", "rebuild"):
            pass
        assert not any((await read()).values())
        async with process(env, tmp_path / "3.log"):

            async def as_many() -> bool:
                return {t: len(rows) for t, rows in (await read()).items()} == {t: len(r) for t, r in before.items()}

            await eventually(as_many, 90, every=0.5, why="as many rows")
            assert await read() == before
    finally:
        await conn.close()


async def get(port: int, path: str) -> httpx2.Response | None:
    try:
        async with httpx2.AsyncClient() as http:
            return await http.get(f"http://127.0.0.1:{port}{path}")
    except httpx2.HTTPError:
        return None


@pytest.mark.timeout(120)
async def test_ready_is_when_the_page_answers_and_the_page_ends_with_the_process_that_folds(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, health = one.getsockname()[1], other.getsockname()[1]
    env = {
        **os.environ,
        "MAKEGOOD_KAFKA": servers.kafka,
        "MAKEGOOD_DATABASE": database,
        "MAKEGOOD_HEALTH_HOST": "127.0.0.1",
        "MAKEGOOD_HEALTH_PORT": str(health),
        "MAKEGOOD_CONSOLE_PORT": str(port),
        "MAKEGOOD_CONSOLE_DATA": str(tmp_path),
        "MAKEGOOD_CONSOLE_ADMIN_PASSWORD": "for this test only",
    }
    said: list[dict[str, object]] = []

    async def ready() -> bool:
        found = await get(health, "/ready")
        if found is not None:
            said.append(found.json())
        return found is not None and found.status_code == 200

    async def is_gone() -> bool:
        return await get(port, "/sign-in") is None

    async with process(env, tmp_path / "migrate.log", "migrate"):
        pass
    async with process(env, tmp_path / "rebuild.log", "rebuild"):  # another test's console was of the same group
        pass
    log = tmp_path / "log"
    with log.open("wb") as out:
        program = (sys.executable, "-m", "services.console")
        running = await asyncio.create_subprocess_exec(*program, env=env, stdout=out, stderr=out)
        try:
            await eventually(ready, 60, every=0.02, why="the console is ready")
            page = await get(port, "/sign-in")
            assert page is not None, "ready, and nobody answers"
            assert page.status_code == 200
            assert [facts["page"] for facts in said] == [False] * (len(said) - 1) + [True]
            assert len(said) > 1, "asked before it was ready"
        finally:
            assert running.returncode is None, await asyncio.to_thread(log.read_text)
            running.kill()
            await running.wait()
    await eventually(is_gone, 20, every=0.2, why="the page has ended")


@pytest.mark.timeout(120)
async def test_without_its_page_the_console_ends(servers: Servers, database: str, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with socket.socket() as taken, log.open("wb") as out:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = {
            **os.environ,
            "MAKEGOOD_KAFKA": servers.kafka,
            "MAKEGOOD_DATABASE": database,
            "MAKEGOOD_HEALTH_PORT": "0",
            "MAKEGOOD_CONSOLE_PORT": str(port),
            "MAKEGOOD_CONSOLE_DATA": str(tmp_path),
            "MAKEGOOD_CONSOLE_ADMIN_PASSWORD": "for this test only",
        }
        async with process(env, tmp_path / "migrate.log", "migrate"):
            pass
        async with process(env, tmp_path / "rebuild.log", "rebuild"):  # another test's console was of the same group
            pass
        program = (sys.executable, "-m", "services.console")
        running = await asyncio.create_subprocess_exec(*program, env=env, stdout=out, stderr=out)
        try:
            async with asyncio.timeout(60):
                assert await running.wait() == 1
        finally:
            if running.returncode is None:
                running.kill()
                await running.wait()
    told = await asyncio.to_thread(log.read_text)
    assert f"console cannot listen on 127.0.0.1:{port}" in told
