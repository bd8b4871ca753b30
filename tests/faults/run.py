"""One fault run: a workload, a nemesis, and the checker, by seed and for a time.

The same seed draws the same workload and the same faults in the same order.
"""

import asyncio
import contextlib
import json
import random
import statistics
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from cli.stack.errors import StackError
from cli.stack.plan import SERVICES, ServiceSpec
from tests.faults.checker import Verdict, judge
from tests.faults.crashing import ADDRESS, ALL, OWN
from tests.faults.evidence import gather
from tests.faults.nemesis import REPLICAS, SERVERS, SESSION_SECONDS, STREAMS, Nemesis, Struck
from tests.faults.wire import Wire
from tests.faults.workload import Workload, settlement
from tests.stack import Message, Received, Stack, eventually

WAVE_SECONDS = 2.0
SMTP_SECONDS = 4
"""A letter in the hands of a process that was killed waits for 30 s and six times this: 54 s, in production 150 s."""
START_ATTEMPTS = 3
TO_TELL = """SELECT count(*) FILTER (WHERE what LIKE 'to tell: %')
    - count(*) FILTER (WHERE what LIKE 'told: %' OR what LIKE 'not told: %') FROM history"""
"""Messages that notification has still to send; 0 in the other services."""
PACE = 6.0
"""Seconds after which a stream's next fault comes even where the one before is not overcome yet."""
PATIENCE = 600.0
"""Seconds after which what has not recovered counts as stuck: it bears a machine that many share."""


@dataclass
class Recovery:
    """A fault, the claims sent after it (one in each lane), and the seconds from its end until all were decided."""

    struck: Struck
    claims: set[str]
    seconds: float


