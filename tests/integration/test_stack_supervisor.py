"""The supervisor on real servers, with stand-ins for the services: what dies comes back, what stops leaves nothing."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from cli.stack.errors import StackError
from cli.stack.folders import DataFolder
from cli.stack.plan import Plan, ServiceSpec
from cli.stack.ports import is_open
from cli.stack.process import identify
from cli.stack.supervisor import Supervisor
from tests.stack import Servers, Stack, event, eventually

STANDIN = Path(__file__).parents[1] / "standin.py"
STANDINS = tuple(ServiceSpec(name, name, (sys.executable, str(STANDIN))) for name in ("intake", "eligibility"))


@pytest.fixture(scope="module")
def standins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Embedded, whatever the other tests run on: Kafka and Postgres are among what is killed here."""
    stack = Stack(tmp_path_factory.mktemp("standins"), replicas=2, services=STANDINS, kind="embedded")
    yield stack
    processes = dict(stack.supervisor.state.processes)
    assert set(processes) == {"kafka", "postgres", "intake-1", "intake-2", "eligibility-1", "eligibility-2"}
    stack.close()
    assert {name: identify(one.pid) for name, one in processes.items()} == dict.fromkeys(processes)
    assert not stack.plan.data.state.exists()


async def test_a_service_that_is_killed_comes_back_alone_and_is_counted(standins: Stack) -> None:
    before, restarts = standins.pids(), standins.service("intake", 2).restarts
    killed = await standins.kill("intake", 2)
    await eventually(lambda: standins.service("intake", 2).restarts == restarts + 1, why="the death was noticed")
    await standins.ready()
    after = standins.pids()
    assert after.pop("intake-2") not in (None, killed)
    before.pop("intake-2")
    assert after == before


async def test_a_service_that_hangs_is_not_said_to_be_starting(standins: Stack) -> None:
    await standins.ready()
    pid = await standins.kill("intake", 2, how=signal.SIGSTOP)
    try:
        await eventually(lambda: standins.service("intake", 2).state != "ready", 30, why="it does not answer")
        assert standins.service("intake", 2).state == "unready"
    finally:
        os.kill(pid, signal.SIGCONT)
    await standins.ready()
    assert standins.pids()["intake-2"] == pid


async def test_a_held_service_stays_down_until_it_is_released_with_what_it_is_given(standins: Stack) -> None:
    restarts = standins.service("eligibility").restarts
    await standins.hold("eligibility")
    assert standins.service("eligibility").state == "dead"
    assert standins.pids()["eligibility-1"] is None
    await standins.release("eligibility", env={"MAKEGOOD_REPLICA": "1, once more,"})
    await standins.ready()
    log = standins.logs / "eligibility-1.log"
    await eventually(lambda: "replica 1, once more, up" in log.read_text())
    assert "drained" in log.read_text()
    assert standins.service("eligibility").restarts == restarts, "a hold is no restart"


async def test_kafka_that_is_killed_comes_back_at_its_address_with_its_records(standins: Stack, unique: str) -> None:
    address = standins.kafka
    await standins.publish([event("order.cancelled.v1", {"merchant": "m", "order_id": unique})])
    killed = standins.supervisor.state.processes["kafka"]
    os.kill(killed.pid, signal.SIGKILL)
    await eventually(lambda: standins.supervisor.state.processes["kafka"] != killed, why="Kafka was started again")
    await eventually(lambda: is_open(int(address.rpartition(":")[2])), 60, why="Kafka answers again")
    found = await standins.collect("orders.v1", until=len, match=lambda r: r.data["order_id"] == unique, limit=60)
    assert len(found) == 1
    assert standins.kafka == address


