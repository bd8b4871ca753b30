"""The nemesis: breaks a running stack by seed. Each fault tells whether it took place and when it was over."""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from tests.faults.crashing import ALL, CRASHES, HANGS, OWN
from tests.faults.wire import Wire
from tests.stack import Stack, eventually

REPLICAS = 2
SESSION_SECONDS = 6
REQUEST_SECONDS = 15
"""How long the relay's producers wait for an answer of the broker."""
IDLE_SECONDS = 10
"""After so long Postgres ends a connection that leaves a transaction open."""
PART_LIMIT = 120
POINT_LIMIT = 20
RELAYS = {"refund-calculation": ("refund-calculation.relay",)}
"""Groups in which a service keeps the number of the last instruction in Kafka."""
GROUP_ID_NOT_FOUND = 69

PROCESSES = ("kill a service", "crash at a point", "terminate and start again", "replica goes and comes")
SLEEPERS = ("pause past the session", "hang at a point", "delete group offsets")
SERVERS = ("kill the broker", "restart Postgres", "pause the broker")
DATABASES = ("cut connections", "cut in COMMIT", "slow database", "read-only database")
KINDS = (*PROCESSES, *SLEEPERS, *SERVERS, *DATABASES)
STREAMS = (PROCESSES, PROCESSES, SLEEPERS, SERVERS, DATABASES)
"""What goes on at the same time: one fault of each stream, never two on one service."""


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that took place: what exactly, when it began and when it was over (monotonic seconds)."""

    kind: str
    what: str
    began: float
    over: float


@dataclass
class Nemesis:
    """Does faults by seed. `points` and `services`: crash and hang at these points, strike these services only."""

    stack: Stack
    wire: Wire
    seed: int
    points: tuple[str, ...] = ()
    services: tuple[str, ...] = ALL
    _busy: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))

    async def strike(self, kind: str, stream: int, number: int) -> Struck | None:
        """Do one fault to its end; None where it could not take place (the point was not passed in time)."""
        chance = random.Random(f"{self.seed} {stream} {number} {kind}")
        faults: dict[str, Callable[[str, int, random.Random], Awaitable[str | None]]] = {
            "kill a service": self.kill,
            "crash at a point": self.crash,
            "terminate and start again": self.terminate,
            "replica goes and comes": self.rebalance,
            "pause past the session": self.pause,
            "hang at a point": self.hang,
            "delete group offsets": self.delete_offsets,
            "kill the broker": self.kill_broker,
            "pause the broker": self.pause_broker,
            "restart Postgres": self.restart_postgres,
            "cut connections": self.cut_connections,
            "cut in COMMIT": self.cut_in_commit,
            "slow database": self.slow_database,
            "read-only database": self.read_only,
        }
        service, replica = chance.choice(self.services), chance.randint(1, REPLICAS)
        async with self._busy["the servers" if kind in SERVERS else service]:
            began = time.monotonic()
            try:
                what = await faults[kind](service, replica, chance)
            except (AssertionError, OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                return None  # what it needs is down, which is another stream's doing
            return None if what is None else Struck(kind, what, began, time.monotonic())

    async def kill(self, service: str, replica: int, _: random.Random) -> str:
        """SIGKILL at any moment."""
        await self.stack.kill(service, replica, signal.SIGKILL)
        return f"{service}-{replica}"

    async def crash(self, service: str, replica: int, chance: random.Random) -> str | None:
        """SIGKILL exactly at a point of the delivery."""
        point = self._point(CRASHES, service, chance)
        passed = await self._at_point(service, replica, f"{point}:{chance.randint(1, 3)}")
        return f"{service}-{replica} {point}" if passed else None

    async def hang(self, service: str, replica: int, chance: random.Random) -> str | None:
        """SIGSTOP exactly at a point, SIGCONT when the lanes have another owner and the connection is still open."""
        point = self._point(HANGS, service, chance)
        pid = await self._at_point(service, replica, point)
        if not pid:
            return None
        await asyncio.sleep(chance.uniform(SESSION_SECONDS + 1.5, IDLE_SECONDS - 1))
        _continue(pid)
        return f"{service}-{replica} {point}"

    async def pause(self, service: str, replica: int, chance: random.Random) -> str:
        """SIGSTOP for longer than the group waits, then SIGCONT: a process that does not know what it lost."""
        pid = await self.stack.kill(service, replica, signal.SIGSTOP)
        await asyncio.sleep(chance.uniform(SESSION_SECONDS + 1, SESSION_SECONDS + 6))
        _continue(pid)
        return f"{service}-{replica}"

    async def terminate(self, service: str, replica: int, _: random.Random) -> str:
        """SIGTERM: drains, ends with 0, comes again at once."""
        await self.stack.hold(service, replica, signal.SIGTERM)
        await self.stack.release(service, replica)
        return f"{service}-{replica}"

    async def rebalance(self, service: str, replica: int, chance: random.Random) -> str:
        """A replica goes, the other takes all lanes, it comes back."""
        await self.stack.hold(service, replica, signal.SIGTERM)
        await asyncio.sleep(chance.uniform(1, 4))
        await self.stack.release(service, replica)
        return f"{service}-{replica}"

    async def delete_offsets(self, service: str, *_: object) -> str:
        """A service's offsets in Kafka are lost, those of its relay as well."""
        for replica in range(1, REPLICAS + 1):
            await self.stack.hold(service, replica, signal.SIGKILL)
        try:
            for group in (service, *RELAYS.get(service, ())):
                await eventually(lambda one=group: self._deleted(one), PART_LIMIT, every=0.5, why=f"{group} is gone")  # type: ignore[misc]
        finally:
            for replica in range(1, REPLICAS + 1):
                await self.stack.release(service, replica)
        return service

    async def kill_broker(self, *_: object) -> str:
        """SIGKILL of the broker; the supervisor starts it again."""
        await self._end_part("kafka", signal.SIGKILL)
        return "SIGKILL"

    async def pause_broker(self, _: str, __: int, chance: random.Random) -> str:
        """The broker does not answer for longer than a request waits."""
        pid = await self._pid("kafka")
        os.kill(pid, signal.SIGSTOP)
        seconds = chance.uniform(REQUEST_SECONDS + 1, REQUEST_SECONDS + 5)
        await asyncio.sleep(seconds)
        _continue(pid)
        return f"{seconds:.0f} s"

    async def restart_postgres(self, *_: object) -> str:
        """An immediate stop (SIGQUIT): no checkpoint, every connection cut; recovery from the log at the next start."""
        await self._end_part("postgres", signal.SIGQUIT)
        return "immediate"

    async def cut_connections(self, service: str, _: int, chance: random.Random) -> str | None:
        """Cut a service's connections several times in quick succession, those at work above all."""
        cut = 0
        for pause in [chance.uniform(0.01, 0.08) for _ in range(20)]:
            async with self._admin() as conn:
                cut += await conn.fetchval(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 "
                    "AND (state = 'active' OR random() < 0.2)",
                    self._database(service),
                )
            await asyncio.sleep(pause)
        return f"{service}, {cut} connections" if cut else None

    async def cut_in_commit(self, service: str, _: int, chance: random.Random) -> str | None:
        """The connection breaks in the middle of a COMMIT: before the server has read it, or before its answer."""
        times, side = chance.randint(1, 3), "before" if chance.random() < 0.3 else "after"
        cut = self.wire.cut(self._database(service), "before" if side == "before" else "after", times)
        with contextlib.suppress(AssertionError):
            await eventually(lambda: not cut.left, POINT_LIMIT, why="the commits were met")
        self.wire.spare(self._database(service))
        return f"{service}, {cut.done} {side}" if cut.done else None

    async def slow_database(self, service: str, _: int, chance: random.Random) -> str:
        """Each answer of a service's database comes late, or its transactions wait behind a locked table."""
        database, seconds = self._database(service), chance.uniform(3, 6)
        if chance.random() < 0.5:
            async with self._connected(service) as conn, conn.transaction():
                await conn.execute("LOCK TABLE position IN ACCESS EXCLUSIVE MODE")
                await asyncio.sleep(seconds)
            return f"{service}, table locked"
        self.wire.slow(database, chance.uniform(0.1, 0.4))
        try:
            await asyncio.sleep(seconds)
        finally:
            self.wire.slow(database, 0.0)
        return f"{service}, late answers"

    async def read_only(self, service: str, _: int, chance: random.Random) -> str:
        """A service's database refuses writes for a while, as after a failover to a standby."""
        try:
            await self._refuse_writes(service, "SET default_transaction_read_only = on")
            await asyncio.sleep(chance.uniform(1, 4))
        finally:
            await self._patiently(lambda: self._refuse_writes(service, "RESET default_transaction_read_only"))
        return service

    async def _refuse_writes(self, service: str, how: str) -> None:
        database = self._database(service)
        async with self._admin() as conn:
            await conn.execute(f'ALTER DATABASE "{database}" {how}')
            await conn.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
                database,
            )

    def _point(self, points: Mapping[str, tuple[str, ...]], service: str, chance: random.Random) -> str:
        passed = [name for name, of in points.items() if service in of and (not self.points or name in self.points)]
        assert passed, f"{service} passes none of {self.points}"
        return chance.choice(passed)

    async def _at_point(self, service: str, replica: int, where: str) -> int:
        """Tell a replica to stop at a point; its pid once it has, 0 if it did not pass there in time."""
        file = crash_file(self.stack, service, replica)
        pid = await eventually(lambda: self.stack.service(service, replica).pid or 0, PART_LIMIT, why=f"{service} runs")
        file.write_text(where)
        try:
            await eventually(lambda: not file.exists(), POINT_LIMIT, why="the point was passed")
        except AssertionError:
            file.unlink(missing_ok=True)
            return 0
        return self.stack.service(service, replica).pid or pid

    async def _deleted(self, group: str) -> bool:
        """True once the broker has let go of the group, which it does when the killed members' sessions have ended."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka, request_timeout_ms=10_000)
        try:
            await admin.start()
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request_to_node(coordinator, DeleteGroupsRequest([group]))
            return all(error in (0, GROUP_ID_NOT_FOUND) for _, error in answer.results)
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await admin.close()

    async def _end_part(self, name: str, how: signal.Signals) -> None:
        """End a server and wait until the supervisor has started another."""
        pid = await self._pid(name)
        os.kill(pid, how)
        await eventually(lambda: self._running(name) not in (0, pid), PART_LIMIT, why=f"{name} is started again")

    async def _pid(self, name: str) -> int:
        return await eventually(lambda: self._running(name), PART_LIMIT, why=f"{name} runs")

    def _running(self, name: str) -> int:
        child = self.stack.supervisor._parts[name].child
        return 0 if child is None or child.returncode is not None else child.pid

    def _database(self, service: str) -> str:
        return self.stack.dsn(service).rpartition("/")[2]

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do it, again while the server is down."""

        async def done() -> bool:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await work()
                return True
            return False

        await eventually(done, PART_LIMIT, every=0.2, why="Postgres took a command")

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.stack.postgres, timeout=15)
        try:
            yield conn
        finally:
            await conn.close(timeout=5)

    @contextlib.asynccontextmanager
    async def _connected(self, service: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        conn = await asyncpg.connect(self.stack.dsn(service), timeout=15)
        try:
            yield conn
        finally:
            await conn.close(timeout=5)


def _continue(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def crash_file(stack: Stack, service: str, replica: int) -> Path:
    """The file that tells a replica where to crash."""
    return stack.plan.data.root / OWN / f"crash-{service}-{replica}"
