"""Service databases restored older than Kafka, and lost: `claims recover` brings them to where Kafka knows they were,
and what is done from then on is done once."""

import signal
import subprocess
import sys
import uuid
from pathlib import Path

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DeleteGroupsRequest

from cli.recovery.recovering import Report, recover
from cli.recovery.services import service_named
from tests.conftest import MakeStack
from tests.faults.checker import judge
from tests.faults.evidence import Said, gather
from tests.faults.nemesis import GROUP_ID_NOT_FOUND
from tests.faults.run import _told as told
from tests.faults.workload import Workload, settlement
from tests.stack import Message, Stack, eventually

CLAIMS = str(Path(sys.executable).with_name("claims"))
HASTY = {"MAKEGOOD_CONTACT_WAIT_SECONDS": "3"}
"""Some orders never come: their claims' letters need not wait a minute for an address."""
SERVICES = ("intake", "eligibility", "refund-calculation", "notification")


class Pipeline:
    """A running pipeline with its workload, its payment system, and an administrator's hand on its databases."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.work = Workload(seed, f"r{uuid.uuid4().hex[:8]}")
        self.paid: set[str] = set()
        self.waves: list[list[Message]] = []

    async def wave(self) -> None:
        """Publish the next wave."""
        self.waves.append(self.work.wave(len(self.waves)))
        await self.stack.publish(self.waves[-1])

    async def rest(self) -> None:
        """Come to rest, every refund settled."""
        for _ in range(2):
            await self.stack.ready()
            await self.stack.quiet(180)
            await eventually(lambda: told(self.stack), 180, every=0.3, why="all is published and told")
            await self._pay()

    async def _pay(self) -> None:
        found = await gather(self.stack)
        new = {one.data["refund_id"]: one.data for one in found.topics["refunds.v1"]}
        await self.stack.publish(settlement(data) for refund, data in new.items() if refund not in self.paid)
        self.paid |= new.keys()

    async def settle_again(self) -> None:
        """Say again of every refund that it was carried out."""
        self.paid.clear()
        await self._pay()

    async def judge(self) -> None:
        """Nothing is lost, nothing happened twice."""
        found = await gather(self.stack)
        found.said = [Said(0, 0, "begun", key) for key in found.mails]
        verdict = judge(found, self.work)
        assert verdict.wrong == []

    async def back_up(self, service: str) -> None:
        """Copy a service's database while its process is dead."""
        await self.stack.hold(service, how=signal.SIGKILL)
        await self.admin(
            f'CREATE DATABASE "{name_of(service)}_backup" TEMPLATE "{name_of(service)}" STRATEGY file_copy'
        )
        await self.stack.release(service)

    async def restore(self, service: str, *, lose: bool = False) -> None:
        """Put the copy in the database's place; with `lose` an empty one. The process stays down."""
        await self.stack.hold(service)
        name = name_of(service)
        await self.admin(
            f'DROP DATABASE "{name}" WITH (FORCE)',
            f'CREATE DATABASE "{name}" OWNER "{name}"'
            + ("" if lose else f' TEMPLATE "{name}_backup" STRATEGY file_copy'),
        )

    async def admin(self, *statements: str) -> None:
        """As the server's administrator."""
        conn = await asyncpg.connect(self.stack.postgres, timeout=15)
        try:
            for statement in statements:
                await conn.execute(statement)
        finally:
            await conn.close()

    async def rows(self, service: str) -> dict[str, object]:
        """A digest of each table of a service but of whose lanes are whose, to see that nothing has changed."""
        conn = await asyncpg.connect(self.stack.dsn(service), timeout=15)
        try:
            tables = [r[0] for r in await conn.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")]
            return {
                table: await conn.fetchval(f"SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t")
                for table in tables
                if table not in ("lane", "sweep", "migration")
            }
        finally:
            await conn.close()

    async def brought_forward(self, service: str) -> Report:
        """As the command does it."""
        return await recover(service_named(service), self.stack.dsn(service), self.stack.kafka)

    async def forget(self, *groups: str) -> None:
        """Delete consumer groups whose members are gone."""
        for group in groups:
            await eventually(lambda one=group: self._deleted(one), 60, every=0.5, why=f"{group} is gone")  # type: ignore[misc]

    async def _deleted(self, group: str) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack.kafka, request_timeout_ms=10_000)
        try:
            await admin.start()
            coordinator = await admin.find_coordinator(group)
            answer = await admin._send_request_to_node(coordinator, DeleteGroupsRequest([group]))
            return all(error in (0, GROUP_ID_NOT_FOUND) for _, error in answer.results)
        except KafkaError:
            return False
        finally:
            await admin.close()

    def recover(self, service: str, *options: str, status: int = 0) -> str:
        command = [CLAIMS, "recover", service, *options, "--data", str(self.stack.plan.data.root)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr


def name_of(service: str) -> str:
    """The name of a service's database."""
    return service.replace("-", "_")


async def refusing(pipeline: Pipeline, service: str) -> None:
    log = pipeline.stack.logs / f"{service}-1.log"
    before = log.read_text().count("the database is older than Kafka")
    await eventually(
        lambda: log.read_text().count("the database is older than Kafka") > before, 60, why=f"{service} refuses to work"
    )


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_restored_and_lost_databases_are_brought_forward(make_stack: MakeStack) -> None:
    pipeline = Pipeline(make_stack(env=HASTY), seed=5)
    stack = pipeline.stack
    await pipeline.wave()
    await pipeline.rest()
    await pipeline.wave()
    for service in SERVICES:  # in the middle of the work, each at another moment
        await pipeline.back_up(service)
    await pipeline.wave()
    await pipeline.rest()

    for service in SERVICES:
        await pipeline.restore(service)
    await by_hand(pipeline, "refund-calculation")
    await stack.release("eligibility")
    await refusing(pipeline, "eligibility")
    for service in ("eligibility", "intake", "notification"):
        assert (await pipeline.brought_forward(service)).behind
    for service in ("intake", "notification"):
        await stack.release(service)
    await stack.publish(pipeline.waves[1])
    await pipeline.wave()
    await pipeline.rest()
    await pipeline.judge()

    for service in SERVICES:
        await pipeline.restore(service, lose=True)
    await pipeline.forget("intake", "refund-calculation", "refund-calculation.relay")
    for service in SERVICES:
        report = await pipeline.brought_forward(service)
        assert all(before == 0 for before, _ in report.numbers.values())
        assert report.outputs > 100
        await stack.release(service)
    await stack.publish(pipeline.waves[2])
    await pipeline.wave()
    await pipeline.rest()
    await pipeline.judge()

    for service in SERVICES:
        await stack.hold(service)
    await pipeline.forget(*SERVICES, "refund-calculation.relay")
    for service in SERVICES:
        assert (await pipeline.brought_forward(service)).behind == [], "a lost group alone needs nothing"
        await stack.release(service)
    await pipeline.wave()
    await pipeline.rest()
    await pipeline.judge()


async def by_hand(pipeline: Pipeline, service: str) -> None:
    """With the command: a dry run changes nothing, the second time there is nothing to do."""
    before = await pipeline.rows(service)
    assert "dry run" in pipeline.recover(service, "--dry-run")
    assert await pipeline.rows(service) == before
    assert "done: the service can start" in pipeline.recover(service)
    assert "nothing to do" in pipeline.recover(service)
    await pipeline.stack.release(service)