@dataclass
class Run:
    """One run's settings and what it measures."""

    seed: int
    seconds: float
    streams: Sequence[Sequence[str]] = STREAMS
    points: tuple[str, ...] = ()
    services: tuple[str, ...] = ALL
    without: str = ""
    patience: float = PATIENCE
    struck: list[Recovery] = field(default_factory=list)
    missed: Counter[str] = field(default_factory=Counter)
    stuck: list[str] = field(default_factory=list)
    decided: dict[str, float] = field(default_factory=dict)
    told: dict[str, float] = field(default_factory=dict)
    """When each claim's decision was there to be read, and when its customer had been told."""
    paid: Counter[str] = field(default_factory=Counter)
    to_pay: list[Received] = field(default_factory=list)
    lanes: int = 0

    async def on(self, stack: Stack, wire: Wire) -> Verdict:
        """Break the stack for the time given, let it come to rest, and check it."""
        work = Workload(self.seed, f"f{uuid.uuid4().hex[:8]}")
        self.lanes = sum(lane.topic == "decisions.v1" for lane in await stack.ends())
        nemesis = Nemesis(stack, wire, self.seed, self.points, self.services)
        watcher = await _consumer(stack, self.lanes, ("decisions.v1", "notifications.v1", "refunds.v1"))
        until = time.monotonic() + self.seconds
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch(watcher))
            publishing = group.create_task(self._publish(stack, work, until))
            paying = group.create_task(self._pay(stack, until))
            streams = [self._torment(nemesis, work, n, until) for n in range(len(self.streams))]
            recovering = [task for tasks in await asyncio.gather(*streams) for task in tasks]
            await asyncio.gather(publishing, paying, *recovering)
            await self._rest(stack)
            watching.cancel()
        verdict = judge(await gather(stack), work)
        verdict.wrong += self.stuck
        twice = [refund for refund, times in self.paid.items() if times > 1]
        verdict.none(twice, "refunds a blind payment system would have paid twice")
        verdict.counted |= {"waves": publishing.result(), "refunds heard by the payment system": len(self.paid)}
        return verdict

    async def _torment(self, nemesis: Nemesis, work: Workload, stream: int, until: float) -> list[asyncio.Task[None]]:
        """One fault of the stream after the other; returns what is still waiting for a recovery."""
        order = random.Random(f"{self.seed} {stream}")
        recovering: list[asyncio.Task[None]] = []
        bag: list[str] = []
        for number in count():
            if time.monotonic() > until or (self.without and self.stuck):
                break
            bag = bag or order.sample(list(self.streams[stream]), len(self.streams[stream]))
            kind = bag.pop()
            struck = await nemesis.strike(kind, stream, number)
            if struck is None:
                self.missed[kind] += 1
                continue
            recovering.append(asyncio.create_task(self._recovered(nemesis.stack, work, struck)))
            hurry = len(self.streams) > 1 and kind not in SERVERS  # a server that is just starting has to come up first
            await asyncio.wait(recovering[-1:], timeout=PACE if hurry else None)
        return recovering

    async def _recovered(self, stack: Stack, work: Workload, struck: Struck) -> None:
        probes = work.probes(self.lanes)
        claims = {json.loads(m.value or b"")["claim_id"] for m in probes if m.topic == "claims.v1"}
        try:
            await publish_patiently(stack, probes)
            await eventually(lambda: claims <= self.decided.keys(), self.patience)
        except AssertionError:
            self.stuck.append(f"claims did not go through for {self.patience:g} s after: {struck.kind}, {struck.what}")
            return
        seconds = max(0.0, max(self.decided[claim] for claim in claims) - struck.over)
        self.struck.append(Recovery(struck, claims, seconds))
        lasted = struck.over - struck.began
        print(f"  {struck.kind:26} {struck.what:44} took {lasted:5.1f} s, recovered {seconds:5.1f} s later", flush=True)

    async def _publish(self, stack: Stack, work: Workload, until: float) -> int:
        """Publish wave after wave; what is late because the broker was away is not made up for."""
        for number in count():
            began = time.monotonic()
            if began > until or (self.without and self.stuck):
                return number
            await publish_patiently(stack, work.wave(number))
            await asyncio.sleep(max(0.0, WAVE_SECONDS - (time.monotonic() - began)))
        raise AssertionError("counting does not end")

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """Note when claims are decided and their customers told, and each refund that a payment system would pay."""
        try:
            while True:
                with contextlib.suppress(KafkaError):
                    for batch in (await consumer.getmany(timeout_ms=100)).values():
                        for r in batch:
                            self._heard(Received(r.topic, r.partition, r.offset, r.key, r.value, dict(r.headers)))
        finally:
            await consumer.stop()

    def _heard(self, record: Received) -> None:
        if record.topic == "refunds.v1":
            self.paid[record.data["refund_id"]] += 1
            self.to_pay.append(record)
        else:
            times = self.decided if record.topic == "decisions.v1" else self.told
            times.setdefault(record.subject, time.monotonic())

    async def _pay(self, stack: Stack, until: float) -> None:
        """Be the payment system: say of each instruction that it was carried out."""
        while time.monotonic() < until:
            due, self.to_pay = self.to_pay, []
            if due:
                await publish_patiently(stack, [settlement(record.data) for record in due])
            await asyncio.sleep(1)  # a payment system that works in rounds; it ends with the faults

    async def _rest(self, stack: Stack) -> None:
        until = time.monotonic() + self.patience
        while True:
            try:
                await stack.ready(self.patience)
                await stack.quiet(self.patience)
                await eventually(lambda: _told(stack), self.patience, every=1, why="all is published and told")
            except (KafkaError, OSError, TimeoutError, asyncpg.PostgresError) as error:
                if time.monotonic() < until:  # a busy machine's servers may be slow to answer
                    continue
                self.stuck.append(f"the stack did not come to rest: {error!r}")
            except (AssertionError, StackError) as error:
                self.stuck.append(f"the stack did not come to rest: {error}")
            return


