"""The nemesis: breaks a running stack by seed, one fault at a time, and measures how long each takes to be overcome."""

import asyncio
import contextlib
import os
import random
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from cli.stack.process import Child
from tests.faults.crashing import POINTS
from tests.stack import Stack, eventually

SERVICES = ("intake", "eligibility", "refund-calculation", "notification")
REPLICAS = 2
SESSION_SECONDS = 6
GROUP_ID_NOT_FOUND = 69


QUICK = ("kill a service", "crash at a point", "terminate and start again", "replica goes and comes", "cut connections")
SLOW = (
    "pause past the session",
    "kill the broker",
    "pause the broker",
    "restart Postgres",
    "slow database",
    "read-only database",
    "delete group offsets",
)


@dataclass
class Nemesis:
    """Does faults by seed. Two may be under way at once, never two on one service."""

    stack: Stack
    seed: int
    chance: random.Random = field(init=False)
    points: tuple[str, ...] = POINTS
    _busy: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    async def strike(self, name: str) -> None:
        """Do one fault, to its end."""
        faults: dict[str, Callable[[str, int], Awaitable[None]]] = {
            "kill a service": self.kill,
            "crash at a point": self.crash,
            "pause past the session": self.pause,
            "terminate and start again": self.terminate,
            "replica goes and comes": self.rebalance,
            "kill the broker": self.kill_broker,
            "pause the broker": self.pause_broker,
            "restart Postgres": self.restart_postgres,
            "cut connections": self.cut_connections,
            "slow database": self.slow_database,
            "read-only database": self.read_only,
            "delete group offsets": self.delete_offsets,
        }
        service, replica = self.chance.choice(SERVICES), self.chance.randint(1, REPLICAS)
        async with self._busy["the servers" if "broker" in name or "Postgres" in name else service]:
            await faults[name](service, replica)

    async def kill(self, service: str, replica: int) -> None:
        """SIGKILL at any moment."""
        await self.stack.kill(service, replica, signal.SIGKILL)

    async def crash(self, service: str, replica: int) -> None:
        """SIGKILL (or a hang until it is continued) exactly at a point of the delivery."""
        point = self.chance.choice(self.points)
        file = crash_file(self.stack, service, replica)
        pid = self.stack.service(service, replica).pid or 0
        file.write_text(f"{point}:{self.chance.randint(1, 3)}")
        with contextlib.suppress(AssertionError):
            await eventually(lambda: not file.exists(), 8, why="the point was passed")
        file.unlink(missing_ok=True)
        if point.startswith("hang"):
            await asyncio.sleep(self.chance.uniform(SESSION_SECONDS, SESSION_SECONDS + 2))
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def pause(self, service: str, replica: int) -> None:
        """SIGSTOP for longer than the group waits, then SIGCONT: a process that does not know what it lost."""
        pid = await self.stack.kill(service, replica, signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(SESSION_SECONDS + 1, SESSION_SECONDS + 4))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)

    async def terminate(self, service: str, replica: int) -> None:
        """SIGTERM: drains, ends with 0, comes again."""
        await self.stack.restart(service, replica)

    async def rebalance(self, service: str, replica: int) -> None:
        """A replica goes, the other takes all lanes, it comes back."""
        await self.stack.hold(service, replica, signal.SIGTERM)
        await asyncio.sleep(self.chance.uniform(0.5, 2))
        await self.stack.release(service, replica)

    async def kill_broker(self, *_: object) -> None:
        """SIGKILL of the broker; the supervisor starts it again."""
        child = self._part("kafka")
        child.send(signal.SIGKILL)
        await eventually(lambda: self._part("kafka") is not child, 60, why="the broker is started again")

    async def pause_broker(self, *_: object) -> None:
        """The broker does not answer for longer than a request waits."""
        child = self._part("kafka")
        child.send(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(16, 18))
        child.send(signal.SIGCONT)

    async def restart_postgres(self, *_: object) -> None:
        """An immediate stop (SIGQUIT): no checkpoint, every connection cut; recovery from the log at the next start."""
        child = self._part("postgres")
        child.send(signal.SIGQUIT)
        await eventually(lambda: self._part("postgres") is not child, 60, why="Postgres is started again")

    async def cut_connections(self, service: str, _: int) -> None:
        """Cut a service's connections several times in quick succession: some in the middle of a COMMIT."""
        for _ in range(20):
            async with self._admin() as conn:
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 "
                    "AND (state = 'active' OR random() < 0.2)",
                    self._database(service),
                )
            await asyncio.sleep(self.chance.uniform(0.01, 0.08))

    async def slow_database(self, service: str, _: int) -> None:
        """Every transaction of a service waits a while: its lanes' rows are held."""
        async with self._connected(service) as conn, conn.transaction():
            await conn.execute("LOCK TABLE position IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(self.chance.uniform(2, 5))

    async def read_only(self, service: str, _: int) -> None:
        """A service's database refuses writes for a while, as after a failover to a standby."""
        database = self._database(service)
        async with self._admin() as conn:
            try:
                await conn.execute(f'ALTER DATABASE "{database}" SET default_transaction_read_only = on')
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database
                )
                await asyncio.sleep(self.chance.uniform(1, 4))
            finally:
                await conn.execute(f'ALTER DATABASE "{database}" RESET default_transaction_read_only')
                await conn.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", database
                )

    async def delete_offsets(self, service: str, _: int) -> None:
        """A consumer group's offsets are lost; the positions in Postgres are what counts."""
        for replica in range(1, REPLICAS + 1):
            await self.stack.hold(service, replica, signal.SIGKILL)
        try:
            await eventually(lambda: self._deleted(service), 30, every=0.5, why="the group's offsets are deleted")
        finally:
            for replica in range(1, REPLICAS + 1):
                await self.stack.release(service, replica)

    async def _deleted(self, group: str) -> bool:
        """True once the broker has let go of the group, which it does when the killed members' sessions have ended."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka)
        await admin.start()
        try:
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request_to_node(coordinator, DeleteGroupsRequest([group]))
            return all(error in (0, GROUP_ID_NOT_FOUND) for _, error in answer.results)
        except KafkaError:
            return False
        finally:
            await admin.close()

    def _part(self, name: str) -> Child:
        child = self.stack.supervisor._parts[name].child
        assert child is not None, f"{name} runs"
        return child

    def _database(self, service: str) -> str:
        return self.stack.dsn(service).rpartition("/")[2]

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.stack.postgres, timeout=15)
        try:
            yield conn
        finally:
            await conn.close()

    @contextlib.asynccontextmanager
    async def _connected(self, service: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.stack.dsn(service), timeout=15)
        try:
            yield conn
        finally:
            await conn.close()


def crash_file(stack: Stack, service: str, replica: int) -> Path:
    """The file that tells a replica where to crash."""
    return stack.plan.data.root / f"crash-{service}-{replica}"
