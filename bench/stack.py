"""The benchmark's own embedded stack: the supervisor of `claims up`, a cheap mail sink, services that can be held."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from bench.topics import until
from cli.lag import lags
from cli.stack.folders import DataFolder
from cli.stack.plan import SERVICES, Plan, ServiceSpec
from cli.stack.postgres import create_databases
from cli.stack.prepare import prepare
from cli.stack.supervisor import Supervisor
from shared.events.topics import READERS

READY_LIMIT = 120.0
DATABASE = "bench"

Counters = dict[tuple[str, str], tuple[int, int]]
"""(service, table) → rows written so far (inserted and updated), and the mean bytes of a row."""


class BenchStack:
    """Kafka, Postgres, the mail sink and the four services."""

    def __init__(self, supervisor: Supervisor, folder: DataFolder, database: str, sink: int) -> None:
        self._supervisor = supervisor
        self._folder = folder
        self.database = database
        self._sink = sink

    @property
    def supervisor(self) -> Supervisor:
        return self._supervisor

    @property
    def kafka(self) -> str:
        return self._supervisor.state.kafka

    @property
    def servers(self) -> dict[str, int]:
        """Pids of Postgres and Kafka, whose CPU is part of every way's cost."""
        return {name: self._supervisor.state.processes[name].pid for name in ("postgres", "kafka")}

    @property
    def services(self) -> dict[str, int]:
        """Pids of the services that run; the second replica of a service on has its number in its name."""
        return {
            one.name if one.replica == 1 else f"{one.name}-{one.replica}": one.pid
            for one in self._supervisor.state.services
            if one.pid is not None
        }

    @property
    def sink(self) -> dict[str, int]:
        return {"mail sink": self._sink}

    def folder(self, part: str) -> Path:
        """Where `kafka` or `postgres` keeps its data."""
        return self._folder.kafka if part == "kafka" else self._folder.postgres

    async def hold(self) -> None:
        """End the services: they are not to be in the way of what is measured next."""
        await asyncio.gather(*(replica.hold() for replica in self._supervisor.replicas))

    async def release(self) -> None:
        """Start the services again."""
        for replica in self._supervisor.replicas:
            replica.release()
        await asyncio.sleep(0.5)
        await self._supervisor.until_ready(READY_LIMIT)

    async def lags(self) -> dict[str, int]:
        """How many records each service has not read yet, as it last told Kafka."""
        return await lags(self.kafka, READERS, 30.0)

    async def caught_up(self, limit: float) -> float:
        """Wait until every service has read everything; the seconds it took."""

        async def caught_up() -> bool:
            return not any((await self.lags()).values())

        return await until(caught_up, limit, "every service has read everything", every=0.3)

    async def mails_waiting(self) -> int:
        """Messages that the notification service has not handed over yet."""
        async with self.connected("notification") as conn:
            return int(await conn.fetchval("SELECT count(*) FROM message"))

    async def all_told(self) -> bool:
        """Whether no message waits."""
        return await self.mails_waiting() == 0

    async def forget_mails(self) -> None:
        """Drop the mails that wait, so that a measurement does not pay for the one before. For held services only."""
        async with self.connected("notification") as conn:
            await conn.execute("DELETE FROM message")

    async def written(self) -> Counters:
        """Rows written so far in each of the services' tables; the kit's bookkeeping of batches is left out."""
        found: Counters = {}
        for one in self._supervisor.state.services:
            if one.replica > 1:
                continue
            async with self.connected(one.name) as conn:
                rows = await conn.fetch(
                    "SELECT relname, n_tup_ins + n_tup_upd AS rows FROM pg_stat_user_tables "
                    "WHERE relname <> ALL($1::text[])",
                    ["lane", "position", "inbox_mark", "outbox", "migration"],
                )
                for row in rows:
                    # The name comes from Postgres' own catalog.
                    size = await conn.fetchval(
                        f'SELECT avg(pg_column_size(t.*))::int FROM (SELECT * FROM "{row["relname"]}" LIMIT 500) t'  # noqa: S608
                    )
                    found[one.name, row["relname"]] = (row["rows"], size or 0)
        return found

    @asynccontextmanager
    async def connected(self, service: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """A connection to a service's database, as the service."""
        dsn = next(one.database for one in self._supervisor.state.services if one.name == service)
        conn = await asyncpg.connect(dsn)
        try:
            yield conn
        finally:
            await conn.close()


@asynccontextmanager
async def running(
    data: Path, env: Mapping[str, str] | None = None, extra: tuple[ServiceSpec, ...] = (), replicas: int = 1
) -> AsyncIterator[BenchStack]:
    """A stack with so many replicas of its services ready, and `extra` ones; stopped at the end."""
    folder = DataFolder.at(data)
    sink, address = await started_sink()
    plan = Plan(
        data=folder,
        replicas=replicas,
        services=(*SERVICES, *extra),
        smtp=address,
        env={"MAKEGOOD_LOG_LEVEL": "warning", **(env or {})},
    )
    prepare(plan)
    supervisor = Supervisor(plan)
    try:
        await supervisor.start()
        await supervisor.until_ready(READY_LIMIT)
        dsn = (await create_databases(supervisor.state.postgres, [DATABASE], folder.secret()))[DATABASE]
        yield BenchStack(supervisor, folder, dsn, sink.pid)
    finally:
        await supervisor.stop()
        if sink.returncode is None:
            sink.terminate()
        await sink.wait()


async def started_sink() -> tuple[asyncio.subprocess.Process, str]:
    """A mail sink that ends with us, and its address."""
    sink = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.sink", str(os.getpid()), stdout=asyncio.subprocess.PIPE
    )
    assert sink.stdout is not None
    async with asyncio.timeout(20):
        return sink, (await sink.stdout.readline()).decode().strip()