async def _consumer(stack: Stack, lanes: int, topics: Sequence[str]) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stack.kafka, auto_offset_reset="earliest", isolation_level="read_committed"
    )
    await consumer.start()
    consumer.assign([TopicPartition(topic, lane) for topic in topics for lane in range(lanes)])
    return consumer


async def _told(stack: Stack) -> bool:
    """Outboxes are empty and no message waits to be sent."""
    untold = 0
    for service in ALL:
        conn = await asyncpg.connect(stack.dsn(service), timeout=15)
        try:
            untold += await conn.fetchval("SELECT count(*) FROM outbox")
            untold += await conn.fetchval(TO_TELL)
        finally:
            await conn.close()
    return untold == 0


async def publish_patiently(stack: Stack, messages: Sequence[Message]) -> None:
    """Publish, again from the start when the broker was away: repeats are what the inbox is for."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            await stack.publish(messages)
        except (KafkaError, OSError, TimeoutError):
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)
        else:
            return


def crashing_services() -> tuple[ServiceSpec, ...]:
    """The services, run with crash points."""
    return tuple(
        ServiceSpec(s.name, s.database, (sys.executable, "-m", "tests.faults.crashing", f"services.{s.database}"))
        for s in SERVICES
        if s.name in ALL
    )


def one(run: Run, folder: Path) -> Verdict:
    """Do one run on a stack of its own (two copies of every service), print its figures, return the verdict."""
    own = folder / OWN
    own.mkdir(parents=True)
    wire = Wire(own / ADDRESS)
    env = {
        "MAKEGOOD_SESSION_TIMEOUT_MS": str(SESSION_SECONDS * 1000),
        "MAKEGOOD_TEST_FOLDER": str(own),
        "MAKEGOOD_TEST_WIRE": str(wire.port),
        "MAKEGOOD_TEST_WITHOUT": run.without,
        "MAKEGOOD_SMTP_SECONDS": str(SMTP_SECONDS),
    }
    try:
        stack = _started(folder, env)
        try:
            verdict = asyncio.run(run.on(stack, wire))
        finally:
            stack.close()
    finally:
        wire.close()
    print(as_text(run, verdict), flush=True)
    return verdict


def _started(folder: Path, env: Mapping[str, str]) -> Stack:
    """A stack; a machine with much else to do may need a second attempt."""
    for attempt in count(1):
        try:
            return Stack(folder, replicas=REPLICAS, services=crashing_services(), env=env, kind="embedded")
        except StackError:
            if attempt == START_ATTEMPTS:
                raise
    raise AssertionError("counting does not end")


def as_text(run: Run, verdict: Verdict) -> str:
    """The run's figures for a person."""
    kinds: dict[str, list[Recovery]] = defaultdict(list)
    for recovery in run.struck:
        kinds[recovery.struck.kind].append(recovery)
    lines = [
        f"seed {run.seed}, {run.seconds:g} s: {len(run.struck)} faults of {len(kinds)} kinds",
        f"{'':26}  times  decided again after    customers told again after",
        *(_row(kind, kinds[kind], run.told) for kind in sorted(kinds)),
        *(f"{kind:26} {times:6}  did not take place" for kind, times in sorted(run.missed.items())),
        ", ".join(f"{name}: {number}" for name, number in verdict.counted.items()),
    ]
    lines += [f"WRONG: {what}" for what in verdict.wrong] or ["nothing lost, nothing twice, in order"]
    return "\n".join(lines)


def _row(kind: str, recoveries: Sequence[Recovery], told: Mapping[str, float]) -> str:
    decided = [recovery.seconds for recovery in recoveries]
    heard = [
        max(0.0, max(told[claim] for claim in recovery.claims) - recovery.struck.over)
        for recovery in recoveries
        if recovery.claims <= told.keys()
    ]
    return f"{kind:26} {len(decided):6}  {_seconds(decided)}  {_seconds(heard)}"


def _seconds(values: Sequence[float]) -> str:
    return f"{statistics.median(values):5.1f} s, most {max(values):5.1f} s" if values else "-"