async def test_postgres_that_is_killed_comes_back_with_what_was_committed(standins: Stack) -> None:
    dsn = standins.dsn("intake")
    connection = await asyncpg.connect(dsn)
    await connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
    killed = standins.supervisor.state.processes["postgres"]
    os.kill(killed.pid, signal.SIGKILL)
    connection.terminate()

    async def read() -> int | None:
        try:
            again = await asyncpg.connect(dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return None
        try:
            return int(await again.fetchval("SELECT n FROM kept"))
        finally:
            await again.close()

    await eventually(
        lambda: standins.supervisor.state.processes["postgres"] != killed, why="Postgres was started again"
    )
    assert await eventually(read, 30) == 7


async def test_each_service_has_a_database_of_its_own_and_no_other(standins: Stack) -> None:
    foreign = standins.dsn("intake").removesuffix("/intake") + "/eligibility"
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await asyncpg.connect(foreign)


async def test_a_second_stack_in_the_folder_is_refused(standins: Stack) -> None:
    with pytest.raises(StackError, match="a stack is running in"):
        await Supervisor(Plan(standins.plan.data)).start()


async def test_a_taken_port_is_refused_and_leaves_nothing(standins: Stack, tmp_path: Path) -> None:
    taken = int(standins.kafka.rpartition(":")[2])
    folder = DataFolder.at(tmp_path / "other")
    supervisor = Supervisor(Plan(folder, kafka_port=taken, services=STANDINS))
    try:
        with pytest.raises(StackError, match=rf"port {taken} for kafka is taken"):
            await supervisor.start()
    finally:
        await supervisor.stop()
    assert [name for name, one in supervisor.state.processes.items() if identify(one.pid)] == []
    assert not folder.is_held()


@pytest.fixture
async def beside(servers: Servers, tmp_path: Path, unique: str) -> Plan:
    """A plan for services on servers that run already: starts in no time."""
    return Plan(
        DataFolder.at(tmp_path / "beside"),
        kafka=servers.kafka,
        postgres=servers.postgres,
        smtp="127.0.0.1:25",
        prefix=f"{unique}_",
        services=STANDINS[:1],
    )


async def test_outside_servers_are_used_and_left_alone(beside: Plan, servers: Servers) -> None:
    supervisor = Supervisor(beside)
    try:
        await supervisor.start()
        await supervisor.until_ready(30)
        assert set(supervisor.state.processes) == {"intake-1"}
        assert supervisor.state.services[0].database.endswith(f"/{beside.prefix}intake")
        await (await asyncpg.connect(supervisor.state.services[0].database)).close()
    finally:
        await supervisor.stop()
    await (await asyncpg.connect(servers.postgres)).close()


async def test_a_service_that_will_not_end_is_killed_after_the_limit(beside: Plan) -> None:
    lines: list[str] = []
    supervisor = Supervisor(
        replace(beside, env={"STANDIN_STUBBORN": "1"}), lambda source, line: lines.append(f"{source}: {line}")
    )
    try:
        await supervisor.start()
        await supervisor.until_ready(30)
        pid = supervisor.state.services[0].pid
        assert pid is not None
        began = time.monotonic()
        await supervisor.stop(limit=0.5)
    finally:
        await supervisor.stop()
    assert 0.5 <= time.monotonic() - began < 10
    assert identify(pid) is None
    assert "intake-1: not now" in lines
    assert any("did not end within" in line for line in lines)


async def test_a_service_that_ends_again_and_again_is_started_with_growing_pauses(beside: Plan) -> None:
    lines: list[str] = []
    supervisor = Supervisor(replace(beside, env={"STANDIN_STATUS": "3"}), lambda source, line: lines.append(line))
    try:
        await supervisor.start()
        await eventually(lambda: supervisor.state.services[0].restarts >= 2, 20)
        with pytest.raises(StackError, match=r"not ready after 0 s: intake-1 \((backoff|starting)\)"):
            await supervisor.until_ready(0)
    finally:
        await supervisor.stop()
    assert "intake-1 ended with status 3; starting it again in 0.5 s (restart 1)" in lines
    assert "intake-1 ended with status 3; starting it again in 1 s (restart 2)" in lines


async def test_a_start_that_is_cut_short_leaves_nothing(tmp_path: Path) -> None:
    folder = DataFolder.at(tmp_path / "cut")
    supervisor = Supervisor(Plan(folder, services=STANDINS))
    started = asyncio.create_task(supervisor.start())
    await eventually(lambda: "kafka" in supervisor.state.processes, 60)
    started.cancel()
    await asyncio.gather(started, return_exceptions=True)
    await supervisor.stop()
    assert [name for name, one in supervisor.state.processes.items() if identify(one.pid)] == []
